package caspaxos_test

import (
	"testing"

	"synod/protocol/caspaxos/message"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// The order of one connection's commands, when a batch of them was in doubt.

type setnx struct{ value string }

func (setnx) Needs() register.Projection { return register.Projection{Keys: [][]byte{chunk}} }
func (setnx) ReadOnly() bool             { return false }
func (setnx) Blind() bool                { return false }
func (o setnx) Execute(v register.View, _ int64) operation.Effect {
	if v.Header.Exists() {
		return operation.Effect{Result: "0"}
	}
	return operation.Effect{Result: "1", Change: put(register.Full, o.value, 0)}
}

type del struct{}

func (del) Needs() register.Projection { return register.Projection{} }
func (del) ReadOnly() bool             { return false }
func (del) Blind() bool                { return false }
func (del) Execute(v register.View, _ int64) operation.Effect {
	return operation.Effect{Result: "DEL", Change: register.Delete()}
}

// TestReadBeforeWriteInDoubt: a batch of a read and a write behind it is in doubt,
// and took effect: the read is not executed again, on the state behind the write.
func TestReadBeforeWriteInDoubt(t *testing.T) {
	for name, op := range map[string]operation.Operation{"plain read": get{}, "takes away what is past": hget{}} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			if name == "plain read" {
				c.want("k", set{"1"}, "OK")
			} else {
				c.want("k", hash{"1"}, "OK")
			}
			c.submit("k", hset{"1"}) // busy: what follows is combined
			read, done := c.submit("k", op)
			write, wdone := c.submit("k", hset{"2"})
			accepts := 0
			for n := 0; n < 50 && accepts < 2; n++ {
				sent := c.p.Take()
				for _, s := range sent {
					for _, op := range s.Request.Change.Ops {
						if string(op.Value) == "2" {
							accepts = 2
						}
					}
				}
				for _, s := range sent {
					if s.Request.Kind == message.KindAccept && accepts == 2 { // all vote, the Acks are lost
						var reply message.Reply
						if _, err := c.nodes[s.To].acc.Step(c.now, s.Request, &reply); err != nil || reply.Outcome != message.Acked {
							t.Fatal(reply.Outcome, err)
						}
						continue
					}
					c.step(s)
				}
				c.tickNodes()
			}
			if accepts != 2 || *done || *wdone {
				t.Fatal(accepts, *done, *wdone)
			}
			c.run(done)
			c.run(wdone)
			if read.Err == nil && read.Result != "1" {
				t.Errorf("the read before the write shows %q, %v; the write: %v %v", read.Result, read.Err, write.Result, write.Err)
			}
		})
	}
}

// TestSetNXBeforeDelInDoubt: SETNX k, which exists, and DEL k of one connection are
// in one batch that is in doubt and took effect: SETNX is not executed again behind
// the DEL.
func TestSetNXBeforeDelInDoubt(t *testing.T) {
	c := newCluster(t)
	c.want("k", set{"1"}, "OK")
	c.submit("k", hset{"1"})
	nx, done := c.submit("k", setnx{"late"})
	_, ddone := c.submit("k", del{})
	lost := false
	for n := 0; n < 50 && !lost; n++ {
		sent := c.p.Take()
		for _, s := range sent {
			q := s.Request
			lost = lost || q.Kind == message.KindAccept && q.Change.Kind == register.Full && q.Change.Header.Type == 0
		}
		for _, s := range sent {
			if !lost {
				c.step(s)
				continue
			}
			var reply message.Reply // all vote, the Acks are lost
			if _, err := c.nodes[s.To].acc.Step(c.now, s.Request, &reply); err != nil || reply.Outcome != message.Acked {
				t.Fatal(reply.Outcome, err)
			}
		}
		c.tickNodes()
	}
	if !lost {
		t.Fatal("no delete")
	}
	c.run(done)
	c.run(ddone)
	if got := c.do("k", get{}); got != "" || nx.Result != "0" {
		t.Errorf("SETNX: %v, afterwards k is %q", nx.Result, got)
	}
}
