package caspaxos_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// submit gives a command to the proposer without delivering anything.
func (c *cluster) submit(key string, op operation.Operation) (cmd *proposer.Command, done *bool) {
	return c.submitOf(0, key, op)
}

func (c *cluster) submitOf(origin uint64, key string, op operation.Operation) (cmd *proposer.Command, done *bool) {
	done = new(bool)
	cmd = &proposer.Command{Register: register.ID{Slot: 1, Key: key}, Op: op, Origin: origin, Started: c.now.Mono,
		Done: func(*proposer.Command) { *done = true }}
	c.p.Submit(c.now, cmd)
	return cmd, done
}

// deliver has a node answer one request.
func (c *cluster) deliver(s message.Sent) {
	c.t.Helper()
	if !c.step(s) {
		c.t.Fatalf("node %d has not answered", s.To)
	}
}

// TestRefusedByAllIsNotInDoubt has every node say, finally, that it did not
// vote for an attempt, the last a little later than a quorum: then the command
// has not taken effect, and its end must not be called uncertain.
func TestRefusedByAllIsNotInDoubt(t *testing.T) {
	c := newCluster(t)
	c.want("n", incr{}, "1") // leaves a carried promise
	c.advance(time.Millisecond)
	other := ballot.NewClock(8, func() int64 { return c.now.Wall }).Next()
	for _, n := range c.nodes {
		var reply message.Reply
		if _, err := n.acc.Step(c.now, &message.Request{Kind: message.KindPrepare, Epoch: 1, Ballot: other,
			Register: register.ID{Slot: 1, Key: "n"}}, &reply); err != nil || reply.Outcome != message.Promised {
			t.Fatal(reply.Outcome, err)
		}
	}
	cmd, done := c.submit("n", incr{})
	for _, s := range c.p.Take() {
		c.deliver(s)
	}
	for id := range quorum.NodeID(3) {
		c.down[id] = true
	}
	c.run(done)
	if !errors.Is(cmd.Err, operation.ErrContention) {
		t.Fatalf("ended with %v, want that nothing was done", cmd.Err)
	}
}

// note puts an element into a value of which nobody needs to know the rest.
type note struct{ key string }

func (note) Needs() register.Projection { return register.Projection{} }
func (note) ReadOnly() bool             { return false }
func (note) Blind() bool                { return false }
func (o note) Execute(v register.View, _ int64) operation.Effect {
	h := v.Header
	h.Size++
	return operation.Effect{Result: "OK", Change: register.Change{Kind: register.Delta, Header: h,
		Ops: []register.Op{{Kind: register.Put, Key: []byte(o.key), Value: []byte("x")}}}}
}

// TestRepairDoesNotWaitForAnEarlierOne has a round need a node that lags, while
// a repair of that node from an earlier round has not come to its end.
func TestRepairDoesNotWaitForAnEarlierOne(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	c.down[2] = true
	c.want("k", note{"a"}, "OK")
	c.down[2] = false
	_, done := c.submit("k", note{"b"})
	for _, s := range c.p.Take() {
		c.deliver(s) // node 2 says that it is behind
	}
	if held := c.p.Take(); !*done || len(held) != 1 {
		t.Fatalf("done %v, %d requests; want the round chosen and one request for the state", *done, len(held))
	}
	c.down[1] = true // and the state does not come
	began := c.now.Mono
	c.want("k", note{"c"}, "OK")
	if took := time.Duration(c.now.Mono - began); took > 50*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if v := c.nodes[2].store.View("k"); len(v.Elements()) != 4 {
		t.Errorf("node 2 has %d elements, want all 4", len(v.Elements()))
	}
}

// TestDoubtOutlastsARefusedPrepare has an attempt whose fate a blind write hides
// (§5 rule 3) as long as one node has not told its votes. That node refuses the
// first Prepare, for another proposer's, and is to be asked again.
func TestDoubtOutlastsARefusedPrepare(t *testing.T) {
	c := newCluster(t)
	wall := func() int64 { return c.now.Wall }
	clock := ballot.NewClock(8, wall)
	reg := register.ID{Slot: 1, Key: "k"}
	other := func(to int, req message.Request) message.Outcome {
		var reply message.Reply
		req.Register, req.Epoch = reg, 1
		if _, err := c.nodes[to].acc.Step(c.now, &req, &reply); err != nil {
			t.Fatal(err)
		}
		return reply.Outcome
	}
	cmd, done := c.submit("k", set{"a"})
	sent := c.p.Take()
	c.deliver(sent[0]) // the other two get lost
	c.advance(time.Millisecond)
	b := clock.Next()
	for _, to := range []int{1, 2} {
		if got := other(to, message.Request{Kind: message.KindAccept, Ballot: b, Change: put(register.Full, "b", 0)}); got != message.Acked {
			t.Fatal(got)
		}
	}
	c.advance(100 * time.Millisecond)
	for _, n := range c.nodes {
		n.acc.Step(c.now, &message.Request{Kind: message.KindPrepare, Epoch: 1, Ballot: clock.Next(),
			Register: register.ID{Slot: 1, Key: "another"}}, new(message.Reply)) // moves the ceiling
	}
	c.tickNodes()
	if got := other(2, message.Request{Kind: message.KindPrepare, Ballot: clock.NextAfter(50 * time.Millisecond)}); got != message.Promised {
		t.Fatal(got)
	}
	for _, s := range sent[1:] {
		c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
	}
	c.run(done)
	if cmd.Err != nil {
		t.Fatal(cmd.Err)
	}
	c.want("k", get{}, "a")
}

// TestSeenBetweenBlindWrites has two reads executed between the writes of blind
// rounds, on states that nobody else ever sees: they must not pass for one.
func TestSeenBetweenBlindWrites(t *testing.T) {
	c := newCluster(t)
	read := func(first, second string) *proposer.Command {
		c.submit("k", set{"x"}) // while it is under way, the others gather
		c.submit("k", set{first})
		cmd, _ := c.submit("k", get{})
		_, done := c.submit("k", set{second})
		c.run(done)
		if cmd.Err != nil || cmd.Result != first {
			t.Fatal(cmd.Result, cmd.Err)
		}
		return cmd
	}
	if a, b := read("1", "2"), read("3", "4"); a.Seen.Ballot == b.Seen.Ballot {
		t.Errorf("reads of different states both saw ballot %v", a.Seen.Ballot)
	}
	if blind := c.stats.Blind.Load(); blind != 4 {
		t.Errorf("%d blind rounds, want 4", blind)
	}
}
