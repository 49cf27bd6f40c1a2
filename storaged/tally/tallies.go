// Package tally counts the live registers of a lane, slot by slot.
package tally

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

// Each lane knows how many live registers it has, slot by slot, so that nobody
// need walk over them. An overwrite changes no tally and costs nothing here.
//
// There are two tallies of everything: of the registers in memory, which is what
// others are told, and of the rows as the last batch leaves them. The batch that
// changes rows writes the second tally, so that rows and tally agree after a crash,
// too; the replay continues from there. A row that a flush covers counts for nothing
// from the batch on that has the flush's vote.
//
// On disk, the row 'm' "tally" lane:1 number:8 holds tallies of some slots. A
// later one replaces those of earlier ones, and one that is whole has all.
//
//	row   = whole:1 tally…
//	tally = db:1 uvarint(slot) uvarint(keys) [uvarint(expiring) uvarint(expiries) digest:8]
//
// What follows keys is there if keys is not zero. A store of an earlier version
// has no such rows: its own are counted once, in the background (see recount).
type Book struct {
	lane int

	mu      sync.Mutex // of now and counted
	now     Census
	counted bool // else what the rows held when the store was opened is still to be added

	// Of the lane's goroutine.
	disk  Census
	moved map[place]struct{}           // of which the disk's tallies have changed
	fresh [partition.Databases]slotSet // not counted yet: those for which nothing is to be added
	next  uint64                       // number of the next row
	size  int                          // of the rows since the last whole one
	whole int                          // of that one
	due   bool                         // a whole one is to be written
}

// place is a slot in a database.
type place struct {
	db   byte
	slot uint16
}

type slotSet [partition.Slots / 64]uint64

func (s *slotSet) add(slot uint16)      { s[slot/64] |= 1 << (slot % 64) }
func (s *slotSet) has(slot uint16) bool { return s[slot/64]>>(slot%64)&1 != 0 }

// New returns the tallies of a lane, to be loaded.
func New(lane int) *Book {
	return &Book{lane: lane, moved: make(map[place]struct{})}
}

// Known reports whether the tallies are complete.
func (t *Book) Known() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counted
}

// None says that the lane had no registers when the store was opened.
func (t *Book) None() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.due = true, true
}

// Forget says that the rows are to be counted.
func (t *Book) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disk, t.now, t.counted = Census{}, Census{}, false
}

// MustWrite reports whether a batch is due that has all tallies.
func (t *Book) MustWrite() bool { return t.due }

// Move notes that a register in memory counts for something else.
func (t *Book) Move(r register.ID, from, to Standing) {
	t.mu.Lock()
	t.now.Move(r, from, to)
	t.mu.Unlock()
}

// MoveDisk notes that a register's row counts for something else.
func (t *Book) MoveDisk(r register.ID, from, to Standing) {
	t.disk.Move(r, from, to)
	t.moved[place{r.Key[0], r.Slot}] = struct{}{}
}

// Spared is a register that a flush does not cover, and what it counts
// for in memory and on disk.
type Spared struct {
	Register register.ID
	Now      Standing
	Disk     Standing
}

// Flush empties a range of slots, of which only what is spared is left.
func (t *Book) Flush(db byte, first, last uint16, spared []Spared) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.clear(db, first, last)
	t.disk.clear(db, first, last)
	for s := int(first); s <= int(last); s++ {
		t.moved[place{db, uint16(s)}] = struct{}{}
		if !t.counted {
			t.fresh[db].add(uint16(s))
		}
	}
	for i := range spared {
		t.now.Move(spared[i].Register, 0, spared[i].Now)
		t.disk.Move(spared[i].Register, 0, spared[i].Disk)
	}
}

