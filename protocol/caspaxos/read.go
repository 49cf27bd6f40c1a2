package caspaxos

import (
	"time"

	"synod/protocol/register"
)

// This file is §4.1, the linearizable read: one round trip, no write.

// startRead begins a read for the first n commands that wait; they are read-only.
func (p *Proposer) startRead(r *reg, n int) {
	p.reset(r, reading)
	r.asksMore = false
	p.takeBatch(r, min(n, maxBatch))
	r.proj = register.Projection{}
	for _, c := range r.batch {
		r.proj.Include(c.Op.Needs())
	}
	r.have = false
	prefer := p.Env.Prefer(r.cfg, r.id.Slot)
	for n, i := range prefer {
		p.askRead(r, i, n == 0)
		if r.cfg.IsQuorum(r.asked) {
			break
		}
	}
	p.arm(r, p.Timing.Hedge)
}

// takeBatch moves the first n waiting commands into the round.
func (p *Proposer) takeBatch(r *reg, n int) {
	r.batch = append(r.batch[:0], r.queue[:n]...)
	rest := copy(r.queue, r.queue[n:])
	clear(r.queue[rest:])
	r.queue = r.queue[:rest]
}

func (p *Proposer) askRead(r *reg, i int, state bool) {
	r.asked = r.asked.With(i)
	req := &Request{ID: r.reqID, Kind: KindRead, Register: r.id, Epoch: r.cfg.Epoch, WantState: state}
	if state {
		req.Projection = r.proj
		r.asksState = r.asksState.With(i)
	}
	p.send(r, i, req)
}

// askRest asks the members that have not been asked yet, for the state too if
// nobody has sent one so far.
func (p *Proposer) askRest(r *reg) {
	if r.asked == r.cfg.All() {
		return
	}
	p.Stats.Hedged.Add(1)
	for i := range r.cfg.nodes {
		if !r.asked.Has(i) {
			p.askRead(r, i, true)
		}
	}
}

func (p *Proposer) onRead(r *reg, i int, reply *Reply) {
	if reply.Outcome != Told {
		r.lost = r.lost.With(i)
		p.afterLoss(r)
		return
	}
	r.replied = r.replied.With(i)
	r.replies[i] = *reply
	p.evalRead(r)
}

// afterLoss goes on without a member that does not answer.
func (p *Proposer) afterLoss(r *reg) {
	p.askRest(r)
	if !r.cfg.CanReach(r.lost) {
		p.retryLater(r)
		return
	}
	p.evalRead(r)
}

// retryLater gives a phase up that too few members answered, and starts the
// round over after a pause.
func (p *Proposer) retryLater(r *reg) {
	p.abandon(r)
	p.pause(r)
}

// equal returns a ballot that a quorum of the replies carries, and the members
// that do.
func (p *Proposer) equal(r *reg) (b Ballot, at Set, ok bool) {
	for i := range r.replies {
		if !r.replied.Has(i) {
			continue
		}
		var s Set
		for j := range r.replies {
			if r.replied.Has(j) && r.replies[j].Accepted == r.replies[i].Accepted {
				s = s.With(j)
			}
		}
		if r.cfg.IsQuorum(s) || (p.Omit.has(RuleQuorum) && s.Len() >= r.cfg.All().Len()/2) {
			return r.replies[i].Accepted, s, true
		}
	}
	if p.Omit.has(RuleReadQuorum) && r.cfg.IsQuorum(r.replied) {
		best := p.highest(r)
		return best, p.holders(r, best), true
	}
	return Ballot{}, 0, false
}

// highest returns the highest accepted ballot among the replies.
func (p *Proposer) highest(r *reg) Ballot {
	var h Ballot
	first := true
	for i := range r.replies {
		if !r.replied.Has(i) {
			continue
		}
		if b := r.replies[i].Accepted; first || h.Less(b) != p.Omit.has(RuleHighest) {
			h, first = b, false
		}
	}
	return h
}

// holders returns the members whose replies carry b.
func (p *Proposer) holders(r *reg, b Ballot) (s Set) {
	for i := range r.replies {
		if r.replied.Has(i) && r.replies[i].Accepted == b {
			s = s.With(i)
		}
	}
	return s
}

