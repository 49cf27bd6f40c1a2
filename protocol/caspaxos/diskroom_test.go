package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
)

// A node that was short of room and has gone since is not asked for room over and
// over: rounds of one trip are used as with any node that is gone.
func TestShortNodeGoes(t *testing.T) {
	c := newCluster(t)
	c.nodes[1].store.Free = diskroom.RoomLow
	c.want("n", incr{}, "1") // by a round whose promises tell it
	c.down[1] = true
	c.advance(2 * time.Second)
	c.want("n", incr{}, "2") // its promises are beyond the nodes' ceilings at first
	c.want("n", incr{}, "3")
	before := c.stats.TwoTrip.Load()
	for _, want := range []string{"4", "5", "6"} {
		c.want("n", incr{}, want)
	}
	if n := c.stats.TwoTrip.Load() - before; n != 0 {
		t.Errorf("%d rounds asked for room first, of a node that is gone", n)
	}
}

// A round does not wait for the room of a member that is known not to answer.
func TestNoRoomBesideSilentNode(t *testing.T) {
	c := newCluster(t)
	c.want("n", set{"1"}, "OK")
	c.nodes[0].store.Free, c.silent = diskroom.RoomLow, quorum.Set(0).With(2)
	began := c.now.Mono
	cmd, done := c.submit("n", incr{})
	for range 2000 {
		for _, s := range c.p.Take() {
			if s.To != 2 {
				c.step(s)
			}
		}
		if *done {
			break
		}
		c.tickNodes()
		c.advance(time.Millisecond)
		c.p.Tick(c.now)
	}
	if took := time.Duration(c.now.Mono - began); cmd.Err != operation.ErrDiskFull || took > 100*time.Millisecond {
		t.Errorf("done %v: %v after %v", *done, cmd.Err, took)
	}
}

// That a node has room again is also heard from a promise that the round did not
// need any more.
func TestRoomHeardLate(t *testing.T) {
	c := newCluster(t)
	c.nodes[1].store.Free = diskroom.RoomLow
	c.want("n", incr{}, "1")
	c.nodes[1].store.Free = diskroom.RoomEnough
	c.advance(2 * time.Second)
	for range 4 {
		_, done := c.submit("n", incr{})
		var slow []message.Sent // node 1 is the last to answer
		for !*done || len(slow) > 0 {
			sent := c.p.Take()
			last := len(sent) == 0
			if last {
				sent, slow = slow, nil
				c.tickNodes()
				c.advance(time.Millisecond)
				c.p.Tick(c.now)
			}
			for _, s := range sent {
				if s.To == 1 && !last {
					slow = append(slow, s)
				} else {
					c.step(s)
				}
			}
		}
	}
	if n := c.stats.TwoTrip.Load(); n != 2 {
		t.Errorf("%d rounds of two trips, want the first and one that asked for room", n)
	}
}
