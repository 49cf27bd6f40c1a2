package caspaxos

import (
	"time"

	"synod/protocol/register"
)

// Bounds on the large states that are on their way while others go on: of a
// lane, and of one register.
const (
	maxAside    = 16
	maxAsideOne = 4
)

// left is what is known of the reads that have left a register.
type left struct {
	count  int
	events int // of the register: changes that were sent, and reads that were answered
}

// event notes one, for the reads that have left.
func (r *reg) event() {
	switch {
	case r.left != nil:
		r.left.events++
	case r.aside != nil:
		r.aside.left.events++
	}
}

// aside is what a read knows of the register that it has left. A read of a large
// state takes seconds: once its first part is here, which state that is is
// settled, and the commands behind it need not wait for the rest. The register
// goes on as another reg.
type aside struct {
	left   *left
	events int // when it left
	base   Ballot
	now    int64 // when the state that it reads was found to be the present one
}

// apart returns how many of the first reads commands, which are read-only, are to
// be read without those behind them, zero for no such division. Of a large state,
// reads whose size nothing bounds go by themselves.
func (r *reg) apart(reads int) int {
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

// knownLarge is called when a state turns out to come in parts.
func (p *Proposer) knownLarge(r *reg, h *register.Header) {
	known := r.large
	r.large = true
	switch due := h.Due(); {
	case r.phase == reading && due != 0 && due <= p.readTime(r):
		p.throughRound(r) // something in it may be past its time
	case r.phase == reading:
		p.stepAside(r)
	case !known && len(r.queue) > 0 && r.queue[0].Op.ReadOnly() && r.apart(1) > 0 && len(r.queue[0].attempts) == 0:
		// A round would be held up by what can be read beside it.
		p.abandon(r)
		p.start(r)
	}
}

// readTime is the wall clock time at which a read is executed.
func (p *Proposer) readTime(r *reg) int64 {
	if r.aside != nil {
		return r.aside.now
	}
	return p.now.Wall
}

// stepAside lets the register go on without a read, unless too many have left.
func (p *Proposer) stepAside(r *reg) {
	// What asks for everything, or asks a second time, has no more to ask for when
	// the state may have moved on.
	if r.aside != nil || !(r.proj.All || r.asksMore) || p.aside >= maxAside {
		return
	}
	if r.left == nil {
		r.left = new(left)
	}
	if r.left.count >= maxAsideOne {
		return
	}
	p.Stats.Aside.Add(1)
	p.aside++
	r.left.count++
	next := p.newReg(r.id)
	next.queue, r.queue = r.queue, next.queue
	next.carry, next.shared, next.rmw = r.carry, r.shared, r.rmw
	next.noBlind, next.met = r.noBlind, r.met
	next.large, next.left = true, r.left
	r.aside = &aside{left: r.left, events: r.left.events, base: r.base, now: p.now.Wall}
	r.carry, r.noBlind, r.met, r.left = carried{}, 0, 0, nil
	p.start(next)
}

// overtaken reports whether something was written or read meanwhile through this
// proxy, of a read that has left its register: that may have been a command of the
// same connection, which was to come after it. If the read must look again for a
// state, as the one that it had settled on cannot be had, it comes to nothing.
func (r *reg) overtaken() bool { return r.aside != nil && r.aside.left.events != r.aside.events }

// comeBack gives the commands of a read that has left its register and needs a
// round of two trips back to where they came from.
func (p *Proposer) comeBack(r *reg) {
	next := p.regs[r.id.Key]
	if next == nil || next.left != r.aside.left || r.overtaken() {
		p.fail(r, ErrContention)
		p.settle(r)
		return
	}
	next.queue = append(r.queue, next.queue...)
	r.queue = nil
	p.settle(r)
	if next.phase == idle {
		p.start(next)
	} else {
		p.arm(next, time.Duration(max(0, next.wake-p.now.Mono)))
	}
}

// endAside notes that a read that had left its register has come to its end.
func (p *Proposer) endAside(r *reg) {
	p.aside--
	r.aside.left.count--
	r.aside = nil
}
