package proposer

import (
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/progress"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// execute runs the waiting commands on the state that the round has found, and sends
// the result (§4.2.3).
func (p *Proposer) execute(r *instance) {
	run := p.newRun(r)
	run.early = r.Kind == round.TwoTrip && (!run.stale || p.Omit.Has(rules.EarlyExpired)) &&
		(r.IsQuorum(r.At, p.Omit) || p.Omit.Has(rules.EarlyChosen))
	if r.Kind == round.TwoTrip {
		run.room = r.Room()
	}
	n := run.executeQueue()
	if run.need != nil {
		r.Projection = *run.need
		r.Phase = round.Fetching
		p.fetch(r)
		return
	}
	if n == 0 && run.early && run.change().Kind == register.None {
		p.preparedOnly(r)
		return
	}
	r.BehindBase = 0
	if r.Kind == round.TwoTrip {
		r.BehindBase = r.Replied &^ r.At
	}
	p.reset(r, round.Accepting)
	p.sendAccept(r, run)
}

// preparedOnly ends a round in which every command could be answered early. Its
// promise is kept for the next round.
func (p *Proposer) preparedOnly(r *instance) {
	p.Stats.TwoTrip.Add(1)
	r.piggyback = piggybackedPromise{ballot: r.Ballot, cfg: r.Config, base: r.Base, at: r.At,
		view: r.View.Trimmed(register.Change{}, piggybackedView), lineage: r.Lineage,
		since: p.now.Mono}
	p.drop(&r.RequestID)
	r.End()
	r.fails = 0
	p.start(r)
}

// sendAccept sends the round's Accept to all members. A member that is known not to
// be at the base gets the whole state at once, if that is small.
func (p *Proposer) sendAccept(r *instance, run *run) {
	r.Change, r.View, r.Changes, r.Tight = run.change(), run.draft.View(), run.changes, run.room != diskroom.RoomEnough
	r.Granted, r.Repairing, r.AwaitsState, r.Deferred, r.Busy, r.Waited = 0, 0, 0, 0, 0, 0
	r.Try = &history.Try{Ballot: r.Ballot, Config: r.Config}
	r.recordAttempts(p.Omit)
	r.rmw = r.rmw || r.Kind != round.Blind
	r.event()
	r.NextBallot = ballot.Ballot{}
	if r.rmw && p.Cached > 0 {
		r.NextBallot = p.Clock.Next()
	}
	req := &message.Request{ID: r.RequestID, Kind: message.KindAccept, Register: r.id, Epoch: r.Config.Epoch, Ballot: r.Ballot,
		Prepared: r.Kind != round.Blind, Base: r.Base, Change: r.Change, Piggyback: r.NextBallot}
	whole, behind := req, quorum.Set(0)
	switch {
	case !req.Prepared:
	case req.Change.Kind == register.Full:
		req.History = r.StateLineage(p.Omit)
	case r.Kind == round.TwoTrip && r.BehindBase != 0 && r.View.Whole() && r.View.Bytes() <= smallState:
		clone := *req
		clone.Change, clone.History = r.View.Full(), r.StateLineage(p.Omit)
		whole, behind = &clone, r.BehindBase
	}
	for i := range r.Config.Nodes() {
		r.Asked = r.Asked.With(i)
		if behind.Has(i) {
			p.send(r, i, whole)
		} else {
			p.send(r, i, req)
		}
	}
	p.arm(r, p.acceptTimeout(r))
}

func (p *Proposer) onAck(r *instance, i int, reply *message.Reply) {
	switch reply.Outcome {
	case message.Acked:
		r.Try.Acks = r.Try.Acks.With(i)
		if p.progress.Any() {
			p.progress.CaughtUp(progress.Key{Register: r.id.Key, Node: r.Config.Nodes()[i]})
		}
		r.Replied = r.Replied.With(i)
		r.Lost &^= 1 << i
		if reply.Shared {
			p.avoidBlind(r)
		}
		if reply.Granted {
			r.Granted = r.Granted.With(i)
		}
		for j := range r.Config.Nodes() {
			if r.AwaitsState.Has(j) {
				r.AwaitsState &^= 1 << j
				p.startRepair(r, j)
			}
		}
		if r.IsQuorum(r.Try.Acks, p.Omit) {
			p.chosen(r)
			return
		}
	case message.StaleBase:
		r.Replies[i] = *reply
		if r.Config.CanReach(r.Lost) {
			p.startRepair(r, i)
		} else {
			r.Missed(i) // the less it spreads, the better
		}
	case message.Nacked:
		p.Stats.Nacks.Add(1)
		for _, c := range r.batch {
			c.nacked = true
		}
		p.avoidBlind(r)
		if reply.Never {
			r.Try.Nevers = r.Try.Nevers.With(i)
		}
		r.Missed(i)
		p.refusedBy(r, i)
	case message.Unsent:
		r.Try.Unsent = r.Try.Unsent.With(i)
		r.Missed(i)
	case message.Unreachable:
		if p.Omit.Has(rules.Unsent) {
			r.Try.Unsent = r.Try.Unsent.With(i)
		}
		r.Missed(i)
	case message.DiskFull:
		p.diskFull(r, i)
	case message.Busy:
		r.Busy = r.Busy.With(i)
		r.Missed(i)
	default:
		r.Missed(i)
	}
	p.checkLost(r)
}

// checkLost ends a round that can no longer get its Acks, or can get them only from
// members that do not answer (see inVain). While all who answered say that they never
// voted for it, it waits a little for the others: if they say so too, nothing is in
// doubt.
func (p *Proposer) checkLost(r *instance) {
	if !r.Config.CanReach(r.Lost) && r.Deferred != 0 && r.Config.CanReach(r.Lost&^r.Deferred) {
		p.retryDeferred(r) // a deferred member is needed after all
	}
	switch {
	case r.Try.Acks == 0 && r.AwaitsState != 0 && r.AwaitsState|r.Lost == r.Config.All():
		p.endInDoubt(r) // nobody voted from whom the others could get the state
	case p.inVain(r, r.Try.Acks):
		p.endInDoubt(r)
	case r.Config.CanReach(r.Lost):
	case r.Try.NotVoted() == r.Lost && (r.Config.All()&^r.Lost)&p.answering(r.Config) != 0 && r.Try.Acks == 0:
		p.arm(r, p.Timing.Hedge)
	default:
		p.endInDoubt(r)
	}
}

// startRepair brings up a member that lacks the base (§4.2.4): it is sent the state,
// or that is fetched from a member that acked. A member that cannot be brought up now
// will not vote for the round.
func (p *Proposer) startRepair(r *instance, i int) {
	if r.Repairing.Has(i) {
		return
	}
	r.Repairing = r.Repairing.With(i)
	if !p.tryRepair(r, i) {
		r.Missed(i)
		if !r.Deferred.Has(i) {
			p.refusedBy(r, i)
		}
	}
}

// chosen answers the round's commands and keeps the promise that it brought.
func (p *Proposer) chosen(r *instance) {
	switch r.Kind {
	case round.Blind:
		p.Stats.Blind.Add(1)
	case round.Piggybacked:
		p.Stats.Piggybacked.Add(1)
	default:
		p.Stats.TwoTrip.Add(1)
	}
	p.Stats.Batch(len(r.batch))
	lineage := r.Lineage
	lineage.Insert(history.Entry{Ballot: r.Ballot, Parent: r.Base, Blind: r.Kind == round.Blind})
	lineage.Trim(p.horizon(), p.Limits.MaxEntries())
	r.piggyback = piggybackedPromise{}
	granted := r.Granted
	if p.Omit.Has(rules.Granted) {
		granted = r.Replied
	}
	if !r.NextBallot.IsZero() && r.IsQuorum(granted, p.Omit) {
		r.piggyback = piggybackedPromise{ballot: r.NextBallot, cfg: r.Config, base: r.Ballot, at: granted,
			view: r.View.Trimmed(r.Change, piggybackedView), lineage: lineage,
			since: p.now.Mono}
	}
	for _, c := range r.batch {
		c.Seen = Seen{Ballot: r.Ballot}
		if c.changes != r.Changes || (len(c.attempts) > 0 && c.verdict == history.TookEffect) {
			c.Seen.Ballot = p.Clock.Next() // no state has it: what the command saw was gone when the round was chosen
		}
	}
	p.keepForRepair(r)
	r.Try = nil
	r.Change = register.Change{}
	p.complete(r)
}

// recordAttempts notes the batch's attempts (see history.Attempt).
func (r *instance) recordAttempts(omit rules.Set) {
	behind := false
	for _, c := range slices.Backward(r.batch) {
		if behind = behind && !omit.Has(rules.Order) || c.writes(); behind {
			c.attempts = append(c.attempts, history.Attempt{Try: r.Try, Result: c.answer, Changed: c.writes()})
		}
	}
}

// writes reports whether the command did something in the present round that must not
// be done twice. A read-only command did not, even if it removed what had expired.
func (c *Command) writes() bool { return c.changed && !c.Op.ReadOnly() }

// endInDoubt ends a round that did not get its Acks: it may still take effect later
// (§5). Its commands return to the queue with their attempts.
func (p *Proposer) endInDoubt(r *instance) {
	p.Stats.InDoubt.Add(1)
	busy := r.Busy != 0 && !r.Config.CanReach(r.Busy|r.Lost)
	for _, c := range r.batch {
		if busy {
			c.busy++
		}
		if n := len(c.attempts); n > 0 && c.attempts[n-1].Try == r.Try && r.Try.NotVoted() == r.Config.All() {
			c.attempts = c.attempts[:n-1] // nobody voted for it
		}
	}
	if !p.Omit.Has(rules.BallotOnce) {
		r.piggyback = piggybackedPromise{}
	}
	p.avoidBlind(r)
	p.abandon(r)
	if r.fails > 0 {
		p.pause(r)
		return
	}
	r.fails++
	p.start(r) // at once: see ballotHeadStart
}

// acceptTimeout is how long a round waits for its Acks.
func (p *Proposer) acceptTimeout(r *instance) time.Duration {
	return p.Timing.Accept + time.Duration(r.Change.Bytes())*time.Second/progress.BulkRate
}

// acceptLate stops waiting for Acks, but not while a member is being brought up that
// may give one: the next round would have to start that anew.
func (p *Proposer) acceptLate(r *instance) {
	waited, limit := time.Duration(p.now.Mono-r.Started), p.acceptTimeout(r)
	switch {
	case !r.Config.CanReach(r.Lost), p.inVain(r, r.Try.Acks):
		p.endInDoubt(r)
	case waited < limit:
		p.armWaiting(r, limit-waited)
		p.retryDeferred(r)
	case p.repairAdvances(r):
		p.arm(r, p.Timing.Retry)
	default:
		p.endInDoubt(r)
	}
}
