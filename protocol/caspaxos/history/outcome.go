package history

import (
	"slices"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
)

// Try is one ballot sent to the acceptors in an Accept. It may carry the attempts of
// several commands.
type Try struct {
	Ballot ballot.Ballot
	Config *quorum.Config
	Acks   quorum.Set // members that said they voted for it
	Nevers quorum.Set // members that said, finally, that they did not
	Unsent quorum.Set // members that it was never sent to
}

// NotVoted returns the members that have not voted for the try, as far as that is
// known without a Prepare. If these are all, nobody ever will: a member that it was
// not sent to could get it only from one that voted.
func (t *Try) NotVoted() quorum.Set { return t.Nevers | t.Unsent }

// Attempt is one command's part in a try that changed the register: the result to
// answer if it turns out to have taken effect. A command that changed nothing has one
// too if others behind it did: executed again, it would see what they did.
type Attempt struct {
	*Try
	Result  any
	Changed bool // by this command
}

// Above reports whether one of the attempts is above b.
func Above(attempts []Attempt, b ballot.Ballot) bool {
	return slices.ContainsFunc(attempts, func(a Attempt) bool { return b.Less(a.Ballot) })
}

// Verdict is what is known of a command's attempts (§5).
type Verdict uint8

const (
	Undecided Verdict = iota // rule 4
	TookEffect
	NoEffect
)

// Report is what one member's promise says of a register's past.
type Report struct {
	Accepted ballot.Ballot
	History  *History // nil if the member did not send it
}

// Evidence is what the promises of one Prepare tell (§5). Reports are by member
// index; members that are not in from did not answer.
type Evidence struct {
	cfg     *quorum.Config
	from    quorum.Set
	reports []Report
	highest ballot.Ballot // h: the highest accepted ballot in the replies
	omit    rules.Set

	entries map[ballot.Ballot]Entry // the union of all lineages
	ballots []ballot.Ballot         // every ballot in a lineage or among the votes
}

// NewEvidence gathers the union of the reports' lineages and votes.
func NewEvidence(cfg *quorum.Config, from quorum.Set, reports []Report, omit rules.Set) *Evidence {
	e := &Evidence{cfg: cfg, from: from, reports: reports, omit: omit, entries: make(map[ballot.Ballot]Entry)}
	seen := make(map[ballot.Ballot]struct{})
	note := func(b ballot.Ballot) {
		if _, ok := seen[b]; !ok {
			seen[b] = struct{}{}
			e.ballots = append(e.ballots, b)
		}
	}
	for i := range reports {
		if !from.Has(i) {
			continue
		}
		e.highest = ballot.Max(e.highest, reports[i].Accepted)
		h := reports[i].History
		if h == nil {
			continue
		}
		for _, entry := range h.Lineage.Entries {
			e.entries[entry.Ballot] = entry
			note(entry.Ballot)
		}
		for _, v := range h.Votes {
			note(v)
		}
	}
	return e
}

// Decide says whether one of a command's attempts took effect, and which (§5).
func (e *Evidence) Decide(attempts []Attempt) (Verdict, int) {
	if len(attempts) == 0 || e.omit.Has(rules.Doubt) {
		return NoEffect, -1
	}
	lowest := attempts[0].Ballot
	if e.AnyForgotten(attempts) {
		return Undecided, -1
	}
	for i := range attempts {
		if attempts[i].Ballot.Less(lowest) {
			lowest = attempts[i].Ballot
		}
	}
	for at := e.highest; ; {
		for i := range attempts {
			if attempts[i].Ballot == at {
				return TookEffect, i // rule 1
			}
		}
		if at.Less(lowest) {
			return NoEffect, -1 // rule 2
		}
		entry, ok := e.entries[at]
		if !ok {
			return Undecided, -1
		}
		if entry.Blind {
			return e.decideCovered(attempts, at) // rule 3
		}
		at = entry.Parent
	}
}

