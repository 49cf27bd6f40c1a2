// Package hash has the commands on hashes. A field is one element. Its key is
// element.Key("", field). Its value is a byte of flags, the field's expiry if
// the flags say so, and the field's value. The header's Size is the number of
// fields.
//
// An index follows the fields. It has one element for each field that expires:
// its key is element.End, the expiry and the field's element key; its value is
// empty. Times are Unix milliseconds, 8 bytes, big-endian. The header's Aux is
// empty if no field expires; see clock.
//
// All commands but HLEN treat an expired field as absent. A command that finds
// one removes it in the same step. So the field is gone for everyone, whatever
// their clocks say, before any client learns that it is.
package hash

import (
	"synod/protocol/register"
	"synod/proxy/datatype/element"
)

// The encodings of a hash in Redis, which never changes one back to compact.
const (
	compact uint8 = iota
	table
)

// Redis's limits for compact hashes: fields, and bytes of a field or value.
const (
	maxCompactFields = 512
	maxCompactBytes  = 64
)

// encodingOf returns the encoding of a hash after these fields and values were
// added.
func encodingOf(pairs [][]byte) uint8 {
	for _, b := range pairs {
		if len(b) > maxCompactBytes {
			return table
		}
	}
	return compact
}

// grown returns the header after fields were added, with at least the given
// encoding.
func grown(h register.Header, fields uint64, encoding uint8) register.Header {
	h.Type = register.Hash
	h.Size += fields
	if h.Encoding = max(h.Encoding, encoding); h.Size > maxCompactFields {
		h.Encoding = table
	}
	return h
}

// Build returns the header and the ops of a hash made of alternating fields and
// values. Fields must be unique. expiries has the expiry of each field, 0 for
// never; it is nil if no field expires.
func Build(pairs [][]byte, expiries []int64) (register.Header, []register.Op) {
	h := grown(register.Header{}, uint64(len(pairs)/2), encodingOf(pairs))
	if expiries == nil {
		return h, puts(pairs)
	}
	ops := make([]register.Op, 0, len(pairs))
	for i := range len(pairs) / 2 {
		key := element.Key("", pairs[2*i])
		ops = append(ops, register.Op{Kind: register.Put, Key: key, Value: field{pairs[2*i+1], expiries[i]}.append(nil)})
		if at := expiries[i]; at != 0 {
			ops = append(ops, register.Op{Kind: register.Put, Key: indexKey(at, key)})
			h.Aux = lowered(h.Aux, at)
		}
	}
	register.Sort(ops)
	return h, ops
}

// puts returns the ops that set the fields, in element order. If a field occurs
// twice, the last value wins.
func puts(pairs [][]byte) []register.Op {
	ops := make([]register.Op, len(pairs)/2)
	size := len(ops)
	for i := range ops {
		size += len(pairs[2*i+1])
	}
	room := make([]byte, 0, size)
	for i := range ops {
		begin := len(room)
		room = field{value: pairs[2*i+1]}.append(room)
		ops[i] = register.Op{Kind: register.Put, Key: element.Key("", pairs[2*i]), Value: room[begin:len(room):len(room)]}
	}
	return element.Last(ops)
}

// Items returns alternating fields and values of a hash, and the expiry of each
// field, or nil if none expires. The view must cover the whole hash and come
// from Live.
func Items(v register.View) (pairs [][]byte, expiries []int64) {
	elems := members(v)
	gone := clockOf(v.Header).floor
	pairs = make([][]byte, 0, 2*len(elems))
	for _, e := range elems {
		f := parse(e.Value)
		if f.past(gone) {
			continue
		}
		pairs = append(pairs, element.Member("", e.Key), f.value)
		if f.expiry != 0 && expiries == nil {
			expiries = make([]int64, len(pairs)/2-1, len(elems))
		}
		if expiries != nil {
			expiries = append(expiries, f.expiry)
		}
	}
	return pairs, expiries
}

// members returns the elements that are fields. The view must cover all of
// them.
func members(v register.View) []register.Element {
	elems, _ := v.Range(register.Range{To: []byte(element.End)})
	return elems
}

// Encoding returns how Redis would store the hash, as shown by OBJECT ENCODING.
func Encoding(h register.Header) string {
	switch {
	case h.Encoding != compact:
		return "hashtable"
	case len(h.Aux) > 0:
		return "listpackex"
	}
	return "listpack"
}
