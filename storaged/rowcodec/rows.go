// Package rowcodec is the format of the rows in Pebble: the keys of all of them,
// and the values of register records.
package rowcodec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/partition"
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
	PrefixRegister = 'r'
	PrefixExpiry   = 'x'
	PrefixMeta     = 'm'

	RowRecord  = 0x00
	RowElement = 0x01
	RowBucket  = 0x02
	RowEnd     = 0x03 // above all rows of a register

	ballotBytes = 12
)

// ErrRow says that a row cannot be read: it is damaged.
var ErrRow = errors.New("a stored row cannot be read")

// AppendRegister appends what all rows of a register begin with.
func AppendRegister(b []byte, r register.ID) []byte {
	b = AppendPlace(b, r.Slot, r.Key[0], partition.Hash48(r.Key))
	b = binary.AppendUvarint(b, uint64(len(r.Key)-1))
	return append(b, r.Key[1:]...)
}

// AppendRows appends what all rows of one kind and incarnation begin with.
func AppendRows(b []byte, r register.ID, kind byte, i Incarnation) []byte {
	return AppendIncarnation(append(AppendRegister(b, r), kind), i)
}

// AppendAfter appends the first key above all that begin with prefix.
func AppendAfter(b, prefix []byte) []byte {
	n := len(b)
	b = append(b, prefix...)
	for i := len(b) - 1; i >= n; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

// AppendPlace appends the row prefix of a slot, name space and 48-bit hash.
func AppendPlace(b []byte, slot uint16, space byte, hash uint64) []byte {
	b = append(b, PrefixRegister, byte(slot>>8), byte(slot), space)
	return append(b, byte(hash>>40), byte(hash>>32), byte(hash>>24), byte(hash>>16), byte(hash>>8), byte(hash))
}

// ParseRegister splits a row of a register into its register, hash and what
// follows the key.
func ParseRegister(row []byte) (r register.ID, hash uint64, rest []byte, err error) {
	const place = 10
	if len(row) < place || row[0] != PrefixRegister {
		return r, 0, nil, ErrRow
	}
	for _, c := range row[4:place] {
		hash = hash<<8 | uint64(c)
	}
	n, k := binary.Uvarint(row[place:])
	if k <= 0 || n > uint64(len(row)-place-k) {
		return r, 0, nil, ErrRow
	}
	key := row[place+k : place+k+int(n)]
	full := make([]byte, 0, 1+len(key)) // never modified below, so it may be a string
	full = append(append(full, row[3]), key...)
	r = register.ID{Slot: binary.BigEndian.Uint16(row[1:]), Key: unsafe.String(&full[0], len(full))}
	return r, hash, row[place+k+int(n):], nil
}

// AppendBallot appends a ballot; byte order is the order of ballots.
func AppendBallot(b []byte, x ballot.Ballot) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(x.Time))
	return binary.BigEndian.AppendUint32(b, uint32(x.Proposer))
}

// Incarnation names the rows of one content.
type Incarnation struct {
	Ballot ballot.Ballot // at which the content began
	Stage  uint32        // the number of its staging, or zero
}

// AppendIncarnation appends an incarnation, 16 bytes.
func AppendIncarnation(b []byte, i Incarnation) []byte {
	return binary.BigEndian.AppendUint32(AppendBallot(b, i.Ballot), i.Stage)
}

// AppendExpiry appends the key of a row of the expiry index.
func AppendExpiry(b []byte, r register.ID, expiry int64) []byte {
	b = append(b, PrefixExpiry, byte(r.Slot>>8), byte(r.Slot))
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

// Content is a register's content in one of its two forms.
type Content struct {
	Rows        bool               // elements are rows of their own
	Incarnation Incarnation        // of the rows
	Elems       []register.Element // inline, in byte order
}

// AppendRow appends the value of a record row.
func AppendRow(b []byte, rec *durable.Record, c *Content) []byte {
	flags := byte(recordFormat)
	if c.Rows {
		flags |= flagRows
	}
	b = append(b, flags, byte(rec.Header.Type))
	b = AppendBallot(b, rec.Accepted)
	b = binary.AppendVarint(b, rec.Header.Expiry)
	b = wire.AppendRecord(b, rec)
	if c.Rows {
		return AppendIncarnation(b, c.Incarnation)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Elems)))
	for i := range c.Elems {
		b = appendBytes(appendBytes(b, c.Elems[i].Key), c.Elems[i].Value)
	}
	return b
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Cursor reads a row; after the first error it reads zeros and keeps the error.
type Cursor struct {
	B   []byte // what is left
	Bad bool   // something could not be read
}

