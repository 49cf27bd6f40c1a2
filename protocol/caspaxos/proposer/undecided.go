package proposer

import (
	"slices"
	"time"

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
// Other commands on the register go on meanwhile: it is as if this one had begun later.
// Only those of its origin that come behind it wait with it, so that they keep their
// order. Their replies would have to wait for its reply anyway.
type parked struct {
	followers []*Command
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
	open, hope := false, false
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
			if p.Omit.Has(rules.KeepAttempts) {
				c.attempts = nil
			}
		}
	}
	if open && p.moreToCome(r, hope) {
		return false
	}
	if open {
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
	for _, c := range r.queue {
		switch {
		case p.follow(c):
		case len(c.attempts) == 0 || c.verdict != history.Undecided:
			kept = append(kept, c)
		case r.Replied == r.Config.All() || ev.AnyForgotten(c.attempts) || p.unknown(c) != operation.ErrUncertain:
			p.finish(c, nil, p.unknown(c))
		default:
			p.park(r, c, r.Config.All()&^r.Replied)
		}
	}
	r.queue = kept
}

// park sets a command aside until the members answer that it lacks.
func (p *Proposer) park(r *instance, c *Command, lacks quorum.Set) {
	if c.parked == nil {
		c.parked = new(parked)
		p.Stats.Parked.Add(1)
	}
	if p.parkedOf == nil {
		p.parkedOf = make(map[line]*Command)
	}
	p.parkedOf[c.line()] = c
	k := c.parked
	k.cfg, k.lacks = r.Config, lacks
	k.again = p.now.Mono + instant.Mono(p.Timing.Hedge)<<min(k.tries, 5)
	k.tries++
	p.parked = append(p.parked, c)
	if p.parkedAt == 0 {
		p.parkedAt = p.now.Mono + instant.Mono(p.Timing.Hedge)
	}
}

// follow has a command wait with the parked one of its line. It returns false if there
// is none.
func (p *Proposer) follow(c *Command) bool {
	first := p.parkedOf[c.line()]
	if first == nil || p.Omit.Has(rules.Parked) {
		return false
	}
	first.parked.followers = append(first.parked.followers, c)
	return true
}

// unfollow ends a parked command's wait and returns those that waited with it.
func (p *Proposer) unfollow(c *Command) (followers []*Command) {
	delete(p.parkedOf, c.line())
	followers, c.parked.followers = c.parked.followers, nil
	return followers
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
	var late []*Command
	var keys []register.ID
	p.parked = slices.DeleteFunc(p.parked, func(c *Command) bool {
		overdue := p.overdue(c)
		if overdue {
			late = append(late, c)
		}
		if overdue || p.ripe(c) {
			keys = append(keys, c.Register)
		}
		return overdue
	})
	for _, c := range late {
		if followers := p.unfollow(c); len(followers) > 0 {
			r := p.instanceOf(c.Register)
			if r.queue = append(r.queue, followers...); r.Phase != round.Idle {
				p.arm(r, time.Duration(max(0, r.wake-p.now.Mono))) // their time is nearly up
			}
		}
		p.finish(c, nil, p.tooLate(c))
	}
	for _, key := range keys {
		if r := p.instanceOf(key); r.Phase == round.Idle {
			p.start(r)
		}
	}
	if len(p.parked) > 0 {
		p.parkedAt = p.now.Mono + instant.Mono(p.Timing.Hedge)
	}
}

func (p *Proposer) instanceOf(key register.ID) *instance {
	if r := p.instances[key.Key]; r != nil {
		return r
	}
	return p.newInstance(key)
}

// unpark returns the register's parked commands to the queue, if they may be decided
// now. They come last: some of their lines may be there that were before them.
func (p *Proposer) unpark(r *instance) {
	if p.instances[r.id.Key] != r {
		return
	}
	p.parked = slices.DeleteFunc(p.parked, func(c *Command) bool {
		if c.Register != r.id || !p.ripe(c) {
			return false
		}
		r.queue = append(append(r.queue, c), p.unfollow(c)...)
		return true
	})
}
