package register

import (
	"bytes"
	"slices"
)

// Project returns what p asks for and nothing else. The view must know the whole
// state.
func (v View) Project(p Projection) View {
	if p.All {
		return v
	}
	out := v.named(p.Keys)
	for _, s := range p.Counts {
		n, _ := v.Count(s)
		out.known.Counts = append(out.known.Counts, Count{Span: s, N: n})
	}
	if len(p.Ranges) == 0 {
		return out
	}
	parts := make([]View, 1, 1+len(p.Ranges))
	parts[0] = out
	for _, r := range p.Ranges {
		parts = append(parts, v.ranged(r))
	}
	return Join(parts...)
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

// RangeKnown returns what is known after a lookup of a range that skipped skipped
// elements and found elems, which are in byte order.
func RangeKnown(r Range, elems []Element, skipped uint64) Knowledge {
	var k Knowledge
	if r.Span().Empty() {
		return k
	}
	s := r.Span()
	if skipped > 0 {
		// before is the span in front of the first element that was taken: the
		// whole range if none was.
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

// Join returns a view that knows what any of the views knows. All must be of the
// same state. It is fastest if the elements of each view come after those of the
// previous one.
func Join(views ...View) View {
	var out View
	for i := range views {
		v := &views[i]
		if v.known.All {
			return *v
		}
		out.Header = v.Header
		out.known.Spans = append(out.known.Spans, v.known.Spans...)
		out.known.Absent = append(out.known.Absent, v.known.Absent...)
		out.known.Counts = append(out.known.Counts, v.known.Counts...)
	}
	out.elems = joined(views)
	out.known.Spans = unite(out.known.Spans)
	out.simplify()
	if len(out.known.Absent) > 0 {
		out.known.Absent = slices.DeleteFunc(out.known.Absent, out.spanned)
		slices.SortFunc(out.known.Absent, bytes.Compare)
		out.known.Absent = slices.CompactFunc(out.known.Absent, bytes.Equal)
	}
	return out
}

// joined returns the elements of all views in order, each once.
func joined(views []View) []Element {
	total := 0
	for i := range views {
		total += len(views[i].elems)
	}
	out := make([]Element, 0, total)
	for i := range views {
		more := views[i].elems
		if !follows(out, more) {
			half := len(views) / 2
			return merge(out[:0], joined(views[:half]), joined(views[half:]))
		}
		out = append(out, more...)
	}
	return out
}

// follows reports whether all elements of more come after those of elems.
func follows(elems, more []Element) bool {
	return len(elems) == 0 || len(more) == 0 || bytes.Compare(elems[len(elems)-1].Key, more[0].Key) < 0
}

// merge appends a and b to out, in order; equal keys have equal values.
func merge(out, a, b []Element) []Element {
	for len(a) > 0 && len(b) > 0 {
		switch c := bytes.Compare(a[0].Key, b[0].Key); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
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
