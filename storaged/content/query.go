package content

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

// Project returns what a projection asks for if it fits into size bytes.
func (c *State) Project(db pebble.Reader, rec *durable.Record, p register.Projection, size int) (v register.View, fits bool, err error) {
	if !c.Rows {
		v = c.ProjectInline(rec, p, size)
		return v, v.Bytes() <= size, nil
	}
	if p.HeaderOnly() {
		return register.View{Header: rec.Header}, true, nil
	}
	if exceeds(&rec.Header, &p, size) {
		return v, false, nil
	}
	s := c.source(db, rec.Register)
	v, fits, err = c.projectRows(db, rec, s, p, size)
	if cerr := s.close(); err == nil {
		err = cerr
	}
	return v, fits && err == nil && v.Bytes() <= size, err
}

// ProjectInline returns what a projection asks for of content that is in memory.
func (c *State) ProjectInline(rec *durable.Record, p register.Projection, size int) register.View {
	if p.HeaderOnly() && c.bytes > smallState {
		return register.View{Header: rec.Header}
	}
	c.shared, c.cloned = true, false
	whole := register.NewView(rec.Header, register.Knowledge{All: true}, c.Elems)
	if c.bytes <= smallState && whole.Bytes() <= size {
		return whole
	}
	return whole.Project(p)
}

// source returns where the elements of content in rows are read.
func (c *State) source(db pebble.Reader, r register.ID) *source {
	s := &source{over: [2]*layer{c.pending, c.frozen}, gaps: &c.gaps}
	s.prefix = rowcodec.AppendRows(nil, r, rowcodec.RowElement, c.Incarnation)
	if c.onDisk {
		s.disk = db
	}
	return s
}

// exceeds reports whether what p asks for is certainly larger than size, judging
// by the number of elements in the header.
func exceeds(h *register.Header, p *register.Projection, size int) bool {
	if h.Type == register.String || h.Type == register.Stream {
		return false // whose size does not count elements
	}
	most := uint64(size / register.Element{}.Bytes())
	if p.All {
		return h.Size > most
	}
	span, counted := layout.Counted(h.Type)
	if !counted {
		return false
	}
	for _, r := range p.Ranges {
		n := h.Size - min(h.Size, r.Skip)
		if r.Limit > 0 {
			n = min(n, uint64(r.Limit))
		}
		if n > most && contains(r.Span(), span) {
			return true
		}
	}
	return false
}

// projectRows returns what a projection asks for of content in rows form, as
// far as size bytes go.
func (c *State) projectRows(db pebble.Reader, rec *durable.Record, s *source, p register.Projection, size int) (v register.View, fits bool, err error) {
	q, err := c.prepare(db, rec, s, p)
	if err != nil {
		return v, false, err
	}
	v, more, err := q.page(s, size-register.View{Header: rec.Header}.Bytes())
	return v, !more, err
}

// query is a projection that is being answered: what is left of it.
type query struct {
	header register.Header
	keys   [][]byte         // in order
	counts []register.Count // facts
	ranges []run
}

// run is a range that is being read.
type run struct {
	asked   register.Range
	rest    register.Range
	skipped uint64 // how many elements of asked lie before rest
	begun   bool
	none    bool // all of it is skipped
}

// prepare begins to answer a projection, with the parts that need the index.
func (c *State) prepare(db pebble.Reader, rec *durable.Record, s *source, p register.Projection) (*query, error) {
	q := &query{header: rec.Header}
	if p.All {
		q.ranges = []run{{}}
		return q, nil
	}
	q.keys = p.Keys
	if !slices.IsSortedFunc(p.Keys, bytes.Compare) {
		q.keys = slices.Clone(p.Keys)
		slices.SortFunc(q.keys, bytes.Compare)
	}
	for _, span := range p.Counts {
		n, err := c.count(db, rec, s, span)
		if err != nil {
			return nil, err
		}
		q.counts = append(q.counts, register.Count{Span: span, N: n})
	}
	for _, r := range p.Ranges {
		if r.Span().Empty() {
			continue
		}
		one := run{asked: r, rest: r}
		if r.Skip > 0 {
			x, err := c.indexOf(db, rec, s, r.Span())
			if err != nil {
				return nil, err
			}
			if x != nil {
				if one.rest, one.skipped, one.none, err = x.begin(s, r); err != nil {
					return nil, err
				}
			}
		}
		q.ranges = append(q.ranges, one)
	}
	// Joining views is cheapest if they are in order.
	slices.SortStableFunc(q.ranges, func(a, b run) int { return bytes.Compare(a.rest.From, b.rest.From) })
	return q, nil
}

