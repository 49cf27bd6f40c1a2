package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
)

// Each lane knows how many live registers it has, slot by slot, so that nobody
// need walk over them. An overwrite changes no tally and costs none of this.
//
// There are two tallies of everything: of the registers as they stand in memory,
// which is what others are told, and of the rows as the last batch leaves them.
// The batch that changes rows brings the second to the disk, so that the two
// agree after a crash, too; the replay goes on from there. A row that a flush
// covers counts for nothing from the batch on that has the flush's vote.
//
// On disk, the row 'm' "tally" lane:1 number:8 holds tallies of some slots. A
// later one replaces those of earlier ones, and one that is whole has all.
//
//	row   = whole:1 tally…
//	tally = db:1 uvarint(slot) uvarint(keys) [uvarint(expiring) uvarint(expiries) digest:8]
//
// What follows keys is there if keys is not zero. A store of an earlier version
// has no such rows: its own are counted once, in the background (see recount).
type tallies struct {
	mu      sync.Mutex // of now and counted
	now     census
	counted bool // else what the rows held when the store was opened is still to be added

	// Of the lane's goroutine.
	disk  census
	moved map[place]struct{}          // of which the disk's tallies have changed
	fresh [caspaxos.Databases]slotSet // not counted yet: those for which nothing is to be added
	next  uint64                      // number of the next row
	size  int                         // of the rows since the last whole one
	whole int                         // of that one
	due   bool                        // a whole one is to be written
}

// place is a slot in a database.
type place struct {
	db   byte
	slot uint16
}

type slotSet [caspaxos.Slots / 64]uint64

func (s *slotSet) add(slot uint16)      { s[slot/64] |= 1 << (slot % 64) }
func (s *slotSet) has(slot uint16) bool { return s[slot/64]>>(slot%64)&1 != 0 }

// The rules of the bookkeeping, which tests may leave out like those against damage.
const (
	tallyRows     rules = 1 << (16 + iota) // the rows' tallies go to disk with the rows
	tallyFlush                             // a flush takes away what it covers
	tallySpared                            // … and nothing else
	listUnwritten                          // a page has what Pebble does not have yet
	tallyCovered                           // a row that a flush covers counts for nothing
)

func (l *Lane) omits(r rules) bool { return l.engine.opts.omit.omits(r) }

// tally follows a change of a register in memory.
func (l *Lane) tally(e *entry) {
	is := standingOf(e.rec.Header.Type, e.rec.Header.Expiry)
	if is == e.counted {
		return
	}
	if e.rec.Register.Key[0] < caspaxos.Databases {
		l.tallies.mu.Lock()
		l.tallies.now.move(e.rec.Register, e.counted, is)
		l.tallies.mu.Unlock()
	}
	e.counted = is
}

// tallyRow follows a register's row into a batch.
func (l *Lane) tallyRow(e *entry) {
	if e.counted != e.diskCounted {
		l.moveDisk(e.rec.Register, e.diskCounted, e.counted)
	}
	e.disk.accepted, e.disk.standing = e.rec.Accepted, standingOf(e.rec.Header.Type, e.rec.Header.Expiry)
	e.diskCounted = e.counted
}

func (l *Lane) moveDisk(r caspaxos.Register, from, to standing) {
	if r.Key[0] >= caspaxos.Databases || l.omits(tallyRows) {
		return
	}
	l.tallies.disk.move(r, from, to)
	l.tallies.moved[place{r.Key[0], r.Slot}] = struct{}{}
}

// tallyRead notes what a register counts for that was read from disk.
func (l *Lane) tallyRead(e *entry) {
	e.disk.accepted, e.disk.standing = e.rec.Accepted, standingOf(e.rec.Header.Type, e.rec.Header.Expiry)
	e.diskCounted = l.standingUnder(e.rec.Register, e.disk.accepted, e.disk.standing)
	e.counted = e.diskCounted
}

// standingUnder returns what a register counts for under the flushes in force.
func (l *Lane) standingUnder(r caspaxos.Register, accepted caspaxos.Ballot, s standing) standing {
	if s != 0 && l.engine.covered(r, accepted) && !l.omits(tallyCovered) {
		return 0
	}
	return s
}

