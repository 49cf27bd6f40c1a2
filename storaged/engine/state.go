package engine

import (
	"bytes"
	"errors"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

const (
	// inlineBytes is up to how many bytes content is kept inside its record; beyond,
	// its elements become rows. It turns back when a Full change makes it small.
	inlineBytes = 24 << 10
	// smallState is up to how many bytes content is sent whole, whatever is asked
	// for.
	smallState = 4 << 10
	// cellBytes is the memory that an element which the disk does not have takes
	// besides its bytes.
	cellBytes = 96
)

// state is the content of one register in memory: all of it, or, of content in
// rows, what the disk does not have yet. It belongs to a record, which has the
// header, and is used by one goroutine, its lane's. db is where the rows are.
type state struct {
	content

	// shared tells that a View may still point into elems or its values: they
	// are replaced then, not overwritten. Of these, elems is the state's own again
	// once it was cloned.
	shared, cloned bool

	bytes int // of inline content, or of pending

	// Of content in rows: what the disk does not have yet, and of that what a
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
}

// load takes over the value of a record row, and fills rec.
func (c *state) load(value []byte, rec *caspaxos.Record) error {
	if err := parseRow(value, rec, &c.content); err != nil {
		return err
	}
	c.onDisk = c.rows
	for i := range c.elems {
		c.bytes += len(c.elems[i].Key) + len(c.elems[i].Value)
	}
	// Values are parts of the row as it was read: one that is overwritten
	// in place must not reach the next.
	c.shared = true
	return nil
}

// mayHaveRows reports whether the disk may have elements of the register.
func (c *state) mayHaveRows() bool { return c.onDisk || c.wipe }

// adopt makes rows that are on disk already the content.
func (c *state) adopt(i incarnation) {
	c.clear()
	c.rows, c.onDisk, c.incarnation = true, true, i
}

// apply changes header and content. The change's memory is the caller's: what
// is kept is copied. After an error, the content is unknown.
func (c *state) apply(db pebble.Reader, rec *caspaxos.Record, change *register.Change) error {
	if change.Kind == register.None {
		return nil
	}
	if change.Kind == register.Full && c.overwrite(rec, change) {
		return nil
	}
	if change.Kind == register.Full {
		c.clear()
	}
	was, inRows, i := rec.Header.Type, c.rows, 0
	setHeader(rec, change.Header)
	for ; i < len(change.Ops) && !c.rows; i++ {
		if c.applyInline(&change.Ops[i]); c.bytes > inlineBytes {
			c.spill(rec)
		}
	}
	if !c.rows {
		return nil
	}
	s := c.source(db, rec.Register)
	var err error
	if inRows {
		err = c.retype(rec, s, was)
	}
	for ; i < len(change.Ops) && err == nil; i++ {
		err = c.applyRow(db, rec, s, &change.Ops[i])
	}
	if cerr := s.close(); err == nil {
		err = cerr
	}
	return err
}

// retype follows a change of the type, upon which other elements are counted.
func (c *state) retype(rec *caspaxos.Record, s *source, was register.Type) error {
	if was == rec.Header.Type {
		return nil
	}
	c.index, c.recounted = nil, true
	if span, counted := rec.Header.Type.Counted(); counted {
		return c.recount(s, span)
	}
	return nil
}

func setHeader(rec *caspaxos.Record, h register.Header) {
	h.Aux = bytes.Clone(h.Aux)
	rec.Header = h
}

// overwrite is the path of nearly every SET: one element, as before, whose
// memory is used again.
func (c *state) overwrite(rec *caspaxos.Record, change *register.Change) bool {
	if c.rows || c.shared || len(c.elems) != 1 || len(change.Ops) != 1 {
		return false
	}
	op, old := &change.Ops[0], &c.elems[0]
	if op.Kind != register.Put || len(op.Value) > cap(old.Value) || cap(old.Value) > 2*len(op.Value)+64 || !bytes.Equal(op.Key, old.Key) {
		return false
	}
	c.bytes += len(op.Value) - len(old.Value)
	old.Value = append(old.Value[:0], op.Value...)
	setHeader(rec, change.Header)
	return true
}

// clear drops the content.
func (c *state) clear() {
	if c.rows {
		c.wipe = c.wipe || c.onDisk
		c.rows, c.onDisk, c.incarnation = false, false, incarnation{}
		c.pending, c.frozen, c.sent = nil, nil, 0
		c.index, c.recounted, c.gaps = nil, false, gaps{}
	}
	c.elems, c.shared, c.cloned, c.bytes = nil, false, false, 0
}

func (c *state) find(key []byte) (int, bool) {
	return sort.Find(len(c.elems), func(i int) int { return bytes.Compare(key, c.elems[i].Key) })
}

func (c *state) applyInline(op *register.Op) {
	i, found := c.find(op.Key)
	var old []byte
	if found {
		old = c.elems[i].Value
	}
	if !found && op.Kind == register.Remove {
		return
	}
	if c.shared && !c.cloned {
		c.elems, c.cloned = slices.Clone(c.elems), true
	}
	value, exists := register.ApplyOp(old, *op)
	if op.Kind == register.Put {
		value = append(make([]byte, 0, len(value)), value...)
	}
	switch {
	case exists && found:
		c.bytes += len(value) - len(old)
		c.elems[i].Value = value
	case exists:
		c.bytes += len(op.Key) + len(value)
		c.elems = slices.Insert(c.elems, i, register.Element{Key: bytes.Clone(op.Key), Value: value})
	default:
		c.bytes -= len(op.Key) + len(old)
		c.elems = slices.Delete(c.elems, i, i+1)
	}
}

// spill turns inline content into rows.
func (c *state) spill(rec *caspaxos.Record) {
	c.rows, c.incarnation, c.onDisk = true, incarnation{ballot: rec.Accepted}, false
	c.pending = new(layer)
	span, counted := rec.Header.Type.Counted()
	if counted {
		c.index = newIndex(span)
	}
	for _, el := range c.elems {
		c.pending.Set(string(el.Key), cell{value: el.Value})
		if counted && span.Contains(el.Key) {
			c.index.added(string(el.Key)) // far fewer than would make one too large
		}
	}
	c.elems, c.shared, c.cloned = nil, false, false
}

func (c *state) applyRow(db pebble.Reader, rec *caspaxos.Record, s *source, op *register.Op) error {
	x, err := c.counter(db, rec, s, op.Key)
	if err != nil {
		return err
	}
	var old []byte
	had := false
	switch {
	case op.Kind == register.Patch:
		old, had, err = s.get(op.Key)
	case x != nil && c.onDisk && !x.outside(string(op.Key)):
		had, err = s.has(op.Key, op.Kind == register.Remove)
	}
	if err != nil {
		return err
	}
	value, exists := register.ApplyOp(old, *op)
	if x != nil && c.onDisk && !had && !exists {
		return nil
	}
	if op.Kind == register.Put {
		value = append(make([]byte, 0, len(value)), value...)
	}
	if replaced := c.put(op.Key, cell{value: value, gone: !exists}); !c.onDisk {
		had = replaced
	}
	s.over[0] = c.pending
	if x == nil || had == exists {
		return nil
	}
	return c.recountAfter(s, x, string(op.Key), exists)
}

// counter returns the index if a key is one that it counts.
func (c *state) counter(db pebble.Reader, rec *caspaxos.Record, s *source, key []byte) (*index, error) {
	span, counted := rec.Header.Type.Counted()
	if !counted || !span.Contains(key) {
		return nil, nil
	}
	return c.readIndex(db, rec, s)
}

// recountAfter has the index follow an element that came or went.
func (c *state) recountAfter(s *source, x *index, key string, came bool) (err error) {
	right := true
	if !came {
		right = x.removed(key)
	} else if large := x.added(key); large >= 0 {
		right, err = x.split(s, large)
	}
	if !right && err == nil {
		err = c.recount(s, x.span) // should it ever be wrong, it does not stay so
	}
	return err
}

// put notes what an element holds now, and returns whether pending held
// something of it.
func (c *state) put(key []byte, one cell) (had bool) {
	if c.pending == nil {
		c.pending = new(layer)
	}
	var before cell
	if one.gone && !c.onDisk {
		before, had = c.pending.Delete(string(key))
	} else {
		before, had = c.pending.Set(string(key), one)
		c.bytes += len(key) + len(one.value)
	}
	if had {
		c.bytes -= len(key) + len(before.value)
	}
	if one.gone {
		c.gaps.removed(key)
	} else {
		c.gaps.put(key)
	}
	return had
}

// unsaved is the memory that content takes which may wait for the disk.
func (c *state) unsaved() int {
	n := c.bytes
	if c.pending != nil {
		n += cellBytes * c.pending.Len()
	}
	return n
}

// memory is the memory in bytes that the content takes.
func (c *state) memory() int {
	n := c.unsaved() + c.sent + 48*cap(c.elems)
	if c.rows {
		if c.frozen != nil {
			n += cellBytes * c.frozen.Len()
		}
		n += c.index.bytes() + gapBytes*c.gaps.len()
	}
	return n
}

// stored follows the arrival on disk of what was written last.
func (c *state) stored() { c.frozen, c.sent = nil, 0 }

// grows reports whether a change would make the content larger.
func (c *state) grows(db pebble.Reader, rec *caspaxos.Record, change *register.Change) (grows bool, err error) {
	if !c.rows {
		return change.Grows(c.bytes, func(key []byte) int {
			if i, found := c.find(key); found {
				return len(key) + len(c.elems[i].Value)
			}
			return 0
		}), nil
	}
	s := c.source(db, rec.Register)
	grows = change.Grows(c.held(&rec.Header), func(key []byte) int {
		value, had, gerr := s.get(key)
		if err = errors.Join(err, gerr); !had {
			return 0
		}
		return len(key) + len(value)
	})
	return grows, errors.Join(err, s.close())
}

// held is about how many bytes the content takes, or less: of collections that
// are rows nobody counts them.
func (c *state) held(h *register.Header) int {
	switch {
	case !c.rows:
		return c.bytes
	case h.Type == register.String:
		return int(h.Size)
	}
	return 0
}
