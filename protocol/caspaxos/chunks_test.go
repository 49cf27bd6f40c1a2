package caspaxos_test

import (
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// every returns all elements there are.
type every struct{}

func (every) Needs() register.Projection { return register.Projection{All: true} }
func (every) ReadOnly() bool             { return true }
func (every) Blind() bool                { return false }
func (every) Execute(v register.View, _ int64) operation.Effect {
	return operation.Effect{Result: len(v.Elements())}
}

// parted returns a node's answer in parts of a size.
func (c *cluster) parted(s message.Sent, size int) (out []message.Reply) {
	c.t.Helper()
	var reply message.Reply
	if _, err := c.nodes[s.To].acc.Step(c.now, s.Request, &reply); err != nil {
		c.t.Fatal(err)
	}
	if reply.Transfer == nil {
		c.t.Fatal("the state came whole")
	}
	_ = reply.Chunks(size, func(part *message.Reply) error {
		out = append(out, *part)
		return nil
	})
	return out
}

// large makes k a value of six elements that does not come with the ballots.
func (c *cluster) large() {
	v := strings.Repeat("v", 100<<10)
	c.want("k", set{v}, "OK")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.want("k", note{name + v}, "OK")
	}
}

// mixed are parts of two answers to one request, which count as complete though
// much is missing: the first has several parts, the second has one.
func (c *cluster) mixed(s message.Sent) []message.Reply {
	return []message.Reply{c.parted(s, 1)[0], c.parted(s, 1<<30)[0]}
}

// TestPartsOfTwoAnswers has a request for a large state doubled on its way, and
// the node divide the state otherwise the second time.
func TestPartsOfTwoAnswers(t *testing.T) {
	c := newCluster(t)
	c.large()
	cmd, done := c.submit("k", every{})
	for _, s := range c.p.Take() {
		c.deliver(s)
	}
	sent := c.p.Take()
	if len(sent) != 1 {
		t.Fatalf("%d requests for the state", len(sent))
	}
	for _, reply := range c.mixed(sent[0]) {
		c.p.Deliver(c.now, sent[0].To, &reply)
	}
	c.runParted(done)
	if cmd.Err != nil || cmd.Result != 6 {
		t.Errorf("%v elements, %v; want all 6", cmd.Result, cmd.Err)
	}
}

// TestRepairWithPartsOfTwoAnswers: what is not whole must not become a node's
// state.
func TestRepairWithPartsOfTwoAnswers(t *testing.T) {
	c := newCluster(t)
	c.large()
	c.down[2] = true
	c.want("k", note{"missed"}, "OK")
	c.down[2] = false
	c.submit("k", note{"last"})
	asked := 0
	for sent := c.p.Take(); len(sent) > 0; sent = c.p.Take() {
		for _, s := range sent {
			if !s.Request.WantLarge {
				c.deliver(s)
				continue
			}
			asked++
			for _, reply := range c.mixed(s) {
				c.p.Deliver(c.now, s.To, &reply)
			}
		}
	}
	if asked != 1 {
		t.Fatalf("the state was asked for %d times", asked)
	}
	if n := len(c.nodes[2].store.View("k").Elements()); n != 6 {
		t.Errorf("node 2 has %d elements, want the 6 that it had", n)
	}
}

// runParted is run for a value that comes in parts.
func (c *cluster) runParted(done *bool) {
	for range 10000 {
		for _, s := range c.p.Take() {
			if !s.Request.WantLarge {
				c.deliver(s)
				continue
			}
			for _, reply := range c.parted(s, 1) {
				c.p.Deliver(c.now, s.To, &reply)
			}
		}
		if *done {
			return
		}
		c.advance(time.Millisecond)
		c.p.Tick(c.now)
	}
	c.t.Fatal("no end")
}
