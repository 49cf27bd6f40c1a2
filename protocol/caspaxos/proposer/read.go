package proposer

import (
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// This file is §4.1, the linearizable read: one round trip, no write.

// startRead begins a read for the first n waiting commands, which are read-only.
func (p *Proposer) startRead(r *instance, n int) {
	p.reset(r, round.Reading)
	r.AsksMore = false
	p.takeBatch(r, min(n, maxBatch))
	r.Projection = register.Projection{}
	for _, c := range r.batch {
		r.Projection.Include(c.Op.Needs())
	}
	r.HasView = false
	p.hedges.Read()
	prefer := p.Env.Prefer(r.Config, r.id.Slot)
	for n, i := range prefer {
		p.askRead(r, i, n == 0)
		if r.Config.IsQuorum(r.Asked) {
			break
		}
	}
	p.arm(r, p.Timing.Hedge)
}

// takeBatch moves the first n waiting commands into the round.
func (p *Proposer) takeBatch(r *instance, n int) {
	r.batch = append(r.batch[:0], r.queue[:n]...)
	rest := copy(r.queue, r.queue[n:])
	clear(r.queue[rest:])
	r.queue = r.queue[:rest]
}

func (p *Proposer) askRead(r *instance, i int, state bool) {
	r.Asked = r.Asked.With(i)
	req := &message.Request{ID: r.RequestID, Kind: message.KindRead, Register: r.id, Epoch: r.Config.Epoch, WantState: state}
	if state {
		req.Projection = r.Projection
		r.AsksState = r.AsksState.With(i)
	}
	p.send(r, i, req)
}

// askRest asks the members that have not been asked yet for their ballots. A late
// member is usually busy, not gone: its state will come. Having another member send
// the state too would make both busier.
func (p *Proposer) askRest(r *instance) {
	if r.Asked == r.Config.All() {
		return
	}
	p.Stats.Hedged.Add(1)
	r.Hedged = r.Config.All() &^ r.Asked
	state := r.AsksState&^r.Lost == 0
	for i := range r.Config.Nodes() {
		if !r.Asked.Has(i) {
			p.askRead(r, i, state || r.Projection.HeaderOnly())
			state = false
		}
	}
}

// hedgeSilent is how many times Timing.Hedge a member has to be silent to be taken for
// gone rather than busy.
const hedgeSilent = 3

// mayHedge reports whether to ask the remaining members now, because some are late.
func (p *Proposer) mayHedge(r *instance) bool {
	for i, node := range r.Config.Nodes() {
		if r.Asked.Has(i) && !(r.Replied | r.Lost).Has(i) && p.silent(node) {
			return true
		}
	}
	return p.hedges.Spend()
}

// hedgePaid is called when a read has its answer. A hedge that was faster than the
// members asked first does not count: then not all are busy.
func (p *Proposer) hedgePaid(r *instance) {
	if r.Hedged&r.Replied != 0 && r.Asked&^(r.Hedged|r.Replied|r.Lost) != 0 {
		p.hedges.Return()
	}
}

// askAgain repeats a read to the members that have not answered, for their ballots
// only, since the request may be lost. If it is not, its answer still counts.
func (p *Proposer) askAgain(r *instance) {
	for i := range r.Config.Nodes() {
		if !(r.Replied | r.Lost).Has(i) {
			r.AsksState &^= 1 << i
			p.askRead(r, i, r.Projection.HeaderOnly())
		}
	}
}

func (p *Proposer) onRead(r *instance, i int, reply *message.Reply) {
	switch {
	case r.FetchID != 0:
		p.lateState(r, reply)
	case reply.Outcome != message.ReadOK:
		r.Lost = r.Lost.With(i)
		p.afterLoss(r)
	default:
		r.Replied = r.Replied.With(i)
		r.Replies[i] = *reply
		p.evalRead(r)
	}
}

// lateState looks at a reply that comes while the state is already being read from
// another member: it may contain the state.
func (p *Proposer) lateState(r *instance, reply *message.Reply) {
	if r.Chunks.Begun() || !reply.HasState || reply.Accepted != r.Base || !reply.View.Covers(r.Projection) {
		return
	}
	p.endFetch(r)
	r.View, r.HasView = reply.View, true
	p.answerReads(r)
}

// afterLoss continues without a member that does not answer.
func (p *Proposer) afterLoss(r *instance) {
	p.askRest(r)
	if !r.Config.CanReach(r.Lost) {
		p.retryLater(r)
		return
	}
	p.evalRead(r)
}

// retryLater gives up a phase that too few members answered, and starts the round
// over after a pause.
func (p *Proposer) retryLater(r *instance) {
	p.abandon(r)
	p.pause(r)
}

// evalRead looks at the replies so far.
func (p *Proposer) evalRead(r *instance) {
	if r.FetchID != 0 {
		return // the ballot is known, its state is on its way
	}
	b, at, ok := r.Equal(p.Omit)
	if ok {
		p.readState(r, b, at)
		return
	}
	left := r.Unanswered()
	if r.Config.IsQuorum(r.Replied) {
		left &= p.answering(r.Config)
	}
	switch {
	case left&r.Asked != 0:
	case left != 0:
		p.askRest(r)
	default:
		p.repairRead(r)
	}
}

// repairRead goes through a round because no q replies carry the same ballot.
func (p *Proposer) repairRead(r *instance) {
	p.Stats.Repair.Add(1)
	p.throughRound(r)
}

// throughRound sends the commands of a read through a round of two trips.
func (p *Proposer) throughRound(r *instance) {
	p.abandon(r)
	if r.detached != nil {
		p.reattach(r)
		return
	}
	p.startPrepare(r)
}

// stateComes reports whether to wait for a member that was asked for the state with
// its ballot, now that the others have answered: as long as something comes from it,
// but not for ever.
func (p *Proposer) stateComes(r *instance) bool {
	late := time.Duration(p.now.Mono-r.Started) >= p.Timing.Retry
	for i, node := range r.Config.Nodes() {
		if r.AsksState.Has(i) && !(r.Replied | r.Lost).Has(i) && !late && !p.silent(node) {
			p.arm(r, p.Timing.Hedge)
			return true
		}
	}
	return false
}

// readState finds the state at the ballot that the read has found.
func (p *Proposer) readState(r *instance, b ballot.Ballot, at quorum.Set) {
	r.Base, r.At = b, at
	if r.detached != nil {
		if r.conflicted() && b != r.detached.base && !p.Omit.Has(rules.OrderAside) {
			p.abandon(r)
			p.fail(r, operation.ErrContention)
			p.start(r)
			return
		}
		r.detached.now = p.now.Wall
	}
	if r.StateAt(at) {
		r.large = r.large && !r.Projection.Unbounded()
		p.answerReads(r)
		return
	}
	if !p.stateComes(r) {
		p.fetch(r)
	}
}

// answerReads executes the batch on the state and answers.
func (p *Proposer) answerReads(r *instance) {
	now := p.readTime(r)
	if r.View.Header.Expired(now) {
		if !p.Omit.Has(rules.ExpiryChosen) {
			// The delete must be chosen before anybody hears of it (§8).
			p.throughRound(r)
			return
		}
		r.View = register.Nothing()
	}
	more := register.Projection{}
	changes := false
	for _, c := range r.batch {
		e := c.Op.Execute(r.View, now)
		if e.Need != nil {
			more.Include(*e.Need)
		}
		c.answer, changes = e.Result, changes || e.Need == nil && e.Change.Kind != register.None
	}
	if changes && !p.Omit.Has(rules.ExpiryChosen) {
		p.throughRound(r) // as above: a part of the state has expired
		return
	}
	if !more.HeaderOnly() {
		r.Projection, r.AsksMore = more, true
		p.fetch(r)
		return
	}
	p.hedgePaid(r)
	p.Stats.Reads.Add(1)
	p.Stats.Batch(len(r.batch))
	size := r.View.Bytes() / len(r.batch)
	for _, c := range r.batch {
		c.Seen = Seen{Ballot: r.Base, Held: r.HeldSince(c.Started, p.now.Mono, p.Omit), Bytes: size}
	}
	p.complete(r)
}

// complete answers every command of the batch and ends the round.
func (p *Proposer) complete(r *instance) {
	p.drop(&r.RequestID)
	p.endFetch(r)
	r.event()
	batch := r.batch
	for _, c := range batch {
		p.finish(c, c.answer, nil)
	}
	clear(batch)
	r.batch = batch[:0]
	r.End()
	r.fails = 0
	p.start(r)
}

// readLate is called when a read has waited for its hedge or longer.
func (p *Proposer) readLate(r *instance) {
	if r.FetchID != 0 {
		p.fetchLate(r)
		return
	}
	if b, at, ok := r.Equal(p.Omit); ok {
		p.readState(r, b, at) // the state was to come with the ballots
		return
	}
	if r.Asked != r.Config.All() {
		if p.mayHedge(r) || time.Duration(p.now.Mono-r.Started) >= p.Timing.Retry {
			p.askRest(r)
		}
		p.arm(r, p.Timing.Hedge)
		return
	}
	if r.Config.IsQuorum(r.Replied) {
		p.repairRead(r)
		return
	}
	if time.Duration(p.now.Mono-r.Started) >= p.Timing.Retry {
		p.askAgain(r)
	}
	p.arm(r, p.Timing.Retry)
}
