// Package flushes keeps the lanes' votes for range tombstones that are in force.
package flushes

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/wire"
	"synod/storaged/rowcodec"
)

var rowFlush = []byte{rowcodec.PrefixMeta, 'f', 'l', 'u', 's', 'h'}

// Flush is a lane's vote for a range tombstone that is in force.
type Flush struct {
	Vote   durable.FlushVote
	Pos    uint64
	except map[string]struct{}
	swept  bool
}

func newFlushRow(vote durable.FlushVote, pos uint64) *Flush {
	f := &Flush{Vote: vote, Pos: pos, except: make(map[string]struct{}, len(vote.Except))}
	for _, r := range vote.Except {
		f.except[r.Key] = struct{}{}
	}
	return f
}

// Covers reports whether the vote hides a record at an accepted ballot (acceptor.Acceptor.Covered).
func (f *Flush) Covers(r register.ID, lanes uint32, accepted ballot.Ballot) bool {
	v := &f.Vote
	if r.Slot < v.First || r.Slot > v.Last || r.Key[0] != v.Space || v.Ballot.Less(accepted) {
		return false
	}
	if partition.Lane(r.Key, lanes) != v.Part {
		return false
	}
	_, spared := f.except[r.Key]
	return !spared
}

// Write is a row to be written, or deleted if value is nil.
type Write struct {
	key, value []byte
}

// Put puts the row into a batch.
func (w Write) Put(b *pebble.Batch) error {
	if w.value == nil {
		return b.Delete(w.key, nil)
	}
	return b.Set(w.key, w.value, nil)
}

func (f *Flush) key() []byte {
	k := append(append([]byte{}, rowFlush...), byte(f.Vote.Part), f.Vote.Space)
	k = binary.BigEndian.AppendUint16(k, f.Vote.First)
	k = binary.BigEndian.AppendUint16(k, f.Vote.Last)
	return rowcodec.AppendBallot(k, f.Vote.Ballot)
}

func (f *Flush) value() []byte {
	return wire.AppendLogEntry(binary.BigEndian.AppendUint64(nil, f.Pos), &durable.LogEntry{Flush: &f.Vote})
}

// Set is the flushes in force, all lanes'. It is safe for concurrent use.
type Set struct {
	lanes uint32

	mu  sync.RWMutex
	all []*Flush // replaced, never changed, other than swept
}

// NewSet returns a set for a node with so many lanes.
func NewSet(lanes int) *Set { return &Set{lanes: uint32(lanes)} }

// Vote is a vote for a flush, and its position in the changelog.
type Vote struct {
	Vote     durable.FlushVote
	Position uint64
}

// InForce returns the flushes as they are now.
func (s *Set) InForce() []*Flush {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.all
}

// Count returns how many flushes are in force.
func (s *Set) Count() int { return len(s.InForce()) }

// OfLane returns a lane's votes, oldest first.
func (s *Set) OfLane(lane int) []Vote {
	var out []Vote
	for _, f := range s.InForce() {
		if int(f.Vote.Part) == lane {
			out = append(out, Vote{f.Vote, f.Pos})
		}
	}
	slices.SortFunc(out, func(a, b Vote) int { return a.Vote.Ballot.Compare(b.Vote.Ballot) })
	return out
}

// Unswept returns the flushes whose rows have not been deleted yet.
func (s *Set) Unswept() []*Flush {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.DeleteFunc(slices.Clone(s.all), func(f *Flush) bool { return f.swept })
}

// MarkSwept notes that a flush's rows have been deleted.
func (s *Set) MarkSwept(f *Flush) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.swept = true
}

// Covers reports whether any flush covers a record.
func (s *Set) Covers(r register.ID, accepted ballot.Ballot) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.all {
		if f.Covers(r, s.lanes, accepted) {
			return true
		}
	}
	return false
}

// Add keeps a vote, and drops those that it makes redundant. It returns whether
// the vote was known, and the rows that must be written.
func (s *Set) Add(vote durable.FlushVote, pos uint64) (known bool, writes []Write) {
	vote.Except = slices.Clone(vote.Except)
	f := newFlushRow(vote, pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make([]*Flush, 0, len(s.all)+1)
	for _, old := range s.all {
		o := &old.Vote
		if o.Part != vote.Part || o.Space != vote.Space || o.First < vote.First || o.Last > vote.Last || vote.Ballot.Less(o.Ballot) {
			kept = append(kept, old)
			continue
		}
		known = known || o.Ballot == vote.Ballot && o.First == vote.First && o.Last == vote.Last
		writes = append(writes, Write{key: old.key()})
	}
	s.all = append(kept, f)
	return known, append(writes, Write{key: f.key(), value: f.value()})
}

// Load reads the flushes that are on disk.
func (s *Set) Load(db pebble.Reader) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: rowFlush, UpperBound: rowcodec.AppendAfter(nil, rowFlush)})
	if err != nil {
		return fmt.Errorf("read flushes: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value := append([]byte{}, it.Value()...)
		if len(value) < 8 {
			it.Close()
			return fmt.Errorf("%w: flush", rowcodec.ErrRow)
		}
		entry, err := wire.DecodeLogEntry(value[8:])
		if err != nil || entry.Flush == nil {
			it.Close()
			return fmt.Errorf("%w: flush: %w", rowcodec.ErrRow, err)
		}
		s.all = append(s.all, newFlushRow(*entry.Flush, binary.BigEndian.Uint64(value)))
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read flushes: %w", err)
	}
	return nil
}
