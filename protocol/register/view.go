package register

import (
	"bytes"
	"slices"
	"sort"
)

// Count is a fact: the number of elements in a span.
type Count struct {
	Span
	N uint64
}

// Knowledge says what a View knows besides its elements. An element within All,
// Spans or Absent that is not in the view does not exist.
type Knowledge struct {
	// All: there are no other elements than those in the view.
	All bool
	// Spans are known completely. They are in order and do not touch.
	Spans []Span
	// Absent has keys outside Spans that do not exist, in byte order.
	Absent [][]byte
	// Counts has the numbers of elements in spans whose elements may be unknown.
	Counts []Count
}

// View is the known part of a register's state: some elements with their values,
// and what its Knowledge says of others. A View is a value: Apply returns a new one
// and does not change the old, so a view may be kept while rounds based on it are
// under way.
type View struct {
	Header Header
	known  Knowledge
	elems  []Element // sorted by key, no two equal
}

// NewView returns a view of the given elements, which must be in byte order without
// duplicates. It owns its arguments from then on.
func NewView(h Header, known Knowledge, elems []Element) View {
	v := View{Header: h, known: known, elems: elems}
	v.simplify()
	return v
}

// simplify sets All if one span covers all keys, and drops what All implies.
func (v *View) simplify() {
	if s := v.known.Spans; len(s) == 1 && len(s[0].From) == 0 && s[0].To == nil {
		v.known.All = true
	}
	if v.known.All {
		v.known = Knowledge{All: true}
	}
}

// Nothing returns the view of an absent register.
func Nothing() View { return View{known: Knowledge{All: true}} }

// Whole reports whether the view knows the whole state.
func (v View) Whole() bool { return v.known.All }

// Known returns what the view knows besides its elements. The caller must not
// modify it.
func (v View) Known() Knowledge { return v.known }

// Elements returns the known elements in byte order. The caller must not
// modify the slice.
func (v View) Elements() []Element { return v.elems }

// Get returns the value of one element. The caller must have made sure that
// the view covers it.
func (v View) Get(key []byte) ([]byte, bool) {
	i, ok := v.find(key)
	if !ok {
		return nil, false
	}
	return v.elems[i].Value, true
}

// Lookup returns the value of one element and whether it exists; known is
// false if the view cannot tell.
func (v View) Lookup(key []byte) (value []byte, exists, known bool) {
	if i, ok := v.find(key); ok {
		return v.elems[i].Value, true, true
	}
	return nil, false, v.lacks(key)
}

// find returns where key is, or would be, in the elements.
func (v *View) find(key []byte) (int, bool) {
	if len(v.elems) == 1 { // nearly every string
		c := bytes.Compare(v.elems[0].Key, key)
		if c < 0 {
			return 1, false
		}
		return 0, c == 0
	}
	return sort.Find(len(v.elems), func(i int) int { return bytes.Compare(key, v.elems[i].Key) })
}

// lacks reports whether key, which is not in the view, is known not to exist.
func (v *View) lacks(key []byte) bool {
	if v.known.All || v.spanned(key) {
		return true
	}
	_, gone := slices.BinarySearchFunc(v.known.Absent, key, bytes.Compare)
	return gone
}

// spanned reports whether key lies in a span that is known whole.
func (v *View) spanned(key []byte) bool {
	if v.known.All {
		return true
	}
	i := v.spanAt(key)
	return i >= 0 && v.known.Spans[i].Contains(key)
}

// spanAt returns the index of the last known span that begins at or before key,
// -1 for none.
func (v *View) spanAt(key []byte) int {
	spans := v.known.Spans
	return sort.Search(len(spans), func(i int) bool { return bytes.Compare(spans[i].From, key) > 0 }) - 1
}

// Covers reports whether the view knows all that p asks for.
func (v View) Covers(p Projection) bool {
	if v.known.All || p.HeaderOnly() {
		return true
	}
	if p.All {
		return false
	}
	for _, k := range p.Keys {
		if _, ok := v.find(k); !ok && !v.lacks(k) {
			return false
		}
	}
	for _, r := range p.Ranges {
		if _, ok := v.resolve(r); !ok {
			return false
		}
	}
	for _, s := range p.Counts {
		if _, ok := v.Count(s); !ok {
			return false
		}
	}
	return true
}

// Count returns the number of elements in a span, if the view can tell.
func (v View) Count(s Span) (uint64, bool) {
	if s.Empty() {
		return 0, true
	}
	if v.holds(s) {
		lo, hi := v.between(s)
		return uint64(hi - lo), true
	}
	for _, c := range v.known.Counts {
		if bytes.Equal(c.From, s.From) && compareEnds(c.To, s.To) == 0 {
			return c.N, true
		}
	}
	return 0, false
}

// holds reports whether a span is known whole.
func (v *View) holds(s Span) bool {
	if v.known.All {
		return true
	}
	i := v.spanAt(s.From)
	return i >= 0 && compareEnds(s.To, v.known.Spans[i].To) <= 0
}

