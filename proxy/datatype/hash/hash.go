// Package hash has the commands on hashes. A field is one element: its key is
// element.Key("", field), its value the field's. The header's Size is the
// number of fields.
package hash

import (
	"synod/protocol/register"
	"synod/proxy/datatype/element"
)

// The encodings that a hash has in Redis, where it never goes back to compact.
const (
	compact uint8 = iota
	table
)

// What Redis keeps compact at most: fields, and bytes of a field or value.
const (
	maxCompactFields = 512
	maxCompactBytes  = 64
)

// encodingOf returns the encoding of a hash that was given these fields and
// values.
func encodingOf(pairs [][]byte) uint8 {
	for _, b := range pairs {
		if len(b) > maxCompactBytes {
			return table
		}
	}
	return compact
}

// grown returns the header of a hash that got new fields, the encoding being at
// least that one.
func grown(h register.Header, fields uint64, encoding uint8) register.Header {
	h.Type = register.Hash
	h.Size += fields
	if h.Encoding = max(h.Encoding, encoding); h.Size > maxCompactFields {
		h.Encoding = table
	}
	return h
}

// Build returns the header and the ops of a hash of fields and values in turn.
// No field may occur twice.
func Build(pairs [][]byte) (register.Header, []register.Op) {
	return grown(register.Header{}, uint64(len(pairs)/2), encodingOf(pairs)), puts(pairs)
}

// puts returns the ops that set the fields, in the order of their elements. Of
// a field's values the last counts.
func puts(pairs [][]byte) []register.Op {
	ops := make([]register.Op, len(pairs)/2)
	for i := range ops {
		ops[i] = register.Op{Kind: register.Put, Key: element.Key("", pairs[2*i]), Value: pairs[2*i+1]}
	}
	return element.Last(ops)
}

// Items returns the fields and values of a hash in turn. The view must know all
// of it.
func Items(v register.View) [][]byte { return items(v.Elements()) }

func items(elems []register.Element) [][]byte {
	out := make([][]byte, 0, 2*len(elems))
	for _, e := range elems {
		out = append(out, element.Member("", e.Key), e.Value)
	}
	return out
}

// Encoding returns how Redis would hold the hash, as OBJECT ENCODING puts it.
func Encoding(h register.Header) string {
	if h.Encoding == compact {
		return "listpack"
	}
	return "hashtable"
}
