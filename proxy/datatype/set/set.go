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

// encodingOf returns the encoding of a set that these members were added to.
func encodingOf(members [][]byte) uint8 {
	for _, m := range members {
		if _, ok := number.ParseInt(m); !ok {
			return table
		}
	}
	return integers
}

// grown returns the header of a set that got new members, the encoding being at
// least that one.
func grown(h register.Header, members uint64, encoding uint8) register.Header {
	h.Type = register.Set
	h.Size += members
	if h.Encoding = max(h.Encoding, encoding); h.Size > maxIntegers {
		h.Encoding = table
	}
	return h
}

// Build returns the header and the ops of a set. No member may occur twice.
func Build(members [][]byte) (register.Header, []register.Op) {
	return grown(register.Header{}, uint64(len(members)), encodingOf(members)), puts(members)
}

// puts returns the ops that add the members, each once, in the order of their
// elements.
func puts(members [][]byte) []register.Op {
	ops := make([]register.Op, len(members))
	for i, m := range members {
		ops[i] = register.Op{Kind: register.Put, Key: element.Key("", m)}
	}
	return element.Last(ops)
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
