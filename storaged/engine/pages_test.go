package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
	"synod/storaged/changelog"
)

// Pages are read beside the lane that goes on: with its changes and its batches.
func TestPagesBesideChanges(t *testing.T) {
	const n = 8000
	c := newCollection(t, register.List, n, label)
	tail := register.Change{Kind: register.Delta, Header: c.whole.Header}
	for i := range 500 {
		tail.Ops = append(tail.Ops, register.Op{Kind: register.Put, Key: label(n + i)})
	}
	c.apply(tail) // not on disk yet
	l, rec := c.record()
	p := register.Projection{
		Keys:   [][]byte{label(7), label(-7), label(n + 7)},
		Ranges: []register.Range{{Skip: 100, Limit: n}, {Reverse: true, Limit: 3000}},
	}
	pages, err := l.Transfer(rec, p)
	if err != nil {
		t.Fatal(err)
	}
	whole := c.whole
	done := make(chan register.View)
	go func() {
		var parts []register.View
		for more := true; more; {
			var v register.View
			var err error
			if v, more, err = pages.Next(32 << 10); err != nil {
				t.Error(err)
				break
			}
			parts = append(parts, v)
		}
		done <- register.Join(parts...)
	}()
	for i := range 400 {
		change := register.Change{Kind: register.Delta, Header: c.whole.Header}
		for _, el := range c.whole.Elements()[i : i+5] {
			change.Ops = append(change.Ops, register.Op{Kind: register.Remove, Key: el.Key}, register.Op{Kind: register.Put, Key: register.Next(el.Key)})
		}
		c.apply(change)
		if i%100 == 50 {
			c.settle()
		}
	}
	c.apply(register.Delete())
	c.settle()
	v := <-done
	wantPart(t, whole, v, p)
	if err := pages.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(l.engine.pages); got != 0 {
		t.Errorf("%d pages are still open", got)
	}
}

// Pages that nobody has closed end with the store.
func TestPagesEndWithTheStore(t *testing.T) {
	for _, how := range []func(*Engine) error{(*Engine).Close, (*Engine).Abort} {
		c := newCollection(t, register.List, 3000, label)
		l, rec := c.record()
		var open []message.Transfer
		for range 3 {
			pages, err := l.Transfer(rec, register.Projection{All: true})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, pages)
		}
		if _, more, err := open[0].Next(1000); !more || err != nil {
			t.Fatal(more, err)
		}
		if err := how(c.e); err != nil {
			t.Fatal(err)
		}
		for _, pages := range open {
			if _, _, err := pages.Next(1000); !errors.Is(err, changelog.ErrClosed) {
				t.Errorf("a page of a closed store: %v", err)
			}
			if err := pages.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// 128 members of a sorted set of 64 bytes each are one row, read with their
// record; beyond, content turns into rows and back when it is replaced.
func TestInlineContent(t *testing.T) {
	members := func(n int) register.Change {
		c := register.Change{Kind: register.Full, Header: register.Header{Type: register.SortedSet, Size: uint64(n)}}
		for i := range n {
			member := fmt.Appendf(nil, "%064d", i)
			c.Ops = append(c.Ops,
				register.Op{Kind: register.Put, Key: append([]byte{'m'}, member...), Value: make([]byte, 8)},
				register.Op{Kind: register.Put, Key: slices.Concat([]byte{'s'}, label(i), member)})
		}
		return c
	}
	c := &collection{rig: newRig(t, testOptions(t)), id: key(0, "k"), kind: register.SortedSet, whole: register.Nothing()}
	for _, step := range []struct {
		members int
		rows    bool
	}{{128, false}, {256, true}, {128, false}} {
		c.apply(members(step.members))
		c.settle()
		c.forget()
		if got := c.registerRows() > 1; got != step.rows {
			t.Errorf("%d members: in rows of their own %v, want %v", step.members, got, step.rows)
		}
		v := c.read(c.id, register.Projection{All: true}).View
		wantPart(t, c.whole, v, register.Projection{All: true})
	}
}
