package rdb

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"synod/protocol/register"
	"synod/proxy/datatype/number"
	"synod/proxy/datatype/zset"
)

// The nodes of a list: Redis's list-max-listpack-size of -2, and the overhead
// that Redis adds to an element's length when it checks whether the element
// fits.
const (
	listNodeBytes    = 8192
	listEntryReserve = 8
)

// The container types of a list's nodes.
const (
	plainNode  = 1
	packedNode = 2
)

var (
	errEmpty = errors.New("empty collection")
	errTwice = errors.New("duplicate element")
	errOdd   = errors.New("field without a value")
	errScore = errors.New("invalid score")
	errNode  = errors.New("invalid list node")
)

// appendList writes the list as nodes, filled as RPUSH would.
func appendList(dst []byte, items [][]byte) []byte {
	var nodes []byte
	count := uint64(0)
	p := newListpack()
	flush := func() {
		nodes = appendString(AppendLength(nodes, packedNode), p.done())
		count, p = count+1, newListpack()
	}
	for _, s := range items {
		if p.count > 0 && p.size()+len(s)+listEntryReserve > listNodeBytes {
			flush()
		}
		p.add(s)
	}
	if p.count > 0 {
		flush()
	}
	return append(AppendLength(dst, count), nodes...)
}

// quicklist reads the elements of a list of nodes.
func (r *reader) quicklist(kind uint64) [][]byte {
	n := r.length()
	var items [][]byte
	for ; n > 0 && r.err == nil; n-- {
		container := uint64(packedNode)
		if kind == typeListListpacks {
			container = r.length()
		}
		node := r.string()
		switch {
		case r.err != nil:
		case len(node) == 0 || container != plainNode && container != packedNode:
			r.fail(errNode)
		case container == plainNode:
			items = append(items, node)
		case kind == typeListZiplists:
			items = append(items, r.ziplist(node)...)
		default:
			items = append(items, r.listpack(node)...)
		}
	}
	return items
}

// filled returns the items of a collection, which must not be empty.
func (r *reader) filled(items [][]byte) [][]byte {
	if len(items) == 0 {
		r.fail(errEmpty)
	}
	return items
}

// unique checks that the first of every so many items is not a duplicate.
func (r *reader) unique(items [][]byte, step int) {
	if r.err != nil {
		return
	}
	seen := make(map[string]struct{}, len(items)/step)
	for i := 0; i < len(items); i += step {
		seen[string(items[i])] = struct{}{}
	}
	if len(seen) != len(items)/step {
		r.fail(errTwice)
	}
}

func (r *reader) set(items [][]byte) Value {
	r.unique(r.filled(items), 1)
	return Value{Type: register.Set, Items: items}
}

func (r *reader) hash(items [][]byte) Value {
	if len(items)%2 != 0 {
		r.fail(errOdd)
	}
	r.unique(r.filled(items), 2)
	return Value{Type: register.Hash, Items: items}
}

func (r *reader) sortedSet(members []zset.Member) Value {
	if len(members) == 0 {
		r.fail(errEmpty)
	}
	names := make([][]byte, len(members))
	for i := range members {
		names[i] = members[i].Name
		if math.IsNaN(members[i].Score) {
			r.fail(errScore)
		}
	}
	r.unique(names, 1)
	return Value{Type: register.SortedSet, Members: members}
}

// appendInts writes the members of a set of integers.
func appendInts(dst []byte, items [][]byte) []byte {
	values := make([]int64, len(items))
	width := 2
	for i, s := range items {
		n, _ := number.ParseInt(s)
		values[i] = n
		switch {
		case n != int64(int32(n)):
			width = 8
		case n != int64(int16(n)):
			width = max(width, 4)
		}
	}
	slices.Sort(values)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(width))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(values)))
	for _, n := range values {
		for i := range width {
			dst = append(dst, byte(n>>(8*i)))
		}
	}
	return dst
}

// appendMembers writes the members of a sorted set, highest first, as Redis
// does.
func appendMembers(dst []byte, members []zset.Member) []byte {
	dst = AppendLength(dst, uint64(len(members)))
	for _, m := range slices.Backward(members) {
		dst = appendString(dst, m.Name)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(m.Score))
	}
	return dst
}

// pairs returns members alternating with their scores.
func pairs(members []zset.Member) [][]byte {
	items := make([][]byte, 0, 2*len(members))
	for _, m := range members {
		items = append(items, m.Name, zset.CompactText(nil, m.Score))
	}
	return items
}

// scored builds members from alternating names and scores.
func (r *reader) scored(items [][]byte) []zset.Member {
	if len(items)%2 != 0 {
		r.fail(errOdd)
		return nil
	}
	members := make([]zset.Member, len(items)/2)
	for i := range members {
		members[i] = zset.Member{Name: items[2*i], Score: r.score(items[2*i+1])}
	}
	return members
}

// score reads a score written as text.
func (r *reader) score(text []byte) float64 {
	f, ok := number.ParseBound(text)
	if !ok || len(text) == 0 {
		r.fail(errScore)
	}
	return f
}

// members reads the members of a sorted set with their scores.
func (r *reader) members(kind uint64) []zset.Member {
	n := r.length()
	var members []zset.Member
	for ; n > 0 && r.err == nil; n-- {
		m := zset.Member{Name: r.string()}
		if kind == typeSortedSet {
			m.Score = math.Float64frombits(r.little(8))
		} else {
			m.Score = r.shortScore()
		}
		members = append(members, m)
	}
	return members
}

// shortScore reads a score written as text after its length; three special
// lengths stand for fixed scores.
func (r *reader) shortScore() float64 {
	switch n := r.uint(1); n {
	case 253:
		return math.NaN()
	case 254:
		return math.Inf(1)
	case 255:
		return math.Inf(-1)
	default:
		text := r.take(n)
		if r.err != nil {
			return 0
		}
		return r.score(text)
	}
}
