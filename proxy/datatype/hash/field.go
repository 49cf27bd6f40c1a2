package hash

import (
	"encoding/binary"

	"synod/protocol/register"
	"synod/proxy/datatype/element"
)

// flagExpires says that a field's element has a time before the value.
const flagExpires = 1

const timeBytes = 8

// field is what an element's value says.
type field struct {
	value  []byte
	expiry int64 // 0: never
}

func parse(stored []byte) field {
	switch {
	case len(stored) == 0: // which nobody writes
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

// past reports whether the field is past its time. Like a key, it lives up to
// and excluding that.
func (f field) past(now int64) bool { return f.expiry != 0 && f.expiry <= now }

func timeIn(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// indexKey returns the key of the element in the index for a field, given the
// field's element key.
func indexKey(expiry int64, key []byte) []byte {
	b := make([]byte, 0, len(element.End)+timeBytes+len(key))
	b = binary.BigEndian.AppendUint64(append(b, element.End...), uint64(expiry))
	return append(b, key...)
}

// indexed takes the key of an element in the index apart.
func indexed(key []byte) (expiry int64, ofField []byte) {
	if len(key) < len(element.End)+timeBytes { // which nobody writes
		return 0, nil
	}
	return timeIn(key[len(element.End):]), key[len(element.End)+timeBytes:]
}

// clock is what a header's Aux says of a hash with fields that expire.
type clock struct {
	// bound: no field expires before that; 0: none does. Who takes the earliest
	// away may leave it as it is.
	bound int64
	// floor: what expires up to that is gone, although it may still be there.
	// It stands for the removal of too many fields for one step, which the
	// background does by and by. Mostly 0, and then left out.
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

// lowered returns the Aux of a hash with a field more that expires at a time.
func lowered(aux []byte, expiry int64) []byte {
	c := clockOf(register.Header{Type: register.Hash, Aux: aux})
	if c.bound != 0 && c.bound <= expiry {
		return aux
	}
	c.bound = expiry
	return c.aux()
}
