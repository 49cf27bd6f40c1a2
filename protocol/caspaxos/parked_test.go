package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// only delivers to some nodes until the command is done, or for so long. What goes
// to the others is lost, and the proposer is told.
func (c *cluster) only(done *bool, limit time.Duration, to ...quorum.NodeID) {
	c.t.Helper()
	for end := c.now.Mono + instant.Mono(limit); !*done && c.now.Mono < end; {
		sent := c.p.Take()
		for _, s := range sent {
			here := false
			for _, id := range to {
				here = here || s.To == id
			}
			if here {
				c.step(s)
			} else if s.Request.Kind == message.KindAccept {
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
			}
		}
		if len(sent) == 0 {
			c.tickNodes()
			c.advance(time.Millisecond)
			c.p.Tick(c.now)
		}
	}
}

// prepares returns the Prepares that come next.
func (c *cluster) prepares() []message.Sent {
	c.t.Helper()
	for range 1000 {
		sent := c.p.Take()
		for _, s := range sent {
			if s.Request.Kind == message.KindPrepare {
				return sent
			}
		}
		c.advance(time.Millisecond)
		c.p.Tick(c.now)
	}
	c.t.Fatal("no Prepare")
	return nil
}

// TestParkedGoesBeforeItsFollowers: a parked command turns out to have had no effect. What
// came behind it from the same origin has waited, so it is executed again, before them.
func TestParkedGoesBeforeItsFollowers(t *testing.T) {
	c, cmd, done := parkOne(t)
	read, readDone := c.submit("k", get{})
	more, moreDone := c.submit("k", set{"z"})
	began := c.now.Mono
	c.only(moreDone, 6*time.Second, 0, 1)
	if took := time.Duration(c.now.Mono - began); cmd.Err != nil || read.Err != nil || more.Err != nil || took > time.Second {
		t.Errorf("%v, %v, %v after %v", cmd.Err, read.Err, more.Err, took)
	}
	if !*done || !*readDone || read.Result != "x" {
		t.Errorf("the read behind it: %v", read.Result)
	}
	c.silent = 0
	c.want("k", get{}, "z")
}

// TestFollowersOfAnUncertainCommand: nobody ever tells what became of a parked command.
// When its time is up, what waited with it goes on in the time that is left to it.
func TestFollowersOfAnUncertainCommand(t *testing.T) {
	c, cmd, done := parkOne(t)
	c.silent = quorum.Set(0).With(1)
	c.only(new(bool), time.Second, 0, 2)
	read, readDone := c.submit("k", get{})
	c.only(done, 6*time.Second, 0, 2)
	if cmd.Err != operation.ErrUncertain || *readDone {
		t.Fatal(cmd.Err, *readDone)
	}
	c.only(readDone, time.Second, 0, 2)
	if n := c.p.Pending(); read.Err != nil || n != 0 {
		t.Errorf("the read: %v; %d commands are pending", read.Err, n)
	}
}

// TestParkedAlone: if none has come behind it, it is executed again.
func TestParkedAlone(t *testing.T) {
	c, cmd, done := parkOne(t)
	began := c.now.Mono
	c.only(done, 6*time.Second, 0, 1)
	if took := time.Duration(c.now.Mono - began); cmd.Err != nil || took > time.Second {
		t.Errorf("%v after %v", cmd.Err, took)
	}
	c.silent = 0
	c.want("k", get{}, "x")
}

// TestParkedBehindOthers: what others wrote meanwhile does not keep it from being
// executed again, as it might have begun only now.
func TestParkedBehindOthers(t *testing.T) {
	c, cmd, done := parkOne(t)
	_, wrote := c.submitOf(1, "k", set{"z"})
	c.only(wrote, 6*time.Second, 0, 1)
	c.only(done, 6*time.Second, 0, 1)
	if cmd.Err != nil || !*wrote {
		t.Error(cmd.Err, *wrote)
	}
	c.silent = 0
	c.want("k", get{}, "x")
}

// parkOne parks a SET. What node 1, which was silent, tells next will settle that it
// had no effect.
func parkOne(t *testing.T) (c *cluster, cmd *proposer.Command, done *bool) {
	t.Helper()
	c = newCluster(t)
	c.want("k", set{"0"}, "OK")
	lose := func(sent []message.Sent) {
		for _, s := range sent {
			c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
		}
	}
	cmd, done = c.submit("k", set{"x"})
	blind := c.p.Take()
	var reply message.Reply
	if _, err := c.nodes[2].acc.Step(c.now, blind[2].Request, &reply); err != nil || reply.Outcome != message.Acked {
		t.Fatal(reply.Outcome, err) // node 2 has it, and its answer is lost
	}
	lose(blind)
	for _, s := range c.prepares()[:2] { // of nodes 0 and 1, which know nothing of it
		c.step(s)
	}
	c.tickNodes()
	lose(c.p.Take()) // the second attempt
	other := ballot.NewClock(9, func() int64 { return c.now.Wall + 1 })
	over := message.Request{Kind: message.KindAccept, Register: blind[2].Request.Register, Epoch: 1,
		Ballot: other.Next(), Change: put(register.Full, "y", 0)}
	if _, err := c.nodes[2].acc.Step(c.now, &over, &reply); err != nil || reply.Outcome != message.Acked {
		t.Fatal(reply.Outcome, err)
	}
	c.silent = quorum.Set(0).With(1)
	for _, s := range c.prepares() { // nodes 0 and 2: node 1 may have voted for the first attempt
		if s.To != 1 {
			c.step(s)
		}
	}
	c.tickNodes()
	lose(c.p.Take())
	if n := c.stats.Parked.Load(); n != 1 {
		t.Fatalf("%d commands are parked", n)
	}
	c.silent = quorum.Set(0).With(2)
	return c, cmd, done
}
