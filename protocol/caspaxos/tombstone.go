package caspaxos

import (
	"slices"
	"strings"

	"synod/protocol/register"
)

const full = register.Full

var deleted = register.Delete()

// rangeTombstones are the flushes that one lane has voted for (§8), per name
// space, newest first.
type rangeTombstones struct {
	bySpace map[byte][]*rangeTombstone
}

type rangeTombstone struct {
	vote   FlushVote
	except map[string]struct{}
	pos    uint64
	since  Mono
	// lost: of a register that the node holds nothing of, lists up to here may
	// have gone with their rows (Sweep). Behind it, nothing is nothing.
	lost Ballot
}

func (t *rangeTombstones) empty() bool { return len(t.bySpace) == 0 }

// covering returns the newest range tombstone that covers the register, or nil.
func (t *rangeTombstones) covering(r Register) *rangeTombstone {
	for _, f := range t.bySpace[space(r)] {
		if !f.spans(r.Slot) {
			continue
		}
		if _, spared := f.except[r.Key]; !spared {
			return f
		}
	}
	return nil
}

// floor returns the highest ballot of a range that the register is in, whether
// or not it was spared there.
func (t *rangeTombstones) floor(r Register) Ballot {
	for _, f := range t.bySpace[space(r)] {
		if f.spans(r.Slot) {
			return f.vote.Ballot
		}
	}
	return Ballot{}
}

// add puts in a newer one and drops those that it makes redundant.
func (t *rangeTombstones) add(f *rangeTombstone) {
	if t.bySpace == nil {
		t.bySpace = make(map[byte][]*rangeTombstone)
	}
	for _, old := range t.bySpace[f.vote.Space] {
		if f.vote.First <= old.vote.Last && old.vote.First <= f.vote.Last {
			f.lost = MaxBallot(f.lost, old.lost)
		}
	}
	list := slices.DeleteFunc(t.bySpace[f.vote.Space], func(old *rangeTombstone) bool {
		return f.vote.First <= old.vote.First && old.vote.Last <= f.vote.Last &&
			old.vote.Ballot.AtMost(f.vote.Ballot)
	})
	list = append(list, f)
	slices.SortFunc(list, func(a, b *rangeTombstone) int { return b.vote.Ballot.Compare(a.vote.Ballot) })
	t.bySpace[f.vote.Space] = list
}

func (f *rangeTombstone) spans(slot uint16) bool {
	return f.vote.First <= slot && slot <= f.vote.Last
}

// cover makes rec, whose lists the node has, what a covered register stands as:
// a blind tombstone at the flush's ballot, on top of what was known before.
func (f *rangeTombstone) cover(rec *Record, omit Rules) {
	rec.Accepted, rec.Prepared, rec.Intent = f.vote.Ballot, false, nil
	rec.Header = register.Header{}
	rec.Pos, rec.Since = max(rec.Pos, f.pos), f.since
	if omit.has(RuleFlushCut) {
		rec.Votes, rec.Lineage = nil, Lineage{}
	}
	rec.Lineage.Insert(Entry{Ballot: f.vote.Ballot, Blind: true})
	rec.addVote(f.vote.Ballot)
}

// absent makes rec what a covered register stands as of which the node holds
// nothing: what it may have held once is unknown.
func (f *rangeTombstone) absent(rec *Record, r Register, omit Rules) {
	*rec = Record{Register: r}
	f.cover(rec, omit)
	if !omit.has(RuleFlushCut) {
		rec.Lineage.raiseCut(f.lost)
	}
}

func space(r Register) byte {
	if r.Key == "" {
		return RecordSpace
	}
	return r.Key[0]
}

// Flush votes, for this lane, on a range tombstone (§8). The driver asks every
// lane and answers with what they say together.
func (a *Acceptor) Flush(now Now, req *FlushRequest) (FlushReply, error) {
	reply := FlushReply{ID: req.ID, Outcome: Acked}
	for s := int(req.First); s <= int(req.Last); s++ {
		if v, own := a.node.admit(uint16(s), req.Epoch); v != epochFits {
			err := a.refuseEpoch(v, own, req.First, req.Last, req.Epoch, &reply.Outcome, &reply.Epoch)
			return reply, err
		}
	}
	if a.ahead(now, req.Ballot) {
		reply.Outcome, reply.Promise = ClockAhead, Ballot{Time: MakeTime(now.Wall, 0)}
		return reply, nil
	}
	if floor := a.node.State().Floor; req.Ballot.AtMost(floor) {
		reply.Outcome, reply.Promise = Nacked, floor
		return reply, nil
	}
	spared, above, others := a.refused(req)
	if req.Ballot.Less(others) {
		// Records that are not in memory might have to be refused: a ballot
		// above them all spares the search.
		reply.Outcome, reply.Promise = Nacked, others
		return reply, nil
	}
	if a.omit.has(RuleFlushRefuses) {
		spared = nil
	}
	reply.Refused = append(above, spared...)
	if len(reply.Refused) > MaxRefused {
		reply.Refused, reply.Incomplete = reply.Refused[:MaxRefused], true
		return reply, nil
	}
	if f := a.sameFlush(req); f != nil { // delivered twice
		reply.After = f.pos
		return reply, nil
	}
	vote := FlushVote{Ballot: req.Ballot, First: req.First, Last: req.Last, Space: req.Space, Part: a.part, Parts: a.parts, Except: spared}
	pos, err := a.store.Append(LogEntry{Flush: &vote})
	if err != nil {
		return reply, err
	}
	reply.After = pos
	return reply, a.addFlush(vote, pos, now.Mono)
}

