package caspaxos

import (
	"time"

	"synod/protocol/register"
)

// maxRepairs bounds the repairs that a lane has under way.
const maxRepairs = 64

// repair brings one member that was found behind to the ballot of a round: by
// an Accept of that round with the full state and its lineage (§3 "one door") or,
// if a member that acked it still knows, with what leads there from a state that
// the other one has (see Way). It is read from a member that acked, unless the
// proposer knows the state.
type repair struct {
	id     uint64
	cfg    *Config
	target int
	since  []Ballot // the states that the target can be brought up from
	acks   Set      // the members that have acked the round
	left   Set      // of these, those that have not been asked
	asked  int      // the member that the present request went to
	accept Request  // complete but for the state, when that is still to be read
	reg    *reg     // the round that waits for the target's Ack, while it does
	try    *try
	needed bool   // reg's round cannot be chosen without the target
	whole  bool   // the whole state will do, too
	began  Mono   // when it last got on
	parts  parts  // of the state, as it comes in
	ready  bool   // the state is there, and what has happened since was asked for
	at     Ballot // of the state that comes in
}

// recent remembers the last rounds that were chosen by deltas, so that a member
// that answers late that it is behind can still be brought up.
type recent struct {
	ring [1024]struct {
		id     uint64
		cfg    *Config
		accept Request
		acks   Set
		header register.Header
	}
}

// since is what a member that said Stale can be brought up from.
func (p *Reply) since() []Ballot {
	if p.Outcome != StaleBase {
		return nil
	}
	return append([]Ballot{p.Accepted}, p.Back[:min(len(p.Back), MaxBack)]...)
}

// startRepair is called while the round still waits: the target said Stale. It
// returns false if nothing is done for it now.
func (p *Proposer) startRepair(r *reg, target int) bool {
	others := (r.try.acks | p.answering(r.cfg)) &^ (r.lost | r.stale | r.fixing | 1<<target)
	rep := &repair{cfg: r.cfg, target: target, reg: r, try: r.try, accept: p.redelivery(r), needed: !r.cfg.IsQuorum(others) || r.waited.Has(target)}
	rep.accept.Needed = rep.needed && r.addsNothing()
	if r.view.Whole() && r.view.Bytes() <= smallState {
		rep.accept.Change, rep.accept.History = r.view.Full(), r.history(p.Omit)
		if !p.beginRepair(rep) {
			return false
		}
		p.sendRepair(rep)
		return true
	}
	if r.try.acks == 0 {
		r.fixing &^= 1 << target // nobody has it yet: at the first Ack
		r.stale = r.stale.With(target)
		p.refusedBy(r, target)
		return true
	}
	want := p.lags(rep.key(), &r.view.Header)
	if rep.needed {
		want = lagsFar
	}
	if want == lagsLittle || p.isShort(r.cfg.nodes[target]) && !rep.needed {
		p.pass(r, target)
		return false
	}
	if old := p.repairing[rep.key()]; old != nil && old.reg == nil && old.accept.Ballot == r.ballot {
		old.reg, old.try, old.needed = r, r.try, rep.needed // it is on its way
		return true
	}
	rep.acks, rep.since, rep.whole = r.try.acks, r.replies[target].since(), want == lagsFar
	if !p.pull(rep) {
		if !rep.needed {
			p.pass(r, target)
		}
		return false
	}
	return true
}

// pass leaves a member behind for now, as the round does not seem to need it.
func (p *Proposer) pass(r *reg, target int) {
	r.passed = r.passed.With(target)
	p.arm(r, p.Timing.Lag)
}

// reconsider is called while the round goes on to wait: whom it passed over, as
// the others seemed to be enough, has been behind for long enough by now.
func (p *Proposer) reconsider(r *reg) {
	for i := range r.cfg.nodes {
		if r.passed.Has(i) && !r.try.acks.Has(i) {
			r.passed, r.lost, r.fixing = r.passed&^(1<<i), r.lost&^(1<<i), r.fixing&^(1<<i)
			r.waited = r.waited.With(i)
			p.fix(r, i)
		}
	}
}

// redelivery is the round's Accept without its change.
func (p *Proposer) redelivery(r *reg) Request {
	return Request{Kind: KindAccept, Register: r.id, Epoch: r.cfg.Epoch, Ballot: r.ballot,
		Prepared: r.kind != blind, Base: r.base}
}

