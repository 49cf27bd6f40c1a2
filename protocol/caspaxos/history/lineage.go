// Package history has what is known of the writes that led to a register's state:
// lineages and votes (§2), and the rules by which a proposer finds out what became of
// an attempt that is in doubt (§5).
package history

import (
	"slices"
	"sort"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
)

// MaxEntries bounds each of a register's two lists (§2), or what is sent and used of
// it. MaxContended is how many entries are kept of a register that several proposers
// write: a proposer that returns to an attempt after the others have written a lot
// finds out by them what became of it.
const (
	MaxEntries   = 64
	MaxContended = 8 * MaxEntries
)

// Entry is one write in a register's lineage.
type Entry struct {
	Ballot ballot.Ballot
	Parent ballot.Ballot // the Accept's base; zero also for a write on nothing
	Blind  bool          // a blind write has no parent
}

// Lineage is what is known of the writes that led to a state, oldest first. (The
// protocol lists them newest first; appending at the end is cheaper.) At and below
// TruncatedThrough ("cut" in the protocol) everything is unknown.
type Lineage struct {
	Entries          []Entry // ascending by ballot, no doubles
	TruncatedThrough ballot.Ballot
}

// Find returns the entry of b.
func (l *Lineage) Find(b ballot.Ballot) (Entry, bool) {
	i, ok := sort.Find(len(l.Entries), func(i int) int { return b.Compare(l.Entries[i].Ballot) })
	if !ok {
		return Entry{}, false
	}
	return l.Entries[i], true
}

// Insert adds an entry, keeping order; one that is there already stays.
// Callers that may hold the slice elsewhere must clone it first.
func (l *Lineage) Insert(e Entry) {
	if n := len(l.Entries); n == 0 || l.Entries[n-1].Ballot.Less(e.Ballot) {
		l.Entries = append(l.Entries, e)
		return
	}
	i, found := sort.Find(len(l.Entries), func(i int) int { return e.Ballot.Compare(l.Entries[i].Ballot) })
	if !found {
		l.Entries = slices.Insert(l.Entries, i, e)
	}
}

// History is what an acceptor tells of a register besides its state: its lineage, its
// own votes and what bounds both (§2, §5).
type History struct {
	Lineage       Lineage
	Votes         []ballot.Ballot // the ballots this acceptor itself accepted, ascending
	Floor         ballot.Ballot   // as it applies to the register
	PurgedThrough ballot.Ballot   // the highest ballot of a tombstone that the node has purged ("dropped" in the protocol)
	Room          diskroom.Room   // of the node's disk
}

// Shorten leaves out the oldest entries beyond most, but none at or above oldest,
// unless that is zero: as if they had been dropped (§2).
func (h *History) Shorten(most int, oldest ballot.Ballot) {
	beyond := func(n int, ballot func(i int) ballot.Ballot) int {
		drop := max(0, n-most)
		for drop > 0 && !oldest.IsZero() && oldest.AtMost(ballot(drop-1)) {
			drop--
		}
		if drop > 0 {
			h.Lineage.TruncateThrough(ballot(drop - 1))
		}
		return drop
	}
	entries := h.Lineage.Entries
	h.Lineage.Entries = entries[beyond(len(entries), func(i int) ballot.Ballot { return entries[i].Ballot }):]
	h.Votes = h.Votes[beyond(len(h.Votes), func(i int) ballot.Ballot { return h.Votes[i] }):]
}

// HasVote reports whether this acceptor itself accepted b.
func (h *History) HasVote(b ballot.Ballot) bool {
	_, ok := slices.BinarySearchFunc(h.Votes, b, ballot.Ballot.Compare)
	return ok
}

// Merge adds what other knows. What either has truncated is unknown afterwards.
func (l *Lineage) Merge(other *Lineage) {
	for _, e := range other.Entries {
		l.Insert(e)
	}
	l.TruncateThrough(other.TruncatedThrough)
}

// MergeForVote is Merge for an acceptor that is about to vote for a state made from
// the one at base, with which other comes. What other has truncated the acceptor may
// know: TruncatedThrough is raised only as far as the links from base lead into what
// neither knows. A proposer's list is short and would otherwise take from everybody
// what is kept of a contended register (see MaxContended).
//
// Nothing else is needed of what other has truncated. That an attempt took effect is
// shown by the links from what was voted for, and by the votes, which are each
// acceptor's own (§5).
func (l *Lineage) MergeForVote(other *Lineage, base ballot.Ballot) {
	for _, e := range other.Entries {
		l.Insert(e)
	}
	if other.TruncatedThrough.AtMost(l.TruncatedThrough) {
		return
	}
	for i := len(l.Entries) - 1; l.TruncatedThrough.Less(base); base = l.Entries[i].Parent {
		for i >= 0 && base.Less(l.Entries[i].Ballot) {
			i--
		}
		if i < 0 || l.Entries[i].Ballot != base {
			l.TruncateThrough(base)
			return
		}
		if l.Entries[i].Blind {
			return
		}
	}
}

// TruncateThrough raises TruncatedThrough to b, never lowers it (§2).
func (l *Lineage) TruncateThrough(b ballot.Ballot) {
	if l.TruncatedThrough.Less(b) {
		l.TruncatedThrough = b
	}
}

// Trim drops the entries that are too old or too many and raises TruncatedThrough.
func (l *Lineage) Trim(horizon ballot.Time, most int) { l.TruncateThrough(l.Drop(horizon, most)) }

// Drop drops the entries older than the time horizon and those beyond most, oldest
// first. The newest entry always stays. It returns the highest ballot that it
// dropped, to which TruncatedThrough must be raised.
func (l *Lineage) Drop(horizon ballot.Time, most int) (cut ballot.Ballot) {
	drop := max(0, len(l.Entries)-most)
	for drop < len(l.Entries)-1 && l.Entries[drop].Ballot.Time < horizon {
		drop++
	}
	if drop == 0 {
		return ballot.Ballot{}
	}
	cut = l.Entries[drop-1].Ballot
	l.Entries = append(l.Entries[:0], l.Entries[drop:]...)
	return cut
}

// DropVotes does the same for votes.
func DropVotes(votes []ballot.Ballot, horizon ballot.Time, most int) (kept []ballot.Ballot, cut ballot.Ballot) {
	drop := max(0, len(votes)-most)
	for drop < len(votes)-1 && votes[drop].Time < horizon {
		drop++
	}
	if drop == 0 {
		return votes, ballot.Ballot{}
	}
	cut = votes[drop-1]
	return append(votes[:0], votes[drop:]...), cut
}
