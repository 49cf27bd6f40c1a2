package caspaxos

import (
	"slices"
	"time"
)

// This file is §5 as it is applied to the commands that wait: what became of
// their attempts is settled, or they are parked.

// parked is what is known of a command that could not be judged, as a member did
// not answer that may know (rule 4). It has left the queue, so that nothing waits
// for it, and comes back, within its time, when that member answers again.
//
// Commands that waited behind it may have gone before it. If one of the same origin
// is among them, it is not executed again, though it be found that it had no effect,
// but answered as not done, when that is final: once a ballot above its attempts is
// chosen (§5 rule 2). Nor is one of the same origin answered before, as of a state that
// its attempts may yet come after (see unsettled).
type parked struct {
	overtaken bool // another of the same origin on the register was there or has come since
	cfg       *Config
	lacks     Set  // members that had not answered
	again     Mono // when it may come back
	tries     int
}

// line is one origin's commands on one register, which keep their order.
type line struct {
	key    string
	origin uint64
}

func (c *Command) line() line { return line{c.Register.Key, c.Origin} }

// settleDoubt judges every waiting command that has attempts (§5). It returns
// false if some cannot be judged yet and a member will tell soon, be it asked with a
// higher ballot. Those that cannot be judged now are parked, those that never can
// be are answered as uncertain.
func (p *Proposer) settleDoubt(r *reg) bool {
	var ev *evidence
	open, hope, parked := false, false, false
	for _, c := range r.queue {
		if len(c.attempts) == 0 {
			continue
		}
		if ev == nil {
			ev = newEvidence(r.cfg, r.replied, r.replies, p.Omit)
		}
		v, which := ev.judge(c.attempts)
		c.verdict = v
		switch v {
		case tookEffect:
			c.answer = c.attempts[which].result
		case undecided:
			open, hope = true, hope || !ev.anyForgotten(c.attempts)
		case noEffect:
			parked = parked || c.parked != nil
			if p.Omit.has(RuleKeepAttempts) {
				c.attempts = nil
			}
		}
	}
	if open && p.moreToCome(r, hope) {
		return false
	}
	if open || parked {
		p.settleRest(r, ev)
	}
	return true
}

// moreToCome reports whether the members that have not promised will tell soon what
// is needed to judge, and sees to it that they do.
func (p *Proposer) moreToCome(r *reg, hope bool) bool {
	left := r.cfg.All() &^ (r.replied | r.lost)
	switch {
	case left&p.answering(r.cfg) != 0 && time.Duration(p.now.Mono-r.started) < p.Timing.Retry:
		p.arm(r, p.Timing.Hedge) // they may fall silent meanwhile
	case hope && r.refused != 0:
		p.interfered(r) // who refused will tell its votes to a higher ballot
	default:
		return false
	}
	return true
}

// settleRest parks or answers the commands that must not be executed in this round.
func (p *Proposer) settleRest(r *reg, ev *evidence) {
	kept := make([]*Command, 0, len(r.queue))
	var ended []*Command
	end := func(c *Command, err error) {
		c.Err = err
		ended = append(ended, c)
	}
	for _, c := range r.queue {
		switch {
		case len(c.attempts) == 0 || c.verdict == tookEffect:
			kept = append(kept, c)
		case c.verdict == noEffect && (c.parked == nil || !c.parked.overtaken || p.Omit.has(RuleParked)):
			kept = append(kept, c)
		case c.verdict == noEffect && p.final(r, c):
			end(c, ErrContention)
		case c.verdict == noEffect:
			r.rulesOut = true // then it is final
			p.park(r, c, 0)
		case r.replied == r.cfg.All() || ev.anyForgotten(c.attempts) || p.unknown(c) != ErrUncertain:
			end(c, p.unknown(c))
		default:
			p.park(r, c, r.cfg.All()&^r.replied)
		}
	}
	r.queue = kept
	for _, c := range ended { // when nobody looks at the queue of before any more
		p.finish(c, nil, c.Err)
	}
}

