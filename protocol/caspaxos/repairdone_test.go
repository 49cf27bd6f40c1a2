package caspaxos_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// big is a state that pretends to be of some size.
type big struct{ size uint64 }

func (big) Needs() register.Projection { return register.Projection{} }
func (big) ReadOnly() bool             { return false }
func (big) Blind() bool                { return true }
func (o big) Execute(register.View, int64) operation.Effect {
	c := put(register.Full, strings.Repeat("v", 20<<10), 0)
	c.Header.Size = o.size
	return operation.Effect{Result: "OK", Change: c}
}

// lagging has node 2 miss five writes to a state of 64 MB, as it says.
func lagging(t *testing.T) *cluster {
	c := newCluster(t)
	c.missing(0, 0)
	c.want("k", big{64 << 20}, "OK")
	c.down[2] = true
	for _, f := range []string{"1", "2", "3", "4", "5"} {
		c.want("k", note{f}, "OK")
	}
	c.down[2] = false
	return c
}

// TestStaleBeforeAck: node 2's Stale, which waits for no sync, comes before
// the Acks, as on a real disk it often does: it is sent what it missed as early as if the
// Acks came first.
func TestStaleBeforeAck(t *testing.T) {
	repaired := func(staleFirst bool) time.Duration {
		c := lagging(t)
		began := c.now.Mono
		for i := range 200 {
			_, done := c.submit("k", note{"x" + time.Duration(i).String()})
			for n := 0; n < 20 && (!*done || n < 6); n++ {
				c.tickNodes()
				sent := c.p.Take()
				for _, first := range []bool{true, false} {
					for _, s := range sent {
						// 2's stash would catch up by itself only with the base
						if (s.To == 2) == (first == staleFirst) {
							c.step(s)
						}
					}
				}
			}
			if !*done {
				t.Fatal("not done")
			}
			if c.stats.DeltaRanges.Load()+c.stats.Snapshots.Load() > 0 {
				return time.Duration(c.now.Mono - began)
			}
			c.advance(10 * time.Millisecond)
			c.p.Tick(c.now)
		}
		t.Fatal("never repaired")
		return 0
	}
	acks, stale := repaired(false), repaired(true)
	if stale > 2*acks {
		t.Errorf("after %v if the Acks come first, after %v if the Stale does", acks, stale)
	}
}

// TestWaysInVain: node 2 says that it is behind, but cannot take what it is sent as
// its disk is full. It is not sent that for each of a thousand rounds.
func TestWaysInVain(t *testing.T) {
	sent := func(forget bool) (ways, states uint64) {
		c := lagging(t)
		if forget {
			for _, n := range c.nodes[:2] {
				n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
			}
		}
		c.nodes[2].store.Full = errors.New("full")
		step := func(s message.Sent) {
			if s.To != 2 {
				c.step(s)
				return
			}
			var reply message.Reply
			if _, err := c.nodes[2].acc.Step(c.now, s.Request, &reply); err != nil {
				reply = message.Reply{ID: s.Request.ID, Outcome: message.Busy} // as storaged/lane.go answer
			}
			c.p.Deliver(c.now, s.To, &reply)
		}
		for i := range 1001 { // a second
			_, done := c.submit("k", note{"x" + time.Duration(i).String()})
			for n := 0; n < 20 && (!*done || n < 6); n++ {
				c.tickNodes()
				for _, s := range c.p.Take() {
					step(s)
				}
			}
			if c.advance(time.Millisecond); i == 0 {
				c.advance(10 * time.Second)
			}
			c.p.Tick(c.now)
		}
		return c.stats.DeltaRanges.Load(), c.stats.Snapshots.Load()
	}
	ways, _ := sent(false)
	_, states := sent(true)
	if ways == 0 || ways > 10 || states == 0 || states > 10 {
		t.Errorf("in a second: %d times what was missed, %d states if nobody knows that; want a few", ways, states)
	}
}

// TestWayKnownByOne: node 0 knows no way, node 1 does.
func TestWayKnownByOne(t *testing.T) {
	c := newCluster(t)
	c.missing(5, 10)
	n := c.nodes[0]
	n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
	c.settle("a")
	c.advance(limits.DefaultTiming().Lag)
	c.settle("b")
	c.advance(10 * time.Second)
	c.settle("c")
	c.wantSent(1, 0)
}

