package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/changelog"
)

// collection is a register of one type, and what it should hold.
type collection struct {
	*rig
	rnd   *rand.Rand
	id    register.ID
	kind  register.Type
	whole register.View
	next  uint64 // a list's ends
	head  uint64
}

// newKey returns a key such as the type has, half of the time one that is there.
func (c *collection) newKey() []byte {
	if n := len(c.whole.Elements()); n > 0 && c.rnd.IntN(2) == 0 {
		return c.whole.Elements()[c.rnd.IntN(n)].Key
	}
	switch c.kind {
	case register.List:
		switch c.rnd.IntN(4) {
		case 0:
			return binary.BigEndian.AppendUint64(nil, c.head+c.rnd.Uint64N(c.next-c.head+1))
		case 1:
			c.head--
			return binary.BigEndian.AppendUint64(nil, c.head)
		}
		c.next++
		return binary.BigEndian.AppendUint64(nil, c.next)
	case register.SortedSet:
		if c.rnd.IntN(3) > 0 {
			return binary.BigEndian.AppendUint64([]byte{'s'}, c.rnd.Uint64N(1<<20))
		}
		return fmt.Appendf(nil, "m%d", c.rnd.IntN(5000))
	}
	return fmt.Appendf(nil, "f%d", c.rnd.IntN(5000))
}

// change returns a random change. Collections grow and shrink in turns, at
// their ends and in between.
func (c *collection) change(step int) register.Change {
	h := c.whole.Header
	h.Type = c.kind
	out := register.Change{Kind: register.Delta, Header: h}
	elems := c.whole.Elements()
	switch {
	case !h.Exists() || len(elems) == 0 || c.rnd.IntN(60) == 0:
		out.Kind = register.Full
	case c.rnd.IntN(60) == 0:
		return register.Delete()
	}
	shrink := out.Kind == register.Delta && step/25%3 == 2
	if shrink && c.rnd.IntN(2) == 0 { // from an end
		n := c.rnd.IntN(min(len(elems), 400) + 1)
		gone := elems[:n]
		if c.rnd.IntN(2) == 0 {
			gone = elems[len(elems)-n:]
		}
		for _, el := range gone {
			out.Ops = append(out.Ops, register.Op{Kind: register.Remove, Key: el.Key})
		}
		return out
	}
	for range c.rnd.IntN(300) {
		op := register.Op{Key: c.newKey()}
		switch c.rnd.IntN(8) {
		case 0:
			op.Kind, op.Offset, op.Value = register.Patch, uint32(c.rnd.IntN(30)), []byte("patch")
		case 1, 2:
			op.Kind = register.Remove
		default:
			if shrink {
				op.Kind = register.Remove
				break
			}
			op.Value = bytes.Repeat([]byte{byte(c.rnd.IntN(256))}, c.rnd.IntN(60))
		}
		out.Ops = append(out.Ops, op)
	}
	return out
}

func (c *collection) apply(change register.Change) {
	c.t.Helper()
	c.whole = c.whole.Apply(change)
	c.accept(c.id, change)
}

// applyStaged applies a change, if it is a full one half of the time as a state
// whose elements come first.
func (c *collection) applyStaged(change register.Change) {
	c.t.Helper()
	if change.Kind != register.Full || !change.Header.Exists() || c.rnd.IntN(2) == 0 {
		c.apply(change)
		return
	}
	c.whole = c.whole.Apply(change)
	c.acceptStaged(c.id, c.whole.Full())
}

// anyKey returns a bound, sometimes one that is no key.
func (c *collection) anyKey() []byte {
	switch key := c.newKey(); c.rnd.IntN(6) {
	case 0:
		return key[:c.rnd.IntN(len(key)+1)]
	case 1:
		return register.Next(key)
	default:
		return key
	}
}

func (c *collection) span() register.Span {
	s := register.Span{From: c.anyKey(), To: c.anyKey()}
	if counted, ok := layout.Counted(c.kind); ok && c.rnd.IntN(2) == 0 {
		s = counted
	}
	if c.rnd.IntN(3) == 0 {
		s.From = nil
	}
	if c.rnd.IntN(3) == 0 {
		s.To = nil
	}
	return s
}

