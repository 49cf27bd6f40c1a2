package proposer

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/round"
	"synod/protocol/register"
)

// avoidBlind keeps blind writes off a contended register for a while (§4.3).
func (p *Proposer) avoidBlind(r *instance) {
	r.noBlind, r.met = p.now.Mono+noBlindFor, p.now.Mono+metFor
}

// mayBlind reports whether a blind write may be tried (§4.3). If others refuse part
// of it while a member does not answer, only that member can decide the outcome:
// nobody else knows whether it voted. A prepared attempt is decided by any quorum,
// because the next round builds on it or on what came before (§5 rules 1 and 2).
func (p *Proposer) mayBlind(r *instance) bool {
	return r.noBlind <= p.now.Mono && p.allThere(r)
}

// startBlind sends the whole queue as one blind write: the first command does not
// depend on the state, so all that follow know theirs (§4.3).
func (p *Proposer) startBlind(r *instance) {
	p.reset(r, round.Accepting)
	r.Kind, r.Base, r.Lineage = round.Blind, ballot.Ballot{}, history.Lineage{}
	r.View, r.HasView = register.Nothing(), true
	r.Ballot = p.Clock.Next()
	run := p.newRun(r)
	if run.executeQueue(); run.change().Kind != register.Full {
		p.abandon(r) // a blind operation that changes nothing has nothing to send
		p.startPrepare(r)
		return
	}
	p.sendAccept(r, run)
}
