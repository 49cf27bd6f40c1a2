package proposer

import (
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/round"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// Bounds on the large states that are under way while others go on: of a lane, and of
// one register.
const (
	maxDetached      = 16
	maxDetachedOfOne = 4
)

// detachedReads is what a register knows of the reads that have left it.
type detachedReads struct {
	count  int
	events int // changes that were sent, and reads that were answered, of the register
}

// event counts a change or an answered read, for the reads that have left.
func (r *instance) event() {
	switch {
	case r.detachedReads != nil:
		r.detachedReads.events++
	case r.detached != nil:
		r.detached.reads.events++
	}
}

// detachedRead is what a read knows of the register that it has left. Reading a large
// state takes seconds. Once its first chunk is here, it is known which state that is,
// and the commands behind the read need not wait for the rest: the register continues
// as another instance.
type detachedRead struct {
	reads  *detachedReads
	events int // when it left
	base   ballot.Ballot
	now    int64 // when that state was known to be the latest
}

// detachable returns how many of the first reads commands, which are read-only, are
// to be read without those behind them; zero for all of them. Of a large state, reads
// without a bound on their size go by themselves.
func (r *instance) detachable(reads int) int {
	if !r.large || reads == 0 {
		return 0
	}
	n, unbounded := 0, r.queue[0].Op.Needs().Unbounded()
	for n < reads && r.queue[n].Op.Needs().Unbounded() == unbounded {
		n++
	}
	if !unbounded && n == reads && reads < len(r.queue) {
		return 0 // small ones in front of writes go with these
	}
	return n
}

// knownLarge is called when a state turns out to come in chunks.
func (p *Proposer) knownLarge(r *instance, h *register.Header) {
	known := r.large
	r.large = true
	switch due := p.Due(*h); {
	case r.Phase == round.Reading && due != 0 && due <= p.readTime(r):
		p.throughRound(r) // something in it may have expired
	case r.Phase == round.Reading:
		p.detach(r)
	case !known && len(r.queue) > 0 && r.queue[0].Op.ReadOnly() && r.detachable(1) > 0 && len(r.queue[0].attempts) == 0:
		// The read would hold up a round, and needs none.
		p.abandon(r)
		p.start(r)
	}
}

// readTime is the wall clock time at which a read is executed.
func (p *Proposer) readTime(r *instance) int64 {
	if r.detached != nil {
		return r.detached.now
	}
	return p.now.Wall
}

// detach lets the register continue without a read, unless too many have left.
func (p *Proposer) detach(r *instance) {
	// Such a read needs nothing more later, when the state may have changed.
	if r.detached != nil || !(r.Projection.All || r.AsksMore) || p.detached >= maxDetached {
		return
	}
	if r.detachedReads == nil {
		r.detachedReads = new(detachedReads)
	}
	if r.detachedReads.count >= maxDetachedOfOne {
		return
	}
	p.Stats.Detached.Add(1)
	p.detached++
	r.detachedReads.count++
	next := p.newInstance(r.id)
	next.queue, r.queue = r.queue, next.queue
	next.piggyback, next.shared, next.rmw = r.piggyback, r.shared, r.rmw
	next.noBlind, next.met = r.noBlind, r.met
	next.large, next.detachedReads = true, r.detachedReads
	r.detached = &detachedRead{reads: r.detachedReads, events: r.detachedReads.events, base: r.Base, now: p.now.Wall}
	r.piggyback, r.noBlind, r.met, r.detachedReads = piggybackedPromise{}, 0, 0, nil
	p.start(next)
}

// conflicted reports whether, since this read left its register, something was
// written or read there through this proxy. It may have been a command of the same
// connection that has to come after the read. If the read then has to look for
// another state, because its own cannot be had, it fails.
func (r *instance) conflicted() bool {
	return r.detached != nil && r.detached.reads.events != r.detached.events
}

// reattach returns the commands of a detached read that needs a round of two trips to
// the register they came from.
func (p *Proposer) reattach(r *instance) {
	next := p.instances[r.id.Key]
	if next == nil || next.detachedReads != r.detached.reads || r.conflicted() {
		p.fail(r, operation.ErrContention)
		p.releaseIdle(r)
		return
	}
	next.queue = append(r.queue, next.queue...)
	r.queue = nil
	p.releaseIdle(r)
	if next.Phase == round.Idle {
		p.start(next)
	} else {
		p.arm(next, time.Duration(max(0, next.wake-p.now.Mono)))
	}
}

// endDetached notes that a detached read has ended.
func (p *Proposer) endDetached(r *instance) {
	p.detached--
	r.detached.reads.count--
	r.detached = nil
}
