// Package list has the commands on lists.
//
// An item is an element whose key is a label (8 bytes, big-endian), so elements
// are in list order. A push uses the label one stride beyond the list's end.
// The header (Aux) stores the labels of both ends, so a push needs only the
// header. While the list is regular (labels exactly one stride apart), labels
// can be computed from indexes.
//
// LINSERT uses a label between its neighbours. If none is free, it spreads out
// nearby labels (relabel.go). LREM leaves holes; indexes are then found by
// counting (register.Range.Skip).
package list

import (
	"encoding/binary"
	"math"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

const (
	// stride is the distance between labels of pushed items. It leaves room for
	// many inserts between two items.
	stride = 1 << 20
	// middle is the label of a list's first item: 2^43 pushes from either end.
	// A list that reaches an end is relabelled.
	middle = 1 << 63
	// Labels range from lowest to highest.
	lowest, highest = stride, math.MaxUint64 - stride
)

const auxBytes = 17

// layout describes a list's labels.
type layout struct {
	header      register.Header
	first, last uint64 // undefined if the list is empty
	// aligned: all labels differ by multiples of the stride.
	aligned bool
}

// errDamaged is the error of write commands on a list with fewer items than its
// header says.
var errDamaged = resp.Err("ERR the list is damaged: items are missing")

// open reads a list's header, which may be absent. The error is for other
// types.
func open(v register.View) (layout, *resp.Value) {
	h := v.Header
	switch {
	case !h.Exists():
		return layout{header: register.Header{Type: register.List}, aligned: true}, nil
	case h.Type != register.List:
		return layout{}, resp.ErrWrongType
	}
	l := layout{header: h}
	if len(h.Aux) == auxBytes {
		l.first, l.last = binary.BigEndian.Uint64(h.Aux), binary.BigEndian.Uint64(h.Aux[8:])
		l.aligned = h.Aux[16] != 0
	}
	return l, nil
}

// sealed returns the header for the list's current state.
func (l *layout) sealed() register.Header {
	h := l.header
	h.Aux = make([]byte, auxBytes)
	binary.BigEndian.PutUint64(h.Aux, l.first)
	binary.BigEndian.PutUint64(h.Aux[8:], l.last)
	if l.aligned || h.Size == 1 {
		h.Aux[16] = 1
	}
	return h
}

func (l *layout) size() uint64 { return l.header.Size }

// regular reports whether all labels are one stride apart. Aligned labels
// without a hole are.
func (l *layout) regular() bool { return l.aligned && l.last-l.first == (l.size()-1)*stride }

// changes returns the effect of a change from the list old to l.
func (l *layout) changes(old register.Header, ops []register.Op, reply *resp.Value) operation.Effect {
	if l.size() == 0 {
		return datatype.Deletes(reply)
	}
	return datatype.Changes(old, l.sealed(), ops, reply)
}

// keyOf returns the element key of a label.
func keyOf(label uint64) []byte { return binary.BigEndian.AppendUint64(nil, label) }

// labelOf returns the label of an element key.
func labelOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0 // no list uses this label
	}
	return binary.BigEndian.Uint64(key)
}

// puts appends ops that store items at labels from first on, one stride apart.
func puts(ops []register.Op, first uint64, items [][]byte) []register.Op {
	keys := make([]byte, 0, 8*len(items))
	for i, item := range items {
		keys = binary.BigEndian.AppendUint64(keys, first+uint64(i)*stride)
		ops = append(ops, register.Op{Kind: register.Put, Key: keys[8*i : 8*i+8 : 8*i+8], Value: item})
	}
	return ops
}

// labelled returns a regular list of items, which must not be empty. The
// header's Expiry stays.
func labelled(h register.Header, items [][]byte) (register.Header, []register.Op) {
	n := uint64(len(items))
	l := layout{header: h, aligned: true, first: middle - n/2*stride}
	l.header.Type, l.header.Size = register.List, n
	l.last = l.first + (n-1)*stride
	return l.sealed(), puts(make([]register.Op, 0, n), l.first, items)
}

// Build returns the list of items, which must not be empty.
func Build(items [][]byte) (register.Header, []register.Op) {
	return labelled(register.Header{}, items)
}

// Items returns a list's items. The view must cover the whole list.
func Items(v register.View) [][]byte { return values(v.Elements()) }

func values(elems []register.Element) [][]byte {
	items := make([][]byte, len(elems))
	for i := range elems {
		items[i] = elems[i].Value
	}
	return items
}

// Encoding returns the OBJECT ENCODING of a list.
func Encoding(register.Header) string { return "quicklist" }

// array returns a reply of the elements' values.
func array(elems []register.Element) *resp.Value {
	out := make([]resp.Value, len(elems))
	for i := range elems {
		out[i] = resp.Value{Kind: resp.Bulk, Str: elems[i].Value}
	}
	return resp.List(out...)
}
