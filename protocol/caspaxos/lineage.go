package caspaxos

import (
	"slices"
	"sort"
)

// MaxEntries bounds each of a register's two lists (§2), or what is sent of it
// and used. MaxContended is how many are kept of a register that several
// proposers write: they tell what became of an attempt that its proposer comes
// back to after a while, in which the others were not idle.
const (
	MaxEntries   = 64
	MaxContended = 8 * MaxEntries
)

// Entry is one write in a register's lineage.
type Entry struct {
	Ballot Ballot
	Parent Ballot // the Accept's base; zero also for a write on nothing
	Blind  bool   // a blind write has no parent
}

// Lineage is what is known of the writes that led to a state, oldest first.
// (PROTOCOL lists them newest first; appending at the end is cheaper.)
// At and below Cut everything is unknown.
type Lineage struct {
	Entries []Entry // ascending by ballot, no doubles
	Cut     Ballot
}

// Find returns the entry of b.
func (l *Lineage) Find(b Ballot) (Entry, bool) {
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

// History is what an acceptor tells of a register besides its state: its
// lineage, its own votes and what bounds both (§2, §5).
type History struct {
	Lineage Lineage
	Votes   []Ballot // the ballots this acceptor itself accepted, ascending
	Floor   Ballot   // as it applies to the register
	Dropped Ballot   // the highest ballot of a tombstone the node has forgotten
	Room    Room     // of the node's disk
}

// shorten leaves out the oldest entries beyond most, but none at or above a
// ballot, unless that is zero: as if they had been dropped (§2).
func (h *History) shorten(most int, oldest Ballot) {
	beyond := func(n int, ballot func(i int) Ballot) int {
		drop := max(0, n-most)
		for drop > 0 && !oldest.IsZero() && oldest.AtMost(ballot(drop-1)) {
			drop--
		}
		if drop > 0 {
			h.Lineage.raiseCut(ballot(drop - 1))
		}
		return drop
	}
	entries := h.Lineage.Entries
	h.Lineage.Entries = entries[beyond(len(entries), func(i int) Ballot { return entries[i].Ballot }):]
	h.Votes = h.Votes[beyond(len(h.Votes), func(i int) Ballot { return h.Votes[i] }):]
}

// HasVote reports whether this acceptor itself accepted b.
func (h *History) HasVote(b Ballot) bool {
	_, ok := slices.BinarySearchFunc(h.Votes, b, Ballot.Compare)
	return ok
}

// Merge adds what other knows. What either has cut is unknown afterwards.
func (l *Lineage) Merge(other *Lineage) {
	for _, e := range other.Entries {
		l.Insert(e)
	}
	l.raiseCut(other.Cut)
}

// learn is Merge for an acceptor that is about to vote for a state made from the one
// at base, with which other comes. What other has cut the acceptor may know: the
// cut is raised only as far as the links from base lead into what neither knows. A
// proposer's list is short, and would take away from everybody what is kept of a
// contended register (see MaxContended).
//
// Nothing else is needed of what other has cut. That an attempt took effect is told
// by the links from what was voted for, and by the votes, which are each acceptor's
// own (§5).
func (l *Lineage) learn(other *Lineage, base Ballot) {
	for _, e := range other.Entries {
		l.Insert(e)
	}
	if other.Cut.AtMost(l.Cut) {
		return
	}
	for i := len(l.Entries) - 1; l.Cut.Less(base); base = l.Entries[i].Parent {
		for i >= 0 && base.Less(l.Entries[i].Ballot) {
			i--
		}
		if i < 0 || l.Entries[i].Ballot != base {
			l.raiseCut(base)
			return
		}
		if l.Entries[i].Blind {
			return
		}
	}
}

// raiseCut raises the cut to b, never lowers it (§2).
func (l *Lineage) raiseCut(b Ballot) {
	if l.Cut.Less(b) {
		l.Cut = b
	}
}

// trim drops what is too old or too much and raises the cut to it.
func (l *Lineage) trim(horizon Time, most int) { l.raiseCut(l.drop(horizon, most)) }

// drop drops the entries older than the time horizon and those beyond most,
// oldest first. The newest entry always stays. It returns the highest ballot
// that it dropped, to which the cut must be raised.
func (l *Lineage) drop(horizon Time, most int) (cut Ballot) {
	drop := max(0, len(l.Entries)-most)
	for drop < len(l.Entries)-1 && l.Entries[drop].Ballot.Time < horizon {
		drop++
	}
	if drop == 0 {
		return Ballot{}
	}
	cut = l.Entries[drop-1].Ballot
	l.Entries = append(l.Entries[:0], l.Entries[drop:]...)
	return cut
}

// dropVotes does for the votes what drop does for the lineage.
func dropVotes(votes []Ballot, horizon Time, most int) (kept []Ballot, cut Ballot) {
	drop := max(0, len(votes)-most)
	for drop < len(votes)-1 && votes[drop].Time < horizon {
		drop++
	}
	if drop == 0 {
		return votes, Ballot{}
	}
	cut = votes[drop-1]
	return append(votes[:0], votes[drop:]...), cut
}
