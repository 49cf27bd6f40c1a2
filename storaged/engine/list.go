package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

const (
	pageBytes    = 1 << 20 // of keys, about
	pageExamined = 1 << 15 // registers, for a page that finds little
	pageLimit    = 10_000
	pageRead     = 16 << 20              // of records, which have small values in them
	pageTime     = 50 * time.Millisecond // after which a page ends with what it has
)

// CatchUp waits until Pebble has all that the lanes have appended so far.
func (e *Engine) CatchUp() error {
	waiting := false
	for _, l := range e.lanes {
		target := l.lastPos.Load()
		if l.applied.Load() >= target {
			continue
		}
		waiting = true
		for old := l.want.Load(); old < target && !l.want.CompareAndSwap(old, target); old = l.want.Load() {
		}
		e.opts.Wake(l.number)
	}
	if !waiting {
		return nil
	}
	e.changes.kick()
	for _, l := range e.lanes {
		if err := e.awaitApplied(l); err != nil {
			return err
		}
	}
	return nil
}

// awaitApplied waits until a lane has applied what was wanted of it by now.
func (e *Engine) awaitApplied(l *Lane) error {
	target := l.want.Load()
	e.appliedMu.Lock()
	defer e.appliedMu.Unlock()
	for l.applied.Load() < target {
		if e.ending.Load() || e.failure.Load() != nil {
			return ErrClosed
		}
		e.appliedCond.Wait()
	}
	return nil
}

// beginRead keeps Pebble open until reading is unlocked.
func (e *Engine) beginRead() error {
	if !e.reading.TryRLock() { // end has it, or waits for it
		return ErrClosed
	}
	if e.ending.Load() {
		e.reading.RUnlock()
		return ErrClosed
	}
	return nil
}

// List returns a page of live registers, as they were at some time during the
// call, and has waited until what it shows is durable. It does not wait for
// Pebble: what that does not have yet is taken from the lanes. The caller has
// checked the epoch.
func (e *Engine) List(q *caspaxos.ListRequest) (caspaxos.ListReply, error) {
	reply := caspaxos.ListReply{ID: q.ID, Outcome: caspaxos.Told, Epoch: q.Epoch}
	began := time.Now()
	limit := min(max(q.Limit, 1), pageLimit)
	over, err := e.unwritten(q, limit)
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	if err := e.beginRead(); err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	defer e.reading.RUnlock()
	// After the lanes were asked: what they did not name is in Pebble.
	rows, err := e.openRecords(q.First, over.last, q.Space, q.From)
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	p := pager{engine: e, q: q, rows: rows, over: over, reply: &reply, limit: limit, end: began.Add(e.opts.pageTime)}
	err = p.run()
	if cerr := rows.close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = e.WaitSynced(over.shown)
	}
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	return reply, nil
}

// pager fills one page.
type pager struct {
	engine *Engine
	q      *caspaxos.ListRequest
	rows   *records
	over   *overlay
	reply  *caspaxos.ListReply
	limit  int
	end    time.Time

	slot  uint16 // of the last register looked at
	hash  uint64
	steps int
	bytes int
}

// run merges what the lanes have with the rows.
func (p *pager) run() error {
	ok, err := p.rows.next()
	for ; err == nil && (ok || len(p.over.registers) > 0); p.steps++ {
		order := 0 // of the next register of the lanes, against the next row
		switch {
		case !ok:
			order = -1
		case len(p.over.registers) == 0:
			order = 1
		default:
			order = bytes.Compare(p.over.registers[0].row, p.rows.key)
		}
		one := &p.rows.at
		if order <= 0 {
			one = &p.over.registers[0].listed
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
			p.over.registers = p.over.registers[1:]
		}
		if order >= 0 {
			ok, err = p.rows.next()
		}
	}
	if p.reply.Done = p.over.last == p.q.Last; !p.reply.Done {
		p.reply.NextSlot = p.over.last + 1
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
func (p *pager) take(one *caspaxos.Listed) {
	p.slot, p.hash = one.Register.Slot, one.Hash
	if register.Type(one.Type) == register.Absent || p.engine.covered(one.Register, one.Accepted) {
		return
	}
	p.reply.Entries = append(p.reply.Entries, *one)
	p.bytes += 64 + len(one.Register.Key)
}

// expirySteps bounds the work of one call of Expired.
const expirySteps = 4096

// Expired returns a page of registers whose value, as far as Pebble knows, was
// past its expiry at the wall clock time now, in Unix milliseconds; what changed
// lately may be missing or no longer true. It answers a ListRequest with
// Expired set.
func (e *Engine) Expired(now int64, q *caspaxos.ListRequest) (caspaxos.ListReply, error) {
	reply := caspaxos.ListReply{ID: q.ID, Outcome: caspaxos.Told, Epoch: q.Epoch}
	if err := e.beginRead(); err != nil {
		return reply, fmt.Errorf("list expired: %w", err)
	}
	defer e.reading.RUnlock()
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{prefixExpiry, byte(q.First >> 8), byte(q.First)},
		UpperBound: appendAfter(nil, []byte{prefixExpiry, byte(q.Last >> 8), byte(q.Last)}),
	})
	if err != nil {
		return reply, fmt.Errorf("list expired: %w", err)
	}
	err = findExpired(it, now, q, &reply)
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return reply, fmt.Errorf("list expired: %w", err)
	}
	return reply, nil
}

func findExpired(it *pebble.Iterator, now int64, q *caspaxos.ListRequest, reply *caspaxos.ListReply) error {
	const head = 3 + 8
	limit, bytes := min(max(q.Limit, 1), pageLimit), 0
	ok := it.First()
	for step := 0; ok; step++ {
		key := it.Key()
		if len(key) <= head {
			return errRow
		}
		slot := binary.BigEndian.Uint16(key[1:])
		if step == expirySteps || len(reply.Entries) == limit || bytes > pageBytes {
			reply.NextSlot = slot
			return nil
		}
		if int64(binary.BigEndian.Uint64(key[3:])) > now {
			ok = it.SeekGE([]byte{prefixExpiry, byte((slot + 1) >> 8), byte(slot + 1)})
			continue
		}
		r := caspaxos.Register{Slot: slot, Key: string(key[head:])}
		reply.Entries = append(reply.Entries, caspaxos.Listed{Register: r})
		bytes += len(r.Key)
		ok = it.Next()
	}
	reply.Done = true
	return it.Error()
}
