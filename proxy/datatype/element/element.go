// Package element has what hashes, sets and sorted sets have in common: members
// that are found by name, walked over by a cursor that needs no memory, and
// drawn at random.
//
// A member's element key is a prefix that the type chooses (it may be empty),
// the member's 48-bit hash, big end first, and the member itself. So the order
// of elements is that of the hashes: a cursor is a hash, and any place in the
// order is as good as any other to draw a member from.
package element

import (
	"encoding/binary"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

const (
	hashBytes = 6
	maxHash   = 1<<(8*hashBytes) - 1
)

// Key returns the element key of a member.
func Key(prefix string, member []byte) []byte {
	return appendKey(make([]byte, 0, len(prefix)+hashBytes+len(member)), prefix, member)
}

func appendKey(b []byte, prefix string, member []byte) []byte {
	return append(appendHash(b, prefix, caspaxos.Hash48(string(member))), member...)
}

// Member returns the member that an element key is of.
func Member(prefix string, key []byte) []byte { return key[min(len(key), len(prefix)+hashBytes):] }

// Members returns the members that elements are of.
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
		return register.Span{}
	}
	return register.Prefixed([]byte(prefix))
}

// from returns the range of members from a hash on.
func from(prefix string, hash uint64, limit int) register.Range {
	return register.Range{From: appendHash(nil, prefix, hash), To: spanOf(prefix).To, Limit: limit}
}
