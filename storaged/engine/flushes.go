package engine

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
	"synod/protocol/wire"
)

var rowFlush = []byte{prefixMeta, 'f', 'l', 'u', 's', 'h'}

// flushRow is a lane's vote for a range tombstone that is in force.
type flushRow struct {
	vote   caspaxos.FlushVote
	pos    uint64
	except map[string]struct{}
	swept  bool
}

func newFlushRow(vote caspaxos.FlushVote, pos uint64) *flushRow {
	f := &flushRow{vote: vote, pos: pos, except: make(map[string]struct{}, len(vote.Except))}
	for _, r := range vote.Except {
		f.except[r.Key] = struct{}{}
	}
	return f
}

// covers reports whether the vote makes a record at the accepted ballot as good
// as gone (caspaxos.Acceptor.Covered).
func (f *flushRow) covers(r caspaxos.Register, lanes uint32, accepted caspaxos.Ballot) bool {
	v := &f.vote
	if r.Slot < v.First || r.Slot > v.Last || r.Key[0] != v.Space || v.Ballot.Less(accepted) {
		return false
	}
	if caspaxos.Part(r.Key, lanes) != v.Part {
		return false
	}
	_, spared := f.except[r.Key]
	return !spared
}

// metaWrite is a row to be written, or deleted if value is nil.
type metaWrite struct {
	key, value []byte
}

func (w metaWrite) write(b *pebble.Batch) error {
	if w.value == nil {
		return b.Delete(w.key, nil)
	}
	return b.Set(w.key, w.value, nil)
}

func (f *flushRow) key() []byte {
	k := append(append([]byte{}, rowFlush...), byte(f.vote.Part), f.vote.Space)
	k = binary.BigEndian.AppendUint16(k, f.vote.First)
	k = binary.BigEndian.AppendUint16(k, f.vote.Last)
	return appendBallot(k, f.vote.Ballot)
}

func (f *flushRow) value() []byte {
	return wire.AppendLogEntry(binary.BigEndian.AppendUint64(nil, f.pos), &caspaxos.LogEntry{Flush: &f.vote})
}

// flushSet is the flushes in force, all lanes'. It is safe for concurrent use.
type flushSet struct {
	lanes uint32

	mu  sync.RWMutex
	all []*flushRow // replaced, never changed, other than swept
}

func newFlushSet(lanes int) *flushSet { return &flushSet{lanes: uint32(lanes)} }

// keptFlush is a vote for a flush, and its position in the changelog.
type keptFlush struct {
	Vote     caspaxos.FlushVote
	Position uint64
}

// inForce returns the flushes as they are now.
func (s *flushSet) inForce() []*flushRow {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all
}

// count returns how many flushes are in force.
func (s *flushSet) count() int { return len(s.inForce()) }

// ofLane returns a lane's votes, oldest first.
func (s *flushSet) ofLane(lane int) []keptFlush {
	var out []keptFlush
	for _, f := range s.inForce() {
		if int(f.vote.Part) == lane {
			out = append(out, keptFlush{f.vote, f.pos})
		}
	}
	slices.SortFunc(out, func(a, b keptFlush) int { return a.Vote.Ballot.Compare(b.Vote.Ballot) })
	return out
}

// unswept returns the flushes whose rows have not been deleted yet.
func (s *flushSet) unswept() []*flushRow {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(s.all), func(f *flushRow) bool { return f.swept })
}

// markSwept notes that a flush's rows have been deleted.
func (s *flushSet) markSwept(f *flushRow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.swept = true
}

// covers reports whether any flush covers a record.
func (s *flushSet) covers(r caspaxos.Register, accepted caspaxos.Ballot) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.all {
		if f.covers(r, s.lanes, accepted) {
			return true
		}
	}
	return false
}

// add keeps a vote, and drops those that it makes redundant. It returns whether
// the vote was known, and the rows that must be written.
func (s *flushSet) add(vote caspaxos.FlushVote, pos uint64) (known bool, writes []metaWrite) {
	vote.Except = slices.Clone(vote.Except)
	f := newFlushRow(vote, pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make([]*flushRow, 0, len(s.all)+1)
	for _, old := range s.all {
		o := &old.vote
		if o.Part != vote.Part || o.Space != vote.Space || o.First < vote.First || o.Last > vote.Last || vote.Ballot.Less(o.Ballot) {
			kept = append(kept, old)
			continue
		}
		known = known || o.Ballot == vote.Ballot && o.First == vote.First && o.Last == vote.Last
		writes = append(writes, metaWrite{key: old.key()})
	}
	s.all = append(kept, f)
	return known, append(writes, metaWrite{key: f.key(), value: f.value()})
}

// load reads the flushes that are on disk.
func (s *flushSet) load(db pebble.Reader) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: rowFlush, UpperBound: appendAfter(nil, rowFlush)})
	if err != nil {
		return fmt.Errorf("read flushes: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value := append([]byte{}, it.Value()...)
		if len(value) < 8 {
			it.Close()
			return fmt.Errorf("%w: flush", errRow)
		}
		entry, err := wire.DecodeLogEntry(value[8:])
		if err != nil || entry.Flush == nil {
			it.Close()
			return fmt.Errorf("%w: flush: %w", errRow, err)
		}
		s.all = append(s.all, newFlushRow(*entry.Flush, binary.BigEndian.Uint64(value)))
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read flushes: %w", err)
	}
	return nil
}
