package rdb

import (
	"encoding/binary"
	"errors"
)

// Formats that Redis used before listpacks; they are only read.

// A ziplist consists of its length in bytes (4 bytes, little-endian), the
// offset of its last entry (4), the number of entries (2; unknownCount if there
// are too many), the entries and 0xff. An entry starts with the length of the
// previous entry (1 byte, or 4 after wideLength) and its encoding.
const (
	ziplistHeader = 10
	ziplistEnd    = 0xff
	wideLength    = 0xfe

	zippedInt16 = 0xc0
	zippedInt32 = 0xd0
	zippedInt64 = 0xe0
	zippedInt24 = 0xf0
	zippedInt8  = 0xfe
	zippedMin   = 0xf1 // 0
	zippedMax   = 0xfd // 12
)

var (
	errZiplist = errors.New("broken ziplist")
	errZipmap  = errors.New("broken zipmap")
	errInts    = errors.New("broken intset")
)

// ziplist reads the entries of a ziplist.
func (r *reader) ziplist(b []byte) [][]byte {
	if r.err != nil {
		return nil
	}
	if len(b) < ziplistHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != ziplistEnd {
		r.fail(errZiplist)
		return nil
	}
	tail, count := uint64(binary.LittleEndian.Uint32(b[4:])), int(binary.LittleEndian.Uint16(b[8:]))
	var items [][]byte
	at, before := uint64(ziplistHeader), uint64(0)
	for at < uint64(len(b)-1) {
		item, size, previous := zippedEntry(b[at : len(b)-1])
		if size == 0 || previous != at-max(before, ziplistHeader) {
			r.fail(errZiplist)
			return nil
		}
		items, before, at = append(items, item), at, at+size
	}
	if count != unknownCount && count != len(items) || tail >= uint64(len(b)) || before != 0 && before != tail {
		r.fail(errZiplist)
	}
	return items
}

// zippedEntry reads the first entry of b: its value, its size in bytes (0 if
// invalid), and the stored length of the previous entry.
func zippedEntry(b []byte) (item []byte, size, previous uint64) {
	r := reader{rest: b}
	if previous = r.little(1); previous == wideLength {
		previous = r.little(4)
	}
	switch c := r.uint(1); {
	case c < 0x40:
		item = r.take(c)
	case c < 0x80:
		item = r.take(c&0x3f<<8 | r.uint(1))
	case c < zippedInt16:
		item = r.take(r.uint(4))
	case c == zippedInt16:
		item = r.digits(2)
	case c == zippedInt32:
		item = r.digits(4)
	case c == zippedInt64:
		item = r.digits(8)
	case c == zippedInt24:
		item = r.digits(3)
	case c == zippedInt8:
		item = r.digits(1)
	case c >= zippedMin && c <= zippedMax:
		item = digits(int64(c - zippedMin))
	default:
		return nil, 0, 0
	}
	if r.err != nil {
		return nil, 0, 0
	}
	return item, uint64(len(b) - len(r.rest)), previous
}

// digits reads an n-byte little-endian integer as text.
func (r *reader) digits(n uint64) []byte { return digits(signed(r.take(n))) }

// zipmap reads the fields and values of a zipmap: the number of pairs (254 or
// more: unknown), then each field and value after its length, and finally 0xff.
// A byte between the length and the value gives the number of unused bytes
// after the value.
func (r *reader) zipmap(b []byte) [][]byte {
	if r.err != nil {
		return nil
	}
	if len(b) < 2 || b[len(b)-1] != ziplistEnd {
		r.fail(errZipmap)
		return nil
	}
	var items [][]byte
	in := reader{rest: b[1 : len(b)-1]}
	for len(in.rest) > 0 && in.rest[0] != ziplistEnd && in.err == nil {
		field := in.take(in.zipmapLength())
		n := in.zipmapLength()
		unused := in.uint(1)
		value := in.take(n)
		in.take(unused)
		items = append(items, field, value)
	}
	if in.err != nil || len(items) == 0 || b[0] < wideLength && int(b[0]) != len(items)/2 {
		r.fail(errZipmap)
		return nil
	}
	return items
}

func (r *reader) zipmapLength() uint64 {
	n := r.uint(1)
	if n >= wideLength {
		return r.little(4)
	}
	return n
}

// intsHeader is the size of the header of an integer set: the bytes per integer
// (4 bytes, little-endian) and the number of integers (4).
const intsHeader = 8

// ints reads the members of an integer set, which are sorted.
func (r *reader) ints(b []byte) [][]byte {
	if r.err != nil {
		return nil
	}
	if len(b) < intsHeader {
		r.fail(errInts)
		return nil
	}
	width, n := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	b = b[intsHeader:]
	if width != 2 && width != 4 && width != 8 || n*width != uint64(len(b)) {
		r.fail(errInts)
		return nil
	}
	items := make([][]byte, 0, n)
	var last int64
	for ; len(b) > 0; b = b[width:] {
		value := signed(b[:width])
		if len(items) > 0 && value <= last {
			r.fail(errInts)
			return nil
		}
		items, last = append(items, digits(value)), value
	}
	return items
}
