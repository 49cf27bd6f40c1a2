package proposer

import (
	"errors"
	"time"

	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
)

// endWithoutMemory ends the commands of a round that read more than there is memory
// for. The round has sent no Accept, so those without an earlier attempt in doubt did
// nothing. The others, which may read less, continue.
func (p *Proposer) endWithoutMemory(r *instance) {
	reads := len(r.batch) // of a read; a round of two trips has its commands in the queue
	p.abandon(r)
	some := false
	for _, c := range r.queue {
		some = some || c.Op.Needs().Unbounded()
	}
	kept := make([]*Command, 0, len(r.queue))
	for i, c := range r.queue {
		if some && !c.Op.Needs().Unbounded() || !some && i >= max(1, reads) {
			kept = append(kept, c)
			continue
		}
		err := operation.ErrNoRoom
		if len(c.attempts) > 0 {
			err = p.unknown(c)
		}
		p.finish(c, nil, err)
	}
	r.queue = kept
	p.start(r)
}

// outage returns why commands on a slot are pointless at present, or nil.
func (p *Proposer) outage(slot uint16) error {
	if o := p.Env.Outage(slot); o != nil {
		return o
	}
	return nil
}

// failDuringOutage answers the waiting commands during an outage, but not those with
// attempts: the proposer keeps finding out about these as long as they have time
// (§5).
func (p *Proposer) failDuringOutage(r *instance, why error) {
	kept := make([]*Command, 0, len(r.queue))
	for _, c := range r.queue {
		if len(c.attempts) > 0 && !p.Omit.Has(rules.Outage) {
			kept = append(kept, c)
		} else {
			p.finish(c, nil, why)
		}
	}
	r.queue = kept
}

// finish answers a command.
func (p *Proposer) finish(c *Command, result any, err error) {
	p.pending--
	if r, ok := result.(refused); ok && err == nil {
		result, err = nil, r.why
	}
	if err == nil && time.Duration(p.now.Mono-c.Started) > p.Limits.Command {
		err = p.tooLate(c)
	}
	switch {
	case err == nil:
		c.Result = result
	case err == operation.ErrUncertain:
		p.Stats.Uncertain.Add(1)
	case err == operation.ErrContention:
		p.Stats.Contention.Add(1)
	case errors.Is(err, operation.ErrNoQuorum):
		p.Stats.NoQuorum.Add(1)
	case err == operation.ErrDiskFull:
		p.Stats.DiskFull.Add(1)
	case err == operation.ErrBusy:
		p.Stats.Busy.Add(1)
	}
	c.Err = err
	c.attempts, c.answer = nil, nil
	c.Done(c)
}

// unknown is the answer to a command if nobody can say whether its attempts took
// effect. If none of them changed anything, nothing was done.
func (p *Proposer) unknown(c *Command) error {
	for _, a := range c.attempts {
		if a.Changed {
			return operation.ErrUncertain
		}
	}
	return operation.ErrContention
}

// tooLate is the answer to a command whose time is up.
func (p *Proposer) tooLate(c *Command) error {
	switch {
	case len(c.attempts) > 0:
		return p.unknown(c)
	case c.nacked:
		return operation.ErrContention
	}
	return operation.ErrNoQuorum
}

// fail answers all waiting commands with an error, those with attempts as uncertain.
func (p *Proposer) fail(r *instance, err error) {
	queue := r.queue
	r.queue = nil
	for _, c := range queue {
		e := err
		if len(c.attempts) > 0 {
			e = p.unknown(c)
		}
		p.finish(c, nil, e)
	}
	r.queue = queue[:0]
}

// pause waits a random time before the next try. The time grows with each try
// (§4.2.1), unless an attempt is in doubt: see ballotHeadStart.
func (p *Proposer) pause(r *instance) {
	r.Phase = round.Pausing
	r.Started = p.now.Mono
	p.expire(r)
	limit := int64(p.Timing.Backoff)
	if c := r.head(); c == nil || len(c.attempts) == 0 {
		limit <<= min(r.fails, 6)
	}
	r.fails++
	p.arm(r, time.Duration(1+p.Env.Random(limit)))
}
