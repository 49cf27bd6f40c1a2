package proposer

import (
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// This file applies §5 to the waiting commands: the outcome of their attempts is
// decided, or they are parked.

// parked is what is known of a command that could not be decided because a member did
// not answer that may know the outcome (rule 4). It has left the queue, so that
// nothing waits for it, and returns within its time when that member answers again.
//
// Commands that waited behind it may have gone before it. If one of these has the
// same origin, the parked command is not executed again even if it had no effect. It
// is answered as not done once that is final: when a ballot above its attempts is
// chosen (§5 rule 2). Until then, commands of the same origin are not answered from a
// state that its attempts may still come after (see unsettled).
type parked struct {
	overtaken bool // another command of its origin was there or has come since
	cfg       *quorum.Config
	lacks     quorum.Set   // members that had not answered
	again     instant.Mono // when it may come back
	tries     int
}

// line is one origin's commands on one register, which keep their order.
type line struct {
	key    string
	origin uint64
}

func (c *Command) line() line { return line{c.Register.Key, c.Origin} }

// decideAttempts decides every waiting command that has attempts (§5). It returns
// false if some cannot be decided yet but a member will tell soon, perhaps when asked
// with a higher ballot. Commands that cannot be decided now are parked; those that
// never can be are answered as uncertain.
func (p *Proposer) decideAttempts(r *instance) bool {
	var ev *history.Evidence
	open, hope, parked := false, false, false
	for _, c := range r.queue {
		if len(c.attempts) == 0 {
			continue
		}
		if ev == nil {
			ev = r.Evidence(p.Omit)
		}
		v, which := ev.Decide(c.attempts)
		c.verdict = v
		switch v {
		case history.TookEffect:
			c.answer = c.attempts[which].Result
		case history.Undecided:
			open, hope = true, hope || !ev.AnyForgotten(c.attempts)
		case history.NoEffect:
			parked = parked || c.parked != nil
			if p.Omit.Has(rules.KeepAttempts) {
				c.attempts = nil
			}
		}
	}
	if open && p.moreToCome(r, hope) {
		return false
	}
	if open || parked {
		p.removeUndecided(r, ev)
	}
	return true
}

// moreToCome reports whether the members that have not promised will soon tell what
// is needed, and makes sure that they do.
func (p *Proposer) moreToCome(r *instance, hope bool) bool {
	left := r.Unanswered()
	switch {
	case left&p.answering(r.Config) != 0 && time.Duration(p.now.Mono-r.Started) < p.Timing.Retry:
		p.arm(r, p.Timing.Hedge) // they may fall silent
	case hope && r.Refused != 0:
		p.interfered(r) // a member that refused tells its votes to a higher ballot
	default:
		return false
	}
	return true
}

// removeUndecided parks or answers the commands that must not be executed in this
// round.
func (p *Proposer) removeUndecided(r *instance, ev *history.Evidence) {
	kept := make([]*Command, 0, len(r.queue))
	var ended []*Command
	end := func(c *Command, err error) {
		c.Err = err
		ended = append(ended, c)
	}
	for _, c := range r.queue {
		switch {
		case len(c.attempts) == 0 || c.verdict == history.TookEffect:
			kept = append(kept, c)
		case c.verdict == history.NoEffect && (c.parked == nil || !c.parked.overtaken || p.Omit.Has(rules.Parked)):
			kept = append(kept, c)
		case c.verdict == history.NoEffect && p.final(r, c):
			end(c, operation.ErrContention)
		case c.verdict == history.NoEffect:
			r.MustChoose = true // then it is final
			p.park(r, c, 0)
		case r.Replied == r.Config.All() || ev.AnyForgotten(c.attempts) || p.unknown(c) != operation.ErrUncertain:
			end(c, p.unknown(c))
		default:
			p.park(r, c, r.Config.All()&^r.Replied)
		}
	}
	r.queue = kept
	for _, c := range ended { // last: their owners may use them again, and park looks at the queue
		p.finish(c, nil, c.Err)
	}
}

// unsettled returns the origins that have an overtaken parked command on the register
// with an attempt above b. Until a later ballot is chosen, another proposer may carry
// that attempt on. So other commands of these origins must not be answered from the
// state at b: the parked command could take effect after them.
func (p *Proposer) unsettled(r *instance, b ballot.Ballot) (origins []uint64) {
	if p.Omit.Has(rules.Parked) {
		return nil
	}
	for _, c := range p.parked {
		if c.Register == r.id && c.parked.overtaken && history.Above(c.attempts, b) {
			origins = append(origins, c.Origin)
		}
	}
	return origins
}

// final reports whether it is final that none of a command's attempts took effect: h,
// which a quorum of the promises shows, is above all of them.
func (p *Proposer) final(r *instance, c *Command) bool {
	h := r.Highest(p.Omit)
	return p.Omit.Has(rules.ParkedChosen) || r.IsQuorum(r.Holders(h), p.Omit) &&
		!slices.ContainsFunc(c.attempts, func(a history.Attempt) bool { return !a.Ballot.Less(h) })
}

// park sets a command aside until the members answer that it lacks. The queue still
// is as it was when the command was decided, with the command in it.
func (p *Proposer) park(r *instance, c *Command, lacks quorum.Set) {
	if c.parked == nil {
		c.parked = new(parked)
		p.Stats.Parked.Add(1)
	}
	k := c.parked
	// A command before it counts too: when this one returns, it is ahead of all.
	k.overtaken = k.overtaken || slices.ContainsFunc(r.queue, func(o *Command) bool { return o != c && o.Origin == c.Origin })
	if !k.overtaken {
		if p.lastOf == nil {
			p.lastOf = make(map[line]*Command)
		}
		p.lastOf[c.line()] = c
	}
	k.cfg, k.lacks = r.Config, lacks
	k.again = p.now.Mono + instant.Mono(p.Timing.Hedge)<<min(k.tries, 5)
	k.tries++
	p.parked = append(p.parked, c)
	if p.parkedAt == 0 {
		p.parkedAt = p.now.Mono + instant.Mono(p.Timing.Hedge)
	}
}

// overtake notes that a command comes, perhaps behind a parked one of its origin.
func (p *Proposer) overtake(cmd *Command) {
	if c := p.lastOf[cmd.line()]; c != nil {
		c.parked.overtaken = true
		delete(p.lastOf, cmd.line())
	}
}

// ripe reports whether a parked command may be decided now. An answering quorum is of
// no use unless it includes members that did not answer before.
func (p *Proposer) ripe(c *Command) bool {
	k := c.parked
	if k.again > p.now.Mono {
		return false
	}
	return p.Config(&instance{id: c.Register}) != k.cfg || k.lacks&^p.answering(k.cfg) != k.lacks || k.lacks == 0
}

// lookAtParked answers the parked commands whose time is up, and begins rounds for
// those that may be decided if no round is under way there.
func (p *Proposer) lookAtParked() {
	p.parkedAt = 0
	var keys []register.ID
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
		r := p.instances[key.Key]
		if r == nil {
			r = p.newInstance(key)
		}
		if r.Phase == round.Idle {
			p.start(r)
		}
	}
	if len(p.parked) > 0 {
		p.parkedAt = p.now.Mono + instant.Mono(p.Timing.Hedge)
	}
}

// unpark returns the register's parked commands to the queue, ahead of what waits
// there, if they may be decided now.
func (p *Proposer) unpark(r *instance) {
	if p.instances[r.id.Key] != r {
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

// leave notes that a command is no longer parked.
func (p *Proposer) leave(c *Command) {
	if p.lastOf[c.line()] == c {
		delete(p.lastOf, c.line())
	}
}
