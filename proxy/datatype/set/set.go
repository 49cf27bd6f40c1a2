// Package set has the commands on sets. A member is one element without a
// value: its key is element.Key("", member). The header's Size is the number of
// members.
package set

import (
	"synod/protocol/register"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

// The encodings that a set has in Redis, where it never goes back to integers.
const (
	integers uint8 = iota
	table
)

// maxIntegers is the size of the largest set that Redis keeps as integers.
const maxIntegers = 512

// encodingOf returns the encoding of a set of that many members, some of which
// are given.
func encodingOf(size uint64, members [][]byte) uint8 {
	if size > maxIntegers {
		return table
	}
	for _, m := range members {
		if _, ok := number.ParseInt(m); !ok {
			return table
		}
	}
	return integers
}

// Build returns the header and the ops of a set. No member may occur twice.
func Build(members [][]byte) (register.Header, []register.Op) {
	size := uint64(len(members))
	ops := make([]register.Op, len(members))
	for i, m := range members {
		ops[i] = register.Op{Kind: register.Put, Key: element.Key("", m)}
	}
	element.Sort(ops)
	return register.Header{Type: register.Set, Encoding: encodingOf(size, members), Size: size}, ops
}

// Items returns the members of a set. The view must know all of it.
func Items(v register.View) [][]byte { return element.Members("", v.Elements()) }

// Encoding returns how Redis would hold the set, as OBJECT ENCODING puts it.
func Encoding(h register.Header) string {
	if h.Encoding == integers {
		return "intset"
	}
	return "hashtable"
}