// tallyFlush follows a vote for a flush, which is in force already: of the
// range, only what the vote spares is left.
//
// Of the lane's own registers that are not in memory, none is accepted above the
// flush (caspaxos.Acceptor.Flush sees to it). When the vote is repeated after a
// restart, there may be some, in rows.
func (l *Lane) tallyFlush(vote *caspaxos.FlushVote) error {
	if vote.Space >= caspaxos.Databases || l.omits(tallyFlush) {
		return nil
	}
	var left []caspaxos.Listed // and what they count for, as Expiry
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
	l.tallies.mu.Lock()
	defer l.tallies.mu.Unlock()
	t := &l.tallies
	t.now.clear(vote.Space, vote.First, vote.Last)
	t.disk.clear(vote.Space, vote.First, vote.Last)
	for s := int(vote.First); s <= int(vote.Last); s++ {
		t.moved[place{vote.Space, uint16(s)}] = struct{}{}
		if !t.counted {
			t.fresh[vote.Space].add(uint16(s))
		}
	}
	if l.omits(tallySpared) {
		return nil
	}
	for _, e := range l.cache {
		r := e.rec.Register
		if e.absent && e.diskCounted == 0 || r.Key[0] != vote.Space || r.Slot < vote.First || r.Slot > vote.Last {
			continue
		}
		e.counted = l.standingUnder(r, e.rec.Accepted, standingOf(e.rec.Header.Type, e.rec.Header.Expiry))
		e.diskCounted = l.standingUnder(r, e.disk.accepted, e.disk.standing)
		t.now.move(r, 0, e.counted)
		t.disk.move(r, 0, e.diskCounted)
	}
	for i := range left {
		s := standing(left[i].Expiry)
		t.now.move(left[i].Register, 0, s)
		t.disk.move(left[i].Register, 0, s)
	}
	return nil
}

// rowsAbove finds the rows of a flush's range that it does not cover and whose
// registers are not in memory.
func (l *Lane) rowsAbove(vote *caspaxos.FlushVote) (left []caspaxos.Listed, err error) {
	if l.sending != nil && !l.engine.awaitBatch(l.sending) {
		return nil, ErrClosed
	}
	err = l.engine.eachRecord(l.engine.db, vote.First, vote.Last, func(r caspaxos.Register, top *rowTop) error {
		if r.Key[0] != vote.Space || caspaxos.Part(r.Key, uint32(len(l.engine.lanes))) != uint32(l.number) || l.cache[r.Key] != nil {
			return nil
		}
		if s := l.standingUnder(r, top.accepted, standingOf(top.kind, top.expiry)); s != 0 {
			left = append(left, caspaxos.Listed{Register: r, Expiry: int64(s)})
		}
		return nil
	})
	return left, err
}

// eachRecord calls f with every record row of some slots.
func (e *Engine) eachRecord(db pebble.Reader, first, last uint16, f func(caspaxos.Register, *rowTop) error) error {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: appendPlace(nil, first, 0, 0),
		UpperBound: appendAfter(nil, []byte{prefixRegister, byte(last >> 8), byte(last)}),
	})
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	for ok := it.First(); ok && err == nil; {
		ok, err = eachAt(it, f)
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	return nil
}

// eachAt is a step of eachRecord.
func eachAt(it *pebble.Iterator, f func(caspaxos.Register, *rowTop) error) (more bool, err error) {
	r, _, rest, err := parseRegister(it.Key())
	if err != nil {
		return false, err
	}
	if len(rest) != 1 || rest[0] != rowRecord { // elements: to the next register
		more = it.SeekGE(append(appendRegister(nil, r), rowEnd))
		return more, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := parseTop(value)
	if err == nil {
		err = f(r, &top)
	}
	if err != nil {
		return false, err
	}
	if top.rows {
		more = it.SeekGE(append(appendRegister(nil, r), rowEnd))
	} else {
		more = it.Next()
	}
	return more, it.Error()
}

// writeTallies puts what has changed into a batch.
func (l *Lane) writeTallies(b *pebble.Batch) error {
	t := &l.tallies
	if !t.counted || !t.due && len(t.moved) == 0 || l.omits(tallyRows) && !t.due {
		clear(t.moved)
		return nil
	}
	var err error
	if t.due || t.size > max(t.whole, 64<<10) {
		l.scratch = t.disk.append(append(l.scratch[:0], 1))
		t.whole, t.size, t.due = len(l.scratch), 0, false
		err = b.DeleteRange(tallyRow(l.number, 0), tallyRow(l.number, t.next), nil)
	} else {
		l.scratch = append(l.scratch[:0], 0)
		for p := range t.moved {
			l.scratch = appendTally(l.scratch, p.db, p.slot, t.disk.at(p.db, p.slot))
		}
		t.size += len(l.scratch) + len(rowTally)
	}
	clear(t.moved)
	if err == nil {
		err = b.Set(tallyRow(l.number, t.next), l.scratch, nil)
	}
	if err != nil {
		return fmt.Errorf("write tallies: %w", err)
	}
	t.next++
	return nil
}

var rowTally = []byte{prefixMeta, 't', 'a', 'l', 'l', 'y'}

func tallyRow(lane int, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(slices.Clone(rowTally), byte(lane)), number)
}

