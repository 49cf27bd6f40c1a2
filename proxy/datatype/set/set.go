// Package set has the commands on sets. A member is an element with the key
// element.Key("", member) and no value. The header's Size is the number of
// members.
package set

import (
	"synod/protocol/register"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
)

// The encodings of a set in Redis, which never changes one back to integers.
const (
	integers uint8 = iota
	table
)

// maxIntegers is the size of the largest set that Redis stores as integers.
const maxIntegers = 512

// encodingOf returns the encoding of a set after these members were added.
func encodingOf(members [][]byte) uint8 {
	for _, m := range members {
		if _, ok := number.ParseInt(m); !ok {
			return table
		}
	}
	return integers
}

// grown returns the header after members were added, with at least the given
// encoding.
func grown(h register.Header, members uint64, encoding uint8) register.Header {
	h.Type = register.Set
	h.Size += members
	if h.Encoding = max(h.Encoding, encoding); h.Size > maxIntegers {
		h.Encoding = table
	}
	return h
}

// Build returns the header and the ops of a set. Members must be unique.
func Build(members [][]byte) (register.Header, []register.Op) {
	return grown(register.Header{}, uint64(len(members)), encodingOf(members)), puts(members)
}

// puts returns the ops that add the members, without duplicates, in element
// order.
func puts(members [][]byte) []register.Op {
	ops := make([]register.Op, len(members))
	for i, m := range members {
		ops[i] = register.Op{Kind: register.Put, Key: element.Key("", m)}
	}
	return element.Last(ops)
}

// Items returns the members of a set. The view must cover all of it.
func Items(v register.View) [][]byte { return element.Members("", v.Elements()) }

// Encoding returns how Redis would store the set, as shown by OBJECT ENCODING.
func Encoding(h register.Header) string {
	if h.Encoding == integers {
		return "intset"
	}
	return "hashtable"
}
