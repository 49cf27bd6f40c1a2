package caspaxos

import "time"

// This file is how a proposer goes about others that write the same register.

// interfered starts over after a Nack to a Prepare: with a higher ballot, after
// a random, growing pause.
func (p *Proposer) interfered(r *reg) {
	for _, c := range r.queue {
		c.nacked = true
	}
	p.avoidBlind(r)
	p.abandon(r)
	p.pause(r)
}

const (
	// noBlindFor is for how long blind writes are kept off a register on which
	// another proposer was met, metFor for how long it is remembered that one
	// was.
	noBlindFor = Mono(time.Second)
	metFor     = 10 * noBlindFor
	// sharedWithin is how recent another proposer's write is for the two to be likely
	// to meet at the next.
	sharedWithin = 100 * time.Millisecond
)

// avoidBlind keeps blind writes off a contended register for a while (§4.3).
func (p *Proposer) avoidBlind(r *reg) {
	r.noBlind, r.met = p.now.Mono+noBlindFor, p.now.Mono+metFor
}

// isShared reports whether a blind Accept replaces what another proposer has
// written lately.
func (req *Request) isShared(before Ballot) bool {
	return !req.Prepared && before.Proposer != req.Ballot.Proposer && !before.IsZero() &&
		req.Ballot.Time < before.Time.Add(sharedWithin)
}

// mayBlind reports whether a blind write may be tried (§4.3). What others refuse
// of it, while a member does not answer, only that member can settle: nobody else
// knows whether it voted. A prepared attempt is settled by any quorum, as the next
// round builds on it or on what came before (§5 rules 1 and 2).
func (p *Proposer) mayBlind(r *reg) bool {
	return r.noBlind <= p.now.Mono && p.allThere(r)
}

// allThere reports whether all members answer. Where others were met, the first
// that is late counts; elsewhere one that is gone, or has been silent for longer
// than a disk keeps a healthy one waiting.
func (p *Proposer) allThere(r *reg) bool {
	if r.met > p.now.Mono {
		return p.answering(r.cfg) == r.cfg.All()
	}
	return p.Env.Missing(r.cfg) == 0
}

// refusedBy notes a Nack. The members that are left have a little time to decide
// the round for it.
func (p *Proposer) refusedBy(r *reg, i int) {
	if r.refused == 0 {
		r.refusedAt = p.now.Mono
	}
	r.refused = r.refused.With(i)
	if p.grace(r) < time.Duration(r.wake-p.now.Mono) {
		p.arm(r, p.grace(r))
	}
}

// grace is how long a round that was refused by some waits for the others: for
// longer than these take to answer, as a rule.
func (p *Proposer) grace(r *reg) time.Duration {
	d := 2 * p.Timing.Hedge
	if r.phase == accepting {
		d += time.Duration(r.change.Bytes()) * time.Second / bulkRate
	}
	return d
}

// armWaiting is arm for a round that goes on to wait. If it was refused by some, the
// others may fall silent meanwhile.
func (p *Proposer) armWaiting(r *reg, d time.Duration) {
	if r.refused != 0 {
		d = min(d, p.grace(r))
	}
	p.arm(r, d)
}

// inVain reports whether a round that was refused could only still come through by
// members that do not answer, while those that do answer are a quorum: a Prepare
// with a higher ballot gets further than waiting does. got are the members that
// have agreed.
func (p *Proposer) inVain(r *reg, got Set) bool {
	if r.refused == 0 || !r.cfg.CanReach(r.lost) {
		return false
	}
	answering := p.answering(r.cfg)
	if !r.cfg.IsQuorum(answering) {
		return false
	}
	silent := r.cfg.All() &^ (got | r.lost | answering)
	if time.Duration(p.now.Mono-r.refusedAt) >= p.grace(r) {
		late := r.cfg.All() &^ (got | r.lost | r.fixing)
		p.noteTardy(r.cfg, late&^r.stale)
		silent |= late
	}
	if left := r.cfg.All() &^ (r.lost | silent); left&^r.stale == 0 {
		return true // who could vote waits for somebody who has voted
	}
	return !r.cfg.CanReach(r.lost | silent)
}

// tardyFor is for how many times Timing.Hedge the lane takes a node that was late
// for one that does not answer. By then the driver has formed an opinion.
const tardyFor = 10

// answering is the Env's, without the members that this lane has found late and not
// heard of since: it knows sooner.
func (p *Proposer) answering(cfg *Config) Set {
	s := p.Env.Answering(cfg)
	if len(p.tardy) > 0 {
		for i, node := range cfg.nodes {
			if p.now.Mono < p.tardy[node] {
				s &^= 1 << i
			}
		}
	}
	return s
}

func (p *Proposer) noteTardy(cfg *Config, late Set) {
	for i, node := range cfg.nodes {
		if late.Has(i) {
			if p.tardy == nil {
				p.tardy = make(map[NodeID]Mono)
			}
			p.tardy[node] = p.now.Mono + tardyFor*Mono(p.Timing.Hedge)
		}
	}
}

// patient is how many tries come to nothing before a proposer that is not in doubt
// begins ahead of its clock, too.
const patient = 2

// lead is how far ahead of its clock the proposer begins when it is in doubt,
// for the lists that tell what became of an attempt are short (§2), or when it was
// refused several times. A proposer with a carried promise takes a new ballot in
// every round trip: whoever only takes the next one is always late. If only those
// in doubt took more, that would be who holds the register and is interrupted: it
// would have it back at once, and the others next to nothing.
func (p *Proposer) lead(r *reg) time.Duration {
	if c := r.head(); r.fails == 0 || c == nil || len(c.attempts) == 0 && r.fails < patient {
		return 0
	}
	return p.Timing.Backoff << min(r.fails, 3)
}

// oldestAttempt returns the lowest ballot of the commands' attempts, zero if there
// are none.
func oldestAttempt(cmds []*Command) (b Ballot) {
	for _, c := range cmds {
		for _, a := range c.attempts {
			if b.IsZero() || a.ballot.Less(b) {
				b = a.ballot
			}
		}
	}
	return b
}