// Write puts what has changed into a batch. It uses the memory of scratch, and
// returns it for the next call. Without moves, only what is due is written.
func (t *Book) Write(b *pebble.Batch, scratch []byte, moves bool) ([]byte, error) {
	if !t.counted || !t.due && (len(t.moved) == 0 || !moves) {
		clear(t.moved)
		return scratch, nil
	}
	var err error
	if t.due || t.size > max(t.whole, 64<<10) {
		scratch = t.disk.append(append(scratch[:0], 1))
		t.whole, t.size, t.due = len(scratch), 0, false
		err = b.DeleteRange(tallyRow(t.lane, 0), tallyRow(t.lane, t.next), nil)
	} else {
		scratch = append(scratch[:0], 0)
		for p := range t.moved {
			scratch = appendTally(scratch, p.db, p.slot, t.disk.at(p.db, p.slot))
		}
		t.size += len(scratch) + len(RowTally)
	}
	clear(t.moved)
	if err == nil {
		err = b.Set(tallyRow(t.lane, t.next), scratch, nil)
	}
	if err != nil {
		return scratch, fmt.Errorf("write tallies: %w", err)
	}
	t.next++
	return scratch, nil
}

// RowTally is what the keys of the tallies' rows begin with.
var RowTally = []byte{rowcodec.PrefixMeta, 't', 'a', 'l', 'l', 'y'}

func tallyRow(lane int, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(slices.Clone(RowTally), byte(lane)), number)
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
func (c *Census) append(b []byte) []byte {
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
func (c *Census) parse(row []byte) error {
	for in := (rowcodec.Cursor{B: row}); len(in.B) > 0; {
		db, slot := in.Byte(), in.Uvarint()
		var t tally
		if keys := in.Uvarint(); keys > 0 {
			expiring := in.Uvarint()
			t.expiries = in.Uvarint()
			digest := in.Take(8)
			if in.Bad || keys > math.MaxUint32 || expiring > keys {
				return rowcodec.ErrRow
			}
			t.keys, t.expiring, t.digest = uint32(keys), uint32(expiring), binary.BigEndian.Uint64(digest)
		}
		if in.Bad || db >= partition.Databases || slot >= partition.Slots {
			return rowcodec.ErrRow
		}
		*c.at(db, uint16(slot)) = t
	}
	return nil
}

// Load reads the lane's tallies.
func (t *Book) Load(db pebble.Reader) error {
	prefix := append(slices.Clone(RowTally), byte(t.lane))
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: rowcodec.AppendAfter(nil, prefix)})
	if err != nil {
		return fmt.Errorf("read tallies: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = t.take(it.Key(), it.Value())
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

func (t *Book) take(key, row []byte) error {
	if len(key) != len(RowTally)+1+8 || len(row) == 0 || row[0] > 1 {
		return fmt.Errorf("%w: tallies", rowcodec.ErrRow)
	}
	if row[0] == 1 {
		t.disk, t.counted, t.whole, t.size = Census{}, true, len(row), 0
	} else {
		t.size += len(row) + len(RowTally)
	}
	t.next = binary.BigEndian.Uint64(key[len(RowTally)+1:]) + 1
	if err := t.disk.parse(row[1:]); err != nil {
		return fmt.Errorf("%w: tallies", err)
	}
	return nil
}

// Sum adds a lane's tallies to those of the databases that are asked for. It
// returns false if they are not known yet.
func (t *Book) Sum(spans []partition.SlotSpan, sums *[partition.Databases][]listing.Tally) bool {
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
			var part listing.Tally
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

// Complete adds what the rows held when the store was opened.
func (t *Book) Complete(rows *Census) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for db, slots := range rows {
		if slots == nil {
			continue
		}
		for slot := range slots {
			if s := uint16(slot); slots[slot] != (tally{}) && !t.fresh[db].has(s) {
				t.now.at(byte(db), s).plus(&slots[slot])
				t.disk.at(byte(db), s).plus(&slots[slot])
			}
		}
	}
	t.fresh = [partition.Databases]slotSet{}
	t.counted, t.due = true, true
}