// evalRead looks at the replies so far.
func (p *Proposer) evalRead(r *reg) {
	if r.fetchID != 0 {
		return // the answer is known, its state is on its way
	}
	b, at, ok := p.equal(r)
	if ok {
		p.readState(r, b, at)
		return
	}
	settled := r.replied | r.lost
	if settled&r.asked != r.asked {
		return
	}
	if r.asked != r.cfg.All() {
		p.askRest(r)
		return
	}
	p.repairRead(r)
}

// repairRead goes through a round: no q replies carry the same ballot.
func (p *Proposer) repairRead(r *reg) {
	p.Stats.Repair.Add(1)
	p.throughRound(r)
}

// throughRound has the commands of a read go through a round of two trips.
func (p *Proposer) throughRound(r *reg) {
	p.abandon(r)
	if r.aside != nil {
		p.comeBack(r)
		return
	}
	p.startPrepare(r)
}

// readState finds the state of the ballot that the read has settled on.
func (p *Proposer) readState(r *reg, b Ballot, at Set) {
	r.base, r.at = b, at
	if r.aside != nil {
		if r.overtaken() && b != r.aside.base && !p.Omit.has(RuleOrderAside) {
			p.abandon(r)
			p.fail(r, ErrContention)
			p.start(r)
			return
		}
		r.aside.now = p.now.Wall
	}
	for i := range r.replies {
		if at.Has(i) && r.replies[i].HasState && r.replies[i].View.Covers(r.proj) {
			r.view, r.have = r.replies[i].View, true
			r.large = r.large && !r.proj.Unbounded()
			p.answerReads(r)
			return
		}
	}
	p.fetch(r)
}

// fetch reads r.proj from one of the members at r.base. The state counts only
// if it is still at that ballot (§3).
func (p *Proposer) fetch(r *reg) {
	p.drop(&r.fetchID)
	r.fetchID = p.newID(r, nil)
	r.parts, r.fetchAt = parts{}, 0
	if !p.fetchNext(r) {
		p.fetchFailed(r)
	}
}

// fetchNext asks the next of the members at r.base, if there is one. The first
// that answers is listened to.
func (p *Proposer) fetchNext(r *reg) bool {
	left := r.at &^ (r.lost | r.fetchAt)
	for _, i := range p.Env.Prefer(r.cfg, r.id.Slot) {
		if !left.Has(i) {
			continue
		}
		p.Stats.Fetches.Add(1)
		r.fetchAt = r.fetchAt.With(i)
		p.send(r, i, &Request{ID: r.fetchID, Kind: KindRead, Register: r.id, Epoch: r.cfg.Epoch,
			WantState: true, WantLarge: true, Projection: r.proj})
		patience := p.fetchPatience(r)
		switch {
		case left.Len() == 1: // nobody else could be asked
		case patience > p.Timing.Retry:
			patience = p.Timing.Retry
		default:
			patience = p.Timing.Hedge
		}
		p.arm(r, patience)
		return true
	}
	return false
}

// fetchLate is called when an extra read has not been answered for some time.
func (p *Proposer) fetchLate(r *reg) {
	if r.parts.begun() || !p.fetchNext(r) {
		p.fetchFailed(r)
	}
}

// fetchFailed starts over: somebody else has moved the register on, or the
// members that were asked are gone.
func (p *Proposer) fetchFailed(r *reg) {
	carried := r.phase == fetching && r.kind == carriedOn
	p.abandon(r)
	if carried {
		p.startPrepare(r) // the promise is lost; nobody has been in our way yet
		return
	}
	p.pause(r)
}

// fetchPatience is how long an extra read, or its next part, may take: as long
// as the command, if it may be large or a member that was asked for the state
// has shown that it is.
func (p *Proposer) fetchPatience(r *reg) time.Duration {
	if r.proj.Unbounded() {
		return p.Limits.Command
	}
	for i := range r.replies {
		if r.asksState.Has(i) && r.replied.Has(i) && !r.replies[i].HasState {
			return p.Limits.Command
		}
	}
	return p.Timing.Retry
}