func (c *collection) projection() (p register.Projection) {
	if c.rnd.IntN(12) == 0 {
		return register.Projection{All: true}
	}
	for range c.rnd.IntN(4) {
		p.Keys = append(p.Keys, c.anyKey())
	}
	for range c.rnd.IntN(4) {
		s := c.span()
		r := register.Range{From: s.From, To: s.To, Reverse: c.rnd.IntN(2) == 0}
		if c.rnd.IntN(2) == 0 {
			r.Limit = 1 + c.rnd.IntN(20)
		}
		if c.rnd.IntN(2) == 0 {
			r.Skip = c.rnd.Uint64N(uint64(len(c.whole.Elements())) + 10)
		}
		p.Ranges = append(p.Ranges, r)
	}
	for range c.rnd.IntN(3) {
		p.Counts = append(p.Counts, c.span())
	}
	return p
}

// wantPart compares what was sent with what there is.
func wantPart(t testing.TB, whole, v register.View, p register.Projection) {
	t.Helper()
	if v.Header.Type != whole.Header.Type || v.Header.Size != whole.Header.Size {
		t.Fatalf("header %+v, want %+v", v.Header, whole.Header)
	}
	if !v.Covers(p) {
		t.Fatalf("the view does not cover %+v: %+v", p, v.Known())
	}
	for _, k := range p.Keys {
		want, there := whole.Get(k)
		if got, ok, known := v.Lookup(k); !known || ok != there || !bytes.Equal(got, want) {
			t.Fatalf("key %x: %q %v %v, want %q %v", k, got, ok, known, want, there)
		}
	}
	for _, r := range p.Ranges {
		want, _ := whole.Range(r)
		got, known := v.Range(r)
		if !known || !slices.EqualFunc(got, want, sameElement) {
			t.Fatalf("range %+v: %d elements (%v), want %d", r, len(got), known, len(want))
		}
	}
	for _, s := range p.Counts {
		want, _ := whole.Count(s)
		if got, known := v.Count(s); !known || got != want {
			t.Fatalf("count of %x: %d (%v), want %d", s, got, known, want)
		}
	}
	// Nothing else that it claims may be wrong.
	for _, el := range v.Elements() {
		if want, ok := whole.Get(el.Key); !ok || !bytes.Equal(want, el.Value) {
			t.Fatalf("element %x should not be there so", el.Key)
		}
	}
	for _, k := range v.Known().Absent {
		if _, ok := whole.Get(k); ok {
			t.Fatalf("element %x is there", k)
		}
	}
	for _, s := range v.Known().Spans {
		want, _ := whole.Range(register.Range{From: s.From, To: s.To})
		if got, _ := v.Range(register.Range{From: s.From, To: s.To}); !slices.EqualFunc(got, want, sameElement) {
			t.Fatalf("span %x: %d elements, want %d", s, len(got), len(want))
		}
	}
	for _, n := range v.Known().Counts {
		if want, _ := whole.Count(n.Span); n.N != want {
			t.Fatalf("count of %x is said to be %d, it is %d", n.Span, n.N, want)
		}
	}
}

