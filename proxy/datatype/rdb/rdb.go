// Package rdb reads and writes single values in Redis's dump format, as DUMP
// and RESTORE exchange them: a type, the value, the format's version and a
// checksum. Input is untrusted: nothing is allocated beyond what the input's
// length accounts for, LZF's ratio included.
package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"math"
	"math/bits"
	"strconv"

	"synod/proxy/datatype/number"
)

// Version is the format's version that Redis 7.0 writes; it reads that and any
// before.
const Version = 10

const footer = 2 + 8 // version, checksum

// The first byte of a value: its type.
const typeString = 0

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

var (
	// ErrChecksum: the payload is of a newer version or damaged.
	ErrChecksum = errors.New("rdb: version or checksum is wrong")
	// ErrFormat: the payload is no value that can be read.
	ErrFormat = errors.New("rdb: bad data format")
)

// jones is the polynomial of Redis's CRC-64, in crc64's reflected form.
var jones = crc64.MakeTable(bits.Reverse64(0xad93d23594c935a9))

// checksum is crc64 without the inversions before and after.
func checksum(b []byte) uint64 { return ^crc64.Update(math.MaxUint64, jones, b) }

// DumpString returns what DUMP answers for a string.
func DumpString(s []byte) []byte {
	out := make([]byte, 0, len(s)+footer+10)
	out = append(out, typeString)
	out = appendString(out, s)
	out = binary.LittleEndian.AppendUint16(out, Version)
	return binary.LittleEndian.AppendUint64(out, checksum(out))
}

func appendString(dst, s []byte) []byte {
	if n, ok := number.ParseInt(s); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
		return appendInt(dst, n)
	}
	if len(s) > minCompressed {
		if c := compress(s); c != nil {
			dst = append(dst, lenEncoded|encodedLZF)
			dst = appendLength(dst, uint64(len(c)))
			dst = appendLength(dst, uint64(len(s)))
			return append(dst, c...)
		}
	}
	return append(appendLength(dst, uint64(len(s))), s...)
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

func appendLength(dst []byte, n uint64) []byte {
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

// Verify checks a payload's version and checksum and returns the value in it.
func Verify(payload []byte) ([]byte, error) {
	if len(payload) < footer {
		return nil, fmt.Errorf("%w: %d bytes", ErrChecksum, len(payload))
	}
	value := payload[:len(payload)-footer]
	tail := payload[len(value):]
	if v := binary.LittleEndian.Uint16(tail); v > Version {
		return nil, fmt.Errorf("%w: version %d", ErrChecksum, v)
	}
	if binary.LittleEndian.Uint64(tail[2:]) != checksum(payload[:len(value)+2]) {
		return nil, ErrChecksum
	}
	return value, nil
}

// ParseString reads a string from a value that Verify returned. The string may
// share the value's memory. What follows the string is ignored, as by Redis.
func ParseString(value []byte) ([]byte, error) {
	if len(value) == 0 || value[0] != typeString {
		return nil, fmt.Errorf("%w: not a string", ErrFormat)
	}
	r := reader{rest: value[1:]}
	s := r.string()
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, r.err)
	}
	return s, nil
}

// reader takes a value apart. After an error it returns zeros.
type reader struct {
	rest []byte
	err  error
}

var errShort = errors.New("data ends early")

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

// uint reads n bytes, big end first.
func (r *reader) uint(n uint64) uint64 {
	var v uint64
	for _, b := range r.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

// length reads a length, or, if encoded, the way in which a string is encoded.
func (r *reader) length() (n uint64, encoded bool) {
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

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) string() []byte {
	n, encoded := r.length()
	if !encoded {
		return r.take(n)
	}
	switch n {
	case encodedInt8:
		return r.int(1)
	case encodedInt16:
		return r.int(2)
	case encodedInt32:
		return r.int(4)
	case encodedLZF:
		return r.compressed()
	}
	r.fail(fmt.Errorf("unknown encoding %d", n))
	return nil
}

// int reads an integer of n bytes, little end first, as its digits.
func (r *reader) int(n uint64) []byte {
	var v uint64
	for i, b := range r.take(n) {
		v |= uint64(b) << (8 * i)
	}
	shift := 64 - 8*n
	return strconv.AppendInt(nil, int64(v<<shift)>>shift, 10)
}

func (r *reader) compressed() []byte {
	packed, _ := r.length()
	size, _ := r.length()
	in := r.take(packed)
	// A copy takes 3 bytes.
	if r.err == nil && size > packed*lzfMaxCopy/3+lzfMaxLiteral {
		r.fail(errLZF)
	}
	if r.err != nil {
		return nil
	}
	out, err := decompress(in, int(size))
	if err != nil {
		r.fail(err)
	}
	return out
}
