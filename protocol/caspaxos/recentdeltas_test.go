package caspaxos_test

import (
	"errors"
	"testing"
	"time"

	"synod/protocol/caspaxos/message"

	"synod/protocol/operation"
	"synod/protocol/register"
)

// Reads that take away what is past its time.

var old = []byte("old") // an element that is past its time

// hash puts a hash in place: the chunk and one element past its time.
type hash struct{ value string }

func (hash) Needs() register.Projection { return register.Projection{} }
func (hash) ReadOnly() bool             { return false }
func (hash) Blind() bool                { return true }
func (o hash) Execute(register.View, int64) operation.Effect {
	return operation.Effect{Result: "OK", Change: register.Change{Kind: register.Full,
		Header: register.Header{Type: register.Hash, Size: 2},
		Ops:    []register.Op{{Key: chunk, Value: []byte(o.value)}, {Key: old, Value: []byte("x")}}}}
}

// hset changes the chunk by a delta.
type hset struct{ value string }

func (hset) Needs() register.Projection { return register.Projection{} }
func (hset) ReadOnly() bool             { return false }
func (hset) Blind() bool                { return false }
func (o hset) Execute(v register.View, _ int64) operation.Effect {
	return operation.Effect{Result: "OK", Change: register.Change{Kind: register.Delta, Header: v.Header,
		Ops: []register.Op{{Key: chunk, Value: []byte(o.value)}}}}
}

// hget reads the chunk, and takes away what is past its time.
type hget struct{}

func (hget) Needs() register.Projection { return register.Projection{Keys: [][]byte{chunk, old}} }
func (hget) ReadOnly() bool             { return true }
func (hget) Blind() bool                { return false }
func (hget) Execute(v register.View, _ int64) operation.Effect {
	b, _ := v.Get(chunk)
	e := operation.Effect{Result: string(b)}
	if _, is := v.Get(old); is {
		h := v.Header
		h.Size--
		e.Change = register.Change{Kind: register.Delta, Header: h, Ops: []register.Op{{Kind: register.Remove, Key: old}}}
	}
	return e
}

// TestReadInDoubtLooksAgain: what a read took away took effect, the Acks were lost,
// and others wrote since. The read is not answered with what it saw then and the
// ballot of now: a snapshot's second read would find that unchanged.
func TestReadInDoubtLooksAgain(t *testing.T) {
	a := newCluster(t)
	a.want("k", hash{"1"}, "OK")
	b := a.beside()
	cmd, done := a.submit("k", hget{})
	accepted := 0
	for accepted == 0 {
		a.tickNodes()
		for _, s := range a.p.Take() {
			if s.Request.Kind != message.KindAccept {
				a.step(s)
				continue
			}
			accepted++ // all vote, the Acks are lost
			var reply message.Reply
			if _, err := a.nodes[s.To].acc.Step(a.now, s.Request, &reply); err != nil || reply.Outcome != message.Acked {
				t.Fatal(reply.Outcome, err)
			}
		}
	}
	a.advance(10 * time.Millisecond)
	b.now = a.now
	b.want("k", hset{"2"}, "OK") // answered: whoever reads from now on sees it
	a.now = b.now
	a.run(done)
	if cmd.Err != nil {
		t.Fatal(cmd.Err)
	}
	probe, done := a.submit("k", get{})
	a.run(done)
	if cmd.Seen.Ballot == probe.Seen.Ballot && cmd.Result != probe.Result {
		t.Errorf("reads with results %v and %v both saw ballot %v: a snapshot would take the first for what stands now",
			cmd.Result, probe.Result, cmd.Seen.Ballot)
	}
}

// TestReadIsNeverUncertain: a read that took something away and heard nothing of
// that does not end as a write.
func TestReadIsNeverUncertain(t *testing.T) {
	run := func(prepare func(*cluster), op operation.Operation) error {
		c := newCluster(t)
		prepare(c)
		cmd, done := c.submit("k", op)
		for range 20000 {
			for _, s := range c.p.Take() {
				if s.Request.Kind == message.KindAccept {
					continue // lost
				}
				c.step(s)
			}
			if *done {
				return cmd.Err
			}
			c.tickNodes()
			c.advance(time.Millisecond)
			c.p.Tick(c.now)
		}
		t.Fatal("no end")
		return nil
	}
	whole := run(func(c *cluster) {
		c.want("k", setEx{"v", c.now.Wall + 10}, "OK")
		c.advance(time.Second)
	}, get{})
	part := run(func(c *cluster) { c.want("k", hash{"1"}, "OK") }, hget{})
	if errors.Is(whole, operation.ErrUncertain) || errors.Is(part, operation.ErrUncertain) {
		t.Errorf("of a key past its time: %v; of a field: %v", whole, part)
	}
}
