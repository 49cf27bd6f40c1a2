package engine

import (
	"bytes"
	"maps"
	"slices"
	"sort"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// Content is kept inside its record up to inlineBytes; beyond, its elements
// become rows. It turns back when a Full change makes it small.
const inlineBytes = 16 << 10

// entryBytes is what an entry takes besides what it points to, the map's part
// included.
const entryBytes = 448

// entry is one register in a lane's memory.
type entry struct {
	rec    caspaxos.Record
	absent bool // the node holds nothing of it; rec is empty
	content

	// shared tells that a View may still point into elems or its values: they
	// are replaced then, not overwritten.
	shared bool
	bytes  int // of inline content, or of pending
	size   int // as counted by the lane

	// Of the rows form: what the disk does not have yet, and of that what a
	// batch on its way to the disk has.
	pending map[string]cell
	frozen  map[string]cell
	onDisk  bool // rows of this incarnation may be on disk
	wipe    bool // rows of earlier incarnations may be on disk

	diskExpiry int64 // for which the disk has an index row; zero: none

	dirty  bool   // in the lane's queue for the disk
	since  uint64 // dirty: position of the first entry that the disk lacks
	at     caspaxos.Mono
	weight int  // dirty: what it counts in the lane's dirtyBytes
	pinned bool // a batch on its way to the disk holds it

	used       bool   // since evict last came by
	prev, next *entry // the lane's list by use
}

// cell is the value of an element that the disk does not have yet.
type cell struct {
	value []byte
	gone  bool
}

// apply changes header and content. The change's memory is the caller's: what
// is kept is copied.
func (e *entry) apply(l *Lane, c register.Change) {
	if c.Kind == register.None {
		return
	}
	if c.Kind == register.Full && e.overwrite(&c) {
		return
	}
	if c.Kind == register.Full {
		e.clear()
	}
	e.setHeader(c.Header)
	for i := range c.Ops {
		if op := &c.Ops[i]; e.rows {
			e.applyRow(l, op)
		} else {
			e.applyInline(op)
			if e.bytes > inlineBytes {
				e.spill()
			}
		}
	}
}

func (e *entry) setHeader(h register.Header) {
	h.Aux = bytes.Clone(h.Aux)
	e.rec.Header = h
}

// overwrite is the path of nearly every SET: one element, as before, whose
// memory is used again.
func (e *entry) overwrite(c *register.Change) bool {
	if e.rows || e.shared || len(e.elems) != 1 || len(c.Ops) != 1 {
		return false
	}
	op, old := &c.Ops[0], &e.elems[0]
	if op.Kind != register.Put || len(op.Value) > cap(old.Value) || cap(old.Value) > 2*len(op.Value)+64 || !bytes.Equal(op.Key, old.Key) {
		return false
	}
	e.bytes += len(op.Value) - len(old.Value)
	old.Value = append(old.Value[:0], op.Value...)
	e.setHeader(c.Header)
	return true
}

// clear drops the content.
func (e *entry) clear() {
	if e.rows {
		e.wipe = e.wipe || e.onDisk
		e.rows, e.onDisk, e.incarnation = false, false, caspaxos.Ballot{}
		e.pending, e.frozen = nil, nil
	}
	e.elems, e.shared, e.bytes = nil, false, 0
}

func (e *entry) find(key []byte) (int, bool) {
	return sort.Find(len(e.elems), func(i int) int { return bytes.Compare(key, e.elems[i].Key) })
}

func (e *entry) applyInline(op *register.Op) {
	i, found := e.find(op.Key)
	var old []byte
	if found {
		old = e.elems[i].Value
	}
	if !found && op.Kind == register.Remove {
		return
	}
	if e.shared {
		e.elems, e.shared = slices.Clone(e.elems), false
	}
	value, exists := register.ApplyOp(old, *op)
	if op.Kind == register.Put {
		value = append(make([]byte, 0, len(value)), value...)
	}
	switch {
	case exists && found:
		e.bytes += len(value) - len(old)
		e.elems[i].Value = value
	case exists:
		e.bytes += len(op.Key) + len(value)
		e.elems = slices.Insert(e.elems, i, register.Element{Key: bytes.Clone(op.Key), Value: value})
	default:
		e.bytes -= len(op.Key) + len(old)
		e.elems = slices.Delete(e.elems, i, i+1)
	}
}

// spill turns inline content into rows.
func (e *entry) spill() {
	e.rows, e.incarnation, e.onDisk = true, e.rec.Accepted, false
	e.pending = make(map[string]cell, len(e.elems))
	for _, el := range e.elems {
		e.pending[string(el.Key)] = cell{value: el.Value}
	}
	e.elems, e.shared = nil, false
}

func (e *entry) applyRow(l *Lane, op *register.Op) {
	var value []byte
	exists := false
	switch op.Kind {
	case register.Put:
		value, exists = append(make([]byte, 0, len(op.Value)), op.Value...), true
	case register.Patch:
		old, _, err := l.element(e, op.Key)
		if err != nil {
			// The vote stands in the changelog and must not be shown before its
			// effect is: the process ends and replays it.
			l.engine.fail(err)
		}
		value, exists = register.ApplyOp(old, *op)
	}
	if e.pending == nil {
		e.pending = make(map[string]cell)
	}
	if before, ok := e.pending[string(op.Key)]; ok {
		e.bytes -= len(op.Key) + len(before.value)
	}
	e.pending[string(op.Key)] = cell{value: value, gone: !exists}
	e.bytes += len(op.Key) + len(value)
}

// estimate is the memory that the entry takes.
func (e *entry) estimate() int {
	n := entryBytes + len(e.rec.Register.Key) + len(e.rec.Header.Aux) + len(e.rec.Intent) + e.bytes
	n += 40*cap(e.rec.Lineage.Entries) + 16*cap(e.rec.Votes)
	return n + 48*cap(e.elems) + 64*len(e.pending)
}

// unwritten returns the elements that the disk does not have, in byte order,
// of those that in accepts.
func (e *entry) unwritten(in func(key []byte) bool) []dirtyElement {
	all := e.pending
	if len(e.frozen) > 0 {
		all = maps.Clone(e.frozen)
		maps.Copy(all, e.pending)
	}
	var out []dirtyElement
	for k, c := range all {
		if key := []byte(k); in(key) {
			out = append(out, dirtyElement{key, c})
		}
	}
	slices.SortFunc(out, func(a, b dirtyElement) int { return bytes.Compare(a.key, b.key) })
	return out
}

type dirtyElement struct {
	key []byte
	cell
}

// overlay lays what the disk does not have over what it has; both in order.
func overlay(disk []register.Element, over []dirtyElement) []register.Element {
	if len(over) == 0 {
		return disk
	}
	out := make([]register.Element, 0, len(disk)+len(over))
	for _, d := range over {
		for len(disk) > 0 && bytes.Compare(disk[0].Key, d.key) < 0 {
			out, disk = append(out, disk[0]), disk[1:]
		}
		if len(disk) > 0 && bytes.Equal(disk[0].Key, d.key) {
			disk = disk[1:]
		}
		if !d.gone {
			out = append(out, register.Element{Key: d.key, Value: d.value})
		}
	}
	return append(out, disk...)
}
