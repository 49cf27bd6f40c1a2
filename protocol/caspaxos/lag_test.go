package caspaxos_test

import (
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
)

// letLag gives the proposer its usual patience and makes node 2 miss a write to
// a large state.
func (c *cluster) letLag() {
	c.t.Helper()
	c.patient(8)
	c.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	c.down[2] = true
	c.want("k", note{"missed"}, "OK")
	c.down[2] = false
}

// TestLag has a node fall behind a large state that nobody needs of it: it is
// sent the state when it has been behind for a while, not before, and not for
// each round.
func TestLag(t *testing.T) {
	c := newCluster(t)
	lag := limits.DefaultTiming().Lag
	c.letLag()

	asked := func() (n int) {
		_, done := c.submit("k", note{"more"})
		for !*done {
			for _, s := range c.p.Take() {
				if s.Request.Projection.All {
					n++
				}
				c.deliver(s)
			}
		}
		for range 4 {
			for _, s := range c.p.Take() {
				if s.Request.Projection.All {
					n++
				}
				c.deliver(s)
			}
		}
		return n
	}
	for range 5 {
		if n := asked(); n != 0 {
			t.Fatalf("the state was asked for %d times at once", n)
		}
		c.advance(lag / 10)
	}
	c.advance(lag)
	if n := asked(); n != 1 {
		t.Fatalf("the state was asked for %d times after a while", n)
	}
	for range 5 {
		c.advance(time.Millisecond)
		if n := asked(); n != 0 {
			t.Fatalf("the state was asked for %d times again", n)
		}
	}
	for i, n := range c.nodes {
		if got := len(n.store.View("k").Elements()); got != 3 {
			t.Errorf("node %d has %d elements, want 3", i, got)
		}
	}
}

// TestVoteTakenBack has two proxies write a large state, one of which reaches a
// single node with an attempt that is not carried on. That node goes on from the
// state before it, and needs nobody to send it.
func TestVoteTakenBack(t *testing.T) {
	a := newCluster(t)
	a.nodes[2].store.Small = 0
	a.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	b := a.beside()
	for _, key := range []string{"one", "two"} { // both have written: nodes are prepared for more
		a.now = b.now
		a.want("k", note{"a" + key}, "OK")
		b.now = a.now
		b.want("k", note{"b" + key}, "OK")
	}

	// a's attempt is voted for by node 2 alone; b goes on over the others.
	b.advance(2 * limits.DefaultTiming().Shared) // no promise is left
	a.now = b.now
	_, lost := a.submit("k", note{"astray"})
	var accepts []message.Sent
	for len(accepts) == 0 {
		for _, s := range a.p.Take() {
			if s.Request.Kind == message.KindAccept {
				accepts = append(accepts, s)
			} else {
				a.deliver(s)
			}
		}
	}
	var reply message.Reply
	for _, s := range accepts {
		if s.To == 2 {
			if _, err := a.nodes[2].acc.Step(a.now, s.Request, &reply); err != nil || reply.Outcome != message.Acked {
				t.Fatal(reply.Outcome, err)
			}
		}
	}
	b.now = a.now
	_, done := b.submit("k", note{"on"})
	var late []message.Sent
	for !*done {
		for _, s := range b.p.Take() {
			if s.To == 2 {
				late = append(late, s)
			} else {
				b.deliver(s)
			}
		}
	}
	for _, s := range late { // refused, for what a promised itself next
		b.deliver(s)
	}
	b.advance(time.Millisecond)
	b.want("k", note{"further"}, "OK")
	for _, s := range b.p.Take() {
		b.deliver(s)
	}
	if v := a.nodes[2].store.View("k"); len(v.Elements()) != 7 || a.nodes[2].acc.Joined != 1 {
		t.Errorf("node 2 has %d elements and joined %d deltas; want the 7 of the others, and 1", len(v.Elements()), a.nodes[2].acc.Joined)
	}
	if _, astray := a.nodes[2].store.View("k").Get([]byte("astray")); astray || *lost {
		t.Error("what nobody carried on is there")
	}
	if n := a.stats.Snapshots.Load() + b.stats.Snapshots.Load(); n != 0 {
		t.Errorf("%d states were sent", n)
	}
}

// TestLagWhenAnotherFallsSilent has a member be behind a large state when another
// one is heard of no more: the round needs the first after all, and waits for it
// to be brought up, not for as long as the other might take.
func TestLagWhenAnotherFallsSilent(t *testing.T) {
	c := newCluster(t)
	c.letLag()

	_, done := c.submit("k", note{"more"})
	run := func() {
		for sent := c.p.Take(); len(sent) > 0; sent = c.p.Take() {
			for _, s := range sent {
				if s.To != 1 {
					c.deliver(s)
				}
			}
		}
	}
	run()
	if *done {
		t.Fatal("chosen by one")
	}
	c.advance(limits.DefaultTiming().Lag)
	c.p.Tick(c.now)
	run()
	if n := c.stats.InDoubt.Load(); !*done || n != 0 {
		t.Errorf("after a while: done %v, %d rounds in doubt", *done, n)
	}
}
