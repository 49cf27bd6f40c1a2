package sim

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/wire"
)

// flushing is a flush of all registers in progress (§8), the counterpart of
// proxy/keyspace without goroutines: a range tombstone at a quorum, and then
// deletes one by one for what a member refused.
//
// It is not atomic across registers, so the history has one operation for each.
// Every ballot that it uses may take effect, even at a register that was
// refused, before the command that deletes it does: these are separate
// operations.
type flushing struct {
	rec     *record
	ballot  ballot.Ballot
	id      uint64
	acks    quorum.Set
	tries   []*record // one for each register, at the present ballot
	refused map[int]bool
	deletes int
	failed  bool
}

func (p *proxy) flush(r *record) {
	f := &flushing{rec: r}
	p.flushAt(f)
	p.later(p.w.Limits.Command, func() { p.endFlush(f, operation.ErrUncertain) })
}

// flushAt tries the range tombstone at one ballot.
func (p *proxy) flushAt(f *flushing) {
	if f.rec.closed {
		return
	}
	p.lastID++
	f.id, f.ballot, f.acks = flushIDs|p.lastID, p.ballot.Next(), 0
	f.refused, f.tries = make(map[int]bool), nil
	for reg := range p.w.Regs {
		t := p.w.begin(&Op{Kind: Flush, Reg: reg, ID: p.w.nextID()})
		f.tries = append(f.tries, t)
	}
	p.flushes[f.id] = f
	req := &message.FlushRequest{ID: f.id, Ballot: f.ballot, Epoch: p.cfg.Epoch, First: 0, Last: slots - 1}
	raw := wire.AppendFlushRequest(nil, req)
	for _, id := range p.cfg.Nodes() {
		p.w.toNode(p, p.w.nodes[id], f.id, raw, nil)
	}
	id := f.id
	p.later(p.w.Timing.Accept, func() {
		if f.id == id && p.flushes[id] == f {
			p.retryFlush(f)
		}
	})
}

func (p *proxy) retryFlush(f *flushing) {
	delete(p.flushes, f.id)
	p.flushAt(f)
}

func (p *proxy) onFlush(from *node, reply *message.FlushReply) {
	f := p.flushes[reply.ID]
	if f == nil {
		return
	}
	p.ballot.Observe(reply.Promise)
	for _, r := range reply.Refused {
		f.refused[int(r.Slot)] = true
	}
	if reply.Outcome != message.Acked || reply.Incomplete {
		return
	}
	f.acks = f.acks.With(p.cfg.Index(from.id))
	if !p.cfg.IsQuorum(f.acks) {
		return
	}
	delete(p.flushes, f.id)
	for reg, t := range f.tries {
		if f.refused[reg] {
			f.deletes++
			continue
		}
		// Known to have taken effect, if the flush is answered.
		f.rec.parts = append(f.rec.parts, t)
	}
	if f.deletes == 0 {
		p.endFlush(f, nil)
		return
	}
	for reg := range p.w.Regs {
		if f.refused[reg] {
			p.deleteRefused(f, reg)
		}
	}
}

// deleteRefused deletes a register that a member kept out of the flush.
func (p *proxy) deleteRefused(f *flushing, reg int) {
	del := p.w.begin(&Op{Kind: Del, Reg: reg, ID: p.w.nextID()})
	p.open = append(p.open, del)
	life := p.life
	del.then = func(err error) {
		if f.failed = f.failed || err != nil; p.life != life {
			return
		}
		if f.deletes--; f.deletes == 0 {
			var err error
			if f.failed {
				err = operation.ErrUncertain
			}
			p.endFlush(f, err)
		}
	}
	cmd := &proposer.Command{Register: registerOf(reg), Op: del.op, Started: p.Now(),
		Done: func(c *proposer.Command) { p.done(del, c) }}
	p.Submit([]*proposer.Command{cmd})
}

func (p *proxy) endFlush(f *flushing, err error) {
	if f.rec.closed {
		return
	}
	delete(p.flushes, f.id)
	if err == nil {
		for _, t := range f.rec.parts {
			p.w.close(t, Out{})
		}
	}
	p.ended(f.rec, err)
}
