package register

import (
	"bytes"
	"slices"
)

// Span names the elements with From <= key < To, in byte order. A nil To has
// no upper end.
type Span struct {
	From, To []byte
}

// Prefixed returns the span of the keys that begin with prefix.
func Prefixed(prefix []byte) Span {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return Span{From: prefix, To: end[:i+1]}
		}
	}
	return Span{From: prefix}
}

// Next returns the first key after key in byte order.
func Next(key []byte) []byte { return append(key[:len(key):len(key)], 0) }

// Contains reports whether key lies in the span.
func (s Span) Contains(key []byte) bool {
	return bytes.Compare(key, s.From) >= 0 && belowEnd(key, s.To)
}

// Empty reports whether no key can lie in the span.
func (s Span) Empty() bool { return s.To != nil && bytes.Compare(s.From, s.To) >= 0 }

// belowEnd reports whether a key lies before an end. A nil end has no limit.
func belowEnd(key, end []byte) bool { return end == nil || bytes.Compare(key, end) < 0 }

// compareEnds compares two upper ends. Nil is the highest.
func compareEnds(a, b []byte) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return bytes.Compare(a, b)
}

// Range asks for elements of a span by their place in it: the first Skip are
// left out, and of the rest at most Limit are taken, all if Limit is zero. With
// Reverse, both count from the span's end. For the spans that Type.Counted
// names, Skip costs a node much less than walking over what is skipped.
type Range struct {
	From, To []byte
	Skip     uint64
	Limit    int
	Reverse  bool
}

// Span returns the elements that the range chooses from.
func (r Range) Span() Span { return Span{From: r.From, To: r.To} }

func (r *Range) equal(o Range) bool {
	return r.Skip == o.Skip && r.Limit == o.Limit && r.Reverse == o.Reverse &&
		bytes.Equal(r.From, o.From) && compareEnds(r.To, o.To) == 0
}

// Projection says which part of a state a command needs. The zero Projection
// asks for the header only. A node may send more than was asked for (it sends
// small states whole); the View says what was sent.
type Projection struct {
	All    bool
	Keys   [][]byte
	Ranges []Range
	// Counts asks for the number of elements in spans.
	Counts []Span
}

// HeaderOnly reports whether nothing but the header is asked for.
func (p Projection) HeaderOnly() bool {
	return !p.All && len(p.Keys) == 0 && len(p.Ranges) == 0 && len(p.Counts) == 0
}

// Unbounded reports whether only the size of the state limits what p asks for.
func (p Projection) Unbounded() bool {
	if p.All {
		return true
	}
	for i := range p.Ranges {
		if p.Ranges[i].Limit == 0 {
			return true
		}
	}
	return false
}

// fewRanges is how many of the last ranges Include compares with a new one: commands
// of the same kind seldom ask for more.
const fewRanges = 4

// Include makes p ask for what q asks for, too. p's slices must be its own.
func (p *Projection) Include(q Projection) {
	if p.All || q.All {
		*p = Projection{All: true}
		return
	}
	for _, k := range q.Keys {
		// Many commands on one hot element ask for it once.
		if n := len(p.Keys); n == 0 || !bytes.Equal(p.Keys[n-1], k) {
			p.Keys = append(p.Keys, k)
		}
	}
	for _, r := range q.Ranges {
		if !slices.ContainsFunc(p.Ranges[max(0, len(p.Ranges)-fewRanges):], r.equal) {
			p.Ranges = append(p.Ranges, r)
		}
	}
	p.Counts = append(p.Counts, q.Counts...)
}