// unsettled returns the origins of which a parked command, though others of theirs
// have come behind it, may yet take effect on a register after the state at b: as long
// as no later ballot is chosen, another proposer may carry an attempt above b on. These
// others must not be answered as of that state.
func (p *Proposer) unsettled(r *reg, b Ballot) (origins []uint64) {
	if p.Omit.has(RuleParked) {
		return nil
	}
	for _, c := range p.parked {
		if c.Register == r.id && c.parked.overtaken && above(c.attempts, b) {
			origins = append(origins, c.Origin)
		}
	}
	return origins
}

// above reports whether one of the attempts is above b.
func above(attempts []attempt, b Ballot) bool {
	return slices.ContainsFunc(attempts, func(a attempt) bool { return b.Less(a.ballot) })
}

// final reports whether it is for good that none of a command's attempts took
// effect: h, which a quorum of the promises shows, is above all of them.
func (p *Proposer) final(r *reg, c *Command) bool {
	h := p.highest(r)
	return p.Omit.has(RuleParkedChosen) || p.quorum(r, p.holders(r, h)) &&
		!slices.ContainsFunc(c.attempts, func(a attempt) bool { return !a.ballot.Less(h) })
}

// park takes a command out of the way until the members answer that it lacks. The
// queue still is as it was judged, with the command.
func (p *Proposer) park(r *reg, c *Command, lacks Set) {
	if c.parked == nil {
		c.parked = new(parked)
		p.Stats.Parked.Add(1)
	}
	k := c.parked
	// One before it counts as well: when this one comes back, it is ahead of all.
	k.overtaken = k.overtaken || slices.ContainsFunc(r.queue, func(o *Command) bool { return o != c && o.Origin == c.Origin })
	if !k.overtaken {
		if p.lastOf == nil {
			p.lastOf = make(map[line]*Command)
		}
		p.lastOf[c.line()] = c
	}
	k.cfg, k.lacks = r.cfg, lacks
	k.again = p.now.Mono + Mono(p.Timing.Hedge)<<min(k.tries, 5)
	k.tries++
	p.parked = append(p.parked, c)
	if p.parkedAt == 0 {
		p.parkedAt = p.now.Mono + Mono(p.Timing.Hedge)
	}
}

// overtake notes that a command comes, perhaps behind one of its origin that is
// parked.
func (p *Proposer) overtake(cmd *Command) {
	if c := p.lastOf[cmd.line()]; c != nil {
		c.parked.overtaken = true
		delete(p.lastOf, cmd.line())
	}
}

// ripe reports whether a parked command may be judged now. A quorum of members
// that answer does no good if those are not among them that did not before.
func (p *Proposer) ripe(c *Command) bool {
	k := c.parked
	if k.again > p.now.Mono {
		return false
	}
	return p.Config(&reg{id: c.Register}) != k.cfg || k.lacks&^p.answering(k.cfg) != k.lacks || k.lacks == 0
}

// lookAtParked answers the parked commands whose time is up, and begins rounds for
// those that may be judged where no round is under way.
func (p *Proposer) lookAtParked() {
	p.parkedAt = 0
	var keys []Register
	p.parked = slices.DeleteFunc(p.parked, func(c *Command) bool {
		if p.overdue(c) {
			p.leave(c)
			p.finish(c, nil, p.tooLate(c))
			return true
		}
		if p.ripe(c) {
			keys = append(keys, c.Register)
		}
		return false
	})
	for _, key := range keys {
		r := p.regs[key.Key]
		if r == nil {
			r = p.newReg(key)
		}
		if r.phase == idle {
			p.start(r)
		}
	}
	if len(p.parked) > 0 {
		p.parkedAt = p.now.Mono + Mono(p.Timing.Hedge)
	}
}

// unpark has the register's parked commands wait in the queue again, ahead of
// what waits there, if they may be judged now.
func (p *Proposer) unpark(r *reg) {
	if p.regs[r.id.Key] != r {
		return
	}
	var back []*Command
	p.parked = slices.DeleteFunc(p.parked, func(c *Command) bool {
		if c.Register != r.id || !p.ripe(c) {
			return false
		}
		p.leave(c)
		back = append(back, c)
		return true
	})
	r.queue = append(back, r.queue...)
}

// leave notes that a command is parked no more.
func (p *Proposer) leave(c *Command) {
	if p.lastOf[c.line()] == c {
		delete(p.lastOf, c.line())
	}
}
