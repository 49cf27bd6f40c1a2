// Package pages fills pages of registers: from the records in Pebble, with what
// the lanes have and Pebble does not have yet laid over them, or from the index of
// expiries.
package pages

import (
	"bytes"
	"time"

	"synod/protocol/listing"
	"synod/protocol/register"
	"synod/storaged/flushes"
)

const (
	pageBytes    = 1 << 20 // of keys, about
	pageExamined = 1 << 15 // registers, for a page that finds little
	PageLimit    = 10_000
	pageRead     = 16 << 20              // of records, which have small values in them
	PageTime     = 50 * time.Millisecond // after which a page ends with what it has
)

// Overlay is what the lanes know and Pebble may not have yet of a page's
// registers.
type Overlay struct {
	Registers []Unwritten // in the order of their rows
	Last      uint16      // the last slot of which all are there
	Shown     uint64      // the position of the latest change
}

// Unwritten is such a register, tombstones included.
type Unwritten struct {
	Row    []byte // what its rows begin with
	Listed listing.Entry
}

// Fill fills a page with what the lanes have, over, and the rows: at most limit
// registers, and what it has at the time end. The flushes decide what is live.
func Fill(q *listing.Request, rows *Rows, over *Overlay, flushes *flushes.Set, limit int, end time.Time, reply *listing.Reply) error {
	p := pager{q: q, rows: rows, over: over, flushes: flushes, limit: limit, end: end, reply: reply}
	return p.run()
}

// pager fills one page.
type pager struct {
	flushes *flushes.Set
	q       *listing.Request
	rows    *Rows
	over    *Overlay
	reply   *listing.Reply
	limit   int
	end     time.Time

	slot  uint16 // of the last register looked at
	hash  uint64
	steps int
	bytes int
}

// run merges what the lanes have with the rows.
func (p *pager) run() error {
	ok, err := p.rows.next()
	for ; err == nil && (ok || len(p.over.Registers) > 0); p.steps++ {
		order := 0 // of the next register of the lanes, against the next row
		switch {
		case !ok:
			order = -1
		case len(p.over.Registers) == 0:
			order = 1
		default:
			order = bytes.Compare(p.over.Registers[0].Row, p.rows.key)
		}
		one := &p.rows.at
		if order <= 0 {
			one = &p.over.Registers[0].Listed
			if order == 0 && one.Accepted.Less(p.rows.at.Accepted) {
				one = &p.rows.at
			}
		}
		if p.full(one.Register.Slot, one.Hash) {
			p.reply.NextSlot, p.reply.NextHash = one.Register.Slot, one.Hash
			return nil
		}
		p.take(one)
		if order <= 0 {
			p.over.Registers = p.over.Registers[1:]
		}
		if order >= 0 {
			ok, err = p.rows.next()
		}
	}
	if p.reply.Done = p.over.Last == p.q.Last; !p.reply.Done {
		p.reply.NextSlot = p.over.Last + 1
	}
	return err
}

// full tells whether the page ends before a register. Those of one hash stay
// together, since the next page begins at a hash.
func (p *pager) full(slot uint16, hash uint64) bool {
	if p.steps == 0 || (slot == p.slot && hash == p.hash) {
		return false
	}
	return len(p.reply.Entries) >= p.limit || p.bytes > pageBytes || p.steps >= pageExamined ||
		p.rows.bytes > pageRead || p.steps%16 == 0 && time.Now().After(p.end)
}

// take puts a register into the page if it is live.
func (p *pager) take(one *listing.Entry) {
	p.slot, p.hash = one.Register.Slot, one.Hash
	if register.Type(one.Type) == register.Absent || p.flushes.Covers(one.Register, one.Accepted) {
		return
	}
	p.reply.Entries = append(p.reply.Entries, *one)
	p.bytes += 64 + len(one.Register.Key)
}
