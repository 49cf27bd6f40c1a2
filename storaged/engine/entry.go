package engine

import (
	"bytes"
	"slices"
	"sort"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// Content is kept inside its record up to inlineBytes; beyond, its elements
// become rows. It turns back when a Full change makes it small.
const inlineBytes = 24 << 10

// entryBytes is what an entry takes besides what it points to, the map's part
// included.
const entryBytes = 540

// cellBytes is what an element that the disk does not have takes besides its
// bytes.
const cellBytes = 96

// entry is one register in a lane's memory.
type entry struct {
	rec    caspaxos.Record
	absent bool // the node holds nothing of it; rec is empty
	content

	// shared tells that a View may still point into elems or its values: they
	// are replaced then, not overwritten. Of these, elems is the entry's own again
	// once it was cloned.
	shared, cloned bool

	bytes int // of inline content, or of pending
	size  int // as counted by the lane

	// Of the rows form: what the disk does not have yet, and of that what a
	// batch on its way to the disk has.
	pending *layer
	frozen  *layer
	sent    int    // bytes of what frozen holds
	index   *index // nil: not read yet, or none is needed
	gaps    gaps
	// The index was made anew: what rows of it are on disk count nothing.
	recounted bool
	onDisk    bool // rows of this incarnation may be on disk
	wipe      bool // rows of earlier incarnations may be on disk
	// adopted are stagings that became the content and whose markers the disk has.
	adopted []incarnation

	// What the register counts for in the lane's tallies, of now and of the disk,
	// and what its row says: the two differ if a flush covers the row.
	counted, diskCounted standing
	disk                 struct {
		accepted caspaxos.Ballot
		standing standing
	}

	diskExpiry int64 // Header.Due for which the disk has an index row; zero: none

	dirty  bool   // in the lane's queue for the disk
	since  uint64 // dirty: position of the first entry that the disk lacks
	at     caspaxos.Mono
	weight int  // dirty: what it counts in the lane's dirtyBytes
	pinned bool // a batch on its way to the disk holds it

	slotPrev, slotNext *entry // dirty or pinned: the lane's list by slot

	used       bool   // since evict last came by
	prev, next *entry // the lane's list by use
}

// apply changes header and content. The change's memory is the caller's: what
// is kept is copied.
func (e *entry) apply(l *Lane, c register.Change) {
	if c.Kind == register.None {
		return
	}
	if c.Stage != 0 {
		e.adopt(c)
		return
	}
	if c.Kind == register.Full && e.overwrite(&c) {
		return
	}
	if c.Kind == register.Full {
		e.clear()
	}
	was, inRows, i := e.rec.Header.Type, e.rows, 0
	e.setHeader(c.Header)
	for ; i < len(c.Ops) && !e.rows; i++ {
		if e.applyInline(&c.Ops[i]); e.bytes > inlineBytes {
			e.spill()
		}
	}
	if !e.rows {
		return
	}
	s := l.source(e)
	var err error
	if inRows {
		err = l.retype(e, s, was)
	}
	for ; i < len(c.Ops) && err == nil; i++ {
		err = e.applyRow(l, s, &c.Ops[i])
	}
	if cerr := s.close(); err == nil {
		err = cerr
	}
	if err != nil {
		// The vote stands in the changelog and must not be shown before its
		// effect is: the process ends and replays it.
		l.engine.fail(err)
	}
}

// retype follows a change of the type, upon which other elements are counted.
func (l *Lane) retype(e *entry, s *source, was register.Type) error {
	if was == e.rec.Header.Type {
		return nil
	}
	e.index, e.recounted = nil, true
	if span, counted := e.rec.Header.Type.Counted(); counted {
		return l.recount(e, s, span)
	}
	return nil
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
		e.rows, e.onDisk, e.incarnation = false, false, incarnation{}
		e.pending, e.frozen, e.sent = nil, nil, 0
		e.index, e.recounted, e.gaps = nil, false, gaps{}
	}
	e.elems, e.shared, e.cloned, e.bytes = nil, false, false, 0
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
	if e.shared && !e.cloned {
		e.elems, e.cloned = slices.Clone(e.elems), true
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
	e.rows, e.incarnation, e.onDisk = true, incarnation{ballot: e.rec.Accepted}, false
	e.pending = new(layer)
	span, counted := e.rec.Header.Type.Counted()
	if counted {
		e.index = newIndex(span)
	}
	for _, el := range e.elems {
		e.pending.Set(string(el.Key), cell{value: el.Value})
		if counted && span.Contains(el.Key) {
			e.index.added(string(el.Key)) // far fewer than would make one too large
		}
	}
	e.elems, e.shared, e.cloned = nil, false, false
}

func (e *entry) applyRow(l *Lane, s *source, op *register.Op) error {
	x, err := l.counter(e, s, op.Key)
	if err != nil {
		return err
	}
	var old []byte
	had := false
	switch {
	case op.Kind == register.Patch:
		old, had, err = s.get(op.Key)
	case x != nil && e.onDisk && !x.outside(string(op.Key)):
		had, err = s.has(op.Key, op.Kind == register.Remove)
	}
	if err != nil {
		return err
	}
	value, exists := register.ApplyOp(old, *op)
	if x != nil && e.onDisk && !had && !exists {
		return nil
	}
	if op.Kind == register.Put {
		value = append(make([]byte, 0, len(value)), value...)
	}
	if replaced := e.put(op.Key, cell{value: value, gone: !exists}); !e.onDisk {
		had = replaced
	}
	s.over[0] = e.pending
	if x == nil || had == exists {
		return nil
	}
	return l.recountAfter(e, s, x, string(op.Key), exists)
}

// counter returns the index if a key is one that it counts.
func (l *Lane) counter(e *entry, s *source, key []byte) (*index, error) {
	span, counted := e.rec.Header.Type.Counted()
	if !counted || !span.Contains(key) {
		return nil, nil
	}
	return l.index(e, s)
}

// recountAfter has the index follow an element that came or went.
func (l *Lane) recountAfter(e *entry, s *source, x *index, key string, came bool) (err error) {
	right := true
	if !came {
		right = x.removed(key)
	} else if large := x.added(key); large >= 0 {
		right, err = x.split(s, large)
	}
	if !right && err == nil {
		err = l.recount(e, s, x.span) // should it ever be wrong, it does not stay so
	}
	return err
}

// put notes what an element holds now, and returns whether pending held
// something of it.
func (e *entry) put(key []byte, c cell) (had bool) {
	if e.pending == nil {
		e.pending = new(layer)
	}
	var before cell
	if c.gone && !e.onDisk {
		before, had = e.pending.Delete(string(key))
	} else {
		before, had = e.pending.Set(string(key), c)
		e.bytes += len(key) + len(c.value)
	}
	if had {
		e.bytes -= len(key) + len(before.value)
	}
	if c.gone {
		e.gaps.removed(key)
	} else {
		e.gaps.put(key)
	}
	return had
}

// unsaved is the memory that content takes which may wait for the disk.
func (e *entry) unsaved() int {
	n := e.bytes
	if e.pending != nil {
		n += cellBytes * e.pending.Len()
	}
	return n
}

// estimate is the memory that the entry takes.
func (e *entry) estimate() int {
	n := entryBytes + len(e.rec.Register.Key) + len(e.rec.Header.Aux) + len(e.rec.Intent) + e.unsaved() + e.sent
	n += 40*cap(e.rec.Lineage.Entries) + 16*cap(e.rec.Votes) + 48*cap(e.elems)
	if e.rows {
		if e.frozen != nil {
			n += cellBytes * e.frozen.Len()
		}
		n += e.index.bytes() + gapBytes*e.gaps.len()
	}
	return n
}
