package proposer

import (
	"time"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/round"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// startPrepare begins a round of two trips (§4.2).
func (p *Proposer) startPrepare(r *instance) {
	r.piggyback = piggybackedPromise{}
	p.reset(r, round.Preparing)
	r.Kind, r.HasView = round.TwoTrip, false
	r.Ballot = p.Clock.NextAfter(p.ballotHeadStart(r))
	r.Projection = waitingNeeds(r)
	for _, c := range r.queue {
		c.asked = true
	}
	oldest := oldestAttempt(r.queue)
	prefer := p.Env.Prefer(r.Config, r.id.Slot)
	for n, i := range prefer {
		r.Asked = r.Asked.With(i)
		req := &message.Request{ID: r.RequestID, Kind: message.KindPrepare, Register: r.id, Epoch: r.Config.Epoch,
			Ballot: r.Ballot, WantHistory: true, WantState: n == 0, Oldest: oldest}
		if n == 0 {
			req.Projection = r.Projection
			r.AsksState = r.AsksState.With(i)
		}
		p.send(r, i, req)
	}
	p.arm(r, p.Timing.Retry)
}

func (p *Proposer) onPromise(r *instance, i int, reply *message.Reply) {
	p.promiseTells(r.Config.Nodes()[i], reply)
	if r.Phase == round.Fetching {
		p.latePromise(r, i, reply)
		return
	}
	switch reply.Outcome {
	case message.Promised:
		r.Replied = r.Replied.With(i)
		r.Replies[i] = *reply
		if r.IsQuorum(r.Replied, p.Omit) {
			p.promised(r)
		}
	case message.Nacked:
		if reply.Promise == r.Ballot {
			return // a doubled Prepare is Nacked with its own ballot
		}
		p.Stats.Nacks.Add(1)
		r.Lost = r.Lost.With(i)
		p.refusedBy(r, i)
		if !r.Config.CanReach(r.Lost) || p.inVain(r, r.Replied) {
			p.interfered(r)
			return
		}
		p.fewer(r)
	case message.DiskFull:
		p.nodes.HeardRoom(r.Config.Nodes()[i], diskroom.RoomNone, p.now.Mono)
		r.Lost, r.Roomless = r.Lost.With(i), r.Roomless.With(i)
		p.fewer(r)
	default:
		r.Lost = r.Lost.With(i)
		p.fewer(r)
	}
}

// latePromise looks at a promise to a round that has its quorum and is reading the
// state: it may bring the state, or come from another member that has it.
func (p *Proposer) latePromise(r *instance, i int, reply *message.Reply) {
	if r.Kind != round.TwoTrip || reply.Outcome != message.Promised || reply.Accepted != r.Base {
		return
	}
	r.At = r.At.With(i)
	if r.Chunks.Begun() || r.HasView || !reply.HasState || !reply.View.Covers(r.Projection) {
		return
	}
	p.endFetch(r)
	r.View, r.HasView = reply.View, true
	p.execute(r)
}

// fewer continues a Prepare that one member less will answer.
func (p *Proposer) fewer(r *instance) {
	switch {
	case !r.Config.CanReach(r.Lost):
		p.cannotPromise(r)
	case r.IsQuorum(r.Replied, p.Omit):
		p.promised(r)
	}
}

// promised continues with a quorum of promises.
func (p *Proposer) promised(r *instance) {
	h := r.Highest(p.Omit)
	at := r.Holders(h)
	if p.awaitsRoom(r) {
		p.armWaiting(r, p.Timing.Retry-time.Duration(p.now.Mono-r.Started))
		return
	}
	if !p.decideAttempts(r) {
		return // rule 4: wait for the other members
	}
	r.Base, r.At = h, at
	if r.shared = !h.IsZero() && h.Proposer != p.Clock.ID(); r.shared && r.noBlind != 0 {
		p.avoidBlind(r) // still contended
	}
	r.Lineage = r.UnionLineage(p.horizon(), p.Limits.MaxEntries())
	if r.StateAt(at) {
		p.execute(r)
		return
	}
	r.Phase = round.Fetching
	r.HasView = false
	p.fetch(r)
}

// prepareLate starts a Prepare over that has waited too long, or makes do with the
// promises that have come.
func (p *Proposer) prepareLate(r *instance) {
	switch {
	case r.Phase == round.Fetching:
		p.fetchLate(r)
	case r.IsQuorum(r.Replied, p.Omit):
		p.promised(r) // §5 waited for members that did not answer
	case p.inVain(r, r.Replied):
		p.interfered(r)
	case time.Duration(p.now.Mono-r.Started) < p.Timing.Retry:
		p.armWaiting(r, p.Timing.Retry-time.Duration(p.now.Mono-r.Started))
	default:
		p.retryLater(r)
	}
}

// waitingNeeds is what the waiting commands need to see, as far as they are to run in
// the next round. A command that needs a whole state, which may be large, waits for a
// round of its own unless it is the first.
func waitingNeeds(r *instance) register.Projection {
	var p register.Projection
	waiting := r.queue[:min(len(r.queue), maxBatch)]
	alike := 0
	for _, c := range waiting {
		if _, ok := c.Op.(operation.Prefetcher); ok {
			alike++
		}
	}
	for n, c := range waiting {
		needs := c.Op.Needs()
		if a, ok := c.Op.(operation.Prefetcher); ok {
			needs = a.Prefetch(alike - 1)
		}
		if needs.All && n > 0 && !p.All {
			break
		}
		p.Include(needs)
	}
	return p
}
