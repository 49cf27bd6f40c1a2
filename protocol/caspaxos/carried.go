package caspaxos

import "time"

// This file is the carried promise of §4.2: rounds of one trip.

// startCarried goes straight to the Accept under the promise that the last
// round brought along, if there is one that serves. It reports whether it did.
//
// What the proxy does not know of the state it reads at one member that is
// still at the promise's base. That is a trip more, but a cheaper one than a
// Prepare, and the state is that of the ballot that the promise was made at.
func (p *Proposer) startCarried(r *reg) bool {
	c := r.carry
	if c.ballot.IsZero() || (c.cfg != r.cfg && !p.Omit.has(RuleRoundEpoch)) || time.Duration(p.now.Mono-c.since) >= p.carriedFor(r) {
		return false
	}
	if !p.Omit.has(RuleBallotOnce) {
		r.carry = carried{} // a promise is used once (§1: no ballot for two attempts)
	}
	p.reset(r, fetching)
	r.kind, r.base, r.lineage, r.at = carriedOn, c.base, c.lineage, c.at
	r.view, r.have = c.view, true
	r.ballot = c.ballot
	if c.view.Covers(r.queue[0].Op.Needs()) {
		p.execute(r)
		return true
	}
	r.proj = waitingNeeds(r)
	p.fetch(r)
	return true
}

// carriedFor is how long the promise that a round brought may be used. Where
// others write the register too, it will soon be overtaken; an attempt under it
// is then refused, and after 64 more rounds nobody can tell any more that it had
// no effect, unless all members are there to say so (see unused).
func (p *Proposer) carriedFor(r *reg) time.Duration {
	if r.shared || !p.allThere(r) {
		return p.Timing.Shared
	}
	return p.Limits.Command
}