// keepForRepair remembers a round that was chosen by a delta.
func (p *Proposer) keepForRepair(r *reg) {
	if r.change.Kind == register.Full {
		return
	}
	if p.recent == nil {
		p.recent = new(recent)
	}
	e := &p.recent.ring[r.reqID%uint64(len(p.recent.ring))]
	e.id, e.cfg, e.accept, e.acks, e.header = r.reqID, r.cfg, p.redelivery(r), r.try.acks, r.view.Header
}

// lateReply looks at a reply to a round that has ended.
func (p *Proposer) lateReply(from NodeID, reply *Reply) {
	p.promiseTells(from, reply)
	if (reply.Outcome != StaleBase && reply.Outcome != Acked) || p.recent == nil {
		return
	}
	e := &p.recent.ring[reply.ID%uint64(len(p.recent.ring))]
	if e.id != reply.ID || p.Env.Config(e.accept.Register.Slot) != e.cfg {
		return
	}
	target := e.cfg.Index(from)
	if target < 0 {
		return
	}
	rep := &repair{cfg: e.cfg, target: target, accept: e.accept, acks: e.acks, since: reply.since()}
	if reply.Outcome == Acked {
		p.follows(rep.key())
		return
	}
	if want := p.lags(rep.key(), &e.header); want != lagsLittle && !p.isShort(from) {
		rep.whole = want == lagsFar
		p.pull(rep)
	}
}

// pull begins a repair by reading from the members that have acked. It returns
// false if too many repairs are under way.
func (p *Proposer) pull(rep *repair) bool {
	rep.left = rep.acks
	return rep.acks != 0 && p.beginRepair(rep) && p.ask(rep)
}

// ask reads what leads to the round's state from one that the target has or else,
// if that is wanted and no other member is left to ask for the first, the whole
// state. It returns false if there is nobody to ask.
func (p *Proposer) ask(rep *repair) bool {
	if rep.left == 0 {
		return false
	}
	for _, rep.asked = range p.Env.Prefer(rep.cfg, rep.accept.Register.Slot) {
		if rep.left.Has(rep.asked) {
			break
		}
	}
	rep.left &^= 1 << rep.asked
	rep.began, rep.parts, rep.ready = p.now.Mono, parts{}, false
	rep.id = p.newID(nil, rep)
	req := &Request{ID: rep.id, Kind: KindRead, Register: rep.accept.Register, Epoch: rep.cfg.Epoch}
	if len(rep.since) > 0 {
		req.Since, req.Ballot = rep.since, rep.accept.Ballot
	}
	if rep.whole && (len(rep.since) == 0 || rep.left == 0) {
		req.WantState, req.WantLarge, req.WantHistory, req.Projection.All = true, true, true, true
	}
	p.out = append(p.out, Sent{To: rep.cfg.nodes[rep.asked], Request: req})
	return true
}

// repairKey tells repairs apart: one per register and member.
type repairKey struct {
	key    string
	target NodeID
}

func (rep *repair) key() repairKey {
	return repairKey{rep.accept.Register.Key, rep.cfg.nodes[rep.target]}
}

// maxBehind bounds the members, by register, that are known to be behind.
const maxBehind = 1 << 12

// behind is what is known of a member that is behind.
type behind struct {
	since Mono // when that was found, or later: the whole state is sent some time after it
	again Mono // before then nothing is sent
	tries int  // that came to nothing
}

// How far a member lags that has just said that it is behind.
const (
	lagsLittle = iota // it may catch up by itself
	lagsSome          // it is to be sent what it has missed
	lagsFar           // or the whole state, if nobody knows what that is
)

// lags returns how far a member lags that has just said that it is behind. Most
// catch up by themselves, when what is still under way to them arrives (see
// stash), or when the others' next deltas do; a large state costs much more than
// they do, and the more the larger it is.
func (p *Proposer) lags(key repairKey, h *register.Header) int {
	b, known := p.behind[key]
	if !known {
		if p.behind == nil || len(p.behind) >= maxBehind {
			p.behind = make(map[repairKey]behind)
		}
		b = behind{since: p.now.Mono, again: p.now.Mono + Mono(p.Timing.Lag)}
	}
	patience := p.Timing.Lag
	if patience > 0 {
		patience += transfer(h)
	}
	far := lagsLittle
	if p.now.Mono >= b.again {
		b.again = p.now.Mono + Mono(p.Timing.Lag)
		if far = lagsSome; time.Duration(p.now.Mono-b.since) >= patience {
			far = lagsFar
		}
	}
	p.behind[key] = b
	return far
}

