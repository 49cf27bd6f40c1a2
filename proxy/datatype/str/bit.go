package str

import (
	"encoding/binary"
	"math"
	"math/bits"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var (
	errBitOffset = resp.Err("ERR bit offset is not an integer or out of range")
	errBit       = resp.Err("ERR bit is not an integer or out of range")
	errBitArg    = resp.Err("ERR The bit argument must be 1 or 0.")
)

// parseBitOffset parses the position of a bit. Bit 0 is the highest bit of the
// first byte.
func parseBitOffset(arg []byte) (uint64, *resp.Value) {
	n, ok := number.ParseInt(arg)
	return limitBitOffset(n, ok)
}

func limitBitOffset(n int64, ok bool) (uint64, *resp.Value) {
	if !ok || n < 0 || n>>3 >= maxSize.Load() {
		return 0, errBitOffset
	}
	return uint64(n), nil
}

// byteAt returns one byte of the string, zero past its end.
func byteAt(v register.View, at uint64) byte {
	var b byte
	segments(v, at, at+1, func(_ uint64, data []byte, _ int) bool {
		if len(data) > 0 {
			b = data[0]
		}
		return true
	})
	return b
}

// getBit reads one bit.
type getBit struct {
	datatype.Reads
	offset uint64
}

// GetBit parses GETBIT key offset.
func GetBit(args [][]byte) (operation.Operation, *resp.Value) {
	offset, err := parseBitOffset(args[2])
	if err != nil {
		return nil, err
	}
	return &getBit{offset: offset}, nil
}

func (o *getBit) Needs() register.Projection { return span(o.offset/8, o.offset/8+1) }

func (o *getBit) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	b := byteAt(v, o.offset/8)
	return datatype.Reply(resp.Int(int64(b >> (7 - o.offset%8) & 1)))
}

// setBit writes one bit and replies with its old value.
type setBit struct {
	datatype.Writes
	offset uint64
	bit    byte
}

// SetBit parses SETBIT key offset value.
func SetBit(args [][]byte) (operation.Operation, *resp.Value) {
	offset, err := parseBitOffset(args[2])
	if err != nil {
		return nil, err
	}
	n, ok := number.ParseInt(args[3])
	if !ok || n&^1 != 0 {
		return nil, errBit
	}
	return &setBit{offset: offset, bit: byte(n)}, nil
}

func (o *setBit) Needs() register.Projection { return span(o.offset/8, o.offset/8+1) }

func (o *setBit) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	at, shift := o.offset/8, 7-o.offset%8
	old := byteAt(v, at)
	next := old&^(1<<shift) | o.bit<<shift
	reply := resp.Int(int64(old >> shift & 1))
	h := rewritten(v.Header, int(max(v.Header.Size, at+1)), encodingRaw)
	var ops []register.Op
	if next != old {
		ops = overwrite(nil, v.Header.Size, at, []byte{next})
	}
	if ops == nil && v.Header.Exists() && h.Size == v.Header.Size && h.Encoding == v.Header.Encoding {
		return datatype.Reply(reply)
	}
	return datatype.Changes(v.Header, h, ops, reply)
}

// bitRange has the start, end and unit of BITCOUNT and BITPOS. Redis validates
// them only after it has found a string.
type bitRange struct {
	start, end int64
	endGiven   bool
	inBits     bool
	// The error of each, or nil. errStart also stands for a wrong number of
	// arguments.
	errStart, errEnd, errUnit *resp.Value
}

func parseBitRange(args [][]byte) bitRange {
	r := bitRange{end: math.MaxInt64}
	var ok bool
	if len(args) > 3 {
		r.errStart = resp.ErrSyntax
		return r
	}
	if len(args) > 0 {
		if r.start, ok = number.ParseInt(args[0]); !ok {
			r.errStart = resp.ErrNotInteger
		}
	}
	if len(args) > 2 {
		switch {
		case datatype.Is(args[2], "BIT"):
			r.inBits = true
		case !datatype.Is(args[2], "BYTE"):
			r.errUnit = resp.ErrSyntax
		}
	}
	if len(args) > 1 {
		r.endGiven = true
		if r.end, ok = number.ParseInt(args[1]); !ok {
			r.errEnd = resp.ErrNotInteger
		}
	}
	return r
}

// firstError returns the first error that is not nil.
func firstError(errs ...*resp.Value) *resp.Value {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *bitRange) Needs() register.Projection {
	switch {
	case r.start < 0 || r.end < 0 || firstError(r.errStart, r.errEnd, r.errUnit) != nil:
		return register.Projection{}
	case !r.endGiven && r.start == 0:
		return all
	case r.inBits:
		return firstSpan(r.start/8, r.end/8)
	}
	return firstSpan(r.start, r.end)
}

// clip returns the range in bits of a string of size bytes, excluding the end.
func (r *bitRange) clip(size uint64) (from, to uint64) {
	if r.inBits {
		return clip(r.start, r.end, int64(size)*8)
	}
	from, to = clip(r.start, r.end, int64(size))
	return from * 8, to * 8
}

