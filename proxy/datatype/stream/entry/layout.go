// Package entry has the commands on stream entries (XADD, XDEL, XTRIM, XLEN,
// XRANGE, XSETID) as pure functions from a register's state to a change and a
// reply. It also has the basis for package stream, which adds consumer groups:
// IDs, the header (Meta) and the encoding of elements.
package entry

import (
	"encoding/binary"

	"synod/protocol/register"
)

// Unread means that the number of entries a group has read is unknown.
const Unread = -1

// Meta is the header of a stream.
type Meta struct {
	Length                  uint64 // the header's Size
	Last, First, MaxDeleted ID
	Added                   uint64
	Groups                  uint64
	// Nodes counts the nodes. The last one is Tail, the others are elements.
	Nodes uint64
	Tail  Node
}

// MetaOf decodes the header of a stream, or of a register that does not exist.
func MetaOf(h register.Header) Meta {
	r := Reader(h.Aux)
	m := Meta{
		Length: h.Size, Last: r.ID(), First: r.ID(), MaxDeleted: r.ID(), Added: r.Uint(), Groups: r.Uint(), Nodes: r.Uint(),
	}
	m.Tail = r.node(r.ID())
	return m
}

// Header encodes m. Other header fields are copied from old, which may be zero.
func (m *Meta) Header(old register.Header) register.Header {
	aux := make([]byte, 0, 64)
	for _, id := range []ID{m.Last, m.First, m.MaxDeleted} {
		aux = AppendID(aux, id)
	}
	aux = AppendUints(aux, m.Added, m.Groups, m.Nodes)
	aux = m.Tail.appendTo(AppendID(aux, m.Tail.Start))
	return register.Header{Type: register.Stream, Encoding: old.Encoding, Expiry: old.Expiry, Size: m.Length, Aux: aux}
}

// Value encodes alternating fields and values of an entry.
func Value(fields [][]byte) []byte {
	n := binary.MaxVarintLen32
	for _, f := range fields {
		n += binary.MaxVarintLen32 + len(f)
	}
	b := binary.AppendUvarint(make([]byte, 0, n), uint64(len(fields)))
	for _, f := range fields {
		b = AppendText(b, f)
	}
	return b
}

// Fields decodes what Value encoded. The result shares its memory.
func Fields(value []byte) [][]byte {
	r := Reader(value)
	fields := make([][]byte, min(r.Uint(), uint64(len(r))))
	for i := range fields {
		fields[i] = r.text()
	}
	return fields
}

// Key returns the key of an entry.
func Key(id ID) []byte     { return id.AppendTo(append(make([]byte, 0, 1+IDBytes), 'e')) }
func nodeKey(id ID) []byte { return id.AppendTo(append(make([]byte, 0, 1+IDBytes), 'n')) }

// Between returns the range of the keys with a prefix and an ID between two
// IDs, inclusive. A limit of zero means none.
func Between(prefix []byte, from, to ID, limit int) register.Range {
	prefix = prefix[:len(prefix):len(prefix)]
	return register.Range{From: from.AppendTo(prefix), To: register.Next(to.AppendTo(prefix)), Limit: limit}
}

// Prefix is the key prefix of entries, NodePrefix that of nodes.
var (
	Prefix     = []byte{'e'}
	NodePrefix = []byte{'n'}
)

// Range returns the range of entries between two IDs, inclusive.
func Range(from, to ID, limit int) register.Range {
	return Between(Prefix, from, to, limit)
}

// Prefixed returns the range of all keys with a prefix.
func Prefixed(prefix []byte) register.Range {
	s := register.Prefixed(prefix)
	return register.Range{From: s.From, To: s.To}
}

// Put sets an element.
func Put(key, value []byte) register.Op {
	return register.Op{Kind: register.Put, Key: key, Value: value}
}

// Remove removes an element.
func Remove(key []byte) register.Op { return register.Op{Kind: register.Remove, Key: key} }

// AppendUints appends numbers as uvarints.
func AppendUints(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// AppendID appends an ID as two uvarints. They do not sort like IDs.
func AppendID(b []byte, id ID) []byte { return AppendUints(b, id.MS, id.Seq) }

// AppendText appends a text after its length.
func AppendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// Reader decodes consecutive values. Missing ones are zero.
type Reader []byte

// Uint reads a uvarint.
func (r *Reader) Uint() uint64 {
	n, size := binary.Uvarint(*r)
	if size <= 0 {
		*r = nil
		return 0
	}
	*r = (*r)[size:]
	return n
}

// ID reads what AppendID wrote.
func (r *Reader) ID() ID {
	ms := r.Uint()
	return ID{ms, r.Uint()}
}

func (r *Reader) text() []byte {
	n := min(r.Uint(), uint64(len(*r)))
	text := (*r)[:n:n]
	*r = (*r)[n:]
	return text
}
