package zset

import (
	"math"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// choice picks consecutive members of a sorted set.
type choice interface {
	// needs returns what in will read, as far as it is known in advance.
	needs() register.Projection
	// in returns the members' ranked elements in the requested order. They are
	// valid as long as the view's elements. If the view lacks data, need says
	// what is missing.
	in(v register.View) (elems []register.Element, need *register.Projection)
}

// chosen returns the effect of then on the elements that a choice picks.
func chosen(c choice, v register.View, then func(elems []register.Element) operation.Effect) operation.Effect {
	if err := element.Check(v.Header, register.SortedSet); err != nil {
		return datatype.Reply(err)
	}
	elems, need := c.in(v)
	if need != nil {
		return datatype.Need(*need)
	}
	return then(elems)
}

// unlimited is more members than a sorted set can have. Larger numbers would
// overflow in sums.
const unlimited = math.MaxInt32 << 16

// bounded returns the range with a limit of at least 1.
func bounded(r register.Range, limit int64) register.Range {
	if r.Limit = 0; limit < unlimited {
		r.Limit = int(limit)
	}
	return r
}

// ask returns a range's elements, or reports that they are missing.
func ask(v register.View, r register.Range) ([]register.Element, *register.Projection) {
	elems, known := v.Range(r)
	if !known {
		return nil, &register.Projection{Ranges: []register.Range{r}}
	}
	return elems, nil
}

// byRank picks members by rank. Negative ranks count from the end.
type byRank struct {
	start, stop int64
	reverse     bool
}

// plan says how to read a choice by rank.
type plan struct {
	register.Range
	flip    bool // the elements come in reverse order
	nothing bool
}

// plan returns how to read the choice from size members. A negative size means
// unknown; ok is false if the plan depends on it.
func (c byRank) plan(size int64) (p plan, ok bool) {
	p.Range = register.Range{From: ranked.From, To: ranked.To, Reverse: c.reverse}
	start, stop := c.start, c.stop
	if (start < 0) != (stop < 0) && (start < 0 || stop != -1) {
		if size < 0 {
			return plan{}, false
		}
		if start < 0 {
			start = max(0, size+start)
		} else if stop += size; stop < 0 {
			return plan{nothing: true}, true
		}
	}
	switch {
	case start >= 0 && stop == -1:
		p.Skip = uint64(start)
	case start > stop:
		return plan{nothing: true}, true
	case start >= 0:
		p.Skip = uint64(start)
		p.Range = bounded(p.Range, length(start, stop))
	default:
		p.Skip = uint64(-(stop + 1))
		p.Range = bounded(p.Range, length(start, stop))
		p.Reverse, p.flip = !c.reverse, true
	}
	return p, true
}

// length is the number of ranks from start to stop, if it does not overflow.
func length(start, stop int64) int64 { return max(stop-start, stop-start+1) }

func (c byRank) needs() register.Projection {
	p, ok := c.plan(-1)
	if !ok || p.nothing {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{p.Range}}
}

func (c byRank) in(v register.View) ([]register.Element, *register.Projection) {
	p, ok := c.plan(-1)
	if !ok {
		p, _ = c.plan(int64(v.Header.Size))
	}
	if p.nothing {
		return nil, nil
	}
	elems, need := ask(v, p.Range)
	if p.flip && need == nil {
		elems = slices.Clone(elems)
		slices.Reverse(elems)
	}
	return elems, need
}

// page is the part of a choice selected by LIMIT.
type page struct {
	offset, count int64 // negative count: all
}

var all = page{count: -1}

// of returns the selected part of a range, or nothing if no member can be in
// it.
func (p page) of(s register.Span, reverse bool) (r register.Range, nothing bool) {
	r = register.Range{From: s.From, To: s.To, Skip: uint64(p.offset), Reverse: reverse}
	if p.count > 0 {
		r = bounded(r, p.count)
	}
	return r, p.count == 0 || p.offset < 0 || s.Empty()
}

// byScore picks members by score.
type byScore struct {
	span    register.Span
	page    page
	reverse bool
}

func (c byScore) needs() register.Projection {
	r, nothing := c.page.of(c.span, c.reverse)
	if nothing {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{r}}
}

func (c byScore) in(v register.View) ([]register.Element, *register.Projection) {
	r, nothing := c.page.of(c.span, c.reverse)
	if nothing {
		return nil, nil
	}
	return ask(v, r)
}

// byName picks members by name. Names are sorted only among equal scores. If
// scores differ, Redis's reply depends on its search algorithm: compact sorted
// sets are searched exactly as Redis does; for larger ones Redis leaves the
// reply open, and we consider only members with the lowest score.
type byName struct {
	names   names
	page    page
	reverse bool
}

// lowest is the range of the first member.
var lowest = register.Range{From: ranked.From, To: ranked.To, Limit: 1}

func (c byName) needs() register.Projection {
	return register.Projection{Ranges: []register.Range{lowest}}
}

func (c byName) in(v register.View) ([]register.Element, *register.Projection) {
	if v.Header.Encoding == compact {
		elems, need := ask(v, register.Range{From: ranked.From, To: ranked.To, Limit: maxCompactMembers})
		if need != nil {
			return nil, need
		}
		return c.search(elems), nil
	}
	s, need := c.span(v)
	if need != nil {
		return nil, need
	}
	r, nothing := c.page.of(s, c.reverse)
	if nothing {
		return nil, nil
	}
	return ask(v, r)
}

// span returns the range of the chosen members among those with the lowest
// score.
func (c byName) span(v register.View) (register.Span, *register.Projection) {
	first, need := ask(v, lowest)
	if need != nil || len(first) == 0 || c.names.empty() {
		return register.Span{From: ranked.From, To: ranked.From}, need
	}
	return c.names.of(Ranking(first[0]).Score), nil
}

// search walks elements as Redis does in a compact sorted set: the first and
// last element tell whether any member can match. It then starts at the first
// one above the lower bound and continues while elements are below the upper
// bound.
func (c byName) search(elems []register.Element) []register.Element {
	n := len(elems)
	if n == 0 || c.names.empty() || !c.names.above(nameOf(elems[n-1])) || !c.names.below(nameOf(elems[0])) {
		return nil
	}
	begins, goesOn := c.names.above, c.names.below
	if c.reverse {
		begins, goesOn = goesOn, begins
		elems = slices.Clone(elems)
		slices.Reverse(elems)
	}
	at := slices.IndexFunc(elems, func(e register.Element) bool { return begins(nameOf(e)) })
	if at < 0 || !goesOn(nameOf(elems[at])) || c.page.offset < 0 || c.page.offset > int64(n-at) {
		return nil
	}
	elems = elems[at+int(c.page.offset):]
	end := slices.IndexFunc(elems, func(e register.Element) bool { return !goesOn(nameOf(e)) })
	if end < 0 {
		end = len(elems)
	}
	if c.page.count >= 0 {
		end = int(min(int64(end), c.page.count))
	}
	return elems[:end]
}

func nameOf(e register.Element) []byte { return Ranking(e).Name }
