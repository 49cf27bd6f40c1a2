package register

import (
	"bytes"
	"slices"
)

// Project returns what p asks for of a state that the view knows whole, and
// nothing else.
func (v View) Project(p Projection) View {
	if p.All {
		return v
	}
	out := v.named(p.Keys)
	for _, r := range p.Ranges {
		out = out.Add(v.ranged(r))
	}
	for _, s := range p.Counts {
		n, _ := v.Count(s)
		out = out.Add(View{Header: v.Header, known: Knowledge{Counts: []Count{{Span: s, N: n}}}})
	}
	return out
}

// named is the answer to keys.
func (v View) named(keys [][]byte) View {
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		keys = slices.Clone(keys)
		slices.SortFunc(keys, bytes.Compare)
	}
	out := View{Header: v.Header}
	for i, k := range keys {
		if i > 0 && bytes.Equal(k, keys[i-1]) {
			continue
		}
		switch at, ok := v.find(k); {
		case !ok:
			out.known.Absent = append(out.known.Absent, k)
		case out.elems == nil: // often the only one
			out.elems = v.elems[at : at+1 : at+1]
		default:
			out.elems = append(out.elems, v.elems[at])
		}
	}
	return out
}

// ranged is the answer to one range.
func (v View) ranged(r Range) View {
	at, _ := v.resolve(r)
	elems := v.elems[at.lo:at.hi:at.hi]
	return NewView(v.Header, RangeKnown(r, elems, v.skipped(r)), elems)
}

// skipped is how many elements a range leaves out before what it takes.
func (v View) skipped(r Range) uint64 {
	lo, hi := v.between(r.Span())
	return min(r.Skip, uint64(hi-lo))
}

// RangeKnown returns what is known to somebody who looked for a range in a
// state and found elems, in byte order, after skipping skipped elements.
func RangeKnown(r Range, elems []Element, skipped uint64) Knowledge {
	var k Knowledge
	if r.Span().Empty() {
		return k
	}
	s := r.Span()
	if skipped > 0 {
		// What lies before the first element that was taken. If none was, the
		// whole of it was skipped.
		before := s
		switch {
		case len(elems) == 0:
		case r.Reverse:
			before.From = Next(elems[len(elems)-1].Key)
			s.To = before.From
		default:
			before.To = elems[0].Key
			s.From = before.To
		}
		k.Counts = []Count{{Span: before, N: skipped}}
		if len(elems) == 0 {
			return k
		}
	}
	if r.Limit > 0 && len(elems) >= r.Limit {
		if r.Reverse {
			s.From = elems[0].Key
		} else {
			s.To = Next(elems[len(elems)-1].Key)
		}
	}
	k.Spans = []Span{s}
	return k
}

// Add returns a view that also knows what more knows. Both must be views of
// the same state.
func (v View) Add(more View) View {
	if v.known.All {
		return v
	}
	if more.known.All {
		return more
	}
	return Join(v, more)
}

// Join returns a view that knows what any of the views knows, all of the same
// state. It costs least if the elements of each lie behind those of the one
// before it.
func Join(views ...View) View {
	var out View
	total := 0
	for i := range views {
		if views[i].known.All {
			return views[i]
		}
		total += len(views[i].elems)
	}
	elems := make([]Element, 0, total)
	for i := range views {
		v := &views[i]
		out.Header = v.Header
		elems = merge(elems, v.elems)
		out.known.Spans = append(out.known.Spans, v.known.Spans...)
		out.known.Absent = append(out.known.Absent, v.known.Absent...)
		out.known.Counts = append(out.known.Counts, v.known.Counts...)
	}
	out.elems = elems
	out.known.Spans = unite(out.known.Spans)
	out.simplify()
	if len(out.known.Absent) > 0 {
		out.known.Absent = slices.DeleteFunc(out.known.Absent, out.spanned)
		slices.SortFunc(out.known.Absent, bytes.Compare)
		out.known.Absent = slices.CompactFunc(out.known.Absent, bytes.Equal)
	}
	return out
}

// merge adds more to elems, which belongs to the caller; equal keys have equal
// values.
func merge(elems, more []Element) []Element {
	if len(elems) == 0 || len(more) == 0 || bytes.Compare(elems[len(elems)-1].Key, more[0].Key) < 0 {
		return append(elems, more...)
	}
	a, b := slices.Clone(elems), more
	elems = elems[:0]
	for len(a) > 0 && len(b) > 0 {
		switch c := bytes.Compare(a[0].Key, b[0].Key); {
		case c < 0:
			elems, a = append(elems, a[0]), a[1:]
		case c > 0:
			elems, b = append(elems, b[0]), b[1:]
		default:
			elems, a, b = append(elems, a[0]), a[1:], b[1:]
		}
	}
	return append(append(elems, a...), b...)
}

// unite puts spans in order and joins those that touch.
func unite(spans []Span) []Span {
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b Span) int { return bytes.Compare(a.From, b.From) })
	out := spans[:1]
	for _, s := range spans[1:] {
		last := &out[len(out)-1]
		if last.To != nil && bytes.Compare(last.To, s.From) < 0 {
			out = append(out, s)
		} else if compareEnds(last.To, s.To) < 0 {
			last.To = s.To
		}
	}
	return out
}
