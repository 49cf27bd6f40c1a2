package rdb

import (
	"encoding/binary"
	"errors"
	"math"

	"synod/proxy/datatype/number"
)

// A listpack consists of its length in bytes (4 bytes, little-endian), the
// number of entries (2 bytes; unknownCount if there are too many), the entries
// and 0xff. An entry is an encoding, a string or integer, and the length of
// both. That length uses 7 bits per byte and is read backwards.
const (
	listpackHeader = 6
	listpackEnd    = 0xff
	unknownCount   = math.MaxUint16

	packedUint7    = 0x00 // 0xxxxxxx
	packedString6  = 0x80 // 10xxxxxx, the length
	packedInt13    = 0xc0 // 110xxxxx and a byte
	packedString12 = 0xe0 // 1110xxxx and a byte, the length
	packedString32 = 0xf0
	packedInt16    = 0xf1
	packedInt24    = 0xf2
	packedInt32    = 0xf3
	packedInt64    = 0xf4
)

// listpack builds a listpack. Create it with newListpack.
type listpack struct {
	buf   []byte
	count int
}

func newListpack() *listpack { return &listpack{buf: make([]byte, listpackHeader, 256)} }

// size is the number of bytes in the listpack.
func (p *listpack) size() int { return len(p.buf) + 1 }

// done returns the finished listpack; nothing may be added afterwards.
func (p *listpack) done() []byte {
	p.buf = append(p.buf, listpackEnd)
	binary.LittleEndian.PutUint32(p.buf, uint32(len(p.buf)))
	binary.LittleEndian.PutUint16(p.buf[4:], uint16(min(p.count, unknownCount)))
	return p.buf
}

// listpackOf returns a listpack of the items.
func listpackOf(items [][]byte) []byte {
	p := newListpack()
	for _, s := range items {
		p.add(s)
	}
	return p.done()
}

// add appends a string, as an integer if it is one.
func (p *listpack) add(s []byte) {
	if n, ok := number.ParseInt(s); ok {
		p.addInt(n)
		return
	}
	begin, b := len(p.buf), p.buf
	switch n := len(s); {
	case n < 1<<6:
		b = append(b, packedString6|byte(n))
	case n < 1<<12:
		b = append(b, packedString12|byte(n>>8), byte(n))
	default:
		b = binary.LittleEndian.AppendUint32(append(b, packedString32), uint32(n))
	}
	p.buf = append(b, s...)
	p.end(begin)
}

func (p *listpack) addInt(n int64) {
	begin, b := len(p.buf), p.buf
	switch {
	case n >= 0 && n < 1<<7:
		b = append(b, packedUint7|byte(n))
	case n >= -1<<12 && n < 1<<12:
		b = append(b, packedInt13|byte(n>>8&0x1f), byte(n))
	case n == int64(int16(n)):
		b = binary.LittleEndian.AppendUint16(append(b, packedInt16), uint16(n))
	case n >= -1<<23 && n < 1<<23:
		b = append(b, packedInt24, byte(n), byte(n>>8), byte(n>>16))
	case n == int64(int32(n)):
		b = binary.LittleEndian.AppendUint32(append(b, packedInt32), uint32(n))
	default:
		b = binary.LittleEndian.AppendUint64(append(b, packedInt64), uint64(n))
	}
	p.buf = b
	p.end(begin)
}

// end closes the entry that began at a given offset.
func (p *listpack) end(begin int) {
	p.buf = appendBackLength(p.buf, uint64(len(p.buf)-begin))
	p.count++
}

func appendBackLength(dst []byte, n uint64) []byte {
	shift := 0
	for n>>(shift+7) > 0 && shift < 28 {
		shift += 7
	}
	dst = append(dst, byte(n>>shift))
	for shift > 0 {
		shift -= 7
		dst = append(dst, byte(n>>shift&0x7f)|0x80)
	}
	return dst
}

var errListpack = errors.New("broken listpack")

// listpack reads the entries of a listpack.
func (r *reader) listpack(b []byte) [][]byte {
	if r.err != nil {
		return nil
	}
	if len(b) < listpackHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != listpackEnd {
		r.fail(errListpack)
		return nil
	}
	var items [][]byte
	count := int(binary.LittleEndian.Uint16(b[4:]))
	for rest := b[listpackHeader : len(b)-1]; len(rest) > 0; {
		item, size, ok := packedEntry(rest)
		if !ok {
			r.fail(errListpack)
			return nil
		}
		items, rest = append(items, item), rest[size:]
	}
	if count != unknownCount && count != len(items) {
		r.fail(errListpack)
	}
	return items
}

// packedEntry reads the first entry of b and returns its size in bytes.
func packedEntry(b []byte) (item []byte, size int, ok bool) {
	head, length, isInt := packedHead(b)
	if head == 0 || length > uint64(len(b)-head) {
		return nil, 0, false
	}
	size = head + int(length)
	switch {
	case !isInt:
		item = b[head:size:size]
	case length > 0:
		item = digits(signed(b[head:size]))
	case head == 1:
		item = digits(int64(b[0] & 0x7f))
	default: // 13 bits
		item = digits(int64(uint64(b[0]&0x1f)<<8|uint64(b[1])) << 51 >> 51)
	}
	var want [5]byte
	back := appendBackLength(want[:0], uint64(size))
	if len(b)-size < len(back) || string(b[size:size+len(back)]) != string(back) {
		return nil, 0, false
	}
	return item, size + len(back), true
}

// packedHead reads an entry's encoding. It returns the size of the encoding (0
// if invalid), the size of the data, and whether the data is an integer.
func packedHead(b []byte) (head int, length uint64, isInt bool) {
	switch c := b[0]; {
	case c < packedString6:
		return 1, 0, true
	case c < packedInt13:
		return 1, uint64(c & 0x3f), false
	case c < packedString12 && len(b) > 1:
		return 2, 0, true
	case c >= packedString12 && c < packedString32 && len(b) > 1:
		return 2, uint64(c&0xf)<<8 | uint64(b[1]), false
	case c == packedString32 && len(b) >= 5:
		return 5, little(b[1:5]), false
	case c >= packedInt16 && c <= packedInt32:
		return 1, uint64(c-packedInt16) + 2, true
	case c == packedInt64:
		return 1, 8, true
	}
	return 0, 0, false
}
