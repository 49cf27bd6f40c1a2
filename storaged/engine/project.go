package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/register"
)

// selector returns whether a projection asks for an element.
func selector(p register.Projection) func(key []byte) bool {
	return func(key []byte) bool {
		if p.All {
			return true
		}
		for _, k := range p.Keys {
			if bytes.Equal(k, key) {
				return true
			}
		}
		for _, r := range p.Ranges {
			if bytes.Compare(key, r.From) >= 0 && (r.To == nil || bytes.Compare(key, r.To) < 0) {
				return true
			}
		}
		return false
	}
}

// projectRows reads what a projection asks for of a register in rows form.
func (l *Lane) projectRows(e *entry, p register.Projection) (register.View, error) {
	h := e.rec.Header
	if p.HeaderOnly() {
		return register.View{Header: h}, nil
	}
	var disk []register.Element
	all := register.Projection{All: true}
	if e.onDisk {
		var err error
		if disk, err = l.readElements(e, all); err != nil {
			return register.View{}, err
		}
	}
	whole := register.NewView(h, register.Knowledge{All: true}, overlay(disk, e.unwritten(selector(all))))
	return whole.Project(p), nil
}

// readElements reads elements that are rows on disk, in byte order.
func (l *Lane) readElements(e *entry, p register.Projection) ([]register.Element, error) {
	prefix := appendBallot(append(appendRegister(nil, e.rec.Register), rowElement), e.incarnation)
	if p.All {
		return l.scan(prefix, register.Range{}, nil)
	}
	var out []register.Element
	for _, k := range p.Keys {
		value, ok, err := l.get(append(prefix, k...))
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, register.Element{Key: k, Value: value})
		}
	}
	for _, r := range p.Ranges {
		var err error
		if out, err = l.scan(prefix, r, out); err != nil {
			return nil, err
		}
	}
	if len(p.Keys)+len(p.Ranges) > 1 {
		byKey := func(a, b register.Element) int { return bytes.Compare(a.Key, b.Key) }
		slices.SortFunc(out, byKey)
		out = slices.CompactFunc(out, func(a, b register.Element) bool { return byKey(a, b) == 0 })
	}
	return out, nil
}

func (l *Lane) scan(prefix []byte, r register.Range, out []register.Element) ([]register.Element, error) {
	prefix = prefix[:len(prefix):len(prefix)]
	bounds := pebble.IterOptions{LowerBound: append(prefix, r.From...), UpperBound: after(prefix)}
	if r.To != nil {
		bounds.UpperBound = append(prefix, r.To...)
	}
	if bytes.Compare(bounds.LowerBound, bounds.UpperBound) >= 0 {
		return out, nil
	}
	it, err := l.engine.db.NewIter(&bounds)
	if err != nil {
		return nil, fmt.Errorf("read elements: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			it.Close()
			return nil, fmt.Errorf("read elements: %w", err)
		}
		out = append(out, register.Element{Key: bytes.Clone(it.Key()[len(prefix):]), Value: bytes.Clone(value)})
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("read elements: %w", err)
	}
	return out, nil
}

func (l *Lane) get(row []byte) ([]byte, bool, error) {
	value, closer, err := l.engine.db.Get(row)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read element: %w", err)
	}
	value = bytes.Clone(value)
	return value, true, closer.Close()
}

// element returns one element of a register in rows form.
func (l *Lane) element(e *entry, key []byte) ([]byte, bool, error) {
	for _, layer := range []map[string]cell{e.pending, e.frozen} {
		if c, ok := layer[string(key)]; ok {
			return c.value, !c.gone, nil
		}
	}
	if !e.onDisk {
		return nil, false, nil
	}
	prefix := appendBallot(append(appendRegister(nil, e.rec.Register), rowElement), e.incarnation)
	return l.get(append(prefix, key...))
}

// after returns the first key above all that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
