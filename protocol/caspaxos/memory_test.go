package caspaxos_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/operation"
)

// A read of more than there is memory for fails as such: nothing was done. Others
// on the register, which read less, do not.
func TestNoRoomForWhatIsRead(t *testing.T) {
	c := newCluster(t)
	c.large()
	all, allDone := c.submit("k", every{})
	small, smallDone := c.submit("k", note{"n"})
	for !*allDone || !*smallDone {
		out := c.p.Take()
		if len(out) == 0 {
			t.Fatal("nobody does anything")
		}
		for _, s := range out {
			if s.Request.WantLarge {
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.NoRoom})
				continue
			}
			c.deliver(s)
		}
	}
	if !errors.Is(all.Err, operation.ErrNoRoom) || small.Err != nil {
		t.Errorf("the large read ended with %v, a write behind it with %v", all.Err, small.Err)
	}
	c.want("k", note{"another"}, "OK")
}

// A write that has to read more than there is memory for does nothing.
func TestNoRoomForWhatIsWrittenUpon(t *testing.T) {
	c := newCluster(t)
	c.large()
	before := c.nodes[0].store.View("k")
	cmd, done := c.submit("k", addTo{key: "z", all: true})
	for !*done {
		for _, s := range c.p.Take() {
			if s.Request.WantLarge {
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.NoRoom})
				continue
			}
			c.deliver(s)
		}
	}
	if !errors.Is(cmd.Err, operation.ErrNoRoom) {
		t.Errorf("it ended with %v", cmd.Err)
	}
	if after := c.nodes[0].store.View("k"); len(after.Elements()) != len(before.Elements()) {
		t.Error("it has changed something")
	}
}

// A change that members go on to have no memory for is answered as not done, once
// a round is chosen that rules out its attempts.
func TestChangeThatMembersCannotTake(t *testing.T) {
	c := newCluster(t)
	c.want("k", note{"n"}, "OK")
	huge := note{strings.Repeat("x", 2<<20)}
	cmd, done := c.submit("k", huge)
	asked := 0
	for !*done {
		out := c.p.Take()
		if len(out) == 0 {
			c.later(20*time.Millisecond, 0, 1, 2)
			continue
		}
		for _, s := range out {
			if s.Request.Kind == message.KindAccept && s.Request.Change.Bytes() > 1<<20 {
				asked++
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Busy})
				continue
			}
			c.deliver(s)
		}
	}
	if !errors.Is(cmd.Err, operation.ErrBusy) || asked == 0 || asked > 9 {
		t.Errorf("it was sent %d times and ended with %v", asked, cmd.Err)
	}
	c.want("k", note{"m"}, "OK")
}
