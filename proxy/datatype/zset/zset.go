// Package zset has the commands on sorted sets. Each member has two elements.
// One has the key element.Key("m", member) and holds the score, to find the
// member by name. The key of the other is 's', the score in byte order and the
// member, to find the member by score and rank. The header's Size is the number
// of members.
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

// named is the prefix of the elements for lookups by name.
const named = "m"

// ranked is the span of the elements sorted by score, then by name.
var ranked = register.Prefixed([]byte{'s'})

// The encodings of a sorted set in Redis, which never changes one back to
// compact.
const (
	compact uint8 = iota
	skipList
)

// Redis's limits for compact sorted sets: members, and bytes of a member's
// name.
const (
	maxCompactMembers = 128
	maxCompactName    = 64
)

// Encoding returns how Redis would store the sorted set, as shown by OBJECT
// ENCODING.
func Encoding(h register.Header) string {
	if h.Encoding == compact {
		return "listpack"
	}
	return "skiplist"
}

// Compare orders members like a sorted set: by score, then by name.
func Compare(a, b Member) int {
	if c := cmp.Compare(a.Score, b.Score); c != 0 {
		return c
	}
	return bytes.Compare(a.Name, b.Name)
}

// Build returns the header and the ops of a sorted set. The members' names must
// be unique. It returns zero values if there are no members.
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

// encodingOf returns the encoding required by the size and by a member with
// this name.
func encodingOf(size uint64, name []byte) uint8 {
	if size > maxCompactMembers || len(name) > maxCompactName {
		return skipList
	}
	return compact
}

// kept returns a score as stored: Redis's compact encoding has no negative
// zero.
func kept(h register.Header, score float64) float64 {
	if score == 0 && h.Encoding == compact {
		return 0
	}
	return score
}

// Items returns the members of a sorted set in order. The view must cover all
// of it.
func Items(v register.View) []Member {
	elems, _ := v.Range(register.Range{From: ranked.From, To: ranked.To})
	return members(elems)
}

// members returns the members of ranked elements.
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

// Keys returns the element keys for finding members by name.
func Keys(names [][]byte) [][]byte {
	keys := make([][]byte, len(names))
	for i, name := range names {
		keys[i] = element.Key(named, name)
	}
	return keys
}

// ScoreIn returns a member's score and whether it exists. The view must cover
// its key.
func ScoreIn(v register.View, name []byte) (score float64, exists bool) {
	value, exists := v.Get(element.Key(named, name))
	return scoreIn(value), exists
}

// negativeZero is the value of a ranked element whose score is -0. Its key is
// the same as for score 0. All other ranked elements have an empty value.
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

// place returns the prefix of ranked keys with an order, with spare capacity.
func place(order uint64, room int) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, rankBytes+room), 's'), order)
}

// Ranking returns the member of a ranked element from a range made by Scores.
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

// order maps scores to integers that sort the same. Adjacent integers are
// adjacent scores.
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
