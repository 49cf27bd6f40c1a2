package entry

import (
	"github.com/cespare/xxhash/v2"

	"synod/protocol/register"
	"synod/proxy/datatype/number"
)

// Redis keeps up to a hundred entries, or about 4 KiB, in one node of a tree,
// and MAXLEN and MINID with ~ remove only whole nodes. Clients can see which
// entries remain, and removing whole nodes is cheaper than removing an entry
// with each command. So we track the nodes that Redis would have.

// Redis's stream-node-max-entries and stream-node-max-bytes.
const (
	nodeEntries = 100
	nodeBytes   = 4096
)

// Node is a run of entries, from Start up to the next node.
type Node struct {
	Start ID
	last  ID     // of the last entry, which may be deleted
	live  uint64 // entries
	total uint64 // entries, with the deleted ones
	bytes uint64 // their size in Redis
	shape uint64 // hash of the first entry's fields
}

func nodeOf(e register.Element) Node {
	r := Reader(e.Value)
	return r.node(IDAtEnd(e.Key))
}

func (r *Reader) node(start ID) Node {
	return Node{Start: start, last: r.ID(), live: r.Uint(), total: r.Uint(), bytes: r.Uint(), shape: r.Uint()}
}

func (n *Node) appendTo(b []byte) []byte {
	return AppendUints(AppendID(b, n.last), n.live, n.total, n.bytes, n.shape)
}

// Op sets the node's element.
func (n *Node) Op() register.Op { return Put(nodeKey(n.Start), n.appendTo(nil)) }

// Extend adds an entry at the end. If that starts a new node, it returns the
// old tail, which must be stored.
func (m *Meta) Extend(id ID, fields [][]byte) (closed *Node) {
	shape := shapeOf(fields)
	t := &m.Tail
	if m.Nodes == 0 || t.bytes+textBytes(fields) >= nodeBytes || t.total >= nodeEntries {
		if m.Nodes > 0 {
			old := *t
			closed = &old
		}
		m.Nodes++
		// The listpack's own 7 bytes, three small numbers, the first entry's fields
		// and another small number.
		*t = Node{Start: id, bytes: 7 + 2 + 2 + integerBytes(int64(len(fields)/2)) + 2, shape: shape}
		for i := 0; i < len(fields); i += 2 {
			t.bytes += elementBytes(fields[i])
		}
	}
	t.last = id
	t.live++
	t.total++
	t.bytes += t.entryBytes(id, fields, shape)
	return closed
}

func textBytes(fields [][]byte) (n uint64) {
	for _, f := range fields {
		n += uint64(len(f))
	}
	return n
}

// entryBytes returns the size of an entry in its node: flags, the ID relative
// to the node's, its fields unless they equal the first entry's, its values,
// and the number of these elements.
func (n *Node) entryBytes(id ID, fields [][]byte, shape uint64) uint64 {
	size := 2 + integerBytes(int64(id.MS-n.Start.MS)) + integerBytes(int64(id.Seq-n.Start.Seq))
	count := int64(len(fields)/2 + 3)
	if shape != n.shape {
		size += integerBytes(int64(len(fields) / 2))
		count += int64(len(fields)/2 + 1)
	}
	for i, f := range fields {
		if i%2 == 1 || shape != n.shape {
			size += elementBytes(f)
		}
	}
	return size + integerBytes(count)
}

// shapeOf returns a hash of the names of an entry's fields.
func shapeOf(fields [][]byte) uint64 {
	var h xxhash.Digest
	h.Reset()
	for i := 0; i < len(fields); i += 2 {
		_, _ = h.Write(AppendUints(nil, uint64(len(fields[i]))))
		_, _ = h.Write(fields[i])
	}
	return h.Sum64()
}

// elementBytes returns the size of a string in Redis's listpack, integerBytes
// that of an integer.
func elementBytes(s []byte) uint64 {
	if n, ok := number.ParseInt(s); ok {
		return integerBytes(n)
	}
	size := uint64(len(s))
	switch {
	case size < 64:
		size++
	case size < 4096:
		size += 2
	default:
		size += 5
	}
	return size + backBytes(size)
}

func integerBytes(n int64) uint64 {
	size := uint64(9)
	switch {
	case n >= 0 && n < 1<<7:
		size = 1
	case n >= -1<<12 && n < 1<<12:
		size = 2
	case n >= -1<<15 && n < 1<<15:
		size = 3
	case n >= -1<<23 && n < 1<<23:
		size = 4
	case n >= -1<<31 && n < 1<<31:
		size = 5
	}
	return size + 1
}

// backBytes returns the size of an element's back length, which is used for
// reading backwards.
func backBytes(size uint64) uint64 {
	n := uint64(1)
	for limit := uint64(1 << 7); size >= limit && n < 5; limit <<= 7 {
		n++
	}
	return n
}
