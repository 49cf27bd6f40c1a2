// Package acceptor is the voting half of the protocol (§2, §3, §8): a state machine
// that is given messages and returns answers. It keeps its votes in a Store.
package acceptor

import (
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/deltalog"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// Bounds on what one lane's acceptor keeps in memory.
const (
	maxPromises = 1 << 20
	maxDeferred = 4096
	maxBuffered = 8 << 20 // bytes of deltas that wait for their base
	maxRecent   = 8 << 20 // bytes of deltas that were voted for
)

// Acceptor votes for one lane of a storage node (§2, §3). One goroutine drives it.
type Acceptor struct {
	node  *Node
	store Store
	part  uint32
	parts uint32
	omit  rules.Set
	start instant.Mono

	promises     promises
	flushed      rangeTombstones
	deferred     []*message.Request // Prepares that wait for a higher ceiling
	abandoned    abandonedPromises  // promises that were overtaken before a vote
	deltaBuffer  deltalog.Buffer    // Accepts that wait for their base, or lead to that of others
	recentDeltas deltalog.Log       // the last ones voted for, of large states
	undoLog      deltalog.UndoLog   // how votes that the others did not carry on can be taken back
	redelivering bool               // an Accept from deltaBuffer is being handled

	contended contendedRegisters // registers for which undo is needed
	incoming  incomingSnapshots  // large states that are coming in

	// CaughtUp counts the Accepts that came before their base and were accepted once it
	// was there. It belongs to the lane's goroutine.
	CaughtUp uint64
	// Joined counts the votes for deltas on a base that this acceptor did not have but
	// could reach.
	Joined uint64

	scratch durable.Record // stands for a register that nothing but a flush covers
}

// New returns the acceptor of lane part out of parts (see Part) over
// the lane's store. now is the time at which the node came up.
func New(node *Node, store Store, part, parts uint32, now instant.Now) *Acceptor {
	return &Acceptor{node: node, store: store, part: part, parts: parts, omit: node.omit, start: now.Mono,
		deltaBuffer: deltalog.NewBuffer(maxBuffered), recentDeltas: deltalog.NewLog(maxRecent),
		undoLog: deltalog.UndoLog{Omit: node.omit}}
}

// Step answers one Read, Prepare or Accept into reply. It returns false when the
// request waits for a higher ceiling: Resume answers it later, and the acceptor keeps
// the request until then. An error means that the store failed: the node has not
// answered and nothing has changed.
func (a *Acceptor) Step(now instant.Now, req *message.Request, reply *message.Reply) (answered bool, err error) {
	*reply = message.Reply{ID: req.ID}
	if ok, err := a.admit(now, req, reply); !ok {
		return true, err
	}
	rec, err := a.load(req.Register)
	if err != nil {
		return true, err
	}
	switch req.Kind {
	case message.KindRead:
		if reply.DeltaRange = a.deltasSince(req, rec); reply.DeltaRange != nil {
			reply.Outcome, reply.After = message.DeltasOK, rec.Pos
			return true, nil
		}
		reply.Outcome = message.ReadOK
		return true, a.fillReply(now, req, rec, reply)
	case message.KindPrepare:
		return a.prepare(now, req, rec, reply)
	case message.KindAccept:
		err := a.accept(now, req, rec, reply)
		// A delta that was out of reach brings no other within reach.
		if err == nil && reply.Outcome != message.StaleBase && a.deltaBuffer.Holds(req.Register.Key) {
			a.catchUp(now, req.Register)
		}
		return true, err
	}
	reply.Outcome = message.Busy
	return true, nil
}

// admit applies the epoch rule and the clock rule (§2).
func (a *Acceptor) admit(now instant.Now, req *message.Request, reply *message.Reply) (bool, error) {
	verdict, own := a.node.admit(req.Register.Slot, req.Epoch)
	if verdict != epochFits {
		return false, a.refuseEpoch(verdict, own, req.Register.Slot, req.Register.Slot, req.Epoch, &reply.Outcome, &reply.Epoch)
	}
	if req.Kind != message.KindRead && a.exceedsClockOffset(now, req.Newest()) {
		reply.Outcome = message.ClockAhead
		reply.Promise = ballot.Ballot{Time: ballot.MakeTime(now.Wall, 0)}
		return false, nil
	}
	return true, nil
}

// refuseEpoch answers a message whose epoch does not fit. A newer epoch changes
// nothing, as anybody may have made it up. The message gets no answer in the sense of
// §3, so it counts nowhere, and the node may continue under its own epoch until the
// placement shows the newer one.
func (a *Acceptor) refuseEpoch(v epochVerdict, own uint64, first, last uint16, epoch uint64, outcome *message.Outcome, told *uint64) error {
	*outcome, *told = message.WrongEpoch, own
	switch v {
	case epochAwait:
		*outcome = message.Busy
	case epochTake:
		*outcome = message.Busy
		taken := durable.EpochTaken{First: first, Last: last, Epoch: epoch}
		if _, err := a.store.Append(durable.LogEntry{Epoch: &taken}); err != nil {
			return err
		}
		a.node.TakeEpoch(taken)
	}
	return nil
}

// exceedsClockOffset is the clock rule (§2).
func (a *Acceptor) exceedsClockOffset(now instant.Now, b ballot.Ballot) bool {
	return b.Time.UnixMilli() > now.Wall+a.node.limits.MaxClockOffset.Milliseconds()
}

// load returns the register's record as it stands under the range tombstones, or nil
// if the node holds nothing of it. A covered register stands as a blind tombstone at
// the flush's ballot (§8).
func (a *Acceptor) load(r register.ID) (*durable.Record, error) {
	rec, err := a.store.Load(r)
	if err != nil || a.flushed.empty() {
		return rec, err
	}
	f := a.flushed.covering(r)
	if f == nil || (rec != nil && f.vote.Ballot.AtMost(rec.Accepted)) {
		return rec, nil
	}
	if rec != nil && rec.Pos > f.pos && a.omit.Has(rules.FlushFloor) {
		return rec, nil
	}
	if rec == nil && a.omit.Has(rules.FlushAbsent) {
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
func (a *Acceptor) floor(r register.ID) ballot.Ballot {
	floor := a.node.State().Floor
	if !a.flushed.empty() && !a.omit.Has(rules.FlushFloor) {
		floor = ballot.Max(floor, a.flushed.floor(r))
	}
	return floor
}

// promise is promise(r) of §2. rec may be nil.
func (a *Acceptor) promise(r register.ID, rec *durable.Record) ballot.Ballot {
	p := ballot.Max(a.floor(r), a.promises.get(r.Key))
	if rec != nil && (rec != &a.scratch || !a.omit.Has(rules.FlushFloor)) {
		p = ballot.Max(p, rec.Accepted)
	}
	return p
}

// fillReply fills in what a Read or Prepare answers.
func (a *Acceptor) fillReply(now instant.Now, req *message.Request, rec *durable.Record, reply *message.Reply) error {
	if req.WantHistory {
		reply.History = &history.History{Floor: a.floor(req.Register), PurgedThrough: a.node.State().PurgedThrough, Room: a.store.Room()}
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
		h.Shorten(a.node.limits.MaxEntries(), req.Oldest)
		// The record changes with the next Accept, the reply may leave later.
		h.Lineage.Entries = append([]history.Entry(nil), h.Lineage.Entries...)
		h.Votes = append([]ballot.Ballot(nil), h.Votes...)
	}
	if !req.WantState {
		return nil
	}
	if !rec.Header.Exists() { // also what only a flush covers: the store knows nothing of it
		reply.View, reply.HasState = register.Nothing(), true
		return nil
	}
	return a.fillState(req, rec, reply)
}

// fillState fills in the projected state. A large state is left out unless it was
// asked for explicitly.
func (a *Acceptor) fillState(req *message.Request, rec *durable.Record, reply *message.Reply) error {
	size := a.node.limits.MaxVotedState()
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
	pages, err := a.store.Transfer(rec, req.Projection)
	if err != nil {
		return err
	}
	reply.Transfer, reply.HasState = pages, true
	return nil
}

func (a *Acceptor) prepare(now instant.Now, req *message.Request, rec *durable.Record, reply *message.Reply) (bool, error) {
	if p := a.promise(req.Register, rec); req.Ballot.AtMost(p) && !a.omit.Has(rules.Promise) {
		a.nack(req, rec, p, reply)
		return true, nil
	}
	if req.Ballot.Time > a.node.State().Ceiling && !a.omit.Has(rules.Ceiling) {
		if a.store.Room() == diskroom.RoomNone {
			reply.Outcome = message.DiskFull // the ceiling stays
			return true, nil
		}
		a.node.wantCeiling(req.Ballot.Time)
		if len(a.deferred) < maxDeferred {
			a.deferred = append(a.deferred, req)
			return false, nil
		}
		reply.Outcome = message.Busy
		return true, nil
	}
	if a.incoming.deferPrepare(now, req.Register.Key, accepted(rec)) || !a.setPromise(req.Register, rec, req.Ballot) {
		reply.Outcome = message.Busy
		return true, nil
	}
	a.keepAhead(req.Ballot.Time)
	if rec != nil {
		a.contended.look(req.Register.Key, rec, req.Ballot)
	}
	reply.Outcome = message.Promised
	return true, a.fillReply(now, req, rec, reply)
}

// keepAhead asks for a higher ceiling before the present one is reached.
func (a *Acceptor) keepAhead(t ballot.Time) {
	if t = t.Add(a.node.limits.CeilingReach() / 2); t > a.node.State().Ceiling {
		a.node.wantCeiling(t)
	}
}

// nack refuses a Prepare or Accept. A refusal, too, waits for the sync of what it was
// computed from (durability rule).
func (a *Acceptor) nack(req *message.Request, rec *durable.Record, promise ballot.Ballot, reply *message.Reply) {
	reply.Outcome, reply.Promise = message.Nacked, promise
	if req.Kind == message.KindAccept {
		reply.Never = a.omit.Has(rules.Never) || (a.node.State().PurgedThrough.Less(req.Ballot) &&
			(rec == nil || rec.Lineage.TruncatedThrough.Less(req.Ballot))) || a.abandoned.has(req.Register.Key, req.Ballot)
	}
	if rec != nil {
		reply.After = rec.Pos
	}
}

func (a *Acceptor) accept(now instant.Now, req *message.Request, rec *durable.Record, reply *message.Reply) error {
	b, r := req.Ballot, req.Register
	if rec != nil && rec.Voted(b) {
		reply.Outcome, reply.After = message.Acked, rec.Pos
		if rec.Accepted == b || a.omit.Has(rules.Grant) {
			a.grant(req, rec, reply)
		}
		return nil
	}
	if p := a.promise(r, rec); (b.Less(p) || b.AtMost(a.floor(r))) && !a.omit.Has(rules.Promise) {
		a.nack(req, rec, p, reply)
		if req.Change.Kind != full && a.floor(r).Less(b) && !a.redelivering {
			a.deltaBuffer.Keep(req)
		}
		return nil
	}
	if req.Change.Kind != full && accepted(rec) != req.AppliesTo() && !a.unchecked(req) {
		joined := deltalog.FastForward(&a.deltaBuffer, &a.undoLog, req, accepted(rec), a.node.limits.MaxEntries())
		if joined == nil {
			a.refuseDelta(req, rec, reply)
			return nil
		}
		req = joined
		a.Joined++
	}
	if !req.Prepared && rec != nil && rec.Intent != nil {
		reply.Outcome, reply.Intent, reply.After = message.IntentMet, rec.Intent, rec.Pos
		return nil
	}
	if ok, err := a.hasRoom(req, rec); err != nil || !ok {
		reply.Outcome = message.DiskFull
		return err
	}
	shared := req.IsShared(accepted(rec))
	back, keep := a.undoOf(req, rec)
	pos, err := a.store.Append(durable.LogEntry{Accept: req})
	if err != nil {
		return err
	}
	if keep {
		a.undoLog.Add(r.Key, back)
	}
	rec = a.vote(now, req, rec, pos)
	reply.Outcome, reply.After, reply.Shared = message.Acked, rec.Pos, shared
	a.grant(req, rec, reply)
	if !reply.Granted {
		a.promises.outdated(req.Register.Key, b)
	}
	if a.omit.Has(rules.Unused) {
		a.abandoned.add(req.Register.Key, b)
	}
	return nil
}

// refuseDelta answers a delta on a state that this acceptor does not have (§3 Stale).
func (a *Acceptor) refuseDelta(req *message.Request, rec *durable.Record, reply *message.Reply) {
	if !a.redelivering {
		a.deltaBuffer.Keep(req)
	}
	reply.Outcome, reply.Accepted = message.StaleBase, accepted(rec)
	if rec != nil {
		reply.UndoTargets, reply.After = a.undoLog.Targets(req.Register.Key, rec.Accepted), rec.Pos
	}
}

// vote records that b is accepted. The changelog has the entry already.
func (a *Acceptor) vote(now instant.Now, req *message.Request, rec *durable.Record, pos uint64) *durable.Record {
	if rec == nil || rec == &a.scratch {
		fresh := a.store.Create(req.Register)
		if rec != nil {
			fresh.Lineage, fresh.Votes = rec.Lineage, rec.Votes
		}
		rec = fresh
	}
	horizon := a.node.horizon(now.Wall)
	if req.History != nil && !a.omit.Has(rules.MergeLineage) {
		rec.Lineage.MergeForVote(req.History, req.Base)
		if a.omit.Has(rules.VotesOwn) {
			for _, e := range req.History.Entries {
				rec.AddVote(e.Ballot)
			}
		}
	}
	rec.Lineage.Insert(history.Entry{Ballot: req.Ballot, Parent: req.Base, Blind: !req.Prepared})
	rec.AddVote(req.Ballot)
	a.trim(rec, req.Ballot, horizon)
	rec.Accepted, rec.Prepared, rec.Pos, rec.Since = req.Ballot, req.Prepared, pos, now.Mono
	a.store.Apply(rec, req.Change)
	if req.Change.Kind != full && a.store.Large(rec) {
		a.keepRecent(req, rec)
	}
	return rec
}

// trim drops the oldest entries of both lists, now that b is voted for, and raises
// the ballot through which they are truncated.
func (a *Acceptor) trim(rec *durable.Record, b ballot.Ballot, horizon ballot.Time) {
	most := a.node.limits.MaxEntries()
	if max(len(rec.Lineage.Entries), len(rec.Votes)) > most && a.contended.look(rec.Register.Key, rec, b) {
		most = a.node.limits.MaxContended()
	}
	cut := rec.Lineage.Drop(horizon, most)
	votes, cutVotes := history.DropVotes(rec.Votes, horizon, most)
	rec.Votes = votes
	if cut = ballot.Max(cut, cutVotes); a.omit.Has(rules.CutRaised) && !cut.IsZero() {
		rec.Lineage.TruncatedThrough = cut
	}
	rec.Lineage.TruncateThrough(cut)
}

// grant promises the piggybacked prepare of an Accept for its proposer's next round.
func (a *Acceptor) grant(req *message.Request, rec *durable.Record, reply *message.Reply) {
	if req.Piggyback.IsZero() {
		return
	}
	a.keepAhead(req.Piggyback.Time)
	if (req.Piggyback.Time > a.node.State().Ceiling && !a.omit.Has(rules.Ceiling)) || req.Piggyback.Less(a.promise(req.Register, rec)) {
		return
	}
	// Without the grant the next round takes one more trip; without space for a Prepare
	// there would be no round at all.
	if a.Promises() < maxPromises/2 {
		reply.Granted = a.setPromise(req.Register, rec, req.Piggyback)
	}
}

// Resume answers the Prepares that waited for a higher ceiling, calling f for each
// reply; those that have to wait longer stay. The reply is valid during the call.
func (a *Acceptor) Resume(now instant.Now, f func(*message.Request, *message.Reply, error)) {
	waiting := a.deferred
	a.deferred = nil
	var reply message.Reply
	for _, req := range waiting {
		if answered, err := a.Step(now, req, &reply); answered {
			f(req, &reply, err)
		}
	}
}

// Deferred returns how many Prepares wait for the ceiling.
func (a *Acceptor) Deferred() int { return len(a.deferred) }

// Redo repeats a changelog entry after a restart. The vote is a fact: no check is
// made again. Entries come in the order of their positions.
func (a *Acceptor) Redo(e *durable.LogEntry, pos uint64) error {
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
		at := instant.Now{Wall: e.Accept.Ballot.Time.UnixMilli(), Mono: a.start}
		a.vote(at, e.Accept, rec, pos)
	case e.Flush != nil && e.Flush.Part == a.part:
		return a.addFlush(*e.Flush, pos, a.start)
	}
	return nil
}

// Rotate is called now and then. It returns the ballot to which the node's floor must
// be raised before the oldest promises may be forgotten, or zero if there is nothing
// to forget or it is too early.
func (a *Acceptor) Rotate(now instant.Now) ballot.Ballot {
	p := &a.promises
	a.abandoned.turn(now.Mono, 2*a.node.limits.Command) // as long as a piggybacked promise may be used
	a.contended.turn(now.Mono, contendedFor)
	if len(p.old) == 0 && len(p.young) > 0 {
		p.old, p.oldMax = p.young, p.youngMax
		p.young, p.youngMax = nil, ballot.Ballot{}
	}
	if len(p.old) == 0 || p.oldMax.Time > a.node.horizon(now.Wall) {
		return ballot.Ballot{}
	}
	return p.oldMax
}

// Forget forgets the promises that the floor covers.
func (a *Acceptor) Forget() {
	if a.promises.oldMax.AtMost(a.node.State().Floor) || a.omit.Has(rules.FloorRaised) {
		a.promises.old, a.promises.oldMax = nil, ballot.Ballot{}
	}
}

// Promises returns how many promises the lane holds in memory.
func (a *Acceptor) Promises() int { return len(a.promises.old) + len(a.promises.young) }

// accepted is the record's accepted ballot, zero for none.
func accepted(rec *durable.Record) ballot.Ballot {
	if rec == nil {
		return ballot.Ballot{}
	}
	return rec.Accepted
}
