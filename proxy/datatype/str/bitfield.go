package str

import (
	"bytes"
	"maps"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var (
	errFieldType = resp.Err("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
	errFieldFlow = resp.Err("ERR Invalid OVERFLOW type specified")
	errFieldRO   = resp.Err("ERR BITFIELD_RO only supports the GET subcommand")
)

type fieldKind uint8

const (
	fieldGet fieldKind = iota
	fieldSet
	fieldIncr
)

type overflow uint8

const (
	overflowWrap overflow = iota
	overflowSat
	overflowFail
)

// fieldOp is one of BITFIELD's subcommands.
type fieldOp struct {
	kind   fieldKind
	flow   overflow
	signed bool
	bits   uint64
	offset uint64 // in bits
	value  int64  // of a set or increment
}

func (f *fieldOp) firstByte() uint64 { return f.offset / 8 }
func (f *fieldOp) endByte() uint64   { return (f.offset+f.bits-1)/8 + 1 }

// bitField reads and writes integers of any width at any bit.
type bitField struct {
	ops    []fieldOp
	writes bool
	size   uint64 // minimum size of the string after the command
	chunks []uint64
}

// BitField parses BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET
// type offset value | INCRBY type offset increment ...].
func BitField(args [][]byte) (operation.Operation, *resp.Value) { return parseBitField(args, false) }

// BitFieldRO parses BITFIELD_RO key [GET type offset ...].
func BitFieldRO(args [][]byte) (operation.Operation, *resp.Value) { return parseBitField(args, true) }

func parseBitField(args [][]byte, readOnly bool) (operation.Operation, *resp.Value) {
	o := &bitField{}
	flow := overflowWrap
	for i := 2; i < len(args); {
		rest := args[i+1:]
		if datatype.Is(args[i], "OVERFLOW") && len(rest) >= 1 {
			var err *resp.Value
			if flow, err = parseOverflow(rest[0]); err != nil {
				return nil, err
			}
			i += 2
			continue
		}
		op, taken, err := parseFieldOp(args[i], rest)
		if err != nil {
			return nil, err
		}
		op.flow = flow
		i += taken
		o.add(op)
	}
	if o.writes && readOnly {
		return nil, errFieldRO
	}
	slices.Sort(o.chunks)
	o.chunks = slices.Compact(o.chunks)
	return o, nil
}

func parseOverflow(arg []byte) (overflow, *resp.Value) {
	switch {
	case datatype.Is(arg, "WRAP"):
		return overflowWrap, nil
	case datatype.Is(arg, "SAT"):
		return overflowSat, nil
	case datatype.Is(arg, "FAIL"):
		return overflowFail, nil
	}
	return 0, errFieldFlow
}

// parseFieldOp parses a subcommand and returns how many arguments it used.
func parseFieldOp(name []byte, rest [][]byte) (op fieldOp, taken int, err *resp.Value) {
	switch {
	case datatype.Is(name, "GET") && len(rest) >= 2:
		op.kind, taken = fieldGet, 3
	case datatype.Is(name, "SET") && len(rest) >= 3:
		op.kind, taken = fieldSet, 4
	case datatype.Is(name, "INCRBY") && len(rest) >= 3:
		op.kind, taken = fieldIncr, 4
	default:
		return op, 0, resp.ErrSyntax
	}
	if op.signed, op.bits, err = parseFieldType(rest[0]); err != nil {
		return op, 0, err
	}
	if op.offset, err = parseFieldOffset(rest[1], op.bits); err != nil {
		return op, 0, err
	}
	if op.kind != fieldGet {
		var ok bool
		if op.value, ok = number.ParseInt(rest[2]); !ok {
			return op, 0, resp.ErrNotInteger
		}
	}
	return op, taken, nil
}

// parseFieldType parses "i16" or "u8". Like Redis, it stops at a zero byte.
func parseFieldType(arg []byte) (signed bool, bits uint64, err *resp.Value) {
	if len(arg) == 0 || (arg[0] != 'i' && arg[0] != 'u') {
		return false, 0, errFieldType
	}
	signed = arg[0] == 'i'
	digits, _, _ := bytes.Cut(arg[1:], []byte{0})
	n, ok := number.ParseInt(digits)
	if !ok || n < 1 || n > 64 || (n == 64 && !signed) {
		return false, 0, errFieldType
	}
	return signed, uint64(n), nil
}

// parseFieldOffset parses a position in bits or, with "#", in fields.
func parseFieldOffset(arg []byte, bits uint64) (uint64, *resp.Value) {
	if len(arg) == 0 || arg[0] != '#' {
		return parseBitOffset(arg)
	}
	n, ok := number.ParseInt(arg[1:])
	return limitBitOffset(n*int64(bits), ok)
}

func (o *bitField) add(op fieldOp) {
	o.ops = append(o.ops, op)
	if op.kind != fieldGet {
		o.writes = true
		o.size = max(o.size, op.endByte())
	}
	o.chunks = append(o.chunks, op.firstByte()/ChunkSize, (op.endByte()-1)/ChunkSize)
}

func (o *bitField) ReadOnly() bool { return !o.writes }
func (o *bitField) Blind() bool    { return false }

func (o *bitField) Needs() register.Projection {
	p := register.Projection{Keys: make([][]byte, len(o.chunks))}
	for i, c := range o.chunks {
		p.Keys[i] = chunkKey(c)
	}
	return p
}

func (o *bitField) Execute(v register.View, _ int64) operation.Effect {
	if err := check(v.Header); err != nil {
		return datatype.Reply(err)
	}
	s := scratch{view: v}
	replies := make([]resp.Value, len(o.ops))
	for i := range o.ops {
		replies[i] = o.ops[i].run(&s)
	}
	reply := resp.List(replies...)
	if !o.writes {
		return datatype.Reply(reply)
	}
	h := rewritten(v.Header, int(max(v.Header.Size, o.size)), encodingRaw)
	ops := s.ops(v.Header.Size)
	if len(ops) == 0 && v.Header.Exists() && h.Size == v.Header.Size && h.Encoding == v.Header.Encoding {
		return datatype.Reply(reply)
	}
	return datatype.Changes(v.Header, h, ops, reply)
}

// run executes a subcommand and returns its reply.
func (f *fieldOp) run(s *scratch) resp.Value {
	old := f.extend(s.load(f))
	if f.kind == fieldGet {
		return *resp.Int(old)
	}
	base, add := f.value, int64(0)
	if f.kind == fieldIncr {
		base, add = old, f.value
	}
	next, fits := f.fit(base, add)
	if !fits && f.flow == overflowFail {
		return *resp.Nil
	}
	if next != old {
		s.store(f, uint64(next))
	}
	if f.kind == fieldSet {
		return *resp.Int(old)
	}
	return *resp.Int(next)
}

// extend converts the field's bits to a number.
func (f *fieldOp) extend(raw uint64) int64 {
	if !f.signed {
		return int64(raw)
	}
	shift := 64 - f.bits
	return int64(raw<<shift) >> shift
}

// fit returns value+incr adjusted to the field's width, and whether it is the
// exact sum. value may itself be out of range if incr is 0.
func (f *fieldOp) fit(value, incr int64) (int64, bool) {
	sum := f.extend((uint64(value) + uint64(incr)) & (^uint64(0) >> (64 - f.bits)))
	limit := f.beyond(value, incr)
	if limit == nil {
		return sum, true
	}
	if f.flow == overflowSat {
		return *limit, false
	}
	return sum, false
}

// beyond returns the limit that value+incr exceeds, nil if none.
func (f *fieldOp) beyond(value, incr int64) *int64 {
	if f.signed {
		return f.beyondSigned(value, incr)
	}
	lowest, highest := int64(0), int64(uint64(1)<<f.bits-1)
	switch {
	case value < 0 || value > highest: // SET; negative values count as very large, as in Redis
		return &highest
	case incr > 0 && incr > highest-value:
		return &highest
	case incr < 0 && incr < -value:
		return &lowest
	}
	return nil
}

// beyondSigned overflows like Redis: a SET value far below the range of a
// narrow field counts as above it.
func (f *fieldOp) beyondSigned(value, incr int64) *int64 {
	highest := int64(uint64(1)<<(f.bits-1) - 1)
	lowest := -highest - 1
	up, down := highest-value, lowest-value
	narrow := f.bits < 64
	switch {
	case value > highest || (incr > up && (narrow || (value >= 0 && incr > 0))):
		return &highest
	case value < lowest || (incr < down && (narrow || (value < 0 && incr < 0))):
		return &lowest
	}
	return nil
}

// scratch is BITFIELD's working copy of the string: the old content and the
// changed bytes.
type scratch struct {
	view    register.View
	changed map[uint64]byte
}

func (s *scratch) byteAt(at uint64) byte {
	if b, ok := s.changed[at]; ok {
		return b
	}
	return byteAt(s.view, at)
}

// load returns the bits of a field.
func (s *scratch) load(f *fieldOp) uint64 {
	var raw uint64
	for bit := f.offset; bit < f.offset+f.bits; {
		n := min(8-bit%8, f.offset+f.bits-bit) // bits in this byte
		b := uint64(s.byteAt(bit/8)) >> (8 - bit%8 - n) & (1<<n - 1)
		raw, bit = raw<<n|b, bit+n
	}
	return raw
}

// store writes the bits of a field.
func (s *scratch) store(f *fieldOp, raw uint64) {
	if s.changed == nil {
		s.changed = make(map[uint64]byte)
	}
	left := f.bits
	for bit := f.offset; left > 0; {
		n := min(8-bit%8, left)
		shift := 8 - bit%8 - n
		mask := byte(1<<n-1) << shift
		value := byte(raw>>(left-n)) << shift
		s.changed[bit/8] = s.byteAt(bit/8)&^mask | value&mask
		bit, left = bit+n, left-n
	}
}

// ops returns the ops that store the changes in a string of size bytes.
func (s *scratch) ops(size uint64) []register.Op {
	var ops []register.Op
	places := slices.Sorted(maps.Keys(s.changed))
	for len(places) > 0 {
		run := []byte{}
		for i, at := range places {
			if at != places[0]+uint64(i) {
				break
			}
			run = append(run, s.changed[at])
		}
		ops = overwrite(ops, size, places[0], run)
		places = places[len(run):]
	}
	return ops
}
