package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// newCluster5 is newCluster with five nodes.
func newCluster5(t *testing.T) *cluster {
	c := newCluster(t)
	c.config = quorum.NewConfig(1, []quorum.NodeID{0, 1, 2, 3, 4}, nil)
	for range 2 {
		n := &node{store: memstore.New()}
		n.store.Small = 1 << 30
		n.node = acceptor.NewNode(limits.Default(), partition.Slots, durable.NodeState{}, 0)
		n.node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 1, Member: true}})
		n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
		c.nodes = append(c.nodes, n)
	}
	return c
}

// lose tells the proposer that requests are lost.
func (c *cluster) lose(sent []message.Sent) {
	for _, s := range sent {
		c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
	}
}

// has one node vote for a request, whose answer is lost.
func (c *cluster) vote(id quorum.NodeID, req *message.Request) {
	c.t.Helper()
	var reply message.Reply
	if _, err := c.nodes[id].acc.Step(c.now, req, &reply); err != nil || reply.Outcome != message.Acked {
		c.t.Fatal(reply.Outcome, err)
	}
}

// parkAt has the first attempt, a blind one, be at node 1 alone, and what another proxy
// wrote over it at node 2 alone. Nodes 3 and 4 are silent: it is parked.
func (c *cluster) parkAt(blind []message.Sent) {
	c.t.Helper()
	c.vote(1, blind[1].Request)
	other := ballot.NewClock(9, func() int64 { return c.now.Wall + 1 })
	c.vote(2, &message.Request{Kind: message.KindAccept, Register: blind[2].Request.Register, Epoch: 1,
		Ballot: other.Next(), Change: put(register.Full, "y", 0)})
	c.lose(blind)
	c.silent = quorum.Set(0).With(3).With(4)
	for _, s := range c.prepares() {
		if !c.silent.Has(int(s.To)) {
			c.step(s)
		}
	}
	c.tickNodes()
	c.lose(c.p.Take())
	if n := c.stats.Parked.Load(); n != 1 {
		c.t.Fatalf("%d commands are parked", n)
	}
	c.silent = 0
}

// TestReadBehindParked: a parked SET is at node 1 alone, and what covers it at node 2
// alone. A GET of the same origin finds the other three nodes, a quorum, as they were
// before. Another proxy may yet carry the SET on: so the GET, which came behind it, is
// not answered before the SET.
func TestReadBehindParked(t *testing.T) {
	for name, wait := range map[string]time.Duration{"while it is parked": 0, "in the round that judges it": 15 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			c := newCluster5(t)
			c.want("k", set{"0"}, "OK")
			wrote, wroteDone := c.submit("k", set{"x"})
			c.parkAt(c.p.Take())
			c.advance(wait)
			read, readDone := c.submit("k", get{})
			c.only(readDone, 4*time.Second, 0, 3, 4)
			if read.Err != nil || read.Result != "x" || !*wroteDone || wrote.Err != nil {
				t.Fatal(read.Result, read.Err, wrote.Err)
			}
		})
	}
}

// before is a SET that does nothing from a time on.
type before struct {
	set
	end int64
}

func (before) Blind() bool { return false }
func (o before) Execute(v register.View, now int64) operation.Effect {
	if now >= o.end {
		return operation.Effect{Result: "too late"}
	}
	return o.set.Execute(v, now)
}

// TestReadBehindWhatDidNothing: an attempt of a write is at one node alone. The write
// is executed again and changes nothing now; that waits until the attempt is ruled
// out, and so does the read behind it.
func TestReadBehindWhatDidNothing(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{"0"}, "OK")
	wrote, wroteDone := c.submit("k", before{set{"x"}, c.now.Wall + 5})
	for _, s := range c.prepares() {
		c.step(s)
	}
	c.tickNodes()
	accepts := c.p.Take()
	if accepts[1].Request.Kind != message.KindAccept {
		t.Fatal(accepts[1].Request.Kind)
	}
	c.vote(1, accepts[1].Request)
	read, readDone := c.submit("k", get{})
	c.advance(10 * time.Millisecond)
	c.silent = quorum.Set(0).With(1)
	c.lose(accepts)
	for _, s := range c.prepares() {
		if s.To != 1 {
			c.step(s)
		}
	}
	c.lose(c.p.Take()) // the empty round
	c.silent = 0
	if *wroteDone {
		t.Fatal(wrote.Result, wrote.Err)
	}

	b := c.beside()
	b.advance(50 * time.Millisecond)
	b.down[2] = true
	if got := b.do("k", get{}); got != "x" {
		t.Fatalf("%q is there", got)
	}
	b.down[2] = false
	c.now = b.now
	c.run(wroteDone)
	c.run(readDone)
	if wrote.Err != nil || wrote.Result != "OK" || read.Err != nil || read.Result != "x" {
		t.Errorf("the write: %v %v; the read behind it: %v %v", wrote.Result, wrote.Err, read.Result, read.Err)
	}
}

// nothing is a blind operation that changes nothing.
type nothing struct{}

func (nothing) Needs() register.Projection                    { return register.Projection{} }
func (nothing) ReadOnly() bool                                { return false }
func (nothing) Blind() bool                                   { return true }
func (nothing) Execute(register.View, int64) operation.Effect { return operation.Effect{Result: "OK"} }

// TestParkedLooksAtNoAnsweredCommand: whose command is answered may use its memory for
// another at once. What that one's origin is does not matter to the parked.
func TestParkedLooksAtNoAnsweredCommand(t *testing.T) {
	c := newCluster5(t)
	c.want("k", set{"0"}, "OK")
	c.down[0], c.down[1], c.down[2] = true, true, true
	first, firstDone := c.submitOf(5, "k", nothing{})
	first.Done = func(cmd *proposer.Command) {
		if *firstDone = true; cmd.Err != operation.ErrContention {
			t.Error(cmd.Err)
		}
		*cmd = proposer.Command{Origin: 1}
	}
	wrote, wroteDone := c.submitOf(1, "k", set{"x"})
	clear(c.down)
	var blind []message.Sent
	for blind = c.p.Take(); len(blind) == 0; blind = c.p.Take() {
		c.advance(time.Millisecond)
		c.p.Tick(c.now)
	}
	c.parkAt(blind)
	if !*firstDone {
		t.Fatal("the first is not answered")
	}
	c.only(wroteDone, 4*time.Second, 0, 3, 4)
	if !*wroteDone || wrote.Err != nil {
		t.Error("the only one of its origin was not executed again: ", wrote.Err)
	}
}
