package caspaxos

import (
	"slices"
	"time"

	"synod/protocol/register"
)

// This file is §4.2 and §4.3: rounds that write.

// startBlind sends the whole queue as one blind write: its first command does
// not depend on the state, so all that follow know theirs (§4.3).
func (p *Proposer) startBlind(r *reg) {
	p.reset(r, accepting)
	r.kind, r.base, r.lineage = blind, Ballot{}, Lineage{}
	r.view, r.have = register.Nothing(), true
	r.ballot = p.Clock.Next()
	run := p.newRun(r)
	if run.executeQueue(); run.change().Kind != register.Full {
		p.abandon(r) // a blind operation that changes nothing has nothing to send
		p.startPrepare(r)
		return
	}
	p.sendAccept(r, run)
}

// startPrepare begins a round of two trips.
func (p *Proposer) startPrepare(r *reg) {
	r.carry = carried{}
	p.reset(r, preparing)
	r.kind, r.have, r.rulesOut = twoTrip, false, false
	r.ballot = p.Clock.Ahead(p.lead(r))
	r.proj = waitingNeeds(r)
	for _, c := range r.queue {
		c.asked = true
	}
	oldest := oldestAttempt(r.queue)
	prefer := p.Env.Prefer(r.cfg, r.id.Slot)
	for n, i := range prefer {
		r.asked = r.asked.With(i)
		req := &Request{ID: r.reqID, Kind: KindPrepare, Register: r.id, Epoch: r.cfg.Epoch,
			Ballot: r.ballot, WantHistory: true, WantState: n == 0, Oldest: oldest}
		if n == 0 {
			req.Projection = r.proj
			r.asksState = r.asksState.With(i)
		}
		p.send(r, i, req)
	}
	p.arm(r, p.Timing.Retry)
}

func (p *Proposer) onPromise(r *reg, i int, reply *Reply) {
	p.promiseTells(r.cfg.nodes[i], reply)
	if r.phase == fetching {
		p.latePromise(r, i, reply)
		return
	}
	switch reply.Outcome {
	case Promised:
		r.replied = r.replied.With(i)
		r.replies[i] = *reply
		if p.quorum(r, r.replied) {
			p.promised(r)
		}
	case Nacked:
		if reply.Promise == r.ballot {
			return // a doubled Prepare is Nacked with its own ballot
		}
		p.Stats.Nacks.Add(1)
		r.lost = r.lost.With(i)
		p.refusedBy(r, i)
		if !r.cfg.CanReach(r.lost) || p.inVain(r, r.replied) {
			p.interfered(r)
			return
		}
		p.fewer(r)
	case DiskFull:
		p.heardRoom(r.cfg.nodes[i], RoomNone)
		r.lost, r.roomless = r.lost.With(i), r.roomless.With(i)
		p.fewer(r)
	default:
		r.lost = r.lost.With(i)
		p.fewer(r)
	}
}

// latePromise looks at a promise to a round that has its quorum and is reading the
// state: it may bring that, or come from another member that has it.
func (p *Proposer) latePromise(r *reg, i int, reply *Reply) {
	if r.kind != twoTrip || reply.Outcome != Promised || reply.Accepted != r.base {
		return
	}
	r.at = r.at.With(i)
	if r.parts.begun() || r.have || !reply.HasState || !reply.View.Covers(r.proj) {
		return
	}
	p.endFetch(r)
	r.view, r.have = reply.View, true
	p.execute(r)
}

// fewer goes on with a Prepare that one member less will answer.
func (p *Proposer) fewer(r *reg) {
	switch {
	case !r.cfg.CanReach(r.lost):
		p.cannotPromise(r)
	case p.quorum(r, r.replied):
		p.promised(r)
	}
}

// quorum is IsQuorum but for the tests that show why.
func (p *Proposer) quorum(r *reg, s Set) bool {
	return r.cfg.IsQuorum(s) || (p.Omit.has(RuleQuorum) && s.Len() >= r.cfg.All().Len()/2)
}

