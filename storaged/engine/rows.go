package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/wire"
)

// The rows in Pebble. Numbers in keys are big endian, so that byte order is
// their order.
//
//	'r' slot:2 space:1 hash:6 uvarint(len(key)) key 0x00                 the register's record
//	'r' slot:2 space:1 hash:6 uvarint(len(key)) key 0x01 incarnation:16 element   one element
//	'r' slot:2 space:1 hash:6 uvarint(len(key)) key 0x02 incarnation:16 element   number of elements from that on
//	'x' slot:2 expiry:8 key                                              expiry index, no value
//	'm' name                                                             the node's own
//
// key is the register's key without its first byte, the name space; hash is
// Hash48 of the whole key, so that a slot is listed in an order that needs no
// state (SCAN). An incarnation is the ballot at which the rows' content began
// and, 4 bytes, the number of its staging if they were there before it was voted
// for (see Staging), else zero. The incarnations that a register's record points
// to, one after the other, only grow.
const (
	prefixRegister = 'r'
	prefixExpiry   = 'x'
	prefixMeta     = 'm'

	rowRecord  = 0x00
	rowElement = 0x01
	rowBucket  = 0x02
	rowEnd     = 0x03 // above all rows of a register

	ballotBytes = 12
)

var errRow = errors.New("a stored row cannot be read")

// appendRegister appends what all rows of a register begin with.
func appendRegister(b []byte, r caspaxos.Register) []byte {
	b = appendPlace(b, r.Slot, r.Key[0], caspaxos.Hash48(r.Key))
	b = binary.AppendUvarint(b, uint64(len(r.Key)-1))
	return append(b, r.Key[1:]...)
}

// appendRows appends what all rows of one kind and incarnation begin with.
func appendRows(b []byte, r caspaxos.Register, kind byte, i incarnation) []byte {
	return appendIncarnation(append(appendRegister(b, r), kind), i)
}

// appendAfter appends the first key above all that begin with prefix.
func appendAfter(b, prefix []byte) []byte {
	n := len(b)
	b = append(b, prefix...)
	for i := len(b) - 1; i >= n; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

// appendPlace appends the row prefix of a slot, name space and 48-bit hash.
func appendPlace(b []byte, slot uint16, space byte, hash uint64) []byte {
	b = append(b, prefixRegister, byte(slot>>8), byte(slot), space)
	return append(b, byte(hash>>40), byte(hash>>32), byte(hash>>24), byte(hash>>16), byte(hash>>8), byte(hash))
}

// parseRegister splits a row of a register into its register, hash and what
// follows the key.
func parseRegister(row []byte) (r caspaxos.Register, hash uint64, rest []byte, err error) {
	const place = 10
	if len(row) < place || row[0] != prefixRegister {
		return r, 0, nil, errRow
	}
	for _, c := range row[4:place] {
		hash = hash<<8 | uint64(c)
	}
	n, k := binary.Uvarint(row[place:])
	if k <= 0 || n > uint64(len(row)-place-k) {
		return r, 0, nil, errRow
	}
	key := row[place+k : place+k+int(n)]
	full := make([]byte, 0, 1+len(key)) // never modified below, so it may be a string
	full = append(append(full, row[3]), key...)
	r = caspaxos.Register{Slot: binary.BigEndian.Uint16(row[1:]), Key: unsafe.String(&full[0], len(full))}
	return r, hash, row[place+k+int(n):], nil
}

func appendBallot(b []byte, x caspaxos.Ballot) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(x.Time))
	return binary.BigEndian.AppendUint32(b, uint32(x.Proposer))
}

// incarnation names the rows of one content.
type incarnation struct {
	ballot caspaxos.Ballot
	stage  uint32
}

func appendIncarnation(b []byte, i incarnation) []byte {
	return binary.BigEndian.AppendUint32(appendBallot(b, i.ballot), i.stage)
}

func appendExpiry(b []byte, r caspaxos.Register, expiry int64) []byte {
	b = append(b, prefixExpiry, byte(r.Slot>>8), byte(r.Slot))
	b = binary.BigEndian.AppendUint64(b, uint64(expiry))
	return append(b, r.Key...)
}