// between returns the indices of the known elements in a span.
func (v *View) between(s Span) (lo, hi int) {
	lo, _ = v.find(s.From)
	hi = len(v.elems)
	if s.To != nil {
		hi, _ = v.find(s.To)
	}
	return lo, max(lo, hi)
}

// Range returns the elements that r asks for, in descending order if it is reversed;
// known is false if the view cannot tell. The slice is valid as long as the view's,
// and the caller must not modify it.
func (v View) Range(r Range) (elems []Element, known bool) {
	at, ok := v.resolve(r)
	if !ok {
		return nil, false
	}
	out := v.elems[at.lo:at.hi:at.hi]
	if r.Reverse {
		out = slices.Clone(out)
		slices.Reverse(out)
	}
	return out, true
}

// place is a run of the view's elements.
type place struct{ lo, hi int }

// resolve finds the elements that a range asks for.
func (v *View) resolve(r Range) (place, bool) {
	if r.Span().Empty() {
		return place{}, true
	}
	if at, ok := v.walk(r); ok {
		return at, true
	}
	if r.Skip == 0 {
		return place{}, false
	}
	// The skipped elements may be covered by a count.
	for _, c := range v.known.Counts {
		if c.N > r.Skip || c.Empty() { // an empty span may begin after its end
			continue
		}
		rest := r
		rest.Skip -= c.N
		switch {
		case bytes.Equal(c.From, r.From) && compareEnds(c.To, r.To) == 0:
			return place{}, true // all of it is skipped
		case !r.Reverse && bytes.Equal(c.From, r.From) && compareEnds(c.To, r.To) < 0:
			rest.From = c.To
		case r.Reverse && compareEnds(c.To, r.To) == 0 && bytes.Compare(c.From, r.From) > 0:
			rest.To = c.From
		default:
			continue
		}
		if at, ok := v.walk(rest); ok {
			return at, true
		}
	}
	return place{}, false
}

// walk finds the elements that a range asks for in the spans that are fully known.
func (v *View) walk(r Range) (place, bool) {
	s, whole := r.Span(), true
	if !v.known.All {
		var some bool
		if s, whole, some = v.reach(r); !some {
			return place{}, false
		}
	}
	lo, hi := v.between(s)
	n := uint64(hi - lo)
	want := r.Skip + uint64(r.Limit)
	if !whole && (r.Limit == 0 || n < want) {
		return place{}, false
	}
	skip := int(min(r.Skip, n))
	if r.Reverse {
		hi -= skip
		if r.Limit > 0 {
			lo = max(lo, hi-r.Limit)
		}
		return place{lo, hi}, true
	}
	lo += skip
	if r.Limit > 0 {
		hi = min(hi, lo+r.Limit)
	}
	return place{lo, hi}, true
}

// reach returns how much of a range is known from its beginning on, whether that is
// the whole range, and whether it is anything at all.
func (v *View) reach(r Range) (s Span, whole, some bool) {
	if !r.Reverse {
		i := v.spanAt(r.From)
		if i < 0 || !belowEnd(r.From, v.known.Spans[i].To) {
			return Span{}, false, false
		}
		if end := v.known.Spans[i].To; compareEnds(end, r.To) < 0 {
			return Span{From: r.From, To: end}, false, true
		}
		return r.Span(), true, true
	}
	i := len(v.known.Spans) - 1 // the last span that begins below the end
	if r.To != nil {
		i = sort.Search(len(v.known.Spans), func(i int) bool { return bytes.Compare(v.known.Spans[i].From, r.To) >= 0 }) - 1
	}
	if i < 0 || compareEnds(v.known.Spans[i].To, r.To) < 0 {
		return Span{}, false, false
	}
	if begin := v.known.Spans[i].From; bytes.Compare(begin, r.From) > 0 {
		return Span{From: begin, To: r.To}, false, true
	}
	return r.Span(), true, true
}

// Full returns the change that makes this state out of any other. The view
// must know all of it.
func (v View) Full() Change {
	c := Change{Kind: Full, Header: v.Header}
	if len(v.elems) > 0 {
		c.Ops = make([]Op, len(v.elems))
		for i, e := range v.elems {
			c.Ops[i] = Op{Kind: Put, Key: e.Key, Value: e.Value}
		}
	}
	return c
}

// Bytes estimates the memory that the view takes.
func (v View) Bytes() int {
	n := 128 + len(v.Header.Aux)
	for i := range v.elems {
		n += v.elems[i].Bytes()
	}
	for _, k := range v.known.Absent {
		n += 24 + len(k)
	}
	for _, s := range v.known.Spans {
		n += 48 + len(s.From) + len(s.To)
	}
	for _, c := range v.known.Counts {
		n += 56 + len(c.From) + len(c.To)
	}
	return n
}

// Bytes estimates the memory that the element takes in a view.
func (e Element) Bytes() int { return 48 + len(e.Key) + len(e.Value) }