func appendTally(b []byte, db byte, slot uint16, t *tally) []byte {
	b = binary.AppendUvarint(append(b, db), uint64(slot))
	b = binary.AppendUvarint(b, uint64(t.keys))
	if t.keys == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(t.expiring))
	b = binary.AppendUvarint(b, t.expiries)
	return binary.BigEndian.AppendUint64(b, t.digest)
}

// append appends the tallies that are not empty.
func (c *census) append(b []byte) []byte {
	for db, slots := range c {
		if slots == nil {
			continue
		}
		for slot := range slots {
			if t := &slots[slot]; t.keys > 0 {
				b = appendTally(b, byte(db), uint16(slot), t)
			}
		}
	}
	return b
}

// parse takes a row's tallies over.
func (c *census) parse(row []byte) error {
	for in := (cursor{b: row}); len(in.b) > 0; {
		db, slot := in.byte(), in.uvarint()
		var t tally
		if keys := in.uvarint(); keys > 0 {
			expiring := in.uvarint()
			t.expiries = in.uvarint()
			digest := in.take(8)
			if in.bad || keys > math.MaxUint32 || expiring > keys {
				return errRow
			}
			t.keys, t.expiring, t.digest = uint32(keys), uint32(expiring), binary.BigEndian.Uint64(digest)
		}
		if in.bad || db >= caspaxos.Databases || slot >= caspaxos.Slots {
			return errRow
		}
		*c.at(db, uint16(slot)) = t
	}
	return nil
}

// loadTallies reads a lane's tallies.
func (l *Lane) loadTallies() error {
	t := &l.tallies
	prefix := append(slices.Clone(rowTally), byte(l.number))
	it, err := l.engine.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: appendAfter(nil, prefix)})
	if err != nil {
		return fmt.Errorf("read tallies: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = t.load(it.Key(), it.Value())
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read tallies: %w", err)
	}
	for db, slots := range t.disk {
		if slots != nil {
			own := *slots
			t.now[db] = &own
		}
	}
	return nil
}

func (t *tallies) load(key, row []byte) error {
	if len(key) != len(rowTally)+1+8 || len(row) == 0 || row[0] > 1 {
		return fmt.Errorf("%w: tallies", errRow)
	}
	if row[0] == 1 {
		t.disk, t.counted, t.whole, t.size = census{}, true, len(row), 0
	} else {
		t.size += len(row) + len(rowTally)
	}
	t.next = binary.BigEndian.Uint64(key[len(rowTally)+1:]) + 1
	if err := t.disk.parse(row[1:]); err != nil {
		return fmt.Errorf("%w: tallies", err)
	}
	return nil
}

// Tally returns how many live registers the store holds of spans of slots, as
// they were at some time during the call, and has waited until what that shows
// is durable. The caller has checked the epoch.
func (e *Engine) Tally(q *caspaxos.TallyRequest) (caspaxos.TallyReply, error) {
	reply := caspaxos.TallyReply{ID: q.ID, Outcome: caspaxos.Told, Epoch: q.Epoch}
	var sums [caspaxos.Databases][]caspaxos.Tally
	for db := range sums {
		if q.Databases.Has(byte(db)) {
			sums[db] = make([]caspaxos.Tally, len(q.Spans))
		}
	}
	var shown uint64
	for _, l := range e.lanes {
		if !l.tallies.sum(q.Spans, &sums) {
			reply.Outcome = caspaxos.Busy
			return reply, nil
		}
		shown = max(shown, l.lastPos.Load())
	}
	for span := range q.Spans {
		for db := range sums {
			if sums[db] != nil && sums[db][span].Keys > 0 {
				reply.Tallies = append(reply.Tallies, caspaxos.Tallied{Span: uint16(span), Database: byte(db), Tally: sums[db][span]})
			}
		}
	}
	if err := e.WaitSynced(shown); err != nil {
		return reply, fmt.Errorf("tally: %w", err)
	}
	return reply, nil
}

// sum adds a lane's tallies to those of the databases that are asked for. It
// returns false if they are not known yet.
func (t *tallies) sum(spans []caspaxos.SlotSpan, sums *[caspaxos.Databases][]caspaxos.Tally) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.counted {
		return false
	}
	for db, slots := range t.now {
		if slots == nil || sums[db] == nil {
			continue
		}
		for i, s := range spans {
			var part caspaxos.Tally
			for slot := int(s.First); slot <= int(s.Last); slot++ {
				if one := &slots[slot]; one.keys > 0 {
					part = part.Plus(one.told())
				}
			}
			sums[db][i] = sums[db][i].Plus(part)
		}
	}
	return true
}
