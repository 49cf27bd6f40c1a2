package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

const (
	pageBytes    = 1 << 20 // of keys, about
	pageExamined = 1 << 15 // rows, for a page that finds little
	pageLimit    = 10_000
)

// catchUp waits until Pebble has all that the lanes have appended so far.
func (e *Engine) catchUp() error {
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
// call. The caller has checked the epoch.
func (e *Engine) List(q *caspaxos.ListRequest) (caspaxos.ListReply, error) {
	reply := caspaxos.ListReply{ID: q.ID, Outcome: caspaxos.Told, Epoch: q.Epoch}
	if err := e.catchUp(); err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	if err := e.beginRead(); err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	defer e.reading.RUnlock()
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: appendPlace(nil, q.First, q.Space, q.From),
		UpperBound: []byte{prefixRegister + 1},
	})
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	p := pager{engine: e, q: q, it: it, reply: &reply, limit: min(max(q.Limit, 1), pageLimit)}
	err = p.run()
	if cerr := it.Close(); err == nil {
		err = cerr
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
	it     *pebble.Iterator
	reply  *caspaxos.ListReply
	limit  int

	slot     uint16 // of the last row examined
	hash     uint64
	examined int
	bytes    int
}

func (p *pager) run() error {
	slot := p.q.First
	for ok := p.it.First(); ok; {
		key := p.it.Key()
		if at := binary.BigEndian.Uint16(key[1:]); at > p.q.Last {
			break
		} else if at > slot {
			slot = at
		}
		if space := key[3]; space != p.q.Space {
			if space > p.q.Space {
				if slot == p.q.Last {
					break
				}
				slot++
			}
			ok = p.it.SeekGE(appendPlace(nil, slot, p.q.Space, 0))
			continue
		}
		r, hash, rest, err := parseRegister(key)
		if err != nil {
			return err
		}
		if p.full(slot, hash) {
			p.reply.NextSlot, p.reply.NextHash = slot, hash
			return p.it.Error()
		}
		p.slot, p.hash = slot, hash
		p.examined++
		rows, err := p.take(r, hash, rest)
		if err != nil {
			return err
		}
		if rows { // skip the elements
			ok = p.it.SeekGE(append(appendRegister(nil, r), rowEnd))
		} else {
			ok = p.it.Next()
		}
	}
	p.reply.Done = true
	return p.it.Error()
}

// full tells whether the page ends before a row. Registers of one hash stay
// together, since the next page begins at a hash.
func (p *pager) full(slot uint16, hash uint64) bool {
	if p.examined == 0 || (slot == p.slot && hash == p.hash) {
		return false
	}
	return len(p.reply.Entries) >= p.limit || p.bytes > pageBytes || p.examined >= pageExamined
}

// take puts a register into the page if it is live. It returns whether rows of
// elements may follow.
func (p *pager) take(r caspaxos.Register, hash uint64, rest []byte) (rows bool, err error) {
	if len(rest) != 1 || rest[0] != rowRecord {
		return true, nil // elements of a record that a sweep is deleting
	}
	value, err := p.it.ValueAndErr()
	if err != nil {
		return false, err
	}
	top, err := parseTop(value)
	if err != nil {
		return false, err
	}
	if top.kind == register.Absent || p.engine.covered(r, top.accepted) {
		return top.rows, nil
	}
	p.reply.Entries = append(p.reply.Entries, caspaxos.Listed{
		Register: r, Hash: hash, Accepted: top.accepted, Type: uint8(top.kind), Expiry: top.expiry,
	})
	p.bytes += 64 + len(r.Key)
	return top.rows, nil
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
