// Package hash has the commands on hashes. A field is one element: its key is
// element.Key("", field), its value a byte of flags, if these say so the time at
// which the field expires, and the field's value. The header's Size is the
// number of fields.
//
// Behind the fields is an index: for each field that expires an element whose
// key is element.End, the time and the field's element key, and whose value is
// empty. Times are Unix milliseconds, 8 bytes, big end first. The header's Aux
// is empty if no field expires; see clock.
//
// A field that is past its time is absent for every command but HLEN. Whoever
// comes across one takes it away in the same step, so that it is gone for
// everybody, whatever their clocks say, before anybody hears of it.
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
// No field may occur twice. If any field expires, expiries has the time for
// each, 0 for never; else it is nil.
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

// puts returns the ops that set the fields, in the order of their elements. Of
// a field's values the last counts.
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

// Items returns the fields and values of a hash in turn, and when each field
// expires, nil if none does. The view must know all of it and be one that Live
// has returned.
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

// members returns the elements that are fields. The view must know all of them.
func members(v register.View) []register.Element {
	elems, _ := v.Range(register.Range{To: []byte(element.End)})
	return elems
}

// Encoding returns how Redis would hold the hash, as OBJECT ENCODING puts it.
func Encoding(h register.Header) string {
	switch {
	case h.Encoding != compact:
		return "hashtable"
	case len(h.Aux) > 0:
		return "listpackex"
	}
	return "listpack"
}
