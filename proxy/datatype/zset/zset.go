// Package zset has the commands on sorted sets. A member is two elements:
// element.Key("m", member) holds its score, so that it is found by name, and
// 's', the score in byte order and the member are the key of another, so that
// members are found by score and by rank. The header's Size is the number of
// members.
package zset

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"synod/protocol/register"
	"synod/proxy/datatype/element"
)

// Member is a member of a sorted set.
type Member struct {
	Name  []byte
	Score float64
}

// named is the prefix of the elements that members are found by.
const named = "m"

// ranked is the span of the elements in the order of scores, within a score of
// names.
var ranked = register.Prefixed([]byte{'s'})

// The encodings that a sorted set has in Redis, where it never goes back to
// compact.
const (
	compact uint8 = iota
	skipList
)

// What Redis keeps compact at most: members, and bytes of a member's name.
const (
	maxCompactMembers = 128
	maxCompactName    = 64
)

// Encoding returns how Redis would hold the sorted set, as OBJECT ENCODING puts
// it.
func Encoding(h register.Header) string {
	if h.Encoding == compact {
		return "listpack"
	}
	return "skiplist"
}

// Compare orders members as a sorted set does: by score, and those of equal
// scores by name.
func Compare(a, b Member) int {
	if c := cmp.Compare(a.Score, b.Score); c != 0 {
		return c
	}
	return bytes.Compare(a.Name, b.Name)
}

// Build returns the header and the ops of a sorted set of the members, of which
// no two may have one name. Without members there is none.
func Build(members []Member) (register.Header, []register.Op) {
	if len(members) == 0 {
		return register.Header{}, nil
	}
	h := register.Header{Type: register.SortedSet, Size: uint64(len(members))}
	for _, m := range members {
		h.Encoding = max(h.Encoding, encodingOf(h.Size, m.Name))
	}
	ops := make([]register.Op, 0, 2*len(members))
	for _, m := range members {
		score := kept(h, m.Score)
		ops = append(ops, putName(m.Name, score), putRank(m.Name, score))
	}
	register.Sort(ops)
	return h, ops
}

// encodingOf returns the encoding that a sorted set of the size needs, which
// has a member of that name.
func encodingOf(size uint64, name []byte) uint8 {
	if size > maxCompactMembers || len(name) > maxCompactName {
		return skipList
	}
	return compact
}

// kept returns what a sorted set keeps of a score: Redis's compact encoding has
// no negative zero.
func kept(h register.Header, score float64) float64 {
	if score == 0 && h.Encoding == compact {
		return 0
	}
	return score
}

// Items returns the members of a sorted set in their order. The view must know
// all of it.
func Items(v register.View) []Member {
	elems, _ := v.Range(register.Range{From: ranked.From, To: ranked.To})
	return members(elems)
}

// members returns what ranked elements stand for.
func members(elems []register.Element) []Member {
	out := make([]Member, len(elems))
	for i, e := range elems {
		out[i] = Ranking(e)
	}
	return out
}

func putName(name []byte, score float64) register.Op {
	value := binary.BigEndian.AppendUint64(nil, math.Float64bits(score))
	return register.Op{Kind: register.Put, Key: element.Key(named, name), Value: value}
}

// scoreIn returns the score in a named element's value.
func scoreIn(value []byte) float64 {
	if len(value) != 8 {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(value))
}

// Keys returns the element keys that members are found by.
func Keys(names [][]byte) [][]byte {
	keys := make([][]byte, len(names))
	for i, name := range names {
		keys[i] = element.Key(named, name)
	}
	return keys
}

// ScoreIn returns a member's score, if it is there. The view must cover its
// key.
func ScoreIn(v register.View, name []byte) (score float64, exists bool) {
	value, exists := v.Get(element.Key(named, name))
	return scoreIn(value), exists
}

// negativeZero is the value of the ranked element of a member whose score is
// -0, which has its place, and so its key, among those of 0. All others have
// no value.
var negativeZero = []byte{'-'}

func putRank(name []byte, score float64) register.Op {
	op := register.Op{Kind: register.Put, Key: rankKey(score, name)}
	if score == 0 && math.Signbit(score) {
		op.Value = negativeZero
	}
	return op
}

const rankBytes = 1 + 8 // before the name in a ranked element's key

func rankKey(score float64, name []byte) []byte {
	return append(place(order(score), len(name)), name...)
}

// place returns the beginning of ranked keys with an order, with room for more.
func place(order uint64, room int) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, rankBytes+room), 's'), order)
}

// Ranking returns the member that a ranked element stands for, as a range of
// Scores has them.
func Ranking(e register.Element) Member {
	if len(e.Key) < rankBytes {
		return Member{}
	}
	m := Member{Name: e.Key[rankBytes:], Score: unorder(binary.BigEndian.Uint64(e.Key[1:]))}
	if len(e.Value) > 0 {
		m.Score = math.Copysign(0, -1)
	}
	return m
}

const sign = 1 << 63

// order returns numbers that are in the order of the scores. The next number
// belongs to the next score.
func order(score float64) uint64 {
	if score == 0 {
		return sign
	}
	bits := math.Float64bits(score)
	if bits&sign != 0 {
		return ^bits
	}
	return bits | sign
}

func unorder(n uint64) float64 {
	if n&sign != 0 {
		return math.Float64frombits(n &^ sign)
	}
	return math.Float64frombits(^n)
}