// A record row begins with what listing needs and goes on with the record as
// package wire writes it and the content in its form:
//
//	row = format and flags:1 type:1 accepted:12 expiry(varint) record content
const (
	recordFormat = 1 << 4
	formatMask   = 0xf0
	flagRows     = 1 << 0
)

// content is a register's content in one of its two forms.
type content struct {
	rows        bool               // elements are rows of their own
	incarnation incarnation        // of the rows
	elems       []register.Element // inline, in byte order
}

// appendRow appends the value of a record row.
func appendRow(b []byte, rec *caspaxos.Record, c *content) []byte {
	flags := byte(recordFormat)
	if c.rows {
		flags |= flagRows
	}
	b = append(b, flags, byte(rec.Header.Type))
	b = appendBallot(b, rec.Accepted)
	b = binary.AppendVarint(b, rec.Header.Expiry)
	b = wire.AppendRecord(b, rec)
	if c.rows {
		return appendIncarnation(b, c.incarnation)
	}
	b = binary.AppendUvarint(b, uint64(len(c.elems)))
	for i := range c.elems {
		b = appendBytes(appendBytes(b, c.elems[i].Key), c.elems[i].Value)
	}
	return b
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cursor reads a row; after the first error it reads zeros and keeps the error.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) ballot() caspaxos.Ballot {
	b := c.take(ballotBytes)
	if b == nil {
		return caspaxos.Ballot{}
	}
	return caspaxos.Ballot{
		Time:     caspaxos.Time(binary.BigEndian.Uint64(b)),
		Proposer: caspaxos.ProposerID(binary.BigEndian.Uint32(b[8:])),
	}
}

func (c *cursor) incarnation() incarnation {
	i := incarnation{ballot: c.ballot()}
	if b := c.take(4); b != nil {
		i.stage = binary.BigEndian.Uint32(b)
	}
	return i
}

func (c *cursor) uvarint() uint64 {
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return x
}

func (c *cursor) varint() int64 {
	x, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return x
}

// count reads the length of a list whose items take at least size bytes each.
func (c *cursor) count(size int) int {
	n := c.uvarint()
	if n > uint64(len(c.b)/size) {
		c.bad = true
		return 0
	}
	return int(n)
}

// bytes reads a string of bytes; an empty one is nil.
func (c *cursor) bytes() []byte {
	b := c.take(c.uvarint())
	if len(b) == 0 {
		return nil
	}
	return b
}

// rowTop is the part of a record row that listing needs.
type rowTop struct {
	rows     bool
	kind     register.Type
	accepted caspaxos.Ballot
	expiry   int64
}

func (c *cursor) top() rowTop {
	flags := c.byte()
	if flags&formatMask != recordFormat {
		c.bad = true
	}
	return rowTop{rows: flags&flagRows != 0, kind: register.Type(c.byte()), accepted: c.ballot(), expiry: c.varint()}
}

func parseTop(value []byte) (rowTop, error) {
	c := cursor{b: value}
	t := c.top()
	if c.bad {
		return t, errRow
	}
	return t, nil
}

// parseRow fills rec and into from a record row. Both take over value.
func parseRow(value []byte, rec *caspaxos.Record, into *content) error {
	c := cursor{b: value}
	into.rows = c.top().rows
	if c.bad {
		return fmt.Errorf("%w: record of slot %d", errRow, rec.Register.Slot)
	}
	rest, err := wire.DecodeRecord(c.b, rec)
	if err != nil {
		return fmt.Errorf("%w: record of slot %d: %w", errRow, rec.Register.Slot, err)
	}
	c.b = rest
	if into.rows {
		into.incarnation = c.incarnation()
	} else if n := c.count(2); n > 0 {
		into.elems = make([]register.Element, n)
		for i := range into.elems {
			into.elems[i] = register.Element{Key: c.bytes(), Value: c.bytes()}
		}
	}
	if c.bad || len(c.b) != 0 {
		return fmt.Errorf("%w: content of slot %d", errRow, rec.Register.Slot)
	}
	return nil
}
