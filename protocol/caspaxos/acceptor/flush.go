package acceptor

import (
	"slices"
	"strings"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
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
	vote   durable.FlushVote
	except map[string]struct{}
	pos    uint64
	since  instant.Mono
	// lost: the lists of registers without a record may have been deleted up to here,
	// with their rows (Sweep). Above this ballot, a missing record means never written.
	lost ballot.Ballot
}

func (t *rangeTombstones) empty() bool { return len(t.bySpace) == 0 }

// covering returns the newest range tombstone that covers the register, or nil.
func (t *rangeTombstones) covering(r register.ID) *rangeTombstone {
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
func (t *rangeTombstones) floor(r register.ID) ballot.Ballot {
	for _, f := range t.bySpace[space(r)] {
		if f.spans(r.Slot) {
			return f.vote.Ballot
		}
	}
	return ballot.Ballot{}
}

// add puts in a newer one and drops those that it makes redundant.
func (t *rangeTombstones) add(f *rangeTombstone) {
	if t.bySpace == nil {
		t.bySpace = make(map[byte][]*rangeTombstone)
	}
	for _, old := range t.bySpace[f.vote.Space] {
		if f.vote.First <= old.vote.Last && old.vote.First <= f.vote.Last {
			f.lost = ballot.Max(f.lost, old.lost)
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

// cover makes rec, whose lists the node has, the blind tombstone at the flush's
// ballot that a covered register stands as, on top of what was known before.
func (f *rangeTombstone) cover(rec *durable.Record, omit rules.Set) {
	rec.Accepted, rec.Prepared, rec.Intent = f.vote.Ballot, false, nil
	rec.Header = register.Header{}
	rec.Pos, rec.Since = max(rec.Pos, f.pos), f.since
	if omit.Has(rules.FlushCut) {
		rec.Votes, rec.Lineage = nil, history.Lineage{}
	}
	rec.Lineage.Insert(history.Entry{Ballot: f.vote.Ballot, Blind: true})
	rec.AddVote(f.vote.Ballot)
}

// absent does the same for a register of which the node holds nothing: what it may
// once have held is unknown.
func (f *rangeTombstone) absent(rec *durable.Record, r register.ID, omit rules.Set) {
	*rec = durable.Record{Register: r}
	f.cover(rec, omit)
	if !omit.Has(rules.FlushCut) {
		rec.Lineage.TruncateThrough(f.lost)
	}
}

func space(r register.ID) byte {
	if r.Key == "" {
		return register.RecordSpace
	}
	return r.Key[0]
}

// Flush votes, for this lane, on a range tombstone (§8). The driver asks every lane
// and answers with what they say together.
func (a *Acceptor) Flush(now instant.Now, req *message.FlushRequest) (message.FlushReply, error) {
	reply := message.FlushReply{ID: req.ID, Outcome: message.Acked}
	for s := int(req.First); s <= int(req.Last); s++ {
		if v, own := a.node.admit(uint16(s), req.Epoch); v != epochFits {
			err := a.refuseEpoch(v, own, req.First, req.Last, req.Epoch, &reply.Outcome, &reply.Epoch)
			return reply, err
		}
	}
	if a.exceedsClockOffset(now, req.Ballot) {
		reply.Outcome, reply.Promise = message.ClockAhead, ballot.Ballot{Time: ballot.MakeTime(now.Wall, 0)}
		return reply, nil
	}
	if floor := a.node.State().Floor; req.Ballot.AtMost(floor) {
		reply.Outcome, reply.Promise = message.Nacked, floor
		return reply, nil
	}
	spared, above, others := a.refused(req)
	if req.Ballot.Less(others) {
		// Records that are not in memory might have to be refused: a ballot
		// above them all spares the search.
		reply.Outcome, reply.Promise = message.Nacked, others
		return reply, nil
	}
	if a.omit.Has(rules.FlushRefuses) {
		spared = nil
	}
	reply.Refused = append(above, spared...)
	if len(reply.Refused) > message.MaxRefused {
		reply.Refused, reply.Incomplete = reply.Refused[:message.MaxRefused], true
		return reply, nil
	}
	if f := a.sameFlush(req); f != nil { // delivered twice
		reply.After = f.pos
		return reply, nil
	}
	vote := durable.FlushVote{Ballot: req.Ballot, First: req.First, Last: req.Last, Space: req.Space, Part: a.part, Parts: a.parts, Except: spared}
	pos, err := a.store.Append(durable.LogEntry{Flush: &vote})
	if err != nil {
		return reply, err
	}
	reply.After = pos
	return reply, a.addFlush(vote, pos, now.Mono)
}

// refused lists the registers of the range that are promised above the flush's
// ballot: spared are those whose accepted state is not above it, which the
// range tombstone must name; above those whose accepted ballot is.
func (a *Acceptor) refused(req *message.FlushRequest) (spared, above []register.ID, others ballot.Ballot) {
	in := func(r register.ID) bool {
		return space(r) == req.Space && req.First <= r.Slot && r.Slot <= req.Last
	}
	isAbove := make(map[string]bool)
	others = a.store.Above(req.Ballot, func(rec *durable.Record) {
		if in(rec.Register) {
			above = append(above, rec.Register)
			isAbove[rec.Register.Key] = true
		}
	})
	seen := make(map[string]bool)
	for _, generation := range []map[string]promised{a.promises.young, a.promises.old} {
		for key, p := range generation {
			r := register.ID{Slot: p.slot, Key: key}
			if req.Ballot.Less(p.ballot) && in(r) && !isAbove[key] && !seen[key] {
				seen[key] = true
				spared = append(spared, r)
			}
		}
	}
	// Map order must not reach the log or the wire: equal runs, equal bytes.
	byKey := func(x, y register.ID) int { return strings.Compare(x.Key, y.Key) }
	slices.SortFunc(spared, byKey)
	slices.SortFunc(above, byKey)
	return spared, above, others
}

func (a *Acceptor) sameFlush(req *message.FlushRequest) *rangeTombstone {
	for _, f := range a.flushed.bySpace[req.Space] {
		if f.vote.Ballot == req.Ballot && f.vote.First == req.First && f.vote.Last == req.Last {
			return f
		}
	}
	return nil
}

// addFlush puts a range tombstone into force. A register that it spares but an
// earlier one covered gets a tombstone of its own at the earlier ballot, because the
// earlier one may be forgotten now.
func (a *Acceptor) addFlush(vote durable.FlushVote, pos uint64, since instant.Mono) error {
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

// RestoreFlush puts a range tombstone back into force that the store kept from before
// a restart. Its rows may have been swept already.
func (a *Acceptor) RestoreFlush(vote durable.FlushVote, pos uint64) error {
	if err := a.addFlush(vote, pos, a.start); err != nil {
		return err
	}
	a.loseLists(vote, vote.Ballot)
	return nil
}

// Sweep is asked before the store deletes the rows that a range tombstone covers,
// with their lists. It refuses while somebody may still ask about an attempt that the
// flush met: for 2 L, as with any list (§2).
func (a *Acceptor) Sweep(now instant.Now, vote durable.FlushVote) bool {
	if vote.Ballot.Time > a.node.horizon(now.Wall) {
		return false
	}
	a.loseLists(vote, vote.Ballot)
	return true
}

func (a *Acceptor) loseLists(vote durable.FlushVote, b ballot.Ballot) {
	for _, f := range a.flushed.bySpace[vote.Space] {
		if f.vote.First <= vote.Last && vote.First <= f.vote.Last {
			f.lost = ballot.Max(f.lost, b)
		}
	}
}

// Covered reports whether a range tombstone covers a register whose record on disk is
// at the accepted ballot: such a row is as good as gone.
func (a *Acceptor) Covered(r register.ID, accepted ballot.Ballot) bool {
	if a.flushed.empty() {
		return false
	}
	f := a.flushed.covering(r)
	return f != nil && accepted.AtMost(f.vote.Ballot)
}