// Take reads n bytes.
func (c *Cursor) Take(n uint64) []byte {
	if c.Bad || n > uint64(len(c.B)) {
		c.Bad = true
		return nil
	}
	out := c.B[:n:n]
	c.B = c.B[n:]
	return out
}

// Byte reads one byte.
func (c *Cursor) Byte() byte {
	if b := c.Take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *Cursor) ballot() ballot.Ballot {
	b := c.Take(ballotBytes)
	if b == nil {
		return ballot.Ballot{}
	}
	return ballot.Ballot{
		Time:     ballot.Time(binary.BigEndian.Uint64(b)),
		Proposer: ballot.ProposerID(binary.BigEndian.Uint32(b[8:])),
	}
}

func (c *Cursor) incarnation() Incarnation {
	i := Incarnation{Ballot: c.ballot()}
	if b := c.Take(4); b != nil {
		i.Stage = binary.BigEndian.Uint32(b)
	}
	return i
}

// Uvarint reads an unsigned varint.
func (c *Cursor) Uvarint() uint64 {
	x, n := binary.Uvarint(c.B)
	if n <= 0 {
		c.Bad = true
		return 0
	}
	c.B = c.B[n:]
	return x
}

func (c *Cursor) varint() int64 {
	x, n := binary.Varint(c.B)
	if n <= 0 {
		c.Bad = true
		return 0
	}
	c.B = c.B[n:]
	return x
}

// count reads the length of a list whose items take at least size bytes each.
func (c *Cursor) count(size int) int {
	n := c.Uvarint()
	if n > uint64(len(c.B)/size) {
		c.Bad = true
		return 0
	}
	return int(n)
}

// bytes reads a string of bytes; an empty one is nil.
func (c *Cursor) bytes() []byte {
	b := c.Take(c.Uvarint())
	if len(b) == 0 {
		return nil
	}
	return b
}

// RowTop is the part of a record row that listing needs.
type RowTop struct {
	Rows     bool
	Kind     register.Type
	Accepted ballot.Ballot
	Expiry   int64
}

func (c *Cursor) top() RowTop {
	flags := c.Byte()
	if flags&formatMask != recordFormat {
		c.Bad = true
	}
	return RowTop{Rows: flags&flagRows != 0, Kind: register.Type(c.Byte()), Accepted: c.ballot(), Expiry: c.varint()}
}

// ParseTop reads the top of a record row.
func ParseTop(value []byte) (RowTop, error) {
	c := Cursor{B: value}
	t := c.top()
	if c.Bad {
		return t, ErrRow
	}
	return t, nil
}

// ParseRow fills rec and into from a record row. Both take over value.
func ParseRow(value []byte, rec *durable.Record, into *Content) error {
	c := Cursor{B: value}
	into.Rows = c.top().Rows
	if c.Bad {
		return fmt.Errorf("%w: record of slot %d", ErrRow, rec.Register.Slot)
	}
	rest, err := wire.DecodeRecord(c.B, rec)
	if err != nil {
		return fmt.Errorf("%w: record of slot %d: %w", ErrRow, rec.Register.Slot, err)
	}
	c.B = rest
	if into.Rows {
		into.Incarnation = c.incarnation()
	} else if n := c.count(2); n > 0 {
		into.Elems = make([]register.Element, n)
		for i := range into.Elems {
			into.Elems[i] = register.Element{Key: c.bytes(), Value: c.bytes()}
		}
	}
	if c.Bad || len(c.B) != 0 {
		return fmt.Errorf("%w: content of slot %d", ErrRow, rec.Register.Slot)
	}
	return nil
}