// TestWayTellsWhatLedToIt: five members. S voted for 3, then for 4 (made on 2), then for 5
// (made on 3): its delta 5 in past is on 4, behind a step back to 3 that no
// lineage tells of. T, at 4, is led from there: it lacks 3.
func TestWayTellsWhatLedToIt(t *testing.T) {
	c := newCluster(t)
	for _, n := range c.nodes {
		n.store.Small = 0
	}
	reg := register.ID{Slot: 1, Key: "\x00k"}
	at := func(i uint16) ballot.Ballot {
		if i == 0 {
			return ballot.Ballot{}
		}
		return ballot.Ballot{Time: ballot.MakeTime(c.now.Wall, i), Proposer: ballot.ProposerID(1 + i%3)}
	}
	step := func(n int, q message.Request) (reply message.Reply) {
		q.Register, q.Epoch, q.Prepared = reg, 1, q.Kind == message.KindAccept
		if _, err := c.nodes[n].acc.Step(c.now, &q, &reply); err != nil {
			t.Fatal(err)
		}
		return reply
	}
	accept := func(n int, b, base uint16) message.Reply {
		kind := register.Delta
		if base == 0 {
			kind = register.Full
		}
		return step(n, message.Request{Kind: message.KindAccept, Ballot: at(b), Base: at(base), Change: put(kind, "v", int64(b)<<50)})
	}
	const S, T = 0, 1
	accept(S, 2, 0)
	accept(S, 3, 2)
	accept(S, 4, 2)
	accept(S, 5, 3)
	accept(T, 2, 0)
	accept(T, 4, 2)
	if got := accept(T, 5, 3); got.Outcome != message.StaleBase {
		t.Fatal(got.Outcome)
	}
	led := step(S, message.Request{Kind: message.KindRead, Since: []ballot.Ballot{at(4)}, Ballot: at(5)})
	if led.Outcome != message.DeltasOK {
		t.Fatal(led.Outcome)
	}
	step(T, message.Request{Kind: message.KindAccept, Ballot: at(5), Base: at(3), On: led.DeltaRange.On, Change: led.DeltaRange.Change, History: &led.DeltaRange.Lineage})
	rec, _ := c.nodes[T].store.Load(reg)
	if _, ok := rec.Lineage.Find(at(3)); rec.Accepted != at(5) || !ok && rec.Lineage.TruncatedThrough.IsZero() {
		t.Errorf("T is at %v, made on %v, of which it knows nothing; cut %v, lineage %v", rec.Accepted, at(3), rec.Lineage.TruncatedThrough, rec.Lineage.Entries)
	}
}

// TestWayRefusedWhenNeeded: the round needs node 2 and would take the whole state
// for it, too. The way begins at a state that node 2 cannot go back to any more
// when it comes (here: it was restarted; or its undo was pushed out).
func TestWayRefusedWhenNeeded(t *testing.T) {
	c := newCluster(t)
	c.missing(0, 0)
	b := c.bothWrite()
	n := c.nodes[2]
	c.astray()
	c.now = b.now
	c.advance(100 * time.Millisecond)
	c.down[2] = true
	for _, f := range []string{"1", "2", "3"} {
		c.want("k", note{f}, "OK")
	}
	c.down[2], c.down[1] = false, true
	_, done := c.submit("k", note{"needs 2"})
	restarted := false
	for range 5000 {
		for _, s := range c.p.Take() {
			if c.down[s.To] {
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
				continue
			}
			if s.To == 2 && !s.Request.On.IsZero() && !restarted {
				restarted = true
				n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
			}
			c.step(s)
		}
		if *done {
			break
		}
		c.tickNodes()
		c.advance(time.Millisecond)
		c.p.Tick(c.now)
	}
	// The first attempt is in doubt in any case: node 2 cannot vote for its promise.
	if d := c.stats.InDoubt.Load(); !restarted || !*done || d > 1 {
		t.Errorf("led %v, done %v, in doubt %d times", restarted, *done, d)
	}
}
