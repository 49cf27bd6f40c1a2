package caspaxos

import (
	"time"

	"synod/protocol/register"
)

// Bounds on what one lane's acceptor keeps in memory.
const (
	maxPromises = 1 << 20
	maxDeferred = 4096
)

// Acceptor votes for one lane of a storage node (§2, §3). It is driven by one
// goroutine; see the package comment.
type Acceptor struct {
	node  *Node
	store Store
	part  uint32
	parts uint32
	omit  Rules
	start Mono

	promises promises
	flushed  rangeTombstones
	deferred []*Request // Prepares that wait for the ceiling
	unused   unused     // promises that were overtaken before a vote
	stash    stash      // Accepts that wait for their base, or are part of others'
	past     deltas     // that this acceptor voted for last, of large states
	undo     undo       // how votes can be taken back that were not carried on
	again    bool       // an Accept out of the stash is being handled

	contended contended // registers for which undo is needed
	arrivals  arrivals  // large states that come in

	// CaughtUp counts the Accepts that came before their base and were accepted
	// when it was there. It is the lane's goroutine's.
	CaughtUp uint64
	// Joined counts the votes for deltas on a base that this acceptor was not
	// at, but could reach.
	Joined uint64

	scratch Record // stands for a register that nothing but a flush covers
}

// NewAcceptor returns the acceptor of lane part out of parts (see Part) over
// the lane's store. now is the time at which the node came up.
func NewAcceptor(node *Node, store Store, part, parts uint32, now Now) *Acceptor {
	return &Acceptor{node: node, store: store, part: part, parts: parts, omit: node.omit, start: now.Mono,
		stash: stash{deltas{most: maxStash}}, past: deltas{most: maxPast}}
}

// Step answers one Read, Prepare or Accept into reply. It returns false when
// the request waits for the ceiling: Resume answers it then, and the acceptor
// keeps the request until that. An error means that the store failed: the node
// has not answered and nothing has changed.
func (a *Acceptor) Step(now Now, req *Request, reply *Reply) (answered bool, err error) {
	*reply = Reply{ID: req.ID}
	if ok, err := a.admit(now, req, reply); !ok {
		return true, err
	}
	rec, err := a.load(req.Register)
	if err != nil {
		return true, err
	}
	switch req.Kind {
	case KindRead:
		if reply.Way = a.lead(req, rec); reply.Way != nil {
			reply.Outcome, reply.After = Led, rec.Pos
			return true, nil
		}
		reply.Outcome = Told
		return true, a.tell(now, req, rec, reply)
	case KindPrepare:
		return a.prepare(now, req, rec, reply)
	case KindAccept:
		err := a.accept(now, req, rec, reply)
		// What is out of reach brings nothing else within reach.
		if err == nil && reply.Outcome != StaleBase && len(a.stash.byKey[req.Register.Key]) > 0 {
			a.catchUp(now, req.Register)
		}
		return true, err
	}
	reply.Outcome = Busy
	return true, nil
}

// admit applies the epoch rule and the clock rule (§2).
func (a *Acceptor) admit(now Now, req *Request, reply *Reply) (bool, error) {
	verdict, own := a.node.admit(req.Register.Slot, req.Epoch)
	if verdict != epochFits {
		return false, a.refuseEpoch(verdict, own, req.Register.Slot, req.Register.Slot, req.Epoch, &reply.Outcome, &reply.Epoch)
	}
	if req.Kind != KindRead && a.ahead(now, req.newest()) {
		reply.Outcome = ClockAhead
		reply.Promise = Ballot{Time: MakeTime(now.Wall, 0)}
		return false, nil
	}
	return true, nil
}

// refuseEpoch answers a message whose epoch does not fit. A newer epoch changes
// nothing, as anybody may have made it up, and the message gets no answer in the
// sense of §3: it counts nowhere, so the node may go on under the epoch that it
// has taken until the placement shows the newer one.
func (a *Acceptor) refuseEpoch(v epochVerdict, own uint64, first, last uint16, epoch uint64, outcome *Outcome, told *uint64) error {
	*outcome, *told = WrongEpoch, own
	switch v {
	case epochAwait:
		*outcome = Busy
	case epochTake:
		*outcome = Busy
		taken := EpochTaken{First: first, Last: last, Epoch: epoch}
		if _, err := a.store.Append(LogEntry{Epoch: &taken}); err != nil {
			return err
		}
		a.node.TakeEpoch(taken)
	}
	return nil
}

// ahead is the clock rule (§2).
func (a *Acceptor) ahead(now Now, b Ballot) bool {
	return b.Time.UnixMilli() > now.Wall+a.node.limits.MaxClockOffset.Milliseconds()
}

