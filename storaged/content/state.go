// Package content is the content of one register, as its lane has it in memory and
// Pebble has it in rows: applying changes, answering projections, counting elements
// in buckets so that ranks are cheap, and remembering where many were deleted.
//
// Content of a few KiB is inside the register's record. Beyond, its elements are
// rows, of which only those are in memory that the disk does not have yet.
package content

import (
	"bytes"
	"errors"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

const (
	// inlineBytes is up to how many bytes content is kept inside its record; beyond,
	// its elements become rows. A Full change that makes it small turns it back.
	inlineBytes = 24 << 10
	// smallState is up to how many bytes content is sent whole, whatever is asked
	// for.
	smallState = 4 << 10
	// cellBytes is the memory that an element which the disk does not have takes
	// besides its bytes.
	cellBytes = 96
)

// State is the content of one register in memory: all of it, or, of content in
// rows, what the disk does not have yet. It belongs to a record, which has the
// header, and is used by one goroutine, its lane's. db is where the rows are.
type State struct {
	rowcodec.Content

	// shared says that a View may still point into elems or its values: they are
	// replaced then, not overwritten. cloned says that elems, but not its values,
	// has been copied since.
	shared, cloned bool

	bytes int // of inline content, or of pending

	// Of content in rows: what the disk does not have yet, and of that what a
	// batch on its way to the disk has.
	pending *layer
	frozen  *layer
	sent    int    // bytes of what frozen holds
	index   *index // nil: not read yet, or none is needed
	gaps    gaps
	// The index was made anew: its rows on disk are to be deleted.
	Recounted bool
	onDisk    bool // rows of this incarnation may be on disk
	wipe      bool // rows of earlier incarnations may be on disk
}

// Load takes over the value of a record row, and fills rec.
func (c *State) Load(value []byte, rec *durable.Record) error {
	if err := rowcodec.ParseRow(value, rec, &c.Content); err != nil {
		return err
	}
	c.onDisk = c.Rows
	for i := range c.Elems {
		c.bytes += len(c.Elems[i].Key) + len(c.Elems[i].Value)
	}
	// Values are parts of the row as it was read: one that is overwritten
	// in place must not reach the next.
	c.shared = true
	return nil
}

// MayHaveRows reports whether the disk may have elements of the register.
func (c *State) MayHaveRows() bool { return c.onDisk || c.wipe }

// Adopt makes rows that are on disk already the content.
func (c *State) Adopt(i rowcodec.Incarnation) {
	c.clear()
	c.Rows, c.onDisk, c.Incarnation = true, true, i
}

// Apply changes header and content. The change's memory is the caller's: what
// is kept is copied. After an error, the content is unknown.
func (c *State) Apply(db pebble.Reader, rec *durable.Record, change *register.Change) error {
	if change.Kind == register.None {
		return nil
	}
	if change.Kind == register.Full && c.overwrite(rec, change) {
		return nil
	}
	if change.Kind == register.Full {
		c.clear()
	}
	was, inRows, i := rec.Header.Type, c.Rows, 0
	setHeader(rec, change.Header)
	for ; i < len(change.Ops) && !c.Rows; i++ {
		if c.applyInline(&change.Ops[i]); c.bytes > inlineBytes {
			c.spill(rec)
		}
	}
	if !c.Rows {
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
func (c *State) retype(rec *durable.Record, s *source, was register.Type) error {
	if was == rec.Header.Type {
		return nil
	}
	c.index, c.Recounted = nil, true
	if span, counted := layout.Counted(rec.Header.Type); counted {
		return c.recount(s, span)
	}
	return nil
}

func setHeader(rec *durable.Record, h register.Header) {
	h.Aux = bytes.Clone(h.Aux)
	rec.Header = h
}

// overwrite is the fast path of nearly every SET: one element, as before, whose
// memory is reused.
func (c *State) overwrite(rec *durable.Record, change *register.Change) bool {
	if c.Rows || c.shared || len(c.Elems) != 1 || len(change.Ops) != 1 {
		return false
	}
	op, old := &change.Ops[0], &c.Elems[0]
	if op.Kind != register.Put || len(op.Value) > cap(old.Value) || cap(old.Value) > 2*len(op.Value)+64 || !bytes.Equal(op.Key, old.Key) {
		return false
	}
	c.bytes += len(op.Value) - len(old.Value)
	old.Value = append(old.Value[:0], op.Value...)
	setHeader(rec, change.Header)
	return true
}

// clear drops the content.
func (c *State) clear() {
	if c.Rows {
		c.wipe = c.wipe || c.onDisk
		c.Rows, c.onDisk, c.Incarnation = false, false, rowcodec.Incarnation{}
		c.pending, c.frozen, c.sent = nil, nil, 0
		c.index, c.Recounted, c.gaps = nil, false, gaps{}
	}
	c.Elems, c.shared, c.cloned, c.bytes = nil, false, false, 0
}

func (c *State) find(key []byte) (int, bool) {
	return sort.Find(len(c.Elems), func(i int) int { return bytes.Compare(key, c.Elems[i].Key) })
}

func (c *State) applyInline(op *register.Op) {
	i, found := c.find(op.Key)
	var old []byte
	if found {
		old = c.Elems[i].Value
	}
	if !found && op.Kind == register.Remove {
		return
	}
	if c.shared && !c.cloned {
		c.Elems, c.cloned = slices.Clone(c.Elems), true
	}
	value, exists := register.ApplyOp(old, *op)
	if op.Kind == register.Put {
		value = append(make([]byte, 0, len(value)), value...)
	}
	switch {
	case exists && found:
		c.bytes += len(value) - len(old)
		c.Elems[i].Value = value
	case exists:
		c.bytes += len(op.Key) + len(value)
		c.Elems = slices.Insert(c.Elems, i, register.Element{Key: bytes.Clone(op.Key), Value: value})
	default:
		c.bytes -= len(op.Key) + len(old)
		c.Elems = slices.Delete(c.Elems, i, i+1)
	}
}

// spill turns inline content into content in rows.
func (c *State) spill(rec *durable.Record) {
	c.Rows, c.Incarnation, c.onDisk = true, rowcodec.Incarnation{Ballot: rec.Accepted}, false
	c.pending = new(layer)
	span, counted := layout.Counted(rec.Header.Type)
	if counted {
		c.index = newIndex(span)
	}
	for _, el := range c.Elems {
		c.pending.Set(string(el.Key), cell{value: el.Value})
		if counted && span.Contains(el.Key) {
			c.index.added(string(el.Key)) // too few to need a split
		}
	}
	c.Elems, c.shared, c.cloned = nil, false, false
}

func (c *State) applyRow(db pebble.Reader, rec *durable.Record, s *source, op *register.Op) error {
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

// counter returns the index if it counts a key.
func (c *State) counter(db pebble.Reader, rec *durable.Record, s *source, key []byte) (*index, error) {
	span, counted := layout.Counted(rec.Header.Type)
	if !counted || !span.Contains(key) {
		return nil, nil
	}
	return c.readIndex(db, rec, s)
}

// recountAfter has the index follow an element that came or went.
func (c *State) recountAfter(s *source, x *index, key string, came bool) (err error) {
	right := true
	if !came {
		right = x.removed(key)
	} else if large := x.added(key); large >= 0 {
		right, err = x.split(s, large)
	}
	if !right && err == nil {
		err = c.recount(s, x.span) // should it ever be wrong, this corrects it
	}
	return err
}

// put sets an element, and returns whether pending already had it.
func (c *State) put(key []byte, one cell) (had bool) {
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

// Unsaved is the memory in bytes of content that the disk may not have yet.
func (c *State) Unsaved() int {
	n := c.bytes
	if c.pending != nil {
		n += cellBytes * c.pending.Len()
	}
	return n
}

// Memory is the memory in bytes that the content takes.
func (c *State) Memory() int {
	n := c.Unsaved() + c.sent + 48*cap(c.Elems)
	if c.Rows {
		if c.frozen != nil {
			n += cellBytes * c.frozen.Len()
		}
		n += c.index.bytes() + gapBytes*c.gaps.len()
	}
	return n
}

// Stored follows the arrival on disk of what was written last.
func (c *State) Stored() { c.frozen, c.sent = nil, 0 }

// Grows reports whether a change would make the content larger.
func (c *State) Grows(db pebble.Reader, rec *durable.Record, change *register.Change) (grows bool, err error) {
	if !c.Rows {
		return change.Grows(c.bytes, func(key []byte) int {
			if i, found := c.find(key); found {
				return len(key) + len(c.Elems[i].Value)
			}
			return 0
		}), nil
	}
	s := c.source(db, rec.Register)
	grows = change.Grows(c.Held(&rec.Header), func(key []byte) int {
		value, had, gerr := s.get(key)
		if err = errors.Join(err, gerr); !had {
			return 0
		}
		return len(key) + len(value)
	})
	return grows, errors.Join(err, s.close())
}

// Held is about how many bytes the content takes. It is zero for collections in
// rows, which are not measured.
func (c *State) Held(h *register.Header) int {
	switch {
	case !c.Rows:
		return c.bytes
	case h.Type == register.String:
		return int(h.Size)
	}
	return 0
}
