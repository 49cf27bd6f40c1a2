package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/register"
)

// TestStateIsToppedUp has a large state be read for a member that is behind while
// two proxies go on writing, so that the member promises ballots above that of the
// state. It is sent the state with what has happened since.
func TestStateIsToppedUp(t *testing.T) {
	c := newCluster(t)
	for _, n := range c.nodes {
		n.store.Small = 0
	}
	c.large()
	c.patient(8)
	c.down[2] = true
	c.want("k", note{"missed"}, "OK")
	c.down[2] = false
	c.nodes[2].store.Drop("k") // no way leads from nothing
	c.want("k", note{"found behind"}, "OK")
	c.advance(time.Minute)
	_, done := c.submit("k", note{"far behind"})
	var rest []message.Reply
	var from quorum.NodeID
	for range 20 {
		c.tickNodes()
		for _, s := range c.p.Take() {
			if s.Request.WantLarge && s.Request.Kind == message.KindRead {
				rest, from = c.parted(s, 1), s.To
				continue
			}
			c.step(s)
		}
	}
	if !*done || len(rest) < 2 {
		t.Fatalf("done %v, %d parts", *done, len(rest))
	}
	b := c.beside()
	b.now = c.now
	b.patient(9)
	b.advance(time.Second)
	for _, name := range []string{"meanwhile", "and again"} {
		b.want("k", note{name}, "OK") // node 2 has promised, and cannot vote
	}
	c.now = b.now
	c.finish(rest, from)
	for range 4 {
		for _, s := range c.p.Take() {
			c.step(s)
		}
	}
	c.wantSent(0, 1)
	c.wantElements(6 + 5)
}

// patient gives a proposer its usual patience.
func (c *cluster) patient(id ballot.ProposerID) {
	c.p = proposer.New(proposer.Options{Clock: ballot.NewClock(id, func() int64 { return c.now.Wall }), Env: c, Due: layout.Due,
		Limits: limits.Default(), Timing: limits.DefaultTiming(), Stats: &c.stats, Cached: 100, CachedBytes: 1 << 20})
}

// TestPromiseWithheld: while a large state comes in that brings an acceptor up, it
// promises nothing on the register, though not for long. A client's own large
// value holds up nobody.
func TestPromiseWithheld(t *testing.T) {
	c := newCluster(t)
	acc := c.nodes[2].acc
	clock := ballot.NewClock(8, func() int64 { return c.now.Wall })
	clock.NextAfter(200 * time.Millisecond) // above what is foreseen
	state := func(i uint16, prepared bool) *message.Request {
		q := &message.Request{Kind: message.KindAccept, Register: register.ID{Slot: 1, Key: "k"}, Epoch: 1, Prepared: prepared,
			Ballot: ballot.Ballot{Time: ballot.MakeTime(c.now.Wall, i), Proposer: 1}, Change: put(register.Full, "v", 0)}
		if prepared {
			q.History = new(history.Lineage)
		}
		return q
	}
	foresee := func(q *message.Request) {
		t.Helper()
		var reply message.Reply
		if votes, err := acc.CanAccept(c.now, q, &reply); err != nil || !votes {
			t.Fatal(votes, reply.Outcome, err)
		}
	}
	promises := func(want message.Outcome) {
		t.Helper()
		var reply message.Reply
		for answered := false; !answered; c.tickNodes() {
			var err error
			answered, err = acc.Step(c.now, &message.Request{Kind: message.KindPrepare, Epoch: 1, Ballot: clock.Next(),
				Register: register.ID{Slot: 1, Key: "k"}}, &reply)
			if err != nil {
				t.Fatal(err)
			}
		}
		if reply.Outcome != want {
			t.Errorf("%v, want %v", reply.Outcome, want)
		}
	}
	first := state(1, true)
	foresee(first)
	promises(message.Busy)
	var reply message.Reply
	if _, err := acc.Step(c.now, first, &reply); err != nil || reply.Outcome != message.Acked {
		t.Fatal(reply.Outcome, err)
	}
	promises(message.Promised)

	c.advance(2 * time.Second)
	c.tickNodes()
	foresee(state(1, false))
	promises(message.Promised) // a client's

	c.advance(4 * time.Second)
	c.tickNodes()
	foresee(state(1, true))
	c.advance(1100 * time.Millisecond)
	promises(message.Promised) // nothing more was heard

	c.advance(4 * time.Second)
	c.tickNodes()
	again := state(1, true)
	for range 4 {
		foresee(again)
		c.advance(900 * time.Millisecond)
	}
	promises(message.Promised) // it takes too long
}
