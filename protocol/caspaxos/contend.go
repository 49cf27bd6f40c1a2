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

// avoidBlind keeps blind writes off a contended register for a while (§4.3).
func (p *Proposer) avoidBlind(r *reg) {
	r.noBlind = p.now.Mono + Mono(time.Second)
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