// lacking returns what to fetch before bits from to to can be read.
func lacking(v register.View, from, to uint64) *register.Projection {
	if p := span(from/8, (to+7)/8); from < to && !v.Covers(p) {
		return &p
	}
	return nil
}

// edge sets all bits of the byte at a position that are outside of the range
// from to to.
func edge(b byte, at, from, to uint64, outer byte) byte {
	var outside byte
	if at == from/8 {
		outside |= ^byte(0xff >> (from % 8))
	}
	if at == (to-1)/8 {
		outside |= byte(0xff) >> ((to-1)%8 + 1)
	}
	return b&^outside | outer&outside
}

// bitCount counts the one bits.
type bitCount struct {
	datatype.Reads
	bitRange
}

// BitCount parses BITCOUNT key [start end [BYTE|BIT]].
func BitCount(args [][]byte) (operation.Operation, *resp.Value) {
	o := &bitCount{bitRange: parseBitRange(args[2:])}
	if len(args) == 3 {
		o.errStart = resp.ErrSyntax
	}
	return o, nil
}

func (o *bitCount) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	switch {
	case !v.Header.Exists():
		return datatype.Reply(resp.Int(0))
	case firstError(o.errStart, o.errEnd) != nil:
		return datatype.Reply(firstError(o.errStart, o.errEnd))
	case backwards(o.start, o.end):
		return datatype.Reply(resp.Int(0)) // as in Redis, before the unit is validated
	case o.errUnit != nil:
		return datatype.Reply(o.errUnit)
	}
	from, to := o.clip(v.Header.Size)
	if p := lacking(v, from, to); p != nil {
		return operation.Effect{Need: p}
	}
	return datatype.Reply(resp.Int(countBits(v, from, to)))
}

func countBits(v register.View, from, to uint64) int64 {
	if from >= to {
		return 0
	}
	n := 0
	segments(v, from/8, (to+7)/8, func(at uint64, data []byte, _ int) bool {
		if len(data) == 0 {
			return true
		}
		n += ones(data)
		// Subtract the bits of the first and last byte outside of the range.
		last := len(data) - 1
		n -= bits.OnesCount8(data[0]) - bits.OnesCount8(edge(data[0], at, from, to, 0))
		if last > 0 {
			n -= bits.OnesCount8(data[last]) - bits.OnesCount8(edge(data[last], at+uint64(last), from, to, 0))
		}
		return true
	})
	return int64(n)
}

func ones(b []byte) int {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		n += bits.OnesCount8(c)
	}
	return n
}

// bitPos finds the first one bit or zero bit.
type bitPos struct {
	datatype.Reads
	bitRange
	bit byte
}

// BitPos parses BITPOS key bit [start [end [BYTE|BIT]]].
func BitPos(args [][]byte) (operation.Operation, *resp.Value) {
	n, ok := number.ParseInt(args[2])
	switch {
	case !ok:
		return nil, resp.ErrNotInteger
	case n&^1 != 0:
		return nil, errBitArg
	}
	return &bitPos{bit: byte(n), bitRange: parseBitRange(args[3:])}, nil
}

func (o *bitPos) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	if !v.Header.Exists() {
		return datatype.Reply(resp.Int(-int64(o.bit)))
	}
	if err := firstError(o.errStart, o.errUnit, o.errEnd); err != nil {
		return datatype.Reply(err)
	}
	from, to := o.clip(v.Header.Size)
	if from >= to {
		return datatype.Reply(resp.Int(-1))
	}
	if p := lacking(v, from, to); p != nil {
		return operation.Effect{Need: p}
	}
	pos := findBit(v, from, to, o.bit)
	if pos < 0 && o.bit == 0 && !o.endGiven {
		pos = int64(to) // zeros are assumed after the string's end
	}
	return datatype.Reply(resp.Int(pos))
}

// findBit returns the position of the first such bit, or -1.
func findBit(v register.View, from, to uint64, bit byte) int64 {
	pos := int64(-1)
	outer := bit - 1 // a byte without the bit: 0xff or 0
	segments(v, from/8, (to+7)/8, func(at uint64, data []byte, n int) bool {
		for i := 0; i < n; i++ {
			if i += leading(data[min(i, len(data)):], outer); i >= len(data) && (outer == 0 || i >= n) {
				break // the remaining bytes, if any, are zero
			}
			var b byte
			if i < len(data) {
				b = data[i]
			}
			if b = edge(b, at+uint64(i), from, to, outer); b != outer {
				pos = int64(at+uint64(i))*8 + int64(bits.LeadingZeros8(b^outer))
				return false
			}
		}
		return true
	})
	return pos
}

// leading returns the number of leading bytes that equal c.
func leading(b []byte, c byte) int {
	n, word := 0, uint64(c)*0x0101010101010101
	for len(b)-n >= 8 && binary.LittleEndian.Uint64(b[n:]) == word {
		n += 8
	}
	for n < len(b) && b[n] == c {
		n++
	}
	return n
}
