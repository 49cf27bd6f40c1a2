package proposer

import (
	"time"

	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
)

// This file is the piggybacked prepare of §4.2 (carried promise): rounds of one trip.

// startPiggybacked goes straight to the Accept under the promise that the last round
// brought, if there is one that can be used. It reports whether it did.
//
// What the proxy does not know of the state it reads from one member that is still at
// the promise's base. That costs another trip, but a cheaper one than a Prepare.
func (p *Proposer) startPiggybacked(r *instance) bool {
	c := r.piggyback
	if c.ballot.IsZero() || (c.cfg != r.Config && !p.Omit.Has(rules.RoundEpoch)) || time.Duration(p.now.Mono-c.since) >= p.piggybackUsableFor(r) {
		return false
	}
	if !p.Omit.Has(rules.BallotOnce) {
		r.piggyback = piggybackedPromise{} // a promise is used once (§1: no ballot for two attempts)
	}
	p.reset(r, round.Fetching)
	r.Kind, r.Base, r.Lineage, r.At = round.Piggybacked, c.base, c.lineage, c.at
	r.View, r.HasView = c.view, true
	r.Ballot = c.ballot
	if c.view.Covers(r.queue[0].Op.Needs()) {
		p.execute(r)
		return true
	}
	r.Projection = waitingNeeds(r)
	p.fetch(r)
	return true
}

// piggybackUsableFor is how long a piggybacked promise may be used. Where others
// write the register too, it is soon overtaken. An attempt under it is then refused,
// and after 64 more rounds nobody can tell that it had no effect, unless all members
// are there to say so (see acceptor.abandonedPromises).
func (p *Proposer) piggybackUsableFor(r *instance) time.Duration {
	if r.shared || !p.allThere(r) {
		return p.Timing.Shared
	}
	return p.Limits.Command
}
