package caspaxos

import "time"

// timers is a heap of the times at which registers want to be looked at.
// Entries are never removed early: one that finds its register reused or
// content is skipped.
type timers []timer

type timer struct {
	at  Mono
	reg *reg
	gen uint32
}

func (h *timers) push(t timer) {
	*h = append(*h, t)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].at <= s[i].at {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h *timers) pop() timer {
	s := *h
	top := s[0]
	n := len(s) - 1
	s[0], s[n] = s[n], timer{}
	s = s[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && s[down+1].at < s[down].at {
			down++
		}
		if s[i].at <= s[down].at {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	*h = s
	return top
}

// head returns the command that has waited longest, or nil.
func (r *reg) head() *Command {
	switch {
	case len(r.batch) > 0:
		return r.batch[0]
	case len(r.queue) > 0:
		return r.queue[0]
	}
	return nil
}

// oldest returns the command that runs out of time first: mostly the first, but one
// may have been held back before it came here.
func oldest(cmds []*Command) (first *Command) {
	for _, c := range cmds {
		if first == nil || c.Started < first.Started {
			first = c
		}
	}
	return first
}

// arm makes Tick look at the register after d, or a little earlier, and no
// later than when its oldest command runs out of time.
func (p *Proposer) arm(r *reg, d time.Duration) {
	r.wake = p.now.Mono + Mono(d)
	for _, list := range [][]*Command{r.batch, r.queue} {
		if c := oldest(list); c != nil {
			r.wake = min(r.wake, c.Started+Mono(p.Limits.Command)+1)
		}
	}
	if r.armed != 0 && r.armed <= r.wake {
		return // the earlier timer will see to it
	}
	r.armed = r.wake
	p.timers.push(timer{at: r.wake, reg: r, gen: r.gen})
}

// Tick does what is due. It returns when it wants to be called next; zero means
// not before something else happens.
func (p *Proposer) Tick(now Now) Mono {
	p.now = now
	for len(p.timers) > 0 && p.timers[0].at <= now.Mono {
		t := p.timers.pop()
		r := t.reg
		if r.gen != t.gen || r.armed != t.at {
			continue
		}
		r.armed = 0
		switch {
		case r.phase == idle:
		case r.wake > now.Mono:
			r.armed = r.wake
			p.timers.push(timer{at: r.wake, reg: r, gen: r.gen})
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
	if len(p.timers) > 0 && (next == 0 || p.timers[0].at < next) {
		next = p.timers[0].at
	}
	return next
}

// due is called when a phase has lasted as long as it wanted to, or longer.
func (p *Proposer) due(r *reg) {
	if r.phase == pausing {
		r.phase = idle
		p.start(r)
		return
	}
	if p.Config(r) != r.cfg && !p.Omit.has(RuleRoundEpoch) {
		p.newEpoch(r)
		return
	}
	if c := oldest(r.batch); c != nil && p.overdue(c) {
		if r.phase == accepting {
			p.doubt(r)
		} else {
			p.retryLater(r)
		}
		return
	}
	if p.expire(r); len(r.batch)+len(r.queue) == 0 {
		p.abandon(r)
		p.settle(r)
		return
	}
	switch r.phase {
	case reading:
		p.readLate(r)
	case preparing, fetching:
		p.prepareLate(r)
	case accepting:
		p.acceptLate(r)
	}
}

// expire answers the waiting commands whose time is up.
func (p *Proposer) expire(r *reg) {
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
