package storaged

import (
	"strings"
	"testing"

	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/transfer"
	"synod/protocol/wire"
)

// laneOf returns the lane of a register.
func (n *testNode) laneOf(k string) *lane {
	return n.d.lanes[partition.Lane(key(k).Key, uint32(len(n.d.lanes)))]
}

// busy has the lane of a register do nothing else until the function it returns
// is called.
func (n *testNode) busy(k string) (release func()) {
	n.t.Helper()
	began, end := make(chan struct{}), make(chan struct{})
	if !n.laneOf(k).push([]item{{do: func() { close(began); <-end }}}, 0) {
		n.t.Fatal("the lane takes nothing")
	}
	<-began
	n.t.Cleanup(func() {
		select {
		case <-end:
		default:
			close(end)
		}
	})
	return func() { close(end) }
}

// One chunk too many ends the session. What had come whole is voted for all the
// same, and nobody takes it away.
func TestChunkBehindTheLast(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	ps, _ := c.cut(c.hashOf("k", 2000), 1<<20)
	release := n.busy("k")
	c.sendChunks(ps...)
	c.sendChunks(&wire.Chunk{ID: ps[0].ID, Number: uint32(len(ps)), Ops: ps[0].Ops, Last: true})
	select {
	case <-c.s.Done():
	case <-n.context().Done():
		t.Fatal("the session goes on")
	}
	release()
	n.idle()
	n.wantHash("k", 2000)
	n.restart(n.kill)
	n.wantHash("k", 2000)
	select {
	case err := <-n.d.Err():
		t.Fatalf("the node ended: %v", err)
	default:
	}
}

// While a lane is busy, a state that comes for it in chunks holds up nothing that
// the session brings for other lanes.
func TestStagingWaitsForItsLaneAlone(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	other := "o"
	for n.laneOf(other) == n.laneOf("k") {
		other += "o"
	}
	release := n.busy("k")
	ps, staged := c.cut(c.hashOf("k", 3000), 1<<20)
	c.sendChunks(ps...)
	q := c.setRequest(other, strings.Repeat("v", 2<<20)) // comes as bulk
	if r := c.do(q); r.Outcome != message.Acked {
		t.Errorf("outcome %d", r.Outcome)
	}
	release()
	if r := c.await(staged).reply; r.Outcome != message.Acked {
		t.Errorf("outcome %d", r.Outcome)
	}
}

// While a state that has no room keeps the reader of a session, the others of the
// session are not late.
func TestOthersAreNotLateForAStagingWithoutRoom(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	other := "o"
	for n.laneOf(other) == n.laneOf("k") {
		other += "o"
	}
	slow, slowly := c.cut(c.hashOf("k", 9000), 1<<20)
	quick, quickly := c.cut(c.hashOf(other, 3000), 1<<20)
	release := n.busy("k")
	c.sendChunks(quick[0])
	c.sendChunks(slow...)
	c.sendChunks(quick[1:]...) // in time
	find := func(p *wire.Chunk) (in *incoming) {
		for _, one := range n.d.incoming.all() {
			if one.id == p.ID {
				in = one
			}
		}
		return in
	}
	waitFor(t, "the reader to have to wait", func() bool {
		in := find(quick[0])
		return in != nil && in.reader.Waiting() && in.inbox.Waiting()
	})
	n.d.endLate(n.d.monotonic() + 2*transfer.Patience)
	release()
	for _, ch := range []chan *answer{slowly, quickly} {
		if r := c.await(ch).reply; r.Outcome != message.Acked {
			t.Errorf("outcome %d", r.Outcome)
		}
	}
}

// A state that is larger than any may be is refused.
func TestStateTooLarge(t *testing.T) {
	n := prepareNode(t)
	n.cfg.incomingBytes = 2 << 20
	n.start()
	n.create()
	c := n.dial()
	if r := c.doChunks(c.hashOf("large", 1500)); r.Outcome != message.Acked {
		t.Errorf("outcome %d", r.Outcome)
	}
	ps, ch := c.cut(c.hashOf("larger", 3000), 1<<20)
	ps[len(ps)-1].Last = false // it would go on
	c.sendChunks(ps...)
	if r := c.await(ch).reply; r.Outcome != message.Busy {
		t.Errorf("outcome %d", r.Outcome)
	}
	n.idle()
}

// A state that something newer has overtaken is neither written on nor ingested.
func TestOvertakenStaging(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	for name, chunks := range map[string]struct{ before, behind int }{
		"before the last chunk": {1, 2}, "in the midst of it": {1, 18},
	} {
		q := c.hashOf("k", (chunks.before+chunks.behind)*1100)
		ps, ch := c.cut(q, 1<<20)
		ps[len(ps)-1].Last = chunks.behind < 10
		c.sendChunks(ps[:chunks.before]...)
		waitFor(t, "the lane to say that it would vote", func() bool { return len(n.stagedFiles()) > 0 })
		was := n.d.engine.Stats().StagedBytes
		c.set("k", "newer")
		c.sendChunks(ps[chunks.before:]...)
		if r := c.await(ch).reply; r.Outcome != message.Nacked {
			t.Errorf("%s: outcome %d", name, r.Outcome)
		}
		n.idle()
		if got := n.d.engine.Stats().StagedBytes; got != was {
			t.Errorf("%s: %d bytes were ingested", name, got-was)
		}
	}
	if got := c.get("k"); got != "newer" {
		t.Errorf("read %q", got)
	}
}
