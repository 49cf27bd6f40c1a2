package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
)

// TestRefusedProposerLeads: a proposer that is refused twice begins ahead of its
// clock, so that one that takes a new ballot in every round trip does not keep it
// off for ever.
func TestRefusedProposerLeads(t *testing.T) {
	c := newCluster(t)
	c.want("k", incr{}, "1")
	c.advance(10 * time.Second) // the promise that this brought is too old
	other := ballot.NewClock(9, func() int64 { return c.now.Wall })
	_, done := c.submit("k", incr{})
	var leads []time.Duration
	for range 200 {
		for _, s := range c.p.Take() {
			if s.Request.Kind == message.KindPrepare && s.To == 0 {
				leads = append(leads, time.Duration(s.Request.Ballot.Time.UnixMilli()-c.now.Wall)*time.Millisecond)
			}
			if s.Request.Kind == message.KindPrepare && leads[len(leads)-1] < time.Millisecond {
				// Another proposer was there just before.
				other.Observe(s.Request.Ballot)
				var reply message.Reply
				if _, err := c.nodes[s.To].acc.Step(c.now, &message.Request{Kind: message.KindPrepare, Register: s.Request.Register,
					Epoch: 1, Ballot: other.Next()}, &reply); err != nil {
					t.Fatal(err)
				}
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
	if want := limits.DefaultTiming().Backoff; !*done || len(leads) != 3 || leads[2] < want {
		t.Errorf("done %v, ahead by %v; want it to get through at the third try, ahead by %v at least", *done, leads, want)
	}
}
