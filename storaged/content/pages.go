package content

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/register"
)

// Pages reads a large state as it was at a time, by whatever goroutine, while
// the lane goes on: the disk through a snapshot, and a copy of what it did not
// have. It keeps no iterator between pages, which would keep files and memory
// that Pebble is done with.
type Pages struct {
	mu       sync.Mutex
	onDisk   bool
	snapshot *pebble.Snapshot // nil: nothing is on disk
	source   source
	query    *query
	ended    error // why there are no more pages
}

// Pages begins to answer a projection of content in rows. open must be called
// before the content changes.
func (c *State) Pages(db pebble.Reader, rec *durable.Record, p register.Projection) (*Pages, error) {
	s := c.source(db, rec.Register)
	q, err := c.prepare(db, rec, s, p)
	if cerr := s.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	out := &Pages{query: q, source: source{prefix: s.prefix}, onDisk: c.onDisk}
	if c.pending != nil {
		out.source.over[0] = c.pending.Copy()
	}
	out.source.over[1] = c.frozen // is not changed any more
	return out, nil
}

// Open takes the snapshot of the disk, if any of the content is there.
func (p *Pages) Open(snapshot func() *pebble.Snapshot) {
	if p.onDisk {
		p.snapshot = snapshot()
		p.source.disk = p.snapshot
	}
}

// Next returns the next page of about size bytes, and whether more follow.
func (p *Pages) Next(size int) (v register.View, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return v, false, fmt.Errorf("read pages: %w", p.ended)
	}
	v, more, err = p.query.page(&p.source, size)
	p.source.pool = nil
	if cerr := p.source.close(); err == nil {
		err = cerr
	}
	return v, more, err
}

// End frees what the pages use. Later calls of Next return why.
func (p *Pages) End(why error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return nil
	}
	p.ended, p.source, p.query = why, source{}, nil
	if p.snapshot == nil {
		return nil
	}
	if err := p.snapshot.Close(); err != nil {
		return fmt.Errorf("read pages: %w", err)
	}
	return nil
}