// promised goes on with a quorum of promises.
func (p *Proposer) promised(r *reg) {
	h := p.highest(r)
	at := p.holders(r, h)
	if p.awaitsRoom(r) {
		p.armWaiting(r, p.Timing.Retry-time.Duration(p.now.Mono-r.started))
		return
	}
	if !p.settleDoubt(r) {
		return // rule 4: wait for the other members
	}
	r.base, r.at = h, at
	if r.shared = !h.IsZero() && h.Proposer != p.Clock.ID(); r.shared && r.noBlind != 0 {
		p.avoidBlind(r) // still contended
	}
	r.lineage = p.unionLineage(r)
	for i := range r.replies {
		if at.Has(i) && r.replies[i].HasState && r.replies[i].View.Covers(r.proj) {
			r.view, r.have = r.replies[i].View, true
			p.execute(r)
			return
		}
	}
	r.phase = fetching
	r.have = false
	p.fetch(r)
}

// unionLineage is what a full change of this round carries (§2).
func (p *Proposer) unionLineage(r *reg) Lineage {
	var l Lineage
	for i := range r.replies {
		if h := r.replies[i].History; r.replied.Has(i) && h != nil {
			l.Merge(&h.Lineage)
		}
	}
	l.trim(MakeTime(p.now.Wall, 0).Add(-2*p.Limits.Command), p.Limits.entries())
	return l
}

// execute runs the waiting commands on the state that the round has found, and
// sends what they come to (§4.2.3).
func (p *Proposer) execute(r *reg) {
	run := p.newRun(r)
	run.early = r.kind == twoTrip && (!run.stale || p.Omit.has(RuleEarlyExpired)) &&
		(p.quorum(r, r.at) || p.Omit.has(RuleEarlyChosen))
	if r.kind == twoTrip {
		run.room = r.room()
	}
	n := run.executeQueue()
	if run.need != nil {
		r.proj = *run.need
		r.phase = fetching
		p.fetch(r)
		return
	}
	if n == 0 && run.early && run.change().Kind == register.None && !r.rulesOut {
		p.preparedOnly(r)
		return
	}
	r.behind = 0
	if r.kind == twoTrip {
		r.behind = r.replied &^ r.at
	}
	p.reset(r, accepting)
	p.sendAccept(r, run)
}

// preparedOnly ends a round in which every command could be answered early. Its
// promise is still good for the next round.
func (p *Proposer) preparedOnly(r *reg) {
	p.Stats.TwoTrip.Add(1)
	r.carry = carried{ballot: r.ballot, cfg: r.cfg, base: r.base, at: r.at,
		view: r.view.Trimmed(register.Change{}, carriedView), lineage: r.lineage,
		since: p.now.Mono}
	p.drop(&r.reqID)
	r.phase, r.fails, r.have = idle, 0, false
	r.view = register.View{}
	p.start(r)
}

// sendAccept sends the round's Accept to all members. A member that is known
// not to be at the base gets the whole state at once, if that is small.
func (p *Proposer) sendAccept(r *reg, run *run) {
	r.change, r.view, r.changes, r.tight = run.change(), run.draft.View(), run.changes, run.room != RoomEnough
	r.granted, r.fixing, r.stale, r.passed, r.busy, r.waited = 0, 0, 0, 0, 0, 0
	r.try = &try{ballot: r.ballot, cfg: r.cfg}
	r.attempt(p.Omit)
	r.rmw = r.rmw || r.kind != blind
	r.event()
	r.next = Ballot{}
	if r.rmw && p.Cached > 0 {
		r.next = p.Clock.Next()
	}
	req := &Request{ID: r.reqID, Kind: KindAccept, Register: r.id, Epoch: r.cfg.Epoch, Ballot: r.ballot,
		Prepared: r.kind != blind, Base: r.base, Change: r.change, Next: r.next}
	whole, behind := req, Set(0)
	switch {
	case !req.Prepared:
	case req.Change.Kind == register.Full:
		req.History = r.history(p.Omit)
	case r.kind == twoTrip && r.behind != 0 && r.view.Whole() && r.view.Bytes() <= smallState:
		clone := *req
		clone.Change, clone.History = r.view.Full(), r.history(p.Omit)
		whole, behind = &clone, r.behind
	}
	for i := range r.cfg.nodes {
		r.asked = r.asked.With(i)
		if behind.Has(i) {
			p.send(r, i, whole)
		} else {
			p.send(r, i, req)
		}
	}
	p.arm(r, p.patience(r))
}

