package engine

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// pages reads a large state as it was at a time, by whatever goroutine, while
// the lane goes on: the disk through a snapshot, and a copy of what it did not
// have. It keeps no iterator between pages, which would keep files and memory
// that Pebble is done with.
type pages struct {
	engine *Engine

	mu       sync.Mutex
	snapshot *pebble.Snapshot // nil: nothing is on disk
	source   source
	query    *query
	closed   bool
}

// Pages implements caspaxos.Store.
func (l *Lane) Pages(rec *caspaxos.Record, p register.Projection) (caspaxos.Pages, error) {
	e := l.entry(rec)
	if e == nil || !e.rows {
		return l.projectInline(rec, e, p, 0).Pages(), nil
	}
	s := l.source(e)
	q, err := l.prepare(e, s, p)
	if cerr := s.close(); err == nil {
		err = cerr
	}
	l.resize(e)
	if err != nil {
		return nil, err
	}
	return l.engine.openPages(e, q, s.prefix)
}

func (e *Engine) openPages(of *entry, q *query, prefix []byte) (*pages, error) {
	p := &pages{engine: e, query: q, source: source{prefix: prefix}}
	if of.pending != nil {
		p.source.over[0] = of.pending.Copy()
	}
	p.source.over[1] = of.frozen // is not changed any more
	e.pagesMu.Lock()
	defer e.pagesMu.Unlock()
	if e.pages == nil {
		return nil, fmt.Errorf("read pages: %w", ErrClosed)
	}
	if of.onDisk {
		p.snapshot = e.db.NewSnapshot()
		p.source.disk = p.snapshot
	}
	e.pages[p] = struct{}{}
	return p, nil
}

// Next implements caspaxos.Pages.
func (p *pages) Next(size int) (v register.View, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return v, false, fmt.Errorf("read pages: %w", ErrClosed)
	}
	v, more, err = p.query.page(&p.source, size)
	p.source.pool = nil
	if cerr := p.source.close(); err == nil {
		err = cerr
	}
	return v, more, err
}

// Close implements caspaxos.Pages.
func (p *pages) Close() error {
	p.engine.pagesMu.Lock()
	delete(p.engine.pages, p)
	p.engine.pagesMu.Unlock()
	return p.end()
}

func (p *pages) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed, p.source, p.query = true, source{}, nil
	if p.snapshot == nil {
		return nil
	}
	if err := p.snapshot.Close(); err != nil {
		return fmt.Errorf("read pages: %w", err)
	}
	return nil
}

// endPages ends all that somebody is reading still, once the page that is being
// made is done.
func (e *Engine) endPages() (errs []error) {
	e.pagesMu.Lock()
	open := e.pages
	e.pages = nil
	e.pagesMu.Unlock()
	for p := range open {
		errs = append(errs, p.end())
	}
	return errs
}
