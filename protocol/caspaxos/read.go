package caspaxos

import (
	"slices"
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
	p.hedgeSpent = max(p.hedgeSpent-1, 0)
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

// askRest asks the members that have not been asked yet for their ballots. Who is
// late is mostly busy, not gone: its state will come, and to have another one send
// it, too, would make both busier.
func (p *Proposer) askRest(r *reg) {
	if r.asked == r.cfg.All() {
		return
	}
	p.Stats.Hedged.Add(1)
	r.hedged = r.cfg.All() &^ r.asked
	state := r.asksState&^r.lost == 0
	for i := range r.cfg.nodes {
		if !r.asked.Has(i) {
			p.askRead(r, i, state || r.proj.HeaderOnly())
			state = false
		}
	}
}

const (
	// hedgeShare bounds the hedges to one in so many reads, hedgeBurst is how many
	// there may be at once: when all members are busy, to ask one more of them makes
	// it worse. hedgeSilent is after how many times as long as a hedge takes a member
	// of which nothing comes is taken to be gone rather than busy.
	hedgeShare  = 16
	hedgeBurst  = 64
	hedgeSilent = 3
)

// mayHedge reports whether the rest is to be asked now, as members are late.
func (p *Proposer) mayHedge(r *reg) bool {
	for i, node := range r.cfg.nodes {
		if r.asked.Has(i) && !(r.replied | r.lost).Has(i) && p.silent(node) {
			return true
		}
	}
	if p.hedgeSpent+hedgeShare > hedgeBurst*hedgeShare {
		return false
	}
	p.hedgeSpent += hedgeShare
	return true
}

// hedgePaid is called when a read has its answer. A hedge that was quicker than who
// was asked first does not count: not all are busy.
func (p *Proposer) hedgePaid(r *reg) {
	if r.hedged&r.replied != 0 && r.asked&^(r.hedged|r.replied|r.lost) != 0 {
		p.hedgeSpent = max(p.hedgeSpent-hedgeShare, 0)
	}
}

// askAgain repeats a read to the members that have not answered, for their ballots
// alone: the request may be lost. If it is not, the answer to it still counts.
func (p *Proposer) askAgain(r *reg) {
	for i := range r.cfg.nodes {
		if !(r.replied | r.lost).Has(i) {
			r.asksState &^= 1 << i
			p.askRead(r, i, r.proj.HeaderOnly())
		}
	}
}

func (p *Proposer) onRead(r *reg, i int, reply *Reply) {
	switch {
	case r.fetchID != 0:
		p.lateState(r, reply)
	case reply.Outcome != Told:
		r.lost = r.lost.With(i)
		p.afterLoss(r)
	default:
		r.replied = r.replied.With(i)
		r.replies[i] = *reply
		p.evalRead(r)
	}
}

// lateState looks at a reply that comes when the state is being read from another
// member already: it may have it.
func (p *Proposer) lateState(r *reg, reply *Reply) {
	if r.parts.begun() || !reply.HasState || reply.Accepted != r.base || !reply.View.Covers(r.proj) {
		return
	}
	p.endFetch(r)
	r.view, r.have = reply.View, true
	p.answerReads(r)
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
		return // the ballot is known, its state is on its way
	}
	b, at, ok := p.equal(r)
	if ok {
		p.readState(r, b, at)
		return
	}
	left := r.cfg.All() &^ (r.replied | r.lost)
	if r.cfg.IsQuorum(r.replied) {
		left &= p.answering(r.cfg)
	}
	switch {
	case left&r.asked != 0:
	case left != 0:
		p.askRest(r)
	default:
		p.repairRead(r)
	}
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

// stateComes reports whether a member that was asked for the state along with its
// ballot is to be waited for, as the others have told theirs: as long as something
// comes from it, but not for ever.
func (p *Proposer) stateComes(r *reg) bool {
	late := time.Duration(p.now.Mono-r.started) >= p.Timing.Retry
	for i, node := range r.cfg.nodes {
		if r.asksState.Has(i) && !(r.replied | r.lost).Has(i) && !late && !p.silent(node) {
			p.arm(r, p.Timing.Hedge)
			return true
		}
	}
	return false
}

// readState finds the state of the ballot that the read has settled on.
func (p *Proposer) readState(r *reg, b Ballot, at Set) {
	r.base, r.at = b, at
	if origins := p.unsettled(r, b); slices.ContainsFunc(r.batch, func(c *Command) bool { return slices.Contains(origins, c.Origin) }) {
		p.throughRound(r)
		return
	}
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
	if !p.stateComes(r) {
		p.fetch(r)
	}
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
	p.hedgePaid(r)
	p.Stats.Reads.Add(1)
	p.Stats.batch(len(r.batch))
	size := r.view.Bytes() / len(r.batch)
	for _, c := range r.batch {
		c.Seen = Seen{Ballot: r.base, Held: p.heldSince(r, r.at, c.Started), Bytes: size}
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
	p.endFetch(r)
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
	if b, at, ok := p.equal(r); ok {
		p.readState(r, b, at) // it was to come along
		return
	}
	if r.asked != r.cfg.All() {
		if p.mayHedge(r) || time.Duration(p.now.Mono-r.started) >= p.Timing.Retry {
			p.askRest(r)
		}
		p.arm(r, p.Timing.Hedge)
		return
	}
	if r.cfg.IsQuorum(r.replied) {
		p.repairRead(r)
		return
	}
	if time.Duration(p.now.Mono-r.started) >= p.Timing.Retry {
		p.askAgain(r)
	}
	p.arm(r, p.Timing.Retry)
}
