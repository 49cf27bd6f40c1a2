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
	maxCompactFields = 128
	maxCompactBytes  = 64
)

// encodingOf returns the encoding of a hash that is given these fields and
// values in one command.
func encodingOf(pairs [][]byte) uint8 {
	if len(pairs)/2 > maxCompactFields {
		return table
	}
	for _, b := range pairs {
		if len(b) > maxCompactBytes {
			return table
		}
	}
	return compact
}

// Build returns the header and the ops of a hash of fields and values in turn.
// No field may occur twice.
func Build(pairs [][]byte) (register.Header, []register.Op) {
	h := register.Header{Type: register.Hash, Encoding: encodingOf(pairs), Size: uint64(len(pairs) / 2)}
	return h, puts(pairs)
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
