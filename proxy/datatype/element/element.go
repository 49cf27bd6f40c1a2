// Package element has what hashes, sets and sorted sets share: finding members
// by name, walking over them with a stateless cursor, and drawing them at
// random.
//
// A member's element key is a prefix that the type chooses (it may be empty),
// the member's 48-bit hash (big-endian) and the member. So elements are ordered
// by hash: a cursor is a hash, and a random member can be drawn from any place
// in the order. No hash has all bits set, which leaves room after the members
// for other elements.
package element

import (
	"encoding/binary"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

const (
	hashBytes = 6
	maxHash   = 1<<(8*hashBytes) - 1
)

// End is the prefix of the keys of elements that are not members, for types
// whose prefix is empty. They sort after all members.
const End = "\xff\xff\xff\xff\xff\xff"

// Kind is a type whose values have members.
type Kind struct {
	Type   register.Type
	Prefix string
	// Look returns how a command sees a value at a time in Unix milliseconds,
	// if members can expire. Nil means that they cannot.
	Look func(h register.Header, now int64) Look
}

// Look is how a command sees a value.
type Look interface {
	// Live reports whether a member exists. It notes an expired member that has
	// not been removed yet.
	Live(e register.Element) bool
	// Effect returns the effect of a command with the reply. It removes the
	// members that Live noted.
	Effect(reply *resp.Value) operation.Effect
}

func (k Kind) look(h register.Header, now int64) Look {
	if k.Look == nil {
		return everybody{}
	}
	return k.Look(h, now)
}

// everybody is a Look that sees every member.
type everybody struct{}

func (everybody) Live(register.Element) bool                { return true }
func (everybody) Effect(reply *resp.Value) operation.Effect { return datatype.Reply(reply) }

// Living returns the elements that exist.
func Living(elems []register.Element, live func(register.Element) bool) []register.Element {
	for i := range elems {
		if !live(elems[i]) {
			out := slices.Clone(elems[:i])
			for _, e := range elems[i+1:] {
				if live(e) {
					out = append(out, e)
				}
			}
			return out
		}
	}
	return elems
}

// Key returns the element key of a member.
func Key(prefix string, member []byte) []byte {
	return appendKey(make([]byte, 0, len(prefix)+hashBytes+len(member)), prefix, member)
}

func appendKey(b []byte, prefix string, member []byte) []byte {
	return append(appendHash(b, prefix, clamp(partition.Hash48(string(member)))), member...)
}

// clamp keeps the highest hash free for elements after the members.
func clamp(hash uint64) uint64 { return min(hash, maxHash-1) }

// Member returns the member in an element key.
func Member(prefix string, key []byte) []byte { return key[min(len(key), len(prefix)+hashBytes):] }

// Members returns the members in the elements' keys.
func Members(prefix string, elems []register.Element) [][]byte {
	members := make([][]byte, len(elems))
	for i, e := range elems {
		members[i] = Member(prefix, e.Key)
	}
	return members
}

func appendHash(b []byte, prefix string, hash uint64) []byte {
	b = append(b, prefix...)
	return append(b, byte(hash>>40), byte(hash>>32), byte(hash>>24), byte(hash>>16), byte(hash>>8), byte(hash))
}

func hashOf(prefix string, key []byte) uint64 {
	var b [8]byte
	copy(b[len(b)-hashBytes:], key[min(len(key), len(prefix)):])
	return binary.BigEndian.Uint64(b[:])
}

// spanOf returns the span of all members.
func spanOf(prefix string) register.Span {
	if prefix == "" {
		return register.Span{To: []byte(End)}
	}
	return register.Prefixed([]byte(prefix))
}

// from returns the range of members from a hash onward.
func from(prefix string, hash uint64, limit int) register.Range {
	return register.Range{From: appendHash(nil, prefix, hash), To: spanOf(prefix).To, Limit: limit}
}
