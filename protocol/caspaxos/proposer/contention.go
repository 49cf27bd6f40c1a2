package proposer

import (
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/progress"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
)

// This file is how a proposer gets along with others that write the same register.

// interfered starts over after a Nack to a Prepare: with a higher ballot, after a
// random pause that grows.
func (p *Proposer) interfered(r *instance) {
	for _, c := range r.queue {
		c.nacked = true
	}
	p.avoidBlind(r)
	p.abandon(r)
	p.pause(r)
}

const (
	// noBlindFor is how long no blind write is tried on a register after another
	// proposer was met there; metFor is how long that is remembered.
	noBlindFor = instant.Mono(time.Second)
	metFor     = 10 * noBlindFor
)

// allThere reports whether all members answer. Where other proposers were met, a
// member counts as missing as soon as it is late; elsewhere, once it is gone or
// silent for longer than a slow disk explains.
func (p *Proposer) allThere(r *instance) bool {
	if r.met > p.now.Mono {
		return p.answering(r.Config) == r.Config.All()
	}
	return p.Env.Missing(r.Config) == 0
}

// refusedBy notes a Nack. The remaining members get a little time to decide the
// round.
func (p *Proposer) refusedBy(r *instance, i int) {
	if r.Refused == 0 {
		r.RefusedAt = p.now.Mono
	}
	r.Refused = r.Refused.With(i)
	if p.grace(r) < time.Duration(r.wake-p.now.Mono) {
		p.arm(r, p.grace(r))
	}
}

// grace is how long a round that some members refused waits for the others: usually
// longer than they take to answer.
func (p *Proposer) grace(r *instance) time.Duration {
	d := 2 * p.Timing.Hedge
	if r.Phase == round.Accepting {
		d += time.Duration(r.Change.Bytes()) * time.Second / progress.BulkRate
	}
	return d
}

// armWaiting is arm for a round that continues to wait. If some members refused it,
// the others may fall silent meanwhile.
func (p *Proposer) armWaiting(r *instance, d time.Duration) {
	if r.Refused != 0 {
		d = min(d, p.grace(r))
	}
	p.arm(r, d)
}

// inVain reports whether the round can only succeed with members that do not answer
// (see round.InVain). got are the members that have agreed.
func (p *Proposer) inVain(r *instance, got quorum.Set) bool {
	if r.Refused == 0 || !r.Config.CanReach(r.Lost) {
		return false
	}
	late := time.Duration(p.now.Mono-r.RefusedAt) >= p.grace(r)
	vain, silent := r.InVain(got, p.answering(r.Config), late)
	if silent != 0 {
		p.nodes.Late(r.Config, silent, p.now.Mono+tardyFor*instant.Mono(p.Timing.Hedge))
	}
	return vain
}

// tardyFor is how many times Timing.Hedge the lane treats a late node as silent. By
// then the driver has formed an opinion.
const tardyFor = 10

// answering is the Env's, without the members that this lane has found late and not
// heard from since: the lane knows sooner.
func (p *Proposer) answering(cfg *quorum.Config) quorum.Set {
	return p.nodes.Answering(cfg, p.Env.Answering(cfg), p.now.Mono)
}

// patientTries is how many failed tries a proposer that is not in doubt makes before
// it, too, takes a head start.
const patientTries = 2

// ballotHeadStart is how far ahead of its clock the proposer takes its next ballot
// when it is in doubt, because the lists that tell what became of an attempt are
// short (§2), or after several refusals. A proposer with a piggybacked prepare takes
// a new ballot in every round trip, so whoever takes just the next ballot is always
// late. If only those in doubt took a head start, the holder of the register would
// regain it at once after an interruption, and the others would hardly get a turn.
func (p *Proposer) ballotHeadStart(r *instance) time.Duration {
	if c := r.head(); r.fails == 0 || c == nil || len(c.attempts) == 0 && r.fails < patientTries {
		return 0
	}
	return p.Timing.Backoff << min(r.fails, 3)
}

// oldestAttempt returns the lowest ballot of the commands' attempts, zero if there
// are none.
func oldestAttempt(cmds []*Command) (b ballot.Ballot) {
	for _, c := range cmds {
		for _, a := range c.attempts {
			if b.IsZero() || a.Ballot.Less(b) {
				b = a.Ballot
			}
		}
	}
	return b
}