// load returns the register's record as it stands under the range tombstones,
// or nil if the node holds nothing of it. A covered register stands as a blind
// tombstone at the flush's ballot (§8).
func (a *Acceptor) load(r Register) (*Record, error) {
	rec, err := a.store.Load(r)
	if err != nil || a.flushed.empty() {
		return rec, err
	}
	f := a.flushed.covering(r)
	if f == nil || (rec != nil && f.vote.Ballot.AtMost(rec.Accepted)) {
		return rec, nil
	}
	if rec != nil && rec.Pos > f.pos && a.omit.has(RuleFlushFloor) {
		return rec, nil
	}
	if rec == nil && a.omit.has(RuleFlushAbsent) {
		return nil, nil
	}
	if rec == nil {
		f.absent(&a.scratch, r, a.omit)
		return &a.scratch, nil
	}
	f.cover(rec, a.omit)
	a.store.Apply(rec, deleted)
	return rec, nil
}

// floor returns the floor as it applies to a register (§8).
func (a *Acceptor) floor(r Register) Ballot {
	floor := a.node.State().Floor
	if !a.flushed.empty() && !a.omit.has(RuleFlushFloor) {
		floor = MaxBallot(floor, a.flushed.floor(r))
	}
	return floor
}

// promise is promise(r) of §2. rec may be nil.
func (a *Acceptor) promise(r Register, rec *Record) Ballot {
	p := MaxBallot(a.floor(r), a.promises.get(r.Key))
	if rec != nil && (rec != &a.scratch || !a.omit.has(RuleFlushFloor)) {
		p = MaxBallot(p, rec.Accepted)
	}
	return p
}

// tell fills in what Read and Prepare answer.
func (a *Acceptor) tell(now Now, req *Request, rec *Record, reply *Reply) error {
	if req.WantHistory {
		reply.History = &History{Floor: a.floor(req.Register), Dropped: a.node.State().Dropped, Room: a.store.Room()}
	}
	if rec == nil {
		reply.Held = time.Duration(now.Mono - a.start)
		reply.HasState = req.WantState
		reply.View = register.Nothing()
		return nil
	}
	reply.After = rec.Pos
	reply.Accepted, reply.Prepared, reply.Intent = rec.Accepted, rec.Prepared, rec.Intent
	if rec.Intent == nil {
		reply.Held = time.Duration(now.Mono - rec.Since)
	}
	if h := reply.History; h != nil {
		h.Lineage, h.Votes = rec.Lineage, rec.Votes
		h.shorten(a.node.limits.entries(), req.Oldest)
		// The record changes with the next Accept, the reply may leave later.
		h.Lineage.Entries = append([]Entry(nil), h.Lineage.Entries...)
		h.Votes = append([]Ballot(nil), h.Votes...)
	}
	if !req.WantState {
		return nil
	}
	if !rec.Header.Exists() { // also what only a flush covers: the store knows nothing of it
		reply.View, reply.HasState = register.Nothing(), true
		return nil
	}
	return a.show(req, rec, reply)
}

// show fills in the projected state, unless it is large and was not asked for
// in spite of that.
func (a *Acceptor) show(req *Request, rec *Record, reply *Reply) error {
	size := a.node.limits.votedState()
	if req.Along > 0 {
		size = min(size, req.Along)
	}
	h := &rec.Header
	known := req.Projection.All && h.Type == register.String && int(h.Size) > size // not even read
	if !known {
		view, fits, err := a.store.Project(rec, req.Projection, size)
		if err != nil {
			return err
		}
		if fits {
			reply.View, reply.HasState = view, true
			return nil
		}
	}
	if !req.WantLarge {
		return nil
	}
	pages, err := a.store.Pages(rec, req.Projection)
	if err != nil {
		return err
	}
	reply.Pages, reply.HasState = pages, true
	return nil
}

func (a *Acceptor) prepare(now Now, req *Request, rec *Record, reply *Reply) (bool, error) {
	if p := a.promise(req.Register, rec); req.Ballot.AtMost(p) && !a.omit.has(RulePromise) {
		a.nack(req, rec, p, reply)
		return true, nil
	}
	if req.Ballot.Time > a.node.State().Ceiling && !a.omit.has(RuleCeiling) {
		if a.store.Room() == RoomNone {
			reply.Outcome = DiskFull // the ceiling stays
			return true, nil
		}
		a.node.wantCeiling(req.Ballot.Time)
		if len(a.deferred) < maxDeferred {
			a.deferred = append(a.deferred, req)
			return false, nil
		}
		reply.Outcome = Busy
		return true, nil
	}
	if a.arrivals.withhold(now, req.Register.Key, accepted(rec)) || !a.pledge(req.Register, rec, req.Ballot) {
		reply.Outcome = Busy
		return true, nil
	}
	a.keepAhead(req.Ballot.Time)
	if rec != nil {
		a.contended.look(req.Register.Key, rec, req.Ballot)
	}
	reply.Outcome = Promised
	return true, a.tell(now, req, rec, reply)
}

