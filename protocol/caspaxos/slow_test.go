package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// TestRoundWaitsForTheRepairItNeeds: one node is gone for good and another lags
// behind a large state, which takes longer on its way than a round usually
// waits. The round cannot do without it, and starting over would only make it
// start over, too.
func TestRoundWaitsForTheRepairItNeeds(t *testing.T) {
	c := newCluster(t)
	c.large()
	c.down[2] = true
	c.want("k", note{"missed"}, "OK")
	c.down[2], c.down[1] = false, true
	type arrival struct {
		at    instant.Mono
		from  quorum.NodeID
		reply message.Reply
	}
	var slow []arrival
	cmd, done := c.submit("k", note{"needs node 2"})
	for range 10000 {
		for _, s := range c.p.Take() {
			if c.down[s.To] {
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
				continue
			}
			if s.Request.WantLarge {
				for n, part := range c.parted(s, 1) { // one every 300 ms
					slow = append(slow, arrival{c.now.Mono + instant.Mono(n+1)*instant.Mono(300*time.Millisecond), s.To, part})
				}
				continue
			}
			var reply message.Reply
			if answered, err := c.nodes[s.To].acc.Step(c.now, s.Request, &reply); err != nil {
				t.Fatal(err)
			} else if answered {
				c.p.Deliver(c.now, s.To, &reply)
			}
		}
		for len(slow) > 0 && slow[0].at <= c.now.Mono {
			c.p.Deliver(c.now, slow[0].from, &slow[0].reply)
			slow = slow[1:]
		}
		if *done {
			break
		}
		c.tickNodes()
		c.advance(time.Millisecond)
		c.p.Tick(c.now)
	}
	if cmd.Err != nil || c.stats.InDoubt.Load() != 0 {
		t.Errorf("ended with %v after %v, in doubt %d times", cmd.Err, time.Duration(c.now.Mono-cmd.Started), c.stats.InDoubt.Load())
	}
}

// addTo is an operation that needs one element, or all.
type addTo struct {
	key string
	all bool
}

func (o addTo) Needs() register.Projection {
	return register.Projection{All: o.all, Keys: [][]byte{[]byte(o.key)}}
}
func (addTo) ReadOnly() bool { return false }
func (addTo) Blind() bool    { return false }
func (o addTo) Execute(v register.View, now int64) operation.Effect {
	return note{o.key}.Execute(v, now)
}

// TestCarriedFetchFromASilentNode: the node that is asked for what the proxy
// does not know of a state has just stopped answering.
func TestCarriedFetchFromASilentNode(t *testing.T) {
	for _, all := range []bool{false, true} {
		c := newCluster(t)
		c.large()
		c.want("k", addTo{key: "x"}, "OK")
		cmd, done := c.submit("k", addTo{key: "z", all: all})
		for range 10000 {
			for _, s := range c.p.Take() {
				switch {
				case s.To == 0:
				case s.Request.WantLarge && all:
					for _, part := range c.parted(s, 1) {
						c.p.Deliver(c.now, s.To, &part)
					}
				default:
					var reply message.Reply
					if answered, err := c.nodes[s.To].acc.Step(c.now, s.Request, &reply); err != nil {
						t.Fatal(err)
					} else if answered {
						c.p.Deliver(c.now, s.To, &reply)
					}
				}
			}
			if *done {
				break
			}
			c.tickNodes()
			c.advance(time.Millisecond)
			c.p.Tick(c.now)
		}
		if took := time.Duration(c.now.Mono - cmd.Started); cmd.Err != nil || took > time.Second {
			t.Errorf("all %v: %v after %v", all, cmd.Err, took)
		}
	}
}

// TestFetchFromSeveral: a second member is asked for a large state, both answer,
// and the one that was faster goes away half-way.
func TestFetchFromSeveral(t *testing.T) {
	c := newCluster(t)
	c.large()
	c.want("k", addTo{key: "x"}, "OK")
	cmd, done := c.submit("k", addTo{key: "z", all: true})
	asked := c.p.Take()
	c.advance(limits.DefaultTiming().Retry)
	c.p.Tick(c.now)
	asked = append(asked, c.p.Take()...)
	if len(asked) != 2 || asked[0].To == asked[1].To {
		t.Fatalf("%d requests for the state", len(asked))
	}
	first, second := c.parted(asked[0], 1), c.parted(asked[1], 2<<20)
	c.p.Deliver(c.now, asked[0].To, &first[0])
	for _, part := range second {
		c.p.Deliver(c.now, asked[1].To, &part)
	}
	if n := len(c.p.Take()); n != 0 {
		t.Fatalf("%d requests", n)
	}
	c.p.Disconnected(c.now, asked[0].To)
	again := c.p.Take()
	if len(again) != 1 || again[0].To != asked[1].To {
		t.Fatalf("%d requests when one node is gone", len(again))
	}
	for _, part := range c.parted(again[0], 1) {
		c.p.Deliver(c.now, again[0].To, &part)
	}
	c.run(done)
	if cmd.Err != nil || c.stats.TwoTrip.Load() != 1 {
		t.Errorf("%v, %d rounds of two trips", cmd.Err, c.stats.TwoTrip.Load())
	}
	for i, n := range c.nodes {
		if len(n.store.View("k").Elements()) != 8 {
			t.Errorf("node %d has %d elements", i, len(n.store.View("k").Elements()))
		}
	}
}
