// Package round is one attempt to get commands done on a register, as it stands: who
// was asked, what they said, and what follows from that. It decides nothing; the
// proposer does.
package round

import (
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// Phase is where a round stands.
type Phase uint8

const (
	Idle Phase = iota
	Reading
	Preparing
	Fetching // of a prepared round: more of the state is being read
	Accepting
	Pausing // until the next try
)

// Round is one attempt to get commands done: a read, or a write of one or two
// trips. Sets are of members of cfg.
type Round struct {
	Phase     Phase
	Kind      Kind
	Config    *quorum.Config
	RequestID uint64       // of the present phase's requests
	Started   instant.Mono // when the phase began

	// Who was asked, and what they said.
	Ballot    ballot.Ballot
	Asked     quorum.Set
	Hedged    quorum.Set // of asked, those that were asked because others were late
	AsksState quorum.Set // of asked, those that were asked for the state with the ballots
	Replied   quorum.Set // members that answered in the sense of §3
	Lost      quorum.Set // members that did not, and will not answer this request
	Refused   quorum.Set // of lost, those that Nacked
	Roomless  quorum.Set // of lost, those that have no disk space to promise
	Busy      quorum.Set // members that could not take the Accept now
	RefusedAt instant.Mono
	Replies   []message.Reply // by member

	// The state that the round is based on.
	Base       ballot.Ballot // h, the ballot of view
	At         quorum.Set    // members known to be at base
	Lineage    history.Lineage
	Projection register.Projection
	View       register.View
	HasView    bool // view is known

	// The extra read that fetches the state, if it did not come with the ballots.
	FetchID    uint64              // zero if there is none
	FetchAt    quorum.Set          // members that were sent it and may still answer
	FetchTried quorum.Set          // members that were sent it, or are waited for
	FetchFrom  int                 // the member that chunks come from
	FetchBegan instant.Mono        // when it last went to a member, or made progress
	Chunks     message.ChunkBuffer // what it has brought so far
	AsksMore   bool                // it asks for what the commands turned out to need

	// The Accept.
	Try         *history.Try
	Change      register.Change
	Changes     int // how many commands of the batch make up change
	NextBallot  ballot.Ballot
	Granted     quorum.Set
	Tight       bool       // the round adds nothing, as a quorum has no disk space for more
	BehindBase  quorum.Set // members whose promise showed another state than base
	AwaitsState quorum.Set // members that said Stale and wait until somebody has the state
	Deferred    quorum.Set // members that lack a large state and are not brought up yet
	Waited      quorum.Set // of deferred, those that the round turned out to need
	Repairing   quorum.Set // members that are being brought up
}

// Kind is how a round that writes was begun.
type Kind uint8

const (
	TwoTrip     Kind = iota // Prepare, then Accept (§4.2)
	Blind                   // an unprepared Accept (§4.3)
	Piggybacked             // an Accept under a promise that the last round brought (§4.2)
)

// Reset forgets what was asked and answered, for a phase of requests to the members.
func (r *Round) Reset(ph Phase, now instant.Mono) {
	r.Phase, r.Started = ph, now
	r.Asked, r.Hedged, r.AsksState, r.Replied, r.Lost, r.Refused, r.Roomless, r.RefusedAt = 0, 0, 0, 0, 0, 0, 0, 0
	if n := len(r.Config.Nodes()); cap(r.Replies) < n {
		r.Replies = make([]message.Reply, n)
	} else {
		r.Replies = r.Replies[:n]
		clear(r.Replies)
	}
}

// Abandon ends a round that came to nothing.
func (r *Round) Abandon() {
	r.Phase, r.HasView, r.Try = Idle, false, nil
	r.View, r.Change, r.Chunks = register.View{}, register.Change{}, message.ChunkBuffer{}
}

// End ends a round that has done its work.
func (r *Round) End() {
	r.Phase, r.HasView, r.View = Idle, false, register.View{}
}

// ForgetReplies frees the memory of replies, which may hold large states.
func (r *Round) ForgetReplies() {
	clear(r.Replies)
	r.Lineage, r.Projection = history.Lineage{}, register.Projection{}
}

// IsQuorum is IsQuorum, except in the tests that show why.
func (r *Round) IsQuorum(s quorum.Set, omit rules.Set) bool {
	return r.Config.IsQuorum(s) || (omit.Has(rules.Quorum) && s.Len() >= r.Config.All().Len()/2)
}

// Unanswered returns the members that may still answer.
func (r *Round) Unanswered() quorum.Set { return r.Config.All() &^ (r.Replied | r.Lost) }

// Equal returns a ballot that a quorum of the replies carries, and the members that
// sent these.
func (r *Round) Equal(omit rules.Set) (b ballot.Ballot, at quorum.Set, ok bool) {
	for i := range r.Replies {
		if !r.Replied.Has(i) {
			continue
		}
		if s := r.Holders(r.Replies[i].Accepted); r.IsQuorum(s, omit) {
			return r.Replies[i].Accepted, s, true
		}
	}
	if omit.Has(rules.ReadQuorum) && r.Config.IsQuorum(r.Replied) {
		best := r.Highest(omit)
		return best, r.Holders(best), true
	}
	return ballot.Ballot{}, 0, false
}

// Highest returns the highest accepted ballot among the replies.
func (r *Round) Highest(omit rules.Set) ballot.Ballot {
	var h ballot.Ballot
	first := true
	for i := range r.Replies {
		if !r.Replied.Has(i) {
			continue
		}
		if b := r.Replies[i].Accepted; first || h.Less(b) != omit.Has(rules.Highest) {
			h, first = b, false
		}
	}
	return h
}

// Holders returns the members whose replies carry b.
func (r *Round) Holders(b ballot.Ballot) (s quorum.Set) {
	for i := range r.Replies {
		if r.Replied.Has(i) && r.Replies[i].Accepted == b {
			s = s.With(i)
		}
	}
	return s
}

// StateAt takes the state of the round from the replies of the members at its base,
// if one of these covers what is needed.
func (r *Round) StateAt(at quorum.Set) bool {
	for i := range r.Replies {
		if at.Has(i) && r.Replies[i].HasState && r.Replies[i].View.Covers(r.Projection) {
			r.View, r.HasView = r.Replies[i].View, true
			return true
		}
	}
	return false
}

// HeldSince reports whether a quorum of the members at base has held it for longer
// than the time since began (§7).
func (r *Round) HeldSince(began, now instant.Mono, omit rules.Set) bool {
	var s quorum.Set
	for i := range r.Replies {
		if r.At.Has(i) && (r.Replies[i].Held > time.Duration(now-began) || omit.Has(rules.Held)) {
			s = s.With(i)
		}
	}
	return r.Config.IsQuorum(s)
}

// UnionLineage is what a full change of this round carries (§2): all lineages of the
// promises, without what is older than horizon or more than most entries.
func (r *Round) UnionLineage(horizon ballot.Time, most int) history.Lineage {
	var l history.Lineage
	for i := range r.Replies {
		if h := r.Replies[i].History; r.Replied.Has(i) && h != nil {
			l.Merge(&h.Lineage)
		}
	}
	l.Trim(horizon, most)
	return l
}

// StateLineage is the lineage that travels with the round's state.
func (r *Round) StateLineage(omit rules.Set) *history.Lineage {
	if omit.Has(rules.MergeLineage) {
		return nil
	}
	return &history.Lineage{Entries: append([]history.Entry(nil), r.Lineage.Entries...), TruncatedThrough: r.Lineage.TruncatedThrough}
}

// Evidence is what the promises tell of attempts that are in doubt (§5).
func (r *Round) Evidence(omit rules.Set) *history.Evidence {
	reports := make([]history.Report, len(r.Replies))
	for i := range r.Replies {
		reports[i] = history.Report{Accepted: r.Replies[i].Accepted, History: r.Replies[i].History}
	}
	return history.NewEvidence(r.Config, r.Replied, reports, omit)
}

// NewAccept is the round's Accept without its change.
func (r *Round) NewAccept(id register.ID) message.Request {
	return message.Request{Kind: message.KindAccept, Register: id, Epoch: r.Config.Epoch, Ballot: r.Ballot,
		Prepared: r.Kind != Blind, Base: r.Base}
}

// Missed notes that a member did not vote for the round.
func (r *Round) Missed(i int) {
	if !r.Try.Acks.Has(i) {
		r.Lost = r.Lost.With(i)
	}
}

// Roomier returns the members that have promised and have at least as much disk space
// as than.
func (r *Round) Roomier(than diskroom.Room) (s quorum.Set) {
	for i := range r.Replies {
		if h := r.Replies[i].History; r.Replied.Has(i) && h != nil && h.Room <= than {
			s = s.With(i)
		}
	}
	return s
}

// Room is how much disk space a quorum of those that have promised has.
func (r *Round) Room() diskroom.Room {
	for room := diskroom.RoomEnough; room < diskroom.RoomNone; room++ {
		if r.Config.IsQuorum(r.Roomier(room)) {
			return room
		}
	}
	return diskroom.RoomNone
}

// AddsNothing reports whether the round makes less of the state, or nothing: its
// commands were executed knowing that there is no space for more.
func (r *Round) AddsNothing() bool { return r.Tight || !r.Change.Puts() }

// InVain reports whether a round that some refused, but that can still be chosen, needs
// members that do not answer, while those that do answer form a quorum. Then a Prepare with a higher ballot
// gets further than waiting. got are the members that have agreed; late tells that the
// others have had enough time, and then those of them that should have answered are
// returned, too.
func (r *Round) InVain(got, answering quorum.Set, late bool) (vain bool, silent quorum.Set) {
	if !r.Config.IsQuorum(answering) {
		return false, 0
	}
	missing := r.Config.All() &^ (got | r.Lost | answering)
	if late {
		rest := r.Config.All() &^ (got | r.Lost | r.Repairing)
		missing |= rest
		silent = rest &^ r.AwaitsState
	}
	if left := r.Config.All() &^ (r.Lost | missing); left&^r.AwaitsState == 0 {
		return true, silent // the only members left wait for one that has voted
	}
	return !r.Config.CanReach(r.Lost | missing), silent
}