// onFetch takes the state that an extra read brought.
func (p *Proposer) onFetch(r *reg, i int, reply *Reply) {
	if r.parts.begun() && i != r.fetchFrom {
		return // another member was faster
	}
	if reply.Outcome != Told {
		r.lost = r.lost.With(i)
		r.fetchAt &^= 1 << i
		switch {
		case r.parts.begun():
			p.fetch(r)
		case r.fetchAt == 0 && !p.fetchNext(r):
			p.fetchFailed(r)
		}
		return
	}
	if moved := reply.Accepted != r.base && !p.Omit.has(RuleFetch); moved || !reply.HasState {
		p.fetchFailed(r)
		return
	}
	r.fetchFrom = i
	if !r.parts.add(reply) {
		p.arm(r, p.fetchPatience(r))
		p.knownLarge(r, &reply.View.Header)
		return
	}
	p.drop(&r.fetchID)
	if r.have {
		r.view = r.parts.take(r.view)
	} else {
		r.view, r.have = r.parts.take(), true
	}
	if !r.view.Covers(r.proj) {
		p.fetchFailed(r) // parts of two answers, which did not divide the state alike
		return
	}
	if r.phase == reading {
		p.answerReads(r)
		return
	}
	p.execute(r)
}

// answerReads executes the batch on the state and answers.
func (p *Proposer) answerReads(r *reg) {
	now := p.readTime(r)
	if r.view.Header.Expired(now) {
		if !p.Omit.has(RuleExpiryChosen) {
			// The delete must be chosen before anybody hears of it (§8).
			p.throughRound(r)
			return
		}
		r.view = register.Nothing()
	}
	more := register.Projection{}
	changes := false
	for _, c := range r.batch {
		e := c.Op.Execute(r.view, now)
		if e.Need != nil {
			more.Include(*e.Need)
		}
		c.answer, changes = e.Result, changes || e.Need == nil && e.Change.Kind != register.None
	}
	if changes && !p.Omit.has(RuleExpiryChosen) {
		p.throughRound(r) // as above: a part of the state is past its time
		return
	}
	if !more.HeaderOnly() {
		r.proj, r.asksMore = more, true
		p.fetch(r)
		return
	}
	p.Stats.Reads.Add(1)
	p.Stats.batch(len(r.batch))
	for _, c := range r.batch {
		c.Seen = Seen{Ballot: r.base, Held: p.heldSince(r, r.at, c.Started)}
	}
	p.complete(r)
}

// heldSince reports whether a quorum of the members at r.base has held it for
// longer than the time since the command began (§7).
func (p *Proposer) heldSince(r *reg, at Set, began Mono) bool {
	var s Set
	for i := range r.replies {
		if at.Has(i) && (r.replies[i].Held > time.Duration(p.now.Mono-began) || p.Omit.has(RuleHeld)) {
			s = s.With(i)
		}
	}
	return r.cfg.IsQuorum(s)
}

// complete answers every command of the batch with its answer and ends the
// round.
func (p *Proposer) complete(r *reg) {
	p.drop(&r.reqID)
	p.drop(&r.fetchID)
	r.event()
	batch := r.batch
	for _, c := range batch {
		p.finish(c, c.answer, nil)
	}
	clear(batch)
	r.batch = batch[:0]
	r.phase, r.fails, r.have = idle, 0, false
	r.view = register.View{}
	p.start(r)
}

// readLate is called when a read has waited for its hedge or longer.
func (p *Proposer) readLate(r *reg) {
	if r.fetchID != 0 {
		p.fetchLate(r)
		return
	}
	if r.asked != r.cfg.All() {
		p.askRest(r)
		p.arm(r, p.Timing.Hedge)
		return
	}
	if r.cfg.IsQuorum(r.replied) {
		p.repairRead(r)
		return
	}
	if time.Duration(p.now.Mono-r.started) >= p.Timing.Retry {
		p.retryLater(r)
		return
	}
	p.arm(r, p.Timing.Retry)
}