// keepAhead asks for a higher ceiling before the present one is reached.
func (a *Acceptor) keepAhead(t Time) {
	if t = t.Add(a.node.limits.ceilingAhead() / 2); t > a.node.State().Ceiling {
		a.node.wantCeiling(t)
	}
}

// nack refuses a Prepare or Accept. Also a refusal waits for the sync of what
// it was computed from (durability rule).
func (a *Acceptor) nack(req *Request, rec *Record, promise Ballot, reply *Reply) {
	reply.Outcome, reply.Promise = Nacked, promise
	if req.Kind == KindAccept {
		reply.Never = a.omit.has(RuleNever) || (a.node.State().Dropped.Less(req.Ballot) &&
			(rec == nil || rec.Lineage.Cut.Less(req.Ballot))) || a.unused.has(req.Register.Key, req.Ballot)
	}
	if rec != nil {
		reply.After = rec.Pos
	}
}

func (a *Acceptor) accept(now Now, req *Request, rec *Record, reply *Reply) error {
	b, r := req.Ballot, req.Register
	if rec != nil && rec.voted(b) {
		reply.Outcome, reply.After = Acked, rec.Pos
		if rec.Accepted == b || a.omit.has(RuleGrant) {
			a.grant(req, rec, reply)
		}
		return nil
	}
	if p := a.promise(r, rec); (b.Less(p) || b.AtMost(a.floor(r))) && !a.omit.has(RulePromise) {
		a.nack(req, rec, p, reply)
		if req.Change.Kind != full && a.floor(r).Less(b) && !a.again {
			a.stash.keep(req)
		}
		return nil
	}
	if req.Change.Kind != full && accepted(rec) != req.on() && !a.omit.has(RuleBase) {
		joined := a.reach(req, accepted(rec))
		if joined == nil {
			a.stale(req, rec, reply)
			return nil
		}
		req = joined
		a.Joined++
	}
	if !req.Prepared && rec != nil && rec.Intent != nil {
		reply.Outcome, reply.Intent, reply.After = IntentMet, rec.Intent, rec.Pos
		return nil
	}
	if ok, err := a.hasRoom(req, rec); err != nil || !ok {
		reply.Outcome = DiskFull
		return err
	}
	shared := req.isShared(accepted(rec))
	back, keep := a.inverse(req, rec)
	pos, err := a.store.Append(LogEntry{Accept: req})
	if err != nil {
		return err
	}
	if keep {
		a.undo.add(r.Key, back)
	}
	rec = a.vote(now, req, rec, pos)
	reply.Outcome, reply.After, reply.Shared = Acked, rec.Pos, shared
	a.grant(req, rec, reply)
	if !reply.Granted {
		a.promises.outdated(req.Register.Key, b)
	}
	if a.omit.has(RuleUnused) {
		a.unused.add(req.Register.Key, b)
	}
	return nil
}

// stale answers a delta on a state that this acceptor does not have.
func (a *Acceptor) stale(req *Request, rec *Record, reply *Reply) {
	if !a.again {
		a.stash.keep(req)
	}
	reply.Outcome, reply.Accepted = StaleBase, accepted(rec)
	if rec != nil {
		reply.Back, reply.After = a.undo.back(req.Register.Key, rec.Accepted), rec.Pos
	}
}

// vote records that b is accepted. The changelog has the entry already.
func (a *Acceptor) vote(now Now, req *Request, rec *Record, pos uint64) *Record {
	if rec == nil || rec == &a.scratch {
		fresh := a.store.Create(req.Register)
		if rec != nil {
			fresh.Lineage, fresh.Votes = rec.Lineage, rec.Votes
		}
		rec = fresh
	}
	horizon := a.node.horizon(now.Wall)
	if req.History != nil && !a.omit.has(RuleMergeLineage) {
		rec.Lineage.learn(req.History, req.Base)
		if a.omit.has(RuleVotesOwn) {
			for _, e := range req.History.Entries {
				rec.addVote(e.Ballot)
			}
		}
	}
	rec.Lineage.Insert(Entry{Ballot: req.Ballot, Parent: req.Base, Blind: !req.Prepared})
	rec.addVote(req.Ballot)
	a.trim(rec, req.Ballot, horizon)
	rec.Accepted, rec.Prepared, rec.Pos, rec.Since = req.Ballot, req.Prepared, pos, now.Mono
	a.store.Apply(rec, req.Change)
	if req.Change.Kind != full && a.store.Large(rec) {
		a.remember(req, rec)
	}
	return rec
}

