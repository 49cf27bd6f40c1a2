package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/quorum"
)

// maxEntries bounds a lineage or a list of votes. An acceptor keeps at most
// MaxContended entries. The union sent with a full change may hold MaxEntries of
// each member.
const maxEntries = history.MaxEntries * quorum.MaxMembers

// AppendLineage appends a lineage.
func AppendLineage(dst []byte, l *history.Lineage) []byte {
	dst = AppendBallot(dst, l.TruncatedThrough)
	dst = binary.AppendUvarint(dst, uint64(len(l.Entries)))
	var before ballot.Ballot
	for i := range l.Entries {
		e := &l.Entries[i]
		var flags byte
		switch {
		case e.Blind:
			flags = stepBlind
		case e.Parent.IsZero():
			flags = stepFromZero
		case e.Parent == before:
			flags = stepFromBefore
		}
		dst = appendStep(dst, flags, before, e.Ballot)
		if flags&(stepBlind|stepFromZero|stepFromBefore) == 0 {
			dst = AppendBallot(dst, e.Parent)
		}
		before = e.Ballot
	}
	return dst
}

func (r *reader) lineage(l *history.Lineage) {
	l.TruncatedThrough = r.ballot()
	l.Entries = nil
	n := r.count(2, maxEntries)
	if n == 0 {
		return
	}
	l.Entries = make([]history.Entry, n)
	var before ballot.Ballot
	for i := range l.Entries {
		e := &l.Entries[i]
		var flags byte
		flags, e.Ballot = r.step(stepLineage, before)
		switch flags & (stepBlind | stepFromZero | stepFromBefore) {
		case stepBlind:
			e.Blind = true
		case stepFromZero:
		case stepFromBefore:
			e.Parent = before
		case 0:
			e.Parent = r.ballot()
		default:
			r.fail(badFlags)
		}
		before = e.Ballot
	}
}

func appendVotes(dst []byte, votes []ballot.Ballot) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(votes)))
	var before ballot.Ballot
	for _, b := range votes {
		dst = appendStep(dst, 0, before, b)
		before = b
	}
	return dst
}

func (r *reader) votes() []ballot.Ballot {
	n := r.count(2, maxEntries)
	if n == 0 {
		return nil
	}
	votes := make([]ballot.Ballot, n)
	var before ballot.Ballot
	for i := range votes {
		_, votes[i] = r.step(stepVotes, before)
		before = votes[i]
	}
	return votes
}

// AppendHistory appends a history.
func AppendHistory(dst []byte, h *history.History) []byte {
	dst = AppendLineage(dst, &h.Lineage)
	dst = appendVotes(dst, h.Votes)
	dst = AppendBallot(dst, h.Floor)
	return append(AppendBallot(dst, h.PurgedThrough), byte(h.Room))
}

func (r *reader) history() *history.History {
	h := new(history.History)
	r.lineage(&h.Lineage)
	h.Votes = r.votes()
	h.Floor = r.ballot()
	h.PurgedThrough = r.ballot()
	if h.Room = diskroom.Room(r.byte()); h.Room > diskroom.RoomNone {
		r.fail(badKind)
	}
	return h
}
