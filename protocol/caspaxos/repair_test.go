package caspaxos_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// TestRepairSourceGoesAway: the source of a state goes away after its first part.
// The next one sends all of it.
func TestRepairSourceGoesAway(t *testing.T) {
	c := newCluster(t)
	c.missing(0, 0)
	// A large state, several parts.
	v := strings.Repeat("v", 100<<10)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.want("k", note{name + v}, "OK")
	}
	b := c.bothWrite()
	c.now = b.now
	n := c.nodes[2]
	c.astray()
	c.advance(100 * time.Millisecond)
	c.down[2] = true
	for _, f := range []string{"1", "2", "3"} {
		c.want("k", note{f}, "OK")
	}
	c.down[2] = false
	restarted, parted, second := false, false, 0
	step := func() {
		for _, s := range c.p.Take() {
			if s.To == 2 && !s.Request.On.IsZero() && !restarted {
				restarted = true // it cannot go back any more
				n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
			}
			if s.Request.WantLarge && len(s.Request.Since) == 0 {
				parts := c.parted(s, 1)
				if !parted {
					parted = true
					c.p.Deliver(c.now, s.To, &parts[0])
					c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Busy}) // a page cannot be read
					continue
				}
				second++
				for i := range parts {
					c.p.Deliver(c.now, s.To, &parts[i])
				}
				continue
			}
			c.step(s)
		}
	}
	write := func(f string) {
		_, done := c.submit("k", note{f})
		for range 40 {
			step()
			c.tickNodes()
		}
		if !*done {
			t.Fatal("not done")
		}
	}
	write("x")
	c.advance(10 * time.Second)
	write("y")
	if !restarted || !parted || second == 0 {
		t.Fatalf("restarted %v, parted %v, second %d", restarted, parted, second)
	}
	if got := c.stats.Snapshots.Load(); got != 1 {
		t.Errorf("the second source sent all of the state; %d states were sent on to node 2, want 1", got)
	}
}

// TestPassedThenLost: a round that passed a member over loses another one. It
// brings up the first and is not in doubt.
func TestPassedThenLost(t *testing.T) {
	c := newCluster(t)
	c.letLag()
	_, done := c.submit("k", note{"more"})
	for range 20 {
		for _, s := range c.p.Take() {
			if s.To != 1 {
				c.deliver(s)
			}
		}
	}
	if *done {
		t.Fatal("chosen by one")
	}
	c.down[1] = true
	c.p.Disconnected(c.now, 1)
	c.run(done)
	if n := c.stats.InDoubt.Load(); n != 0 {
		t.Errorf("%d times in doubt, as node 2 was passed over", n)
	}
}

// TestRepairMovedToPresentRound: a repair has moved on to the state of the present
// round, which turns out to need its target: the Ack counts for it.
func TestRepairMovedToPresentRound(t *testing.T) {
	c := newCluster(t)
	c.letLag()
	// Round 1: chosen by 0 and 1; node 2's Stale comes late, after a while.
	c.advance(time.Second)
	c.want("k", note{"one"}, "OK") // finds it behind
	c.advance(10 * time.Second)
	var read []message.Sent
	_, done := c.submit("k", note{"two"})
	for range 20 {
		for _, s := range c.p.Take() {
			if s.Request.Projection.All && s.Request.Kind == message.KindRead {
				read = append(read, s)
				continue
			}
			c.step(s)
		}
		c.tickNodes()
	}
	if !*done || len(read) != 1 {
		t.Fatal(*done, len(read))
	}
	// Round 2: node 0 votes, then answers the Read; node 1 goes away; node 2 says Stale.
	_, done = c.submit("k", note{"three"})
	var acc [3]message.Sent
	for range 20 {
		for _, s := range c.p.Take() {
			if s.Request.Kind == message.KindAccept {
				acc[s.To] = s
				continue
			}
			c.step(s)
		}
		c.tickNodes()
	}
	source := read[0].To
	if acc[source].Request == nil || source == 2 {
		t.Fatal("no accept", source)
	}
	c.step(acc[source])
	var stale message.Reply
	if _, err := c.nodes[2].acc.Step(c.now, acc[2].Request, &stale); err != nil || stale.Outcome != message.StaleBase {
		t.Fatal(stale.Outcome, err)
	}
	c.step(read[0]) // the state of the present round: sent to node 2
	c.down[1-source] = true
	c.p.Disconnected(c.now, 1-source)
	c.p.Deliver(c.now, 2, &stale)
	c.run(done)
	if n := c.stats.InDoubt.Load(); n != 0 {
		t.Errorf("%d times in doubt, while node 2 was being sent this round's state", n)
	}
}

// TestRefusedIsReconsidered: node 2 is behind and a repair to an earlier ballot is
// under way, which a round that does not seem to need it leaves alone. When node 1
// falls silent, it is reconsidered.
func TestRefusedIsReconsidered(t *testing.T) {
	c := newCluster(t)
	c.letLag()
	c.advance(time.Second)
	c.want("k", note{"one"}, "OK")
	c.advance(10 * time.Second)
	held := 0
	silent := false
	run := func() {
		for range 20 {
			for _, s := range c.p.Take() {
				if s.Request.Projection.All && s.Request.Kind == message.KindRead && held == 0 {
					held++
					continue
				}
				if silent && s.To == 1 {
					continue
				}
				c.step(s)
			}
			c.tickNodes()
		}
	}
	_, done := c.submit("k", note{"two"})
	run()
	if !*done || held != 1 {
		t.Fatal(*done, held)
	}
	c.advance(150 * time.Millisecond)
	silent = true
	_, done = c.submit("k", note{"three"})
	began := c.now.Mono
	for !*done && time.Duration(c.now.Mono-began) < 4*time.Second {
		run()
		c.advance(10 * time.Millisecond)
		c.p.Tick(c.now)
	}
	if n := c.stats.InDoubt.Load(); !*done || n != 0 {
		t.Errorf("done %v after %v, %d times in doubt", *done, time.Duration(c.now.Mono-began), n)
	}
}

// TestStatesThatDoNotHelp: a state is acked but helps nothing, since what is written
// meanwhile is too large to be kept. It is not sent again and again.
func TestStatesThatDoNotHelp(t *testing.T) {
	c := newCluster(t)
	c.missing(0, 0)
	c.want("k", big{7 << 20}, "OK")
	c.down[2] = true
	c.want("k", note{"missed"}, "OK")
	c.down[2] = false
	large := strings.Repeat("x", 2200<<10)
	var state *message.Sent
	arrives := instant.Mono(0)
	for i := range 300 { // a minute
		_, done := c.submit("k", note{large + strconv.Itoa(i%3)})
		for n := 0; n < 10 || !*done && n < 100; n++ {
			for _, s := range c.p.Take() {
				if s.To == 2 && s.Request.Kind == message.KindAccept && s.Request.Change.Kind == register.Full || s.To == 2 && s.Request.History != nil {
					one := s
					state, arrives = &one, c.now.Mono+instant.Mono(500*time.Millisecond) // what 7 MB take
					continue
				}
				c.step(s)
			}
			c.tickNodes()
		}
		if !*done {
			t.Fatal("not done")
		}
		c.advance(200 * time.Millisecond)
		c.p.Tick(c.now)
		if state != nil && arrives <= c.now.Mono {
			c.step(*state)
			state = nil
		}
	}
	if n := c.stats.Snapshots.Load(); n > 22 { // 17, as each is sent in half a second
		t.Errorf("in a minute %d states of 7 MB were sent to a node that they do not bring up", n)
	}
}
