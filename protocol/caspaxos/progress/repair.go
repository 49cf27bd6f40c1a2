package progress

import (
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/register"
)

// BulkRate is how fast large states are taken to travel, in bytes per second: they
// have to reach several disks.
const BulkRate = 16 << 20

// TransferTime is about how long a state takes to reach a member and its disk.
func TransferTime(h *register.Header) time.Duration {
	bytes := h.Size
	if h.Type != register.String {
		bytes *= 64
	}
	return time.Duration(min(bytes, 1<<32)) * time.Second / BulkRate
}

// Repair brings one member that is behind to the ballot of a round: by an Accept of
// that round with the full state and its lineage (§3 "one door") or, if a member that
// acked it still knows them, with the deltas that lead there from a state that the
// target has. Either is read from a member that acked, unless the proposer knows the
// state.
type Repair struct {
	ID        uint64 // of the present request
	Config    *quorum.Config
	Target    int
	Since     []ballot.Ballot // the states from which the target can be brought up
	Acks      quorum.Set      // the members that have acked the round
	Left      quorum.Set      // of Acks, those that have not been asked
	Asked     int             // the member that the present request went to
	Accept    message.Request // complete but for the state, while that is still to be read
	Needed    bool            // the round cannot be chosen without the target
	Snapshot  bool            // the whole state may be sent, if nobody knows the deltas
	Began     instant.Mono    // when it last made progress
	Chunks    message.ChunkBuffer
	TailAsked bool          // the state is there, and what has happened since was asked for
	StateAt   ballot.Ballot // of the state that comes in
}

// Key names what is repaired.
func (rep *Repair) Key() Key {
	return Key{Register: rep.Accept.Register.Key, Node: rep.Config.Nodes()[rep.Target]}
}

// Sends reports whether the repair sends a whole state.
func (rep *Repair) Sends() bool { return rep.Accept.Change.Kind == register.Full }

// Stalled reports whether a repair should have got an answer by now; retry is how
// long a small one takes at most.
func (rep *Repair) Stalled(now instant.Mono, retry time.Duration) bool {
	patience := retry + time.Duration(rep.Accept.Change.Bytes())*time.Second/BulkRate
	return time.Duration(now-rep.Began) >= patience
}

// Choose takes the first of some members that has acked and has not been asked as the
// one to ask next. It returns false if there is none.
func (rep *Repair) Choose(prefer []int) bool {
	if rep.Left == 0 {
		return false
	}
	for _, rep.Asked = range prefer {
		if rep.Left.Has(rep.Asked) {
			break
		}
	}
	rep.Left &^= 1 << rep.Asked
	return true
}

// Fetch makes the Read for what leads to the round's state from one that the target
// has or else, if a snapshot is allowed and no other member is left to ask for the
// deltas, for the whole state.
func (rep *Repair) Fetch(id uint64, now instant.Mono) *message.Request {
	rep.Began, rep.Chunks, rep.TailAsked, rep.ID = now, message.ChunkBuffer{}, false, id
	req := &message.Request{ID: id, Kind: message.KindRead, Register: rep.Accept.Register, Epoch: rep.Config.Epoch}
	if len(rep.Since) > 0 {
		req.Since, req.Ballot = rep.Since, rep.Accept.Ballot
	}
	if rep.Snapshot && (len(rep.Since) == 0 || rep.Left == 0) {
		req.WantState, req.WantLarge, req.WantHistory, req.Projection.All = true, true, true, true
	}
	return req
}

// FetchTail makes the Read for what has happened since a large state was read: that
// may have taken long, and the target may have promised more meanwhile.
func (rep *Repair) FetchTail(id uint64, now instant.Mono) *message.Request {
	rep.TailAsked, rep.Began, rep.ID = true, now, id
	return &message.Request{ID: id, Kind: message.KindRead, Register: rep.Accept.Register, Epoch: rep.Config.Epoch,
		Since: []ballot.Ballot{rep.Accept.Ballot}}
}

// Redeliver makes the Accept to the target.
func (rep *Repair) Redeliver(id uint64, now instant.Mono) *message.Request {
	rep.Asked, rep.Began, rep.ID = rep.Target, now, id
	req := rep.Accept
	req.ID = id
	return &req
}

// WithoutDeltas has the repair send the whole state, as the target could not be
// brought up by deltas.
func (rep *Repair) WithoutDeltas() {
	a := &rep.Accept
	a.On, a.Change, a.History, rep.Since, rep.Left = ballot.Ballot{}, register.Change{}, nil, nil, rep.Acks
}

// Fill puts what was read into the Accept. It returns false if something is missing.
func (rep *Repair) Fill(reply *message.Reply, state register.View) bool {
	a := &rep.Accept
	switch {
	case reply.Outcome == message.DeltasOK:
		a.On, a.Change, a.History = reply.DeltaRange.On, reply.DeltaRange.Change, &reply.DeltaRange.Lineage
	case !state.Whole() || reply.History == nil: // chunks of two answers need not fit together
		return false
	default:
		if rep.StateAt != a.Ballot && (reply.Intent != nil || !rep.moved(state, &reply.History.Lineage)) {
			return false
		}
		a.Change = state.Full()
		if a.Prepared {
			a.History = &reply.History.Lineage
		}
	}
	return true
}

// moved makes the Accept that of a later round, at which the state was read. That
// round is of the same epoch, as the member that voted for it knew of no later epoch
// when it answered. A message that was sent to all may arrive twice.
func (rep *Repair) moved(state register.View, lineage *history.Lineage) bool {
	e, ok := lineage.Find(rep.StateAt)
	if !ok || !state.Header.Exists() {
		return false
	}
	rep.Accept.Ballot, rep.Accept.Base, rep.Accept.Prepared = e.Ballot, e.Parent, !e.Blind
	return true
}

// AppendTail adds what has happened since to the state, if the member knows it.
func (rep *Repair) AppendTail(reply *message.Reply) {
	a, tail := &rep.Accept, reply.DeltaRange
	if reply.Outcome != message.DeltasOK || a.History == nil || tail.On != a.Ballot {
		return
	}
	e, ok := tail.Lineage.Find(tail.To)
	if !ok || e.Blind {
		return
	}
	a.Ballot, a.Base = e.Ballot, e.Parent
	a.History.Merge(&tail.Lineage)
	if tail.Change.Kind == register.Delta {
		a.Change.Header = tail.Change.Header
		a.Change.Ops = slices.Concat(a.Change.Ops, tail.Change.Ops)
	}
}

// StatesOf returns the states from which a member that said Stale can be brought up.
func StatesOf(reply *message.Reply) []ballot.Ballot {
	if reply.Outcome != message.StaleBase {
		return nil
	}
	return append([]ballot.Ballot{reply.Accepted}, reply.UndoTargets[:min(len(reply.UndoTargets), message.MaxUndoTargets)]...)
}
