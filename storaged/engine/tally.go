package engine

import (
	"fmt"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/rowcodec"
	"synod/storaged/rules"
	"synod/storaged/tally"
)

// tally counts a change of a register in memory.
func (l *Lane) tally(e *entry) {
	is := tally.StandingOf(e.rec.Header.Type, e.rec.Header.Expiry)
	if is == e.counted {
		return
	}
	if e.rec.Register.Key[0] < partition.Databases {
		l.tallies.Move(e.rec.Register, e.counted, is)
	}
	e.counted = is
}

// tallyRow counts a register's row that goes into a batch.
func (l *Lane) tallyRow(e *entry) {
	if e.counted != e.diskCounted {
		l.moveDisk(e.rec.Register, e.diskCounted, e.counted)
	}
	e.disk.accepted, e.disk.standing = e.rec.Accepted, tally.StandingOf(e.rec.Header.Type, e.rec.Header.Expiry)
	e.diskCounted = e.counted
}

func (l *Lane) moveDisk(r register.ID, from, to tally.Standing) {
	if r.Key[0] >= partition.Databases || l.omits(rules.TallyRows) {
		return
	}
	l.tallies.MoveDisk(r, from, to)
}

// tallyRead notes what a register counts for that was read from disk.
func (l *Lane) tallyRead(e *entry) {
	e.disk.accepted, e.disk.standing = e.rec.Accepted, tally.StandingOf(e.rec.Header.Type, e.rec.Header.Expiry)
	e.diskCounted = l.standingUnder(e.rec.Register, e.disk.accepted, e.disk.standing)
	e.counted = e.diskCounted
}

// standingUnder returns what a register counts for under the flushes in force.
func (l *Lane) standingUnder(r register.ID, accepted ballot.Ballot, s tally.Standing) tally.Standing {
	if s != 0 && l.engine.flushes.Covers(r, accepted) && !l.omits(rules.TallyCovered) {
		return 0
	}
	return s
}

// tallyFlush counts after a vote for a flush, which is in force already: of the
// range, only what the vote spares is left.
//
// Of the lane's registers that are not in memory, none is accepted above the flush
// (acceptor.Acceptor.Flush ensures it). When the vote is replayed after a restart,
// there may be some, in rows.
func (l *Lane) tallyFlush(vote *durable.FlushVote) error {
	if vote.Space >= partition.Databases || l.omits(rules.TallyFlush) {
		return nil
	}
	var left []tally.Spared
	for _, r := range vote.Except {
		if l.cache[r.Key] == nil {
			if _, err := l.read(r); err != nil {
				return err
			}
		}
	}
	if l.evictedMax.Compare(vote.Ballot) > 0 {
		var err error
		if left, err = l.rowsAbove(vote); err != nil {
			return err
		}
	}
	var spared []tally.Spared
	if !l.omits(rules.TallySpared) {
		spared = l.spared(vote, left)
	}
	l.tallies.Flush(vote.Space, vote.First, vote.Last, spared)
	return nil
}

// spared returns what registers of a flush's range count for that it does not
// cover: those in memory, and left, which are rows only.
func (l *Lane) spared(vote *durable.FlushVote, left []tally.Spared) []tally.Spared {
	for _, e := range l.cache {
		r := e.rec.Register
		if e.absent && e.diskCounted == 0 || r.Key[0] != vote.Space || r.Slot < vote.First || r.Slot > vote.Last {
			continue
		}
		e.counted = l.standingUnder(r, e.rec.Accepted, tally.StandingOf(e.rec.Header.Type, e.rec.Header.Expiry))
		e.diskCounted = l.standingUnder(r, e.disk.accepted, e.disk.standing)
		if e.counted != 0 || e.diskCounted != 0 {
			left = append(left, tally.Spared{Register: r, Now: e.counted, Disk: e.diskCounted})
		}
	}
	return left
}

// rowsAbove finds the rows of a flush's range that it does not cover and whose
// registers are not in memory.
func (l *Lane) rowsAbove(vote *durable.FlushVote) (left []tally.Spared, err error) {
	if l.sending != nil && !l.engine.awaitBatch(l.sending) {
		return nil, changelog.ErrClosed
	}
	err = rowcodec.EachRecord(l.engine.db, vote.First, vote.Last, func(r register.ID, top *rowcodec.RowTop) error {
		if r.Key[0] != vote.Space || partition.Lane(r.Key, uint32(len(l.engine.lanes))) != uint32(l.number) || l.cache[r.Key] != nil {
			return nil
		}
		if s := l.standingUnder(r, top.Accepted, tally.StandingOf(top.Kind, top.Expiry)); s != 0 {
			left = append(left, tally.Spared{Register: r, Now: s, Disk: s})
		}
		return nil
	})
	return left, err
}

// Tally returns how many live registers the store holds of spans of slots, as
// they were at some time during the call, and has waited until what that shows
// is durable. The caller has checked the epoch.
func (e *Engine) Tally(q *listing.TallyRequest) (listing.TallyReply, error) {
	reply := listing.TallyReply{ID: q.ID, Outcome: message.ReadOK, Epoch: q.Epoch}
	var sums [partition.Databases][]listing.Tally
	for db := range sums {
		if q.Databases.Has(byte(db)) {
			sums[db] = make([]listing.Tally, len(q.Spans))
		}
	}
	var shown uint64
	for _, l := range e.lanes {
		if !l.tallies.Sum(q.Spans, &sums) {
			reply.Outcome = message.Busy
			return reply, nil
		}
		shown = max(shown, l.lastPos.Load())
	}
	for span := range q.Spans {
		for db := range sums {
			if sums[db] != nil && sums[db][span].Keys > 0 {
				reply.Tallies = append(reply.Tallies, listing.Tallied{Span: uint16(span), Database: byte(db), Tally: sums[db][span]})
			}
		}
	}
	if err := e.WaitSynced(shown); err != nil {
		return reply, fmt.Errorf("tally: %w", err)
	}
	return reply, nil
}