// indexOf returns the index if it counts all of a span.
func (c *State) indexOf(db pebble.Reader, rec *durable.Record, s *source, span register.Span) (*index, error) {
	counted, ok := layout.Counted(rec.Header.Type)
	if !ok || !contains(counted, span) {
		return nil, nil
	}
	return c.readIndex(db, rec, s)
}

func (c *State) count(db pebble.Reader, rec *durable.Record, s *source, span register.Span) (uint64, error) {
	if span.Empty() {
		return 0, nil
	}
	x, err := c.indexOf(db, rec, s, span)
	if err != nil {
		return 0, err
	}
	if x == nil {
		return s.count(span)
	}
	from, to, err := x.ranks(s, span)
	return to - from, err
}

// page answers the next part of about room bytes, and returns whether more is
// left.
func (q *query) page(s *source, room int) (v register.View, more bool, err error) {
	var views []register.View
	add := func(known register.Knowledge, elems []register.Element) {
		one := register.NewView(q.header, known, elems)
		room -= one.Bytes() - register.View{Header: q.header}.Bytes()
		views = append(views, one)
	}
	if len(q.counts) > 0 {
		add(register.Knowledge{Counts: q.counts}, nil)
		q.counts = nil
	}
	if len(q.keys) > 0 {
		known, elems, err := q.lookUp(s, room)
		if err != nil {
			return v, false, err
		}
		add(known, elems)
	}
	for len(q.keys) == 0 && len(q.ranges) > 0 && (room > 0 || len(views) == 0) {
		r := &q.ranges[0]
		known, elems, done, err := r.read(s, room)
		if err != nil {
			return v, false, err
		}
		add(known, elems)
		if done {
			q.ranges = q.ranges[1:]
		}
	}
	more = len(q.keys)+len(q.ranges) > 0
	if len(views) == 1 {
		return views[0], more, nil
	}
	v = register.Join(views...)
	v.Header = q.header
	return v, more, nil
}

// lookUp reads elements by their keys until there is no more room.
func (q *query) lookUp(s *source, room int) (known register.Knowledge, elems []register.Element, err error) {
	for n := 0; len(q.keys) > 0 && (room > 0 || n == 0); n++ {
		key := q.keys[0]
		q.keys = q.keys[1:]
		if len(q.keys) > 0 && bytes.Equal(key, q.keys[0]) {
			continue
		}
		value, ok, err := s.get(key)
		if err != nil {
			return known, nil, err
		}
		if ok {
			elems = append(elems, register.Element{Key: key, Value: value})
			room -= elems[len(elems)-1].Bytes()
		} else {
			known.Absent = append(known.Absent, key)
			room -= (register.Element{Key: key}).Bytes()
		}
	}
	return known, elems, nil
}

// read reads on until there is no more room, and returns what it found in byte
// order. done says that the range is complete.
func (r *run) read(s *source, room int) (known register.Knowledge, elems []register.Element, done bool, err error) {
	if r.none {
		return register.RangeKnown(r.asked, nil, r.skipped), nil, true, nil
	}
	w := s.walk(r.rest.Span(), r.rest.Reverse)
	left := r.rest.Skip
	for left > 0 && w.next() {
		left--
	}
	for done = true; w.next(); {
		if room < 0 && len(elems) > 0 {
			done = false
			break
		}
		elems = append(elems, w.element())
		room -= elems[len(elems)-1].Bytes()
		if len(elems) == r.rest.Limit {
			break
		}
	}
	if w.err != nil {
		return known, nil, false, w.err
	}
	// What is known is a range that ends with the last element found.
	part := r.rest
	if !r.begun {
		part = r.asked
		r.skipped = max(r.skipped, r.rest.Skip-left)
	}
	if !done {
		part.Limit = len(elems)
	}
	skipped := r.skipped
	if r.begun {
		skipped = 0
	}
	if r.rest.Reverse {
		slices.Reverse(elems)
	}
	known = register.RangeKnown(part, elems, skipped)
	if !done {
		r.goOn(elems)
	}
	return known, elems, done, nil
}

// goOn makes the rest begin after elements that were read.
func (r *run) goOn(elems []register.Element) {
	r.begun, r.rest.Skip = true, 0
	if r.rest.Limit > 0 {
		r.rest.Limit -= len(elems)
	}
	if r.rest.Reverse {
		r.rest.To = elems[0].Key
	} else {
		r.rest.From = register.Next(elems[len(elems)-1].Key)
	}
}
