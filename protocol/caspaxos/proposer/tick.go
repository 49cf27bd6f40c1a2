package proposer

import (
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/caspaxos/timer"
)

// head returns the command that has waited longest, or nil.
func (r *instance) head() *Command {
	switch {
	case len(r.batch) > 0:
		return r.batch[0]
	case len(r.queue) > 0:
		return r.queue[0]
	}
	return nil
}

// oldest returns the command that runs out of time first. That is usually the first
// one, but a command may have been held back before it came here.
func oldest(cmds []*Command) (first *Command) {
	for _, c := range cmds {
		if first == nil || c.Started < first.Started {
			first = c
		}
	}
	return first
}

// arm makes Tick look at the register after d, or a little earlier, and no later than
// when its oldest command runs out of time.
func (p *Proposer) arm(r *instance, d time.Duration) {
	r.wake = p.now.Mono + instant.Mono(d)
	for _, list := range [][]*Command{r.batch, r.queue} {
		if c := oldest(list); c != nil {
			r.wake = min(r.wake, c.Started+instant.Mono(p.Limits.Command)+1)
		}
	}
	if r.armed != 0 && r.armed <= r.wake {
		return // the earlier timer will do
	}
	r.armed = r.wake
	p.timers.Push(timer.Timer[*instance]{At: r.wake, What: r, Gen: r.gen})
}

// Tick does what is due. It returns when it wants to be called next; zero means
// not before something else happens.
func (p *Proposer) Tick(now instant.Now) instant.Mono {
	p.now = now
	for len(p.timers) > 0 && p.timers[0].At <= now.Mono {
		t := p.timers.Pop()
		r := t.What
		if r.gen != t.Gen || r.armed != t.At {
			continue
		}
		r.armed = 0
		switch {
		case r.Phase == round.Idle:
		case r.wake > now.Mono:
			r.armed = r.wake
			p.timers.Push(timer.Timer[*instance]{At: r.wake, What: r, Gen: r.gen})
		default:
			p.due(r)
		}
	}
	if p.sweepAt != 0 && p.sweepAt <= now.Mono {
		p.sweep()
	}
	if p.parkedAt != 0 && p.parkedAt <= now.Mono {
		p.lookAtParked()
	}
	next := p.sweepAt
	if p.parkedAt != 0 && (next == 0 || p.parkedAt < next) {
		next = p.parkedAt
	}
	if len(p.timers) > 0 && (next == 0 || p.timers[0].At < next) {
		next = p.timers[0].At
	}
	return next
}

// due is called when a phase has lasted as long as it wanted to, or longer.
func (p *Proposer) due(r *instance) {
	if r.Phase == round.Pausing {
		r.Phase = round.Idle
		p.start(r)
		return
	}
	if p.Config(r) != r.Config && !p.Omit.Has(rules.RoundEpoch) {
		p.newEpoch(r)
		return
	}
	if c := oldest(r.batch); c != nil && p.overdue(c) {
		if r.Phase == round.Accepting {
			p.endInDoubt(r)
		} else {
			p.retryLater(r)
		}
		return
	}
	if p.expire(r); len(r.batch)+len(r.queue) == 0 {
		p.abandon(r)
		p.releaseIdle(r)
		return
	}
	switch r.Phase {
	case round.Reading:
		p.readLate(r)
	case round.Preparing, round.Fetching:
		p.prepareLate(r)
	case round.Accepting:
		p.acceptLate(r)
	}
}

// expire answers the waiting commands whose time is up.
func (p *Proposer) expire(r *instance) {
	due := false
	for _, c := range r.queue {
		due = due || p.overdue(c)
	}
	if !due {
		return
	}
	kept := make([]*Command, 0, len(r.queue))
	for _, c := range r.queue {
		if p.overdue(c) {
			p.finish(c, nil, p.tooLate(c))
		} else {
			kept = append(kept, c)
		}
	}
	r.queue = kept
}

func (p *Proposer) overdue(c *Command) bool {
	return time.Duration(p.now.Mono-c.Started) > p.Limits.Command
}
