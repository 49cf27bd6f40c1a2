package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos"
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
		at    caspaxos.Mono
		from  caspaxos.NodeID
		reply caspaxos.Reply
	}
	var slow []arrival
	cmd, done := c.submit("k", note{"needs node 2"})
	for range 10000 {
		for _, s := range c.p.Take() {
			if c.down[s.To] {
				c.p.Deliver(c.now, s.To, &caspaxos.Reply{ID: s.Request.ID, Outcome: caspaxos.Unreachable})
				continue
			}
			if s.Request.WantLarge {
				for n, part := range c.parted(s, 1) { // one every 300 ms
					slow = append(slow, arrival{c.now.Mono + caspaxos.Mono(n+1)*caspaxos.Mono(300*time.Millisecond), s.To, part})
				}
				continue
			}
			var reply caspaxos.Reply
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