// AnyForgotten reports whether one of the attempts can never be decided.
func (e *Evidence) AnyForgotten(attempts []Attempt) bool {
	return slices.ContainsFunc(attempts, func(a Attempt) bool { return e.forgotten(a.Ballot) })
}

// forgotten reports whether some reply no longer knows what was at or below b.
func (e *Evidence) forgotten(b ballot.Ballot) bool {
	for i := range e.reports {
		h := e.reports[i].History
		if !e.from.Has(i) || h == nil {
			continue
		}
		if b.AtMost(h.Lineage.TruncatedThrough) && !e.omit.Has(rules.CutUnknown) {
			return true
		}
		if e.omit.Has(rules.Dropped) {
			continue
		}
		if b.AtMost(h.PurgedThrough) || (e.highest.IsZero() && b.AtMost(h.Floor)) {
			return true
		}
	}
	return false
}

// decideCovered is rule 3: the blind write r hides what came before it.
func (e *Evidence) decideCovered(attempts []Attempt, r ballot.Ballot) (Verdict, int) {
	effect := -1
	for i := range attempts {
		if r.Less(attempts[i].Ballot) {
			continue // above r and not on the path from h
		}
		switch e.decideOne(attempts, i) {
		case Undecided:
			return Undecided, -1
		case TookEffect:
			effect = i
		}
	}
	if effect >= 0 {
		return TookEffect, effect
	}
	return NoEffect, -1
}

func (e *Evidence) decideOne(attempts []Attempt, i int) Verdict {
	a := attempts[i].Ballot
	if attempts[i].Config.Epoch < e.cfg.Epoch {
		return Undecided
	}
	if !e.omit.Has(rules.Gap) && e.gapAbove(a) {
		return Undecided
	}
	result := NoEffect
	for _, t := range e.ballots {
		if t != a && !e.descends(t, a) {
			continue
		}
		switch e.votesFor(t, attempts) {
		case TookEffect:
			return TookEffect
		case Undecided:
			result = Undecided
		}
	}
	// a itself may stand in no list of this quorum.
	switch e.votesFor(a, attempts) {
	case TookEffect:
		return TookEffect
	case Undecided:
		return Undecided
	}
	return result
}

// votesFor counts who voted for t: tookEffect if a quorum is known to have,
// noEffect if there can be none, undecided otherwise.
func (e *Evidence) votesFor(t ballot.Ballot, attempts []Attempt) Verdict {
	var known, nevers quorum.Set
	for i := range e.reports {
		h := e.reports[i].History
		if !e.from.Has(i) || h == nil {
			continue
		}
		voted := h.HasVote(t)
		if e.omit.Has(rules.VotesNotLineage) {
			_, inLineage := h.Lineage.Find(t)
			voted = voted || inLineage
		}
		if voted {
			known = known.With(i)
		}
	}
	for i := range attempts {
		if attempts[i].Ballot == t {
			known |= attempts[i].Acks
			nevers |= attempts[i].Nevers
		}
	}
	switch {
	case e.cfg.IsQuorum(known):
		return TookEffect
	case e.cfg.IsQuorum(known | (e.cfg.All() &^ e.from &^ nevers)):
		return Undecided
	}
	return NoEffect
}

// descends reports whether the parent links from t lead to a.
func (e *Evidence) descends(t, a ballot.Ballot) bool {
	for a.Less(t) {
		entry, ok := e.entries[t]
		if !ok || entry.Blind {
			return false
		}
		t = entry.Parent
	}
	return t == a
}

// gapAbove reports whether the links of some ballot above a lead into a gap
// before they pass a or end at a blind write.
func (e *Evidence) gapAbove(a ballot.Ballot) bool {
	for _, t := range e.ballots {
		for a.Less(t) {
			entry, ok := e.entries[t]
			if !ok {
				return true
			}
			if entry.Blind {
				break
			}
			t = entry.Parent
		}
	}
	return false
}
