package caspaxos

import "slices"

// A try is one ballot sent to the acceptors in an Accept. It may carry the
// attempts of several commands.
type try struct {
	ballot Ballot
	cfg    *Config
	acks   Set // members that said they voted for it
	nevers Set // members that said, finally, that they did not
	unsent Set // members that it was never sent to
}

// none returns the members that have not voted for the try, as far as that can be
// told without a Prepare. If these are all, nobody ever will: a member that it
// was not sent to could have it only from one that voted.
func (t *try) none() Set { return t.nevers | t.unsent }

// An attempt is one command's part in a try that changed the register: the
// result to answer if it turns out to have taken effect. A command that changed
// nothing has one, too, if others behind it did: executed again, it would see
// what they did.
type attempt struct {
	*try
	result  any
	changed bool // by this command
}

// verdict is what is known of a command's attempts (§5).
type verdict uint8

const (
	undecided verdict = iota // rule 4
	tookEffect
	noEffect
)

// evidence is what the promises of one Prepare tell (§5). The replies are by
// member index; those not in from did not answer.
type evidence struct {
	cfg     *Config
	from    Set
	replies []Reply
	highest Ballot // h: the highest accepted ballot in the replies
	omit    Rules

	entries map[Ballot]Entry // the union of all lineages
	ballots []Ballot         // every ballot in a lineage or among the votes
}

// newEvidence gathers the union of the replies' lineage and votes.
func newEvidence(cfg *Config, from Set, replies []Reply, omit Rules) *evidence {
	e := &evidence{cfg: cfg, from: from, replies: replies, omit: omit, entries: make(map[Ballot]Entry)}
	seen := make(map[Ballot]struct{})
	note := func(b Ballot) {
		if _, ok := seen[b]; !ok {
			seen[b] = struct{}{}
			e.ballots = append(e.ballots, b)
		}
	}
	for i := range replies {
		if !from.Has(i) {
			continue
		}
		e.highest = MaxBallot(e.highest, replies[i].Accepted)
		h := replies[i].History
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

// judge says whether one of a command's attempts took effect, and which (§5).
func (e *evidence) judge(attempts []attempt) (verdict, int) {
	if len(attempts) == 0 || e.omit.has(RuleDoubt) {
		return noEffect, -1
	}
	lowest := attempts[0].ballot
	if e.anyForgotten(attempts) {
		return undecided, -1
	}
	for i := range attempts {
		if attempts[i].ballot.Less(lowest) {
			lowest = attempts[i].ballot
		}
	}
	for at := e.highest; ; {
		for i := range attempts {
			if attempts[i].ballot == at {
				return tookEffect, i // rule 1
			}
		}
		if at.Less(lowest) {
			return noEffect, -1 // rule 2
		}
		entry, ok := e.entries[at]
		if !ok {
			return undecided, -1
		}
		if entry.Blind {
			return e.judgeCovered(attempts, at) // rule 3
		}
		at = entry.Parent
	}
}

// anyForgotten reports whether one of the attempts can never be judged.
func (e *evidence) anyForgotten(attempts []attempt) bool {
	return slices.ContainsFunc(attempts, func(a attempt) bool { return e.forgotten(a.ballot) })
}

// forgotten reports whether some reply no longer knows what was at or below b.
func (e *evidence) forgotten(b Ballot) bool {
	for i := range e.replies {
		h := e.replies[i].History
		if !e.from.Has(i) || h == nil {
			continue
		}
		if b.AtMost(h.Lineage.Cut) && !e.omit.has(RuleCutUnknown) {
			return true
		}
		if e.omit.has(RuleDropped) {
			continue
		}
		if b.AtMost(h.Dropped) || (e.highest.IsZero() && b.AtMost(h.Floor)) {
			return true
		}
	}
	return false
}

// judgeCovered is rule 3: the blind write r hides what came before it.
func (e *evidence) judgeCovered(attempts []attempt, r Ballot) (verdict, int) {
	effect := -1
	for i := range attempts {
		if r.Less(attempts[i].ballot) {
			continue // above r and not on the path from h
		}
		switch e.judgeOne(attempts, i) {
		case undecided:
			return undecided, -1
		case tookEffect:
			effect = i
		}
	}
	if effect >= 0 {
		return tookEffect, effect
	}
	return noEffect, -1
}

func (e *evidence) judgeOne(attempts []attempt, i int) verdict {
	a := attempts[i].ballot
	if attempts[i].cfg.Epoch < e.cfg.Epoch {
		return undecided
	}
	if !e.omit.has(RuleGap) && e.gapAbove(a) {
		return undecided
	}
	result := noEffect
	for _, t := range e.ballots {
		if t != a && !e.descends(t, a) {
			continue
		}
		switch e.votesFor(t, attempts) {
		case tookEffect:
			return tookEffect
		case undecided:
			result = undecided
		}
	}
	// a itself may stand in no list of this quorum.
	switch e.votesFor(a, attempts) {
	case tookEffect:
		return tookEffect
	case undecided:
		return undecided
	}
	return result
}

// votesFor counts who voted for t: tookEffect if a quorum is known to have,
// noEffect if there can be none, undecided otherwise.
func (e *evidence) votesFor(t Ballot, attempts []attempt) verdict {
	var known, nevers Set
	for i := range e.replies {
		h := e.replies[i].History
		if !e.from.Has(i) || h == nil {
			continue
		}
		voted := h.HasVote(t)
		if e.omit.has(RuleVotesNotLineage) {
			_, inLineage := h.Lineage.Find(t)
			voted = voted || inLineage
		}
		if voted {
			known = known.With(i)
		}
	}
	for i := range attempts {
		if attempts[i].ballot == t {
			known |= attempts[i].acks
			nevers |= attempts[i].nevers
		}
	}
	switch {
	case e.cfg.IsQuorum(known):
		return tookEffect
	case e.cfg.IsQuorum(known | (e.cfg.All() &^ e.from &^ nevers)):
		return undecided
	}
	return noEffect
}

// descends reports whether the parent links from t lead to a.
func (e *evidence) descends(t, a Ballot) bool {
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
func (e *evidence) gapAbove(a Ballot) bool {
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