// mended notes how a repair has ended. After one that came to nothing the next one
// waits, the longer the more of them there were. After a state was sent the next
// one waits for longer than this one took: it may not have helped, as the member
// may have missed more meanwhile.
func (p *Proposer) mended(rep *repair, acked bool) {
	b, ok := p.behind[rep.key()]
	state := rep.accept.Change.Kind == register.Full
	switch {
	case !ok:
		return
	case acked && !state:
		p.follows(rep.key())
		return
	case acked:
		b.tries = 0
	default:
		b.again = p.now.Mono + Mono(p.Timing.Lag)<<min(b.tries, 6)
		b.tries++
	}
	if state {
		b.since = p.now.Mono + 4*(p.now.Mono-rep.began)
	}
	p.behind[rep.key()] = b
}

// transfer is about how long a state takes to reach a member and its disk.
func transfer(h *register.Header) time.Duration {
	bytes := h.Size
	if h.Type != register.String {
		bytes *= 64
	}
	return time.Duration(min(bytes, 1<<32)) * time.Second / bulkRate
}

// follows notes that a member is no longer behind.
func (p *Proposer) follows(key repairKey) {
	if len(p.behind) > 0 {
		delete(p.behind, key)
	}
}

// beginRepair admits a repair. One that is under way to the same member goes on
// while it makes progress, be it to an earlier ballot, unless a round cannot be
// chosen without the later one: a large state would never arrive if each round
// began anew, and what comes after it the member keeps meanwhile (see stash).
// Those that nobody answered are forgotten some time after that which a command
// may take.
func (p *Proposer) beginRepair(rep *repair) bool {
	if p.repairing == nil {
		p.repairing = make(map[repairKey]*repair)
	}
	key := rep.key()
	switch old := p.repairing[key]; {
	case old == nil && len(p.repairing) >= maxRepairs:
		return false
	case old != nil && (rep.accept.Ballot.AtMost(old.accept.Ballot) || !(rep.needed || p.stalled(old))):
		return false
	case old != nil:
		p.endRepair(old)
	}
	rep.began = p.now.Mono
	p.repairing[key] = rep
	if p.sweepAt == 0 {
		p.sweepAt = p.now.Mono + Mono(p.Limits.Command)
	}
	return true
}

// sweep forgets the repairs that nobody answered.
func (p *Proposer) sweep() {
	for _, old := range p.repairing {
		if !p.fresh(old) {
			p.endRepair(old)
		}
	}
	p.sweepAt = 0
	if len(p.repairing) > 0 {
		p.sweepAt = p.now.Mono + Mono(p.Limits.Command)
	}
}

// stalled reports whether a repair should have got an answer by now.
func (p *Proposer) stalled(rep *repair) bool {
	patience := p.Timing.Retry + time.Duration(rep.accept.Change.Bytes())*time.Second/bulkRate
	return time.Duration(p.now.Mono-rep.began) >= patience
}

// mending reports whether the round waits for a repair that gets on.
func (p *Proposer) mending(r *reg) bool {
	for i, node := range r.cfg.nodes {
		if !r.fixing.Has(i) || r.lost.Has(i) {
			continue
		}
		if rep := p.repairing[repairKey{r.id.Key, node}]; rep != nil && rep.try == r.try && !p.stalled(rep) {
			return true
		}
	}
	return false
}

func (p *Proposer) fresh(rep *repair) bool {
	return time.Duration(p.now.Mono-rep.began) < p.Limits.Command
}

func (p *Proposer) endRepair(rep *repair) {
	delete(p.inflight, rep.id)
	if key := rep.key(); p.repairing[key] == rep {
		delete(p.repairing, key)
	}
}

