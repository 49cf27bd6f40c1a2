package caspaxos_test

import (
	"fmt"
	"strings"
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/register"
)

// TestRepairUnderWrites has a node come back to a large state that is written
// all the time: the state arrives once, what was written meanwhile has been kept
// there, and the node has caught up.
func TestRepairUnderWrites(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	c.down[2] = true
	c.want("k", note{"missed"}, "OK")
	c.down[2] = false

	// The first round finds node 2 behind; what is sent to make up for that is
	// under way while more rounds go by.
	type answer struct {
		from  quorum.NodeID
		reply message.Reply
	}
	var repair []answer
	for i := range 30 {
		_, done := c.submit("k", note{fmt.Sprintf("n%02d", i)})
		for !*done {
			for _, s := range c.p.Take() {
				if !s.Request.Projection.All {
					c.deliver(s)
					continue
				}
				a := answer{from: s.To}
				if _, err := c.nodes[s.To].acc.Step(c.now, s.Request, &a.reply); err != nil {
					t.Fatal(err)
				}
				repair = append(repair, a)
			}
		}
	}
	if len(repair) != 1 {
		t.Fatalf("%d large requests for one node that lags", len(repair))
	}
	c.p.Deliver(c.now, repair[0].from, &repair[0].reply)
	for _, s := range c.p.Take() {
		c.deliver(s)
	}
	if v := c.nodes[2].store.View("k"); len(v.Elements()) != 2+30 {
		t.Errorf("node 2 has %d elements, want all %d", len(v.Elements()), 2+30)
	}
	if n := c.nodes[2].acc.CaughtUp; n != 28 { // the state was that of the second when it was read
		t.Errorf("%d writes were kept for later, want 28", n)
	}
	_, done := c.submit("k", note{"last"})
	c.run(done)
	if got := c.stats.Snapshots.Load(); got != 1 {
		t.Errorf("%d states were sent, want one", got)
	}
}

// TestStashIsBounded: what waits for a state that never comes takes a bounded
// amount of memory, the oldest goes first, and votes that come by themselves
// make room.
func TestStashIsBounded(t *testing.T) {
	c := newCluster(t)
	n := c.nodes[0]
	accept := func(b, base uint16, value string) message.Outcome {
		at := func(i uint16) ballot.Ballot {
			if i == 0 {
				return ballot.Ballot{}
			}
			return ballot.Ballot{Time: ballot.MakeTime(c.now.Wall, i), Proposer: 1}
		}
		req := message.Request{Kind: message.KindAccept, Register: register.ID{Slot: 1, Key: "k"}, Epoch: 1,
			Ballot: at(b), Base: at(base), Prepared: true, Change: put(1, value, 0)}
		var reply message.Reply
		if _, err := n.acc.Step(c.now, &req, &reply); err != nil {
			t.Fatal(err)
		}
		return reply.Outcome
	}
	large := strings.Repeat("v", 256<<10)
	for i := uint16(2); i < 100; i++ {
		if got := accept(i, i-1, large); got != message.StaleBase {
			t.Fatalf("a delta on what is not there: %v", got)
		}
	}
	if got := accept(1, 0, "first"); got != message.Acked {
		t.Fatal(got)
	}
	if n.acc.CaughtUp != 0 {
		t.Error("the oldest was kept, of more than there is room for")
	}
	if got := accept(98, 1, "a leap"); got != message.Acked || n.acc.CaughtUp != 1 {
		t.Errorf("%v, %d caught up; want the one that follows", got, n.acc.CaughtUp)
	}
}
