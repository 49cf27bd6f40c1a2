package engine

import (
	"fmt"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/storaged/pages"
)

// List returns a page of live registers, as they were at some time during the
// call, and has waited until what it shows is durable. It does not wait for
// Pebble: what that does not have yet is taken from the lanes. The caller has
// checked the epoch.
func (e *Engine) List(q *listing.Request) (listing.Reply, error) {
	reply := listing.Reply{ID: q.ID, Outcome: message.ReadOK, Epoch: q.Epoch}
	began := time.Now()
	limit := min(max(q.Limit, 1), pages.PageLimit)
	over, err := e.unwritten(q, limit)
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	if err := e.beginRead(); err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	defer e.reading.RUnlock()
	// After the lanes were asked: what they did not name is in Pebble.
	rows, err := pages.Open(e.db, q.First, over.Last, q.Space, q.From)
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	err = pages.Fill(q, rows, over, e.flushes, limit, began.Add(e.opts.pageTime), &reply)
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = e.WaitSynced(over.Shown)
	}
	if err != nil {
		return reply, fmt.Errorf("list: %w", err)
	}
	return reply, nil
}

// Expired returns a page of registers whose value, as far as Pebble knows, was
// past its expiry at the wall clock time now, in Unix milliseconds; what changed
// lately may be missing or no longer true. It answers a ListRequest with
// Expired set.
func (e *Engine) Expired(now int64, q *listing.Request) (listing.Reply, error) {
	reply := listing.Reply{ID: q.ID, Outcome: message.ReadOK, Epoch: q.Epoch}
	if err := e.beginRead(); err != nil {
		return reply, fmt.Errorf("list expired: %w", err)
	}
	defer e.reading.RUnlock()
	if err := pages.ListExpired(e.db, now, q, &reply); err != nil {
		return reply, fmt.Errorf("list expired: %w", err)
	}
	return reply, nil
}