// trim drops what is too old or too much from both lists and raises their cut,
// now that b is voted for.
func (a *Acceptor) trim(rec *Record, b Ballot, horizon Time) {
	most := a.node.limits.entries()
	if max(len(rec.Lineage.Entries), len(rec.Votes)) > most && a.contended.look(rec.Register.Key, rec, b) {
		most = a.node.limits.contended()
	}
	cut := rec.Lineage.drop(horizon, most)
	votes, cutVotes := dropVotes(rec.Votes, horizon, most)
	rec.Votes = votes
	if cut = MaxBallot(cut, cutVotes); a.omit.has(RuleCutRaised) && !cut.IsZero() {
		rec.Lineage.Cut = cut
	}
	rec.Lineage.raiseCut(cut)
}

// grant is the Prepare that an Accept carries for its proposer's next round.
func (a *Acceptor) grant(req *Request, rec *Record, reply *Reply) {
	if req.Next.IsZero() {
		return
	}
	a.keepAhead(req.Next.Time)
	if (req.Next.Time > a.node.State().Ceiling && !a.omit.has(RuleCeiling)) || req.Next.Less(a.promise(req.Register, rec)) {
		return
	}
	// Without it the next round takes one trip more; without room for a Prepare
	// there would be none.
	if a.Promises() < maxPromises/2 {
		reply.Granted = a.pledge(req.Register, rec, req.Next)
	}
}

// Resume answers the Prepares that waited for the ceiling, calling f for each
// reply; those that must wait on stay. The reply is valid during the call.
func (a *Acceptor) Resume(now Now, f func(*Request, *Reply, error)) {
	waiting := a.deferred
	a.deferred = nil
	var reply Reply
	for _, req := range waiting {
		if answered, err := a.Step(now, req, &reply); answered {
			f(req, &reply, err)
		}
	}
}

// Deferred returns how many Prepares wait for the ceiling.
func (a *Acceptor) Deferred() int { return len(a.deferred) }

// Redo repeats a changelog entry after a restart: the vote is a fact, no check
// is made again. Entries come in the order of their positions.
func (a *Acceptor) Redo(e *LogEntry, pos uint64) error {
	switch {
	case e.Accept != nil:
		rec, err := a.load(e.Accept.Register)
		if err != nil {
			return err
		}
		if rec != nil && e.Accept.Ballot.AtMost(rec.Accepted) {
			return nil // covered by a flush that was logged after it
		}
		// Lists are trimmed by the ballot's own time: the clock has moved on,
		// and dropping less is always allowed.
		at := Now{Wall: e.Accept.Ballot.Time.UnixMilli(), Mono: a.start}
		a.vote(at, e.Accept, rec, pos)
	case e.Flush != nil && e.Flush.Part == a.part:
		return a.addFlush(*e.Flush, pos, a.start)
	}
	return nil
}

// Rotate is called now and then. It returns the ballot to which the node's
// floor must be raised before the oldest promises may be forgotten, or zero if
// there is nothing to forget or it is too early.
func (a *Acceptor) Rotate(now Now) Ballot {
	p := &a.promises
	a.unused.turn(now.Mono, 2*a.node.limits.Command) // a carried promise's life
	a.contended.turn(now.Mono, contendedFor)
	if len(p.old) == 0 && len(p.young) > 0 {
		p.old, p.oldMax = p.young, p.youngMax
		p.young, p.youngMax = nil, Ballot{}
	}
	if len(p.old) == 0 || p.oldMax.Time > a.node.horizon(now.Wall) {
		return Ballot{}
	}
	return p.oldMax
}

// Forget forgets the promises that the floor covers.
func (a *Acceptor) Forget() {
	if a.promises.oldMax.AtMost(a.node.State().Floor) || a.omit.has(RuleFloorRaised) {
		a.promises.old, a.promises.oldMax = nil, Ballot{}
	}
}

// Promises returns how many promises the lane holds in memory.
func (a *Acceptor) Promises() int { return len(a.promises.old) + len(a.promises.young) }

// accepted is the record's accepted ballot, zero for none.
func accepted(rec *Record) Ballot {
	if rec == nil {
		return Ballot{}
	}
	return rec.Accepted
}
