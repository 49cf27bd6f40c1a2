package hash

import (
	"encoding/binary"

	"synod/protocol/register"
	"synod/proxy/datatype/element"
)

// flagExpires means that an expiry precedes the value in a field's element.
const flagExpires = 1

const timeBytes = 8

// field is a decoded element value.
type field struct {
	value  []byte
	expiry int64 // 0: never
}

func parse(stored []byte) field {
	switch {
	case len(stored) == 0: // never written
		return field{}
	case stored[0]&flagExpires != 0 && len(stored) > timeBytes:
		return field{value: stored[1+timeBytes:], expiry: timeIn(stored[1:])}
	}
	return field{value: stored[1:]}
}

// append appends the value of the field's element.
func (f field) append(b []byte) []byte {
	if f.expiry == 0 {
		return append(append(b, 0), f.value...)
	}
	return append(binary.BigEndian.AppendUint64(append(b, flagExpires), uint64(f.expiry)), f.value...)
}

// past reports whether the field has expired. Like a key, it exists until just
// before its expiry.
func (f field) past(now int64) bool { return f.expiry != 0 && f.expiry <= now }

func timeIn(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// indexKey returns the key of the element in the index for a field, given the
// field's element key.
func indexKey(expiry int64, key []byte) []byte {
	b := make([]byte, 0, len(element.End)+timeBytes+len(key))
	b = binary.BigEndian.AppendUint64(append(b, element.End...), uint64(expiry))
	return append(b, key...)
}

// indexed splits the key of an index element.
func indexed(key []byte) (expiry int64, ofField []byte) {
	if len(key) < len(element.End)+timeBytes { // never written
		return 0, nil
	}
	return timeIn(key[len(element.End):]), key[len(element.End)+timeBytes:]
}

// clock is the header's Aux of a hash with fields that expire.
type clock struct {
	// bound: no field expires earlier; 0: no field expires. It need not be
	// updated when the earliest field is removed.
	bound int64
	// floor: fields that expire up to this time no longer exist, even if they
	// are still stored. It is set when too many fields expired to remove them
	// in one step; the background removes them gradually. Usually 0, and then
	// not stored.
	floor int64
}

func clockOf(h register.Header) (c clock) {
	if h.Type != register.Hash {
		return clock{}
	}
	if len(h.Aux) >= timeBytes {
		c.bound = timeIn(h.Aux)
	}
	if len(h.Aux) >= 2*timeBytes {
		c.floor = timeIn(h.Aux[timeBytes:])
	}
	return c
}

func (c clock) aux() []byte {
	if c.bound == 0 {
		return nil
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(c.bound))
	if c.floor != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(c.floor))
	}
	return b
}

// lowered returns the Aux after adding a field that expires at a time.
func lowered(aux []byte, expiry int64) []byte {
	c := clockOf(register.Header{Type: register.Hash, Aux: aux})
	if c.bound != 0 && c.bound <= expiry {
		return aux
	}
	c.bound = expiry
	return c.aux()
}
