package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/content"
	"synod/storaged/rowcodec"
)

// newCollection returns one of n elements that is on disk.
func newCollection(t *testing.T, kind register.Type, n int, elem func(int) []byte) *collection {
	t.Helper()
	c := &collection{rig: newRig(t, testOptions(t)), rnd: rand.New(rand.NewPCG(1, 2)), id: key(0, "k"), kind: kind, whole: register.Nothing()}
	change := register.Change{Kind: register.Full, Header: register.Header{Type: kind, Size: uint64(n)}}
	for i := range n {
		change.Ops = append(change.Ops, register.Op{Kind: register.Put, Key: elem(i), Value: make([]byte, 32)})
	}
	c.apply(change)
	c.settle()
	return c
}

// forget has the next look at the register read it from disk.
func (c *collection) forget() {
	for _, l := range c.e.Lanes() {
		for _, e := range l.cache {
			l.drop(e)
		}
		l.last = nil
	}
}

// buckets returns how many buckets the index has.
func (c *collection) buckets() int {
	n, _ := c.checkIndex()
	return n
}

// Growing at the ends leaves full buckets behind, and shrinking leaves few.
func TestBucketsStayFull(t *testing.T) {
	const n = 20_000
	c := newCollection(t, register.List, n, label)
	check := func(when string, elements int) {
		t.Helper()
		if got, most := c.buckets(), 2+3*elements/(2*content.BucketFull); got > most {
			t.Errorf("%s: %d buckets for %d elements, want at most %d", when, got, elements, most)
		}
	}
	check("pushed at the end", n)
	push := register.Change{Kind: register.Delta, Header: c.whole.Header}
	for i := range 5000 {
		push.Ops = append(push.Ops, register.Op{Kind: register.Put, Key: label(-1 - i)})
	}
	c.apply(push)
	check("pushed at the head", n+5000)
	c.settle()
	c.forget()
	check("read again", n+5000)
	thin := register.Change{Kind: register.Delta, Header: c.whole.Header}
	for i, el := range c.whole.Elements() {
		if i%100 != 0 {
			thin.Ops = append(thin.Ops, register.Op{Kind: register.Remove, Key: el.Key})
		}
	}
	c.apply(thin)
	check("thinned out", (n+5000)/100)
	c.settle()
	c.forget()
	c.checkIndex()
	want := uint64(len(c.whole.Elements()))
	if _, got := c.checkIndex(); got != want {
		t.Errorf("%d counted, want %d", got, want)
	}
}

// What is deleted or replaced leaves no rows behind, elements' or buckets'.
func TestNoRowsAreLeft(t *testing.T) {
	c := newCollection(t, register.List, 3000, label)
	rows := func(when string, want int) {
		t.Helper()
		c.settle()
		if got := c.registerRows(); got != want {
			t.Errorf("%s: %d rows, want %d", when, got, want)
		}
	}
	rows("new", 1+3000+c.buckets())
	again := c.whole.Full()
	again.Ops = again.Ops[:2000]
	c.apply(again)
	rows("replaced", 1+2000+c.buckets())
	again.Ops = again.Ops[:10]
	c.apply(again)
	rows("replaced by little", 1)
	c.apply(newCollection(t, register.List, 2500, label).whole.Full())
	rows("grown again", 1+2500+c.buckets())
	c.apply(register.Delete())
	rows("deleted", 1)
	c.check(10)
}

// An index that is not there, or not of the elements that the type counts now,
// is made.
func TestIndexIsMade(t *testing.T) {
	c := newCollection(t, register.SortedSet, 3000, func(i int) []byte {
		if i%3 == 0 {
			return fmt.Appendf(nil, "m%d", i)
		}
		return ranked(i)
	})
	prefix := rowcodec.AppendRegister(nil, c.id)
	if err := c.e.db.DeleteRange(append(prefix, rowcodec.RowBucket), append(prefix[:len(prefix):len(prefix)], rowcodec.RowEnd), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	c.forget()
	c.checkIndex()
	for _, kind := range []register.Type{register.SortedSet, register.List, register.Hash, register.List, register.SortedSet} {
		c.kind = kind
		h := c.whole.Header
		h.Type = kind
		c.apply(register.Change{Kind: register.Delta, Header: h, Ops: []register.Op{{Kind: register.Remove, Key: c.whole.Elements()[0].Key}}})
		c.check(20)
		c.settle()
		c.forget()
		c.check(20)
		if _, counted := layout.Counted(kind); counted {
			l, rec := c.record()
			if l.entry(rec).Recounted {
				t.Errorf("%v: the index was not on disk", kind)
			}
		}
	}
}

// Reading from an end where many elements were deleted lately passes over few of
// them.
func TestDeletedElementsCostLittle(t *testing.T) {
	for _, kind := range []register.Type{register.List, register.Hash} {
		for _, reverse := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, reverse), func(t *testing.T) {
				c := newCollection(t, kind, 6000, label)
				l, rec := c.record()
				most := 0
				for i := range 5000 {
					e := l.entry(rec)
					key, passed, err := e.Edge(l.db, rec.Register, reverse)
					if err != nil || key == nil {
						t.Fatal("nothing is left", err)
					}
					most = max(most, passed)
					change := register.Change{Kind: register.Delta, Header: rec.Header, Ops: []register.Op{{Kind: register.Remove, Key: key}}}
					c.accept(c.id, change)
					if i%1000 == 999 {
						c.settle()
						l, rec = c.record()
					}
				}
				if most > 3*content.GapWorth {
					t.Errorf("a read went over %d elements", most)
				}
			})
		}
	}
}
