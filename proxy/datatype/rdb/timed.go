package rdb

import (
	"encoding/binary"
	"errors"
	"math"

	"synod/proxy/datatype/number"
)

// lastExpiry is the latest field expiry that Redis's format supports.
const lastExpiry = 1<<48 - 1

var errExpiry = errors.New("invalid field expiry")

// appendTimed writes a hash with expiring fields: the earliest expiry (8 bytes,
// little-endian), the number of fields, and for each field its expiry, the
// field and the value. An expiry is stored as 0 for never, otherwise as one
// more than its difference to the earliest.
func appendTimed(dst []byte, items [][]byte, expiries []int64) []byte {
	earliest := int64(math.MaxInt64)
	for _, at := range expiries {
		if at != 0 {
			earliest = min(earliest, at)
		}
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(earliest))
	dst = AppendLength(dst, uint64(len(expiries)))
	for i, at := range expiries {
		if at != 0 {
			at += 1 - earliest
		}
		dst = AppendLength(dst, uint64(at))
		dst = appendString(appendString(dst, items[2*i]), items[2*i+1])
	}
	return dst
}

// timedHash reads what appendTimed writes.
func (r *reader) timedHash() Value {
	earliest := r.little(8)
	if earliest > lastExpiry+1 { // lastExpiry+1 means none
		r.fail(errExpiry)
	}
	var items [][]byte
	var expiries []int64
	for n := r.length(); n > 0 && r.err == nil; n-- {
		at := r.expiry(r.length())
		if at != 0 {
			at = r.expiry(uint64(at) + earliest - 1)
		}
		expiries = append(expiries, at)
		items = append(items, r.string(), r.string())
	}
	return r.timed(items, expiries)
}

// timedListpack reads a hash stored as a listpack of fields, values and times.
// The earliest time in front of it is not needed.
func (r *reader) timedListpack() Value {
	r.little(8)
	list := r.listpack(r.string())
	if len(list)%3 != 0 {
		r.fail(errOdd)
		return Value{}
	}
	items := make([][]byte, 0, len(list)/3*2)
	expiries := make([]int64, 0, len(list)/3)
	for ; len(list) > 0; list = list[3:] {
		at, ok := number.ParseInt(list[2])
		if !ok {
			r.fail(errExpiry)
		}
		items, expiries = append(items, list[0], list[1]), append(expiries, r.expiry(uint64(at)))
	}
	return r.timed(items, expiries)
}

func (r *reader) expiry(at uint64) int64 {
	if at > lastExpiry {
		r.fail(errExpiry)
	}
	return int64(at)
}

// timed builds a hash from fields and their expiries.
func (r *reader) timed(items [][]byte, expiries []int64) Value {
	v := r.hash(items)
	for _, at := range expiries {
		if at != 0 {
			v.Expiries = expiries
		}
	}
	return v
}
