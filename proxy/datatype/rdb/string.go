package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"synod/proxy/datatype/number"
)

// The high 2 bits of a length, or of a whole first byte.
const (
	len6       = 0 << 6
	len14      = 1 << 6
	len32      = 0x80
	len64      = 0x81
	lenEncoded = 3 << 6
)

// The encodings of a string, in the low 6 bits of lenEncoded.
const (
	encodedInt8 = iota
	encodedInt16
	encodedInt32
	encodedLZF
)

// minCompressed is the size in bytes above which strings are compressed.
const minCompressed = 20

// AppendString writes a string as in values and files.
func AppendString(dst, s []byte) []byte { return appendString(dst, s) }

func appendString(dst, s []byte) []byte {
	if n, ok := number.ParseInt(s); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
		return appendInt(dst, n)
	}
	if len(s) > minCompressed {
		if c := compress(s); c != nil {
			dst = append(dst, lenEncoded|encodedLZF)
			dst = AppendLength(dst, uint64(len(c)))
			dst = AppendLength(dst, uint64(len(s)))
			return append(dst, c...)
		}
	}
	return append(AppendLength(dst, uint64(len(s))), s...)
}

func appendInt(dst []byte, n int64) []byte {
	switch {
	case n == int64(int8(n)):
		return append(dst, lenEncoded+encodedInt8, byte(n))
	case n == int64(int16(n)):
		return binary.LittleEndian.AppendUint16(append(dst, lenEncoded|encodedInt16), uint16(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, lenEncoded|encodedInt32), uint32(n))
}

// AppendLength writes a length as in values and files.
func AppendLength(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(dst, len6|byte(n))
	case n < 1<<14:
		return append(dst, len14|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, len32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, len64), n)
}

// appendStrings writes the number of groups of that many strings, then the
// strings.
func appendStrings(dst []byte, items [][]byte, group int) []byte {
	dst = AppendLength(dst, uint64(len(items)/group))
	for _, s := range items {
		dst = appendString(dst, s)
	}
	return dst
}

// reader decodes a value. After an error it returns zeros.
type reader struct {
	rest []byte
	room uint64 // how many more bytes may be unpacked
	err  error
}

var errShort = errors.New("data ends early")

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.rest)) {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

// uint reads n bytes, big-endian.
func (r *reader) uint(n uint64) uint64 {
	var v uint64
	for _, b := range r.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

// little reads n bytes, little-endian.
func (r *reader) little(n uint64) uint64 { return little(r.take(n)) }

func little(b []byte) uint64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// signed converts little-endian bytes to a signed integer.
func signed(b []byte) int64 {
	shift := 64 - 8*len(b)
	return int64(little(b)<<shift) >> shift
}

func digits(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// encodedLength reads a length or, if encoded, a string's encoding.
func (r *reader) encodedLength() (n uint64, encoded bool) {
	first := r.uint(1)
	switch first & 0xc0 {
	case len6:
		return first & 0x3f, false
	case len14:
		return first&0x3f<<8 | r.uint(1), false
	case lenEncoded:
		return first & 0x3f, true
	}
	switch first {
	case len32:
		return r.uint(4), false
	case len64:
		return r.uint(8), false
	}
	r.fail(fmt.Errorf("unknown length %#x", first))
	return 0, false
}

// length reads a length, or a number written like one.
func (r *reader) length() uint64 {
	n, encoded := r.encodedLength()
	if encoded {
		r.fail(errors.New("string instead of a length"))
	}
	return n
}

func (r *reader) string() []byte {
	n, encoded := r.encodedLength()
	if !encoded {
		return r.take(n)
	}
	switch n {
	case encodedInt8, encodedInt16, encodedInt32:
		if b := r.take(1 << n); b != nil {
			return digits(signed(b))
		}
		return nil
	case encodedLZF:
		return r.compressed()
	}
	r.fail(fmt.Errorf("unknown encoding %d", n))
	return nil
}

func (r *reader) compressed() []byte {
	packed := r.length()
	size := r.length()
	in := r.take(packed)
	// A copy takes 3 bytes.
	if r.err == nil && (size > packed*lzfMaxCopy/3+lzfMaxLiteral || size > r.room) {
		r.fail(errLZF)
	}
	if r.err != nil {
		return nil
	}
	r.room -= size
	out, err := decompress(in, int(size))
	if err != nil {
		r.fail(err)
	}
	return out
}

// strings reads the number of groups of that many strings, then the strings.
func (r *reader) strings(group uint64) [][]byte {
	n := r.length()
	if r.err == nil && n > uint64(len(r.rest)) { // each takes at least one byte
		r.fail(errShort)
	}
	var out [][]byte
	for i := uint64(0); i < n*group && r.err == nil; i++ {
		out = append(out, r.string())
	}
	return out
}
