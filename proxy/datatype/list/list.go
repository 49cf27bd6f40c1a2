// Package list has the commands on lists.
//
// An item is an element whose key is a label, 8 bytes with the big end first,
// so that the order of labels is the order of the list. A push takes the label
// one stride beyond the list's end, and the header (Aux) keeps the labels of
// both ends: pushing needs nothing but the header. As long as the list is
// regular, the labels a stride apart, an index tells its label, too.
//
// LINSERT takes a label between those of its neighbours, and where there is
// none left it spreads the labels of a neighbourhood (relabel.go). LREM leaves
// holes. Indexes then are found by counting (register.Range.Skip).
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
	// stride is the distance of the labels that pushes take: room for a good
	// number of inserts between any two items.
	stride = 1 << 20
	// middle is where a list begins: 2^43 pushes from either end of the labels.
	// When a list gets to an end it is labelled anew.
	middle = 1 << 63
	// Labels lie from lowest to highest.
	lowest, highest = stride, math.MaxUint64 - stride
)

const auxBytes = 17

// layout is where a list's labels are.
type layout struct {
	header      register.Header
	first, last uint64 // of no meaning while the list is empty
	// aligned: all labels are a multiple of the stride away from each other.
	aligned bool
}

// errDamaged is the error on a list that has fewer items than its header says,
// from commands that would change it.
var errDamaged = resp.Err("ERR the list is damaged: items are missing")

// open reads the header of a list, which may be absent. The error is that of
// another type's.
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

// sealed returns the header of the list as it is now.
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

// regular reports whether all labels are one stride apart. Aligned labels are
// if there is no hole, however they came about.
func (l *layout) regular() bool { return l.aligned && l.last-l.first == (l.size()-1)*stride }

// changes is the effect of a change to the list old that leaves l.
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
		return 0 // none that a list has
	}
	return binary.BigEndian.Uint64(key)
}

// puts appends ops that place items at labels from first on, a stride apart.
func puts(ops []register.Op, first uint64, items [][]byte) []register.Op {
	keys := make([]byte, 0, 8*len(items))
	for i, item := range items {
		keys = binary.BigEndian.AppendUint64(keys, first+uint64(i)*stride)
		ops = append(ops, register.Op{Kind: register.Put, Key: keys[8*i : 8*i+8 : 8*i+8], Value: item})
	}
	return ops
}

// labelled returns what makes a regular list of items, of which there is at
// least one. The header's Expiry stays.
func labelled(h register.Header, items [][]byte) (register.Header, []register.Op) {
	n := uint64(len(items))
	l := layout{header: h, aligned: true, first: middle - n/2*stride}
	l.header.Type, l.header.Size = register.List, n
	l.last = l.first + (n-1)*stride
	return l.sealed(), puts(make([]register.Op, 0, n), l.first, items)
}

// Build returns the list of items, of which there is at least one.
func Build(items [][]byte) (register.Header, []register.Op) {
	return labelled(register.Header{}, items)
}

// Items returns the items of a list that the view knows whole.
func Items(v register.View) [][]byte { return values(v.Elements()) }

func values(elems []register.Element) [][]byte {
	items := make([][]byte, len(elems))
	for i := range elems {
		items[i] = elems[i].Value
	}
	return items
}

// Encoding returns what OBJECT ENCODING says of a list.
func Encoding(register.Header) string { return "quicklist" }

// array is the reply of elements' values.
func array(elems []register.Element) *resp.Value {
	out := make([]resp.Value, len(elems))
	for i := range elems {
		out[i] = resp.Value{Kind: resp.Bulk, Str: elems[i].Value}
	}
	return resp.List(out...)
}