// history is the lineage that travels with the round's state.
func (r *reg) history(omit Rules) *Lineage {
	if omit.has(RuleMergeLineage) {
		return nil
	}
	return &Lineage{Entries: append([]Entry(nil), r.lineage.Entries...), Cut: r.lineage.Cut}
}

func (p *Proposer) onAck(r *reg, i int, reply *Reply) {
	switch reply.Outcome {
	case Acked:
		r.try.acks = r.try.acks.With(i)
		if len(p.behind) > 0 {
			p.follows(repairKey{r.id.Key, r.cfg.nodes[i]})
		}
		r.replied = r.replied.With(i)
		r.lost &^= 1 << i
		if reply.Shared {
			p.avoidBlind(r)
		}
		if reply.Granted {
			r.granted = r.granted.With(i)
		}
		for j := range r.cfg.nodes {
			if r.stale.Has(j) {
				r.stale &^= 1 << j
				p.fix(r, j)
			}
		}
		if p.quorum(r, r.try.acks) {
			p.chosen(r)
			return
		}
	case StaleBase:
		r.replies[i] = *reply
		if r.cfg.CanReach(r.lost) {
			p.fix(r, i)
		} else {
			p.missed(r, i) // the less it spreads, the better
		}
	case Nacked:
		p.Stats.Nacks.Add(1)
		for _, c := range r.batch {
			c.nacked = true
		}
		p.avoidBlind(r)
		if reply.Never {
			r.try.nevers = r.try.nevers.With(i)
		}
		p.missed(r, i)
		p.refusedBy(r, i)
	case Unsent:
		r.try.unsent = r.try.unsent.With(i)
		p.missed(r, i)
	case Unreachable:
		if p.Omit.has(RuleUnsent) {
			r.try.unsent = r.try.unsent.With(i)
		}
		p.missed(r, i)
	case DiskFull:
		p.diskFull(r, i)
	case Busy:
		r.busy = r.busy.With(i)
		p.missed(r, i)
	default:
		p.missed(r, i)
	}
	p.checkLost(r)
}

// missed notes that a member did not vote for the round.
func (p *Proposer) missed(r *reg, i int) {
	if !r.try.acks.Has(i) {
		r.lost = r.lost.With(i)
	}
}

// checkLost ends a round that cannot get its Acks any more, or cannot get them
// from members that answer (see inVain). While all who answered say that they
// never voted for it, it waits a little for the others: if they say so too,
// nothing is in doubt.
func (p *Proposer) checkLost(r *reg) {
	if !r.cfg.CanReach(r.lost) && r.passed != 0 && r.cfg.CanReach(r.lost&^r.passed) {
		p.reconsider(r) // who was passed over is needed after all
	}
	switch {
	case r.try.acks == 0 && r.stale != 0 && r.stale|r.lost == r.cfg.All():
		p.doubt(r) // nobody voted whom the others could have the state from
	case p.inVain(r, r.try.acks):
		p.doubt(r)
	case r.cfg.CanReach(r.lost):
	case r.try.none() == r.lost && (r.cfg.All()&^r.lost)&p.answering(r.cfg) != 0 && r.try.acks == 0:
		p.arm(r, p.Timing.Hedge)
	default:
		p.doubt(r)
	}
}

// fix sends the whole state at the round's ballot to a member that lacks the
// base (§4.2.4), or has it fetched from one that acked. A member that cannot be
// brought up now will not vote for the round.
func (p *Proposer) fix(r *reg, i int) {
	if r.fixing.Has(i) {
		return
	}
	r.fixing = r.fixing.With(i)
	if !p.startRepair(r, i) {
		p.missed(r, i)
		if !r.passed.Has(i) {
			p.refusedBy(r, i)
		}
	}
}

