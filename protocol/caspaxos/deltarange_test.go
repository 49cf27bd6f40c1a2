package caspaxos_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// missing makes nodes remember what they voted for of any state, and has node 2
// miss some writes to a large one, whose values are as long as that. The
// proposer has its usual patience.
func (c *cluster) missing(writes, bytes int) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.store.Small = 0
	}
	c.patient(8)
	c.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	c.down[2] = true
	for i := range writes {
		c.want("k", note{strings.Repeat("x", bytes) + fmt.Sprint(i)}, "OK")
	}
	c.down[2] = false
}

// settle writes, and delivers what that leads to.
func (c *cluster) settle(field string) {
	c.t.Helper()
	c.want("k", note{field}, "OK")
	for range 4 {
		for _, s := range c.p.Take() {
			c.deliver(s)
		}
	}
}

func (c *cluster) wantElements(n int) {
	c.t.Helper()
	for i, node := range c.nodes {
		if got := len(node.store.View("k").Elements()); got != n {
			c.t.Errorf("node %d has %d elements, want %d", i, got, n)
		}
	}
}

func (c *cluster) wantSent(ways, states uint64) {
	c.t.Helper()
	if w, s := c.stats.DeltaRanges.Load(), c.stats.Snapshots.Load(); w != ways || s != states {
		c.t.Errorf("sent %d times what was missed and %d times the state, want %d and %d", w, s, ways, states)
	}
}

// bothWrite has two proxies write k, so that nodes are prepared for more of that.
// It returns the other one.
func (c *cluster) bothWrite() *cluster {
	b := c.beside()
	for _, n := range []string{"one", "two"} {
		c.now = b.now
		c.want("k", note{"a" + n}, "OK")
		b.now = c.now
		b.want("k", note{"b" + n}, "OK")
	}
	return b
}

// astray has node 2 vote for what nobody carries on.
func (c *cluster) astray() {
	c.t.Helper()
	n := c.nodes[2]
	rec, _ := n.store.Load(register.ID{Key: "k"})
	q := message.Request{Kind: message.KindAccept, Register: rec.Register, Epoch: 1, Prepared: true, Base: rec.Accepted,
		Ballot: ballot.Ballot{Time: rec.Accepted.Time + 1<<20, Proposer: 99},
		Change: register.Change{Kind: register.Delta, Header: rec.Header, Ops: []register.Op{{Key: []byte("astray")}}}}
	var reply message.Reply
	if _, err := n.acc.Step(c.now, &q, &reply); err != nil || reply.Outcome != message.Acked {
		c.t.Fatal(reply.Outcome, err)
	}
}

// TestWay has a node miss more writes to a large state than its lists are long:
// when it has been behind for a while, it is sent what it has missed, not the
// state.
func TestWay(t *testing.T) {
	c := newCluster(t)
	c.missing(3*history.MaxEntries, 10)
	c.settle("a")
	c.wantSent(0, 0)
	c.advance(limits.DefaultTiming().Lag)
	c.settle("b")
	c.wantSent(1, 0)
	c.wantElements(1 + 3*history.MaxEntries + 2)
	for i, n := range c.nodes {
		rec, _ := n.store.Load(register.ID{Key: "k"})
		if got := len(rec.Lineage.Entries); got != history.MaxEntries || rec.Lineage.TruncatedThrough.IsZero() {
			t.Errorf("node %d has %d entries of lineage, cut at %v", i, got, rec.Lineage.TruncatedThrough)
		}
	}
}

// TestWayWhenNeeded has the round need the node that is behind.
func TestWayWhenNeeded(t *testing.T) {
	c := newCluster(t)
	c.missing(5, 10)
	c.down[1] = true
	c.settle("a")
	c.wantSent(1, 0)
	c.down[1] = false
}

// TestWayAfterRestart has those who know the way forget nothing of it that their
// changelogs have.
func TestWayAfterRestart(t *testing.T) {
	c := newCluster(t)
	c.missing(5, 10)
	for _, n := range c.nodes[:2] {
		n.store = n.store.Crash(n.store.Appended())
		n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
		for i, e := range n.store.Log() {
			if err := n.acc.Redo(&e, uint64(i+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.settle("a")
	c.advance(limits.DefaultTiming().Lag)
	c.settle("b")
	c.wantSent(1, 0)
	c.wantElements(8)
}

// TestNoWay has a node miss what nobody knows any more or what is larger than the
// state: it is sent the state, though not as soon.
func TestNoWay(t *testing.T) {
	for name, missed := range map[string]func(*cluster){
		"forgotten": func(c *cluster) {
			c.missing(5, 10)
			for _, n := range c.nodes[:2] {
				n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
			}
		},
		"more than is sent": func(c *cluster) { c.missing(3, 1600<<10) },
		"more than is kept": func(c *cluster) { c.missing(7, 1600<<10) },
		"a new state": func(c *cluster) {
			c.missing(2, 10)
			c.down[2] = true
			c.want("k", set{strings.Repeat("w", 20<<10)}, "OK")
			c.want("k", note{"on it"}, "OK")
			c.down[2] = false
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			missed(c)
			c.settle("a")
			c.advance(limits.DefaultTiming().Lag)
			c.settle("b")
			c.wantSent(0, 0)
			c.advance(10 * time.Second)
			c.settle("c")
			c.wantSent(0, 1)
			c.wantElements(len(c.nodes[0].store.View("k").Elements()))
		})
	}
}

// TestWayFromAVoteTakenBack has the node that is behind hold a vote that nobody
// carried on: it takes it back and goes on from the state before it. That two
// proxies write the register is long ago, as far as their rounds tell.
func TestWayFromAVoteTakenBack(t *testing.T) {
	c := newCluster(t)
	c.missing(0, 0)
	b := c.bothWrite()
	for i := range 2 * history.MaxEntries { // so that no list shows c any more
		b.want("k", note{fmt.Sprint("b", i)}, "OK")
	}
	n := c.nodes[2]
	c.astray()
	c.now = b.now
	c.advance(100 * time.Millisecond)
	c.down[2] = true
	for i := range 2000 { // more than it keeps of what it refuses, had it heard of them
		c.want("k", note{fmt.Sprint(i)}, "OK")
	}
	c.down[2] = false
	c.settle("a")
	c.advance(limits.DefaultTiming().Lag)
	c.settle("b")
	c.wantSent(1, 0)
	c.wantElements(1 + 4 + 2*history.MaxEntries + 2000 + 2)
	if _, is := n.store.View("k").Get([]byte("astray")); is {
		t.Error("what nobody carried on is there")
	}
}