func sameElement(a, b register.Element) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func (c *collection) record() (*Lane, *durable.Record) {
	c.t.Helper()
	l := c.e.Lanes()[c.lane(c.id)]
	rec, err := l.Load(c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	return l, rec
}

// check asks for random parts.
func (c *collection) check(times int) {
	c.t.Helper()
	l, rec := c.record()
	if rec == nil {
		return
	}
	for range times {
		p := c.projection()
		size := 1 << (9 + c.rnd.IntN(15))
		v, fits, err := l.Project(rec, p, size)
		if err != nil {
			c.t.Fatal(err)
		}
		if least := c.whole.Project(p).Bytes(); !fits && least < size/4 {
			c.t.Fatalf("%d bytes do not fit into %d: %+v", least, size, p)
		}
		if fits {
			if v.Bytes() > size {
				c.t.Fatalf("%d bytes where %d were asked for", v.Bytes(), size)
			}
			wantPart(c.t, c.whole, v, p)
		}
	}
	c.checkIndex()
}

// checkIndex counts again what the index says. It returns the number of buckets
// and of the elements in them.
func (c *collection) checkIndex() (buckets int, total uint64) {
	c.t.Helper()
	l, rec := c.record()
	e := l.entry(rec)
	if rec.Header.Type != c.kind {
		return 0, 0
	}
	buckets, total, err := e.CheckIndex(l.db, rec, func(s register.Span) uint64 {
		n, _ := c.whole.Count(s)
		return n
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return buckets, total
}

// upset does something that must change nothing.
func (c *collection) upset() {
	c.t.Helper()
	switch c.rnd.IntN(40) {
	case 0:
		c.sync()
		c.crash(c.rnd)
	case 1:
		c.reopen((*Engine).Close)
	case 2:
		c.settle()
	case 3, 4:
		c.sync()
		if err := c.e.db.Flush(); err != nil {
			c.t.Fatal(err)
		}
		c.crash(c.rnd)
	case 5: // evict
		c.settle()
		for _, l := range c.e.Lanes() {
			for _, e := range l.cache {
				l.drop(e)
			}
			l.last = nil
		}
	case 6:
		c.sync()
		c.reopen((*Engine).Abort)
	default:
		c.clock.Mono += instant.Mono(applyAfter) / 3
		c.e.Kick()
		c.maintain()
	}
}

// reading is pages that are read while changes go on.
type reading struct {
	pages message.Transfer
	p     register.Projection
	whole register.View
	parts []register.View
}

func (c *collection) beginPages() *reading {
	c.t.Helper()
	l, rec := c.record()
	if rec == nil {
		return nil
	}
	r := &reading{p: c.projection(), whole: c.whole}
	var err error
	if r.pages, err = l.Transfer(rec, r.p); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// next reads a page, and reports whether it was the last.
func (r *reading) next(c *collection) bool {
	c.t.Helper()
	v, more, err := r.pages.Next(1 << c.rnd.IntN(18))
	if errors.Is(err, changelog.ErrClosed) {
		return true // the store was opened anew
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if r.parts = append(r.parts, v); more {
		return false
	}
	wantPart(c.t, r.whole, register.Join(r.parts...), r.p)
	if err := r.pages.Close(); err != nil {
		c.t.Fatal(err)
	}
	return true
}

// TestParts makes random changes to collections, in both forms, and asks for
// random parts of them: from memory, from the disk and after crashes, at once
// and page by page while changes go on.
func TestParts(t *testing.T) {
	for i, kind := range []register.Type{register.List, register.SortedSet, register.Hash} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				o := testOptions(t)
				o.FS = vfs.NewCrashableMem()
				c := &collection{
					rig: newRig(t, o), rnd: rand.New(rand.NewPCG(seed, uint64(i))), id: key(0, "k"), kind: kind,
					whole: register.Nothing(), head: 1 << 40, next: 1 << 40,
				}
				var open *reading
				for step := range 200 {
					c.applyStaged(c.change(step))
					c.upset()
					c.check(4)
					if open == nil && c.rnd.IntN(4) == 0 {
						open = c.beginPages()
					}
					if open != nil && open.next(c) {
						open = nil
					}
				}
			})
		}
	}
}

// What a view points at stays as it was, also when an element beside it has come
// and gone before it is overwritten.
func TestViewsStayAsTheyWere(t *testing.T) {
	r := newRig(t, testOptions(t))
	id := key(0, "k")
	r.accept(id, set("before"))
	l := r.e.Lanes()[r.lane(id)]
	rec, err := l.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	v, fits, err := l.Project(rec, register.Projection{All: true}, 1<<10)
	if err != nil || !fits {
		t.Fatal(fits, err)
	}
	for _, op := range []register.Op{{Kind: register.Put, Key: []byte("1")}, {Kind: register.Remove, Key: []byte("1")}} {
		r.accept(id, register.Change{Kind: register.Delta, Header: rec.Header, Ops: []register.Op{op}})
	}
	r.accept(id, set("behind"))
	if got, _ := v.Get([]byte("0")); string(got) != "before" {
		t.Errorf("the view has changed to %q", got)
	}
	r.wantString(id, "behind")
}