// chosen answers the round's commands and keeps the promise it brought.
func (p *Proposer) chosen(r *reg) {
	switch r.kind {
	case blind:
		p.Stats.Blind.Add(1)
	case carriedOn:
		p.Stats.Carried.Add(1)
	default:
		p.Stats.TwoTrip.Add(1)
	}
	p.Stats.batch(len(r.batch))
	lineage := r.lineage
	lineage.Insert(Entry{Ballot: r.ballot, Parent: r.base, Blind: r.kind == blind})
	lineage.trim(MakeTime(p.now.Wall, 0).Add(-2*p.Limits.Command), p.Limits.entries())
	r.carry = carried{}
	granted := r.granted
	if p.Omit.has(RuleGranted) {
		granted = r.replied
	}
	if !r.next.IsZero() && p.quorum(r, granted) {
		r.carry = carried{ballot: r.next, cfg: r.cfg, base: r.ballot, at: granted,
			view: r.view.Trimmed(r.change, carriedView), lineage: lineage,
			since: p.now.Mono}
	}
	for _, c := range r.batch {
		c.Seen = Seen{Ballot: r.ballot}
		if c.changes != r.changes || (len(c.attempts) > 0 && c.verdict == tookEffect) {
			c.Seen.Ballot = p.Clock.Next() // no state's: what it saw was gone when the round was chosen
		}
	}
	p.keepForRepair(r)
	r.try = nil
	r.change = register.Change{}
	p.complete(r)
}

// attempt notes the batch's attempts (see there).
func (r *reg) attempt(omit Rules) {
	behind := false
	for _, c := range slices.Backward(r.batch) {
		if behind = behind && !omit.has(RuleOrder) || c.writes(); behind {
			c.attempts = append(c.attempts, attempt{try: r.try, result: c.answer, changed: c.writes()})
		}
	}
}

// writes reports whether the command did something in the present round that must
// not be done twice. One that only reads did not, even if it took away what was
// past its time.
func (c *Command) writes() bool { return c.changed && !c.Op.ReadOnly() }

// doubt ends a round that did not get its Acks: it may still take effect later
// (§5). Its commands go back to the queue with their attempts.
func (p *Proposer) doubt(r *reg) {
	p.Stats.InDoubt.Add(1)
	busy := r.busy != 0 && !r.cfg.CanReach(r.busy|r.lost)
	for _, c := range r.batch {
		if busy {
			c.busy++
		}
		if n := len(c.attempts); n > 0 && c.attempts[n-1].try == r.try && r.try.none() == r.cfg.All() {
			c.attempts = c.attempts[:n-1] // nobody voted for it
		}
	}
	if !p.Omit.has(RuleBallotOnce) {
		r.carry = carried{}
	}
	p.avoidBlind(r)
	p.abandon(r)
	if r.fails > 0 {
		p.pause(r)
		return
	}
	r.fails++
	p.start(r) // at once: see lead
}

// prepareLate starts a Prepare over that has waited too long, or settles for
// what has come.
func (p *Proposer) prepareLate(r *reg) {
	switch {
	case r.phase == fetching:
		p.fetchLate(r)
	case p.quorum(r, r.replied):
		p.promised(r) // §5 waited for members that do not answer
	case p.inVain(r, r.replied):
		p.interfered(r)
	case time.Duration(p.now.Mono-r.started) < p.Timing.Retry:
		p.armWaiting(r, p.Timing.Retry-time.Duration(p.now.Mono-r.started))
	default:
		p.retryLater(r)
	}
}

// bulkRate is what a large value is given time for, beyond the usual wait: it
// has to reach several disks. In bytes per second.
const bulkRate = 16 << 20

// patience is how long a round waits for its Acks.
func (p *Proposer) patience(r *reg) time.Duration {
	return p.Timing.Accept + time.Duration(r.change.Bytes())*time.Second/bulkRate
}

// acceptLate gives up waiting for Acks, but not while a member is being brought
// up that may give one: the next round would begin with that anew.
func (p *Proposer) acceptLate(r *reg) {
	waited, limit := time.Duration(p.now.Mono-r.started), p.patience(r)
	switch {
	case !r.cfg.CanReach(r.lost), p.inVain(r, r.try.acks):
		p.doubt(r)
	case waited < limit:
		p.armWaiting(r, limit-waited)
		p.reconsider(r)
	case p.mending(r):
		p.arm(r, p.Timing.Retry)
	default:
		p.doubt(r)
	}
}