func (p *Proposer) sendRepair(rep *repair) {
	if rep.accept.Change.Kind == register.Full {
		p.Stats.Pulls.Add(1)
	} else {
		p.Stats.Ways.Add(1)
	}
	rep.asked, rep.began = rep.target, p.now.Mono
	rep.id = p.newID(nil, rep)
	req := rep.accept
	req.ID = rep.id
	p.out = append(p.out, Sent{To: rep.cfg.nodes[rep.target], Request: &req})
}

// onRepair goes on with a repair. Whatever goes wrong ends it: the next round
// finds the member behind again.
func (p *Proposer) onRepair(rep *repair, from NodeID, reply *Reply) {
	told := reply.Outcome == Told && reply.HasState && !reply.Accepted.Less(rep.accept.Ballot)
	if told && rep.parts.begun() && reply.Accepted != rep.at {
		return // a part of another answer to the same request
	}
	rep.at = reply.Accepted
	if told && !rep.parts.add(reply) {
		rep.began = p.now.Mono // it gets on
		return
	}
	delete(p.inflight, rep.id)
	var state register.View
	if told {
		state = rep.parts.take()
	}
	news := rep.ready && rep.asked != rep.target
	if news {
		rep.top(reply)
	}
	if news || rep.fill(reply, state) {
		if p.Env.Config(rep.accept.Register.Slot) == rep.cfg || p.Omit.has(RuleRoundEpoch) {
			if reply.Part > 0 && !news {
				p.askNews(rep)
			} else {
				p.sendRepair(rep)
			}
			return
		}
		// Nothing is sent again under another epoch with its old ballot (§4).
	}
	if p.askOn(rep, reply) {
		return
	}
	p.endRepair(rep)
	p.mended(rep, reply.Outcome == Acked)
	r := rep.reg
	if r == nil || r.phase != accepting || r.try != rep.try || r.try == nil {
		return
	}
	if reply.Outcome == Acked && rep.accept.Ballot == r.ballot {
		reply.Granted = false
		p.onAck(r, rep.target, reply)
		return
	}
	forLater := !rep.whole && rep.accept.Change.Kind != register.Full
	if forLater || reply.Outcome == DiskFull && !rep.accept.Needed && r.addsNothing() {
		p.pass(r, rep.target)
	}
	p.missed(r, rep.target)
	if !r.passed.Has(rep.target) {
		p.refusedBy(r, rep.target) // others have moved it on, as a rule
	}
	p.checkLost(r)
}

// fill puts what was read into the Accept that is to be delivered again. It
// returns false if that is not all that it takes.
func (rep *repair) fill(reply *Reply, state register.View) bool {
	a := &rep.accept
	switch {
	case reply.Outcome == Led:
		a.On, a.Change, a.History = reply.Way.On, reply.Way.Change, &reply.Way.Lineage
	case !state.Whole() || reply.History == nil: // parts of two answers need not fit together
		return false
	default:
		if rep.at != a.Ballot && (reply.Intent != nil || !rep.moved(state, &reply.History.Lineage)) {
			return false
		}
		a.Change = state.Full()
		if a.Prepared {
			a.History = &reply.History.Lineage
		}
	}
	return true
}

// moved makes the Accept that of a later round, at which the state was read: one
// of the same epoch, as the member that has voted for it knew of no later one
// when it answered. A message that was sent to all may arrive twice.
func (rep *repair) moved(state register.View, lineage *Lineage) bool {
	e, ok := lineage.Find(rep.at)
	if !ok || !state.Header.Exists() {
		return false
	}
	rep.accept.Ballot, rep.accept.Base, rep.accept.Prepared = e.Ballot, e.Parent, !e.Blind
	return true
}

// askOn asks another member, if one was asked in vain, or for the whole state, if
// the target could not be brought up from the states that it had. It returns
// false if there is nothing to ask for.
func (p *Proposer) askOn(rep *repair, reply *Reply) bool {
	a := &rep.accept
	switch {
	case p.Env.Config(a.Register.Slot) != rep.cfg:
		return false
	case rep.asked != rep.target:
		return p.ask(rep)
	case reply.Outcome == StaleBase && rep.whole && !a.On.IsZero():
		a.On, a.Change, a.History, rep.since, rep.left = Ballot{}, register.Change{}, nil, nil, rep.acks
		return p.ask(rep)
	}
	return false
}
