package engine

import (
	"fmt"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/content"
)

// openPages is pages that the engine ends when it closes.
type openPages struct {
	*content.Pages
	engine *Engine
}

// Transfer implements acceptor.Store.
func (l *Lane) Transfer(rec *durable.Record, p register.Projection) (message.Transfer, error) {
	e := l.entry(rec)
	if e == nil {
		return register.NewView(rec.Header, register.Knowledge{All: true}, nil).Chunks(), nil
	}
	if !e.Rows {
		return e.ProjectInline(rec, p, 0).Chunks(), nil
	}
	pages, err := e.Pages(l.db, rec, p)
	l.resize(e)
	if err != nil {
		return nil, err
	}
	return l.engine.openPages(pages)
}

func (e *Engine) openPages(p *content.Pages) (message.Transfer, error) {
	e.pagesMu.Lock()
	defer e.pagesMu.Unlock()
	if e.pages == nil {
		return nil, fmt.Errorf("read pages: %w", changelog.ErrClosed)
	}
	p.Open(e.db.NewSnapshot)
	e.pages[p] = struct{}{}
	return openPages{Pages: p, engine: e}, nil
}

// Close implements message.Transfer.
func (p openPages) Close() error {
	p.engine.pagesMu.Lock()
	delete(p.engine.pages, p.Pages)
	p.engine.pagesMu.Unlock()
	return p.End(changelog.ErrClosed)
}

// endPages ends all reads of pages, once the page that is being made is done.
func (e *Engine) endPages() (errs []error) {
	e.pagesMu.Lock()
	open := e.pages
	e.pages = nil
	e.pagesMu.Unlock()
	for p := range open {
		errs = append(errs, p.End(changelog.ErrClosed))
	}
	return errs
}