// refused lists the registers of the range that are promised above the flush's
// ballot: spared are those whose accepted state is not above it, which the
// range tombstone must name; above those whose accepted ballot is.
func (a *Acceptor) refused(req *FlushRequest) (spared, above []Register, others Ballot) {
	in := func(r Register) bool {
		return space(r) == req.Space && req.First <= r.Slot && r.Slot <= req.Last
	}
	isAbove := make(map[string]bool)
	others = a.store.Above(req.Ballot, func(rec *Record) {
		if in(rec.Register) {
			above = append(above, rec.Register)
			isAbove[rec.Register.Key] = true
		}
	})
	seen := make(map[string]bool)
	for _, generation := range []map[string]promised{a.promises.young, a.promises.old} {
		for key, p := range generation {
			r := Register{Slot: p.slot, Key: key}
			if req.Ballot.Less(p.ballot) && in(r) && !isAbove[key] && !seen[key] {
				seen[key] = true
				spared = append(spared, r)
			}
		}
	}
	// Map order must not reach the log or the wire: equal runs, equal bytes.
	byKey := func(x, y Register) int { return strings.Compare(x.Key, y.Key) }
	slices.SortFunc(spared, byKey)
	slices.SortFunc(above, byKey)
	return spared, above, others
}

func (a *Acceptor) sameFlush(req *FlushRequest) *rangeTombstone {
	for _, f := range a.flushed.bySpace[req.Space] {
		if f.vote.Ballot == req.Ballot && f.vote.First == req.First && f.vote.Last == req.Last {
			return f
		}
	}
	return nil
}

// addFlush puts a range tombstone into force. A register that it spares but an
// earlier one covered gets a tombstone of its own at the earlier ballot: the
// earlier may be forgotten now.
func (a *Acceptor) addFlush(vote FlushVote, pos uint64, since Mono) error {
	f := &rangeTombstone{vote: vote, pos: pos, since: since, except: make(map[string]struct{}, len(vote.Except))}
	for _, r := range vote.Except {
		f.except[r.Key] = struct{}{}
		rec, err := a.load(r)
		if err != nil {
			return err
		}
		if rec == &a.scratch {
			own := a.store.Create(r)
			own.Accepted, own.Lineage, own.Votes = rec.Accepted, rec.Lineage, rec.Votes
			own.Pos, own.Since = rec.Pos, rec.Since
			a.store.Apply(own, deleted)
		}
	}
	a.flushed.add(f)
	return nil
}

// RestoreFlush puts a range tombstone back into force that the store kept from
// an earlier life of the node. Rows may have been swept in that life.
func (a *Acceptor) RestoreFlush(vote FlushVote, pos uint64) error {
	if err := a.addFlush(vote, pos, a.start); err != nil {
		return err
	}
	a.loseLists(vote, vote.Ballot)
	return nil
}

// Sweep is asked before the store deletes the rows that a range tombstone
// covers, with their lists. It refuses while somebody may still want to know
// what became of an attempt that the flush met: for 2 L, as with any list (§2).
func (a *Acceptor) Sweep(now Now, vote FlushVote) bool {
	if vote.Ballot.Time > a.node.horizon(now.Wall) {
		return false
	}
	a.loseLists(vote, vote.Ballot)
	return true
}

func (a *Acceptor) loseLists(vote FlushVote, b Ballot) {
	for _, f := range a.flushed.bySpace[vote.Space] {
		if f.vote.First <= vote.Last && vote.First <= f.vote.Last {
			f.lost = MaxBallot(f.lost, b)
		}
	}
}

// Covered reports whether a range tombstone covers a register whose record on
// disk is at the accepted ballot: such a row is as good as gone.
func (a *Acceptor) Covered(r Register, accepted Ballot) bool {
	if a.flushed.empty() {
		return false
	}
	f := a.flushed.covering(r)
	return f != nil && accepted.AtMost(f.vote.Ballot)
}
