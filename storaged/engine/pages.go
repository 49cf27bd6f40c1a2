package engine

import (
	"fmt"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// openPages is pages that the engine ends when it closes.
type openPages struct {
	*pages
	engine *Engine
}

// Pages implements caspaxos.Store.
func (l *Lane) Pages(rec *caspaxos.Record, p register.Projection) (caspaxos.Pages, error) {
	e := l.entry(rec)
	if e == nil {
		return register.NewView(rec.Header, register.Knowledge{All: true}, nil).Pages(), nil
	}
	if !e.rows {
		return e.projectInline(rec, p, 0).Pages(), nil
	}
	pages, err := e.newPages(l.db, rec, p)
	l.resize(e)
	if err != nil {
		return nil, err
	}
	return l.engine.openPages(pages)
}

func (e *Engine) openPages(p *pages) (caspaxos.Pages, error) {
	e.pagesMu.Lock()
	defer e.pagesMu.Unlock()
	if e.pages == nil {
		return nil, fmt.Errorf("read pages: %w", ErrClosed)
	}
	p.open(e.db.NewSnapshot)
	e.pages[p] = struct{}{}
	return openPages{pages: p, engine: e}, nil
}

// Close implements caspaxos.Pages.
func (p openPages) Close() error {
	p.engine.pagesMu.Lock()
	delete(p.engine.pages, p.pages)
	p.engine.pagesMu.Unlock()
	return p.end(ErrClosed)
}

// endPages ends all reads of pages, once the page that is being made is done.
func (e *Engine) endPages() (errs []error) {
	e.pagesMu.Lock()
	open := e.pages
	e.pages = nil
	e.pagesMu.Unlock()
	for p := range open {
		errs = append(errs, p.end(ErrClosed))
	}
	return errs
}
