package register

// Chunks are the parts of a view, for somebody who takes it piece by piece. Join
// puts them together again.
type Chunks struct {
	rest View
	from []byte // where the next page begins
	next int    // its number
}

// Chunks returns the view's parts.
func (v View) Chunks() *Chunks { return &Chunks{rest: v} }

// Next returns a part of about size bytes, the last element more or less, and
// whether more follows. What is known beyond spans comes with the first.
func (p *Chunks) Next(size int) (v View, more bool, err error) {
	known, elems := p.rest.known, p.rest.elems
	n := 0
	for room := size; n < len(elems) && (n == 0 || room > 0); n++ {
		room -= elems[n].Bytes()
	}
	var to []byte
	if n < len(elems) {
		to = elems[n].Key
	}
	var page Knowledge
	if p.next == 0 {
		page.Absent, page.Counts = known.Absent, known.Counts
	}
	if known.All {
		known.Spans = []Span{{}}
	}
	for _, s := range known.Spans {
		if c := s.cut(p.from, to); !c.Empty() {
			page.Spans = append(page.Spans, c)
		}
	}
	v = NewView(p.rest.Header, page, elems[:n:n])
	p.rest.elems, p.from = elems[n:], to
	p.next++
	return v, to != nil, nil
}

// Close makes Pages what somebody who reads from a disk needs.
func (p *Chunks) Close() error { return nil }

// cut returns the part of a span from from on and below to.
func (s Span) cut(from, to []byte) Span {
	if string(from) > string(s.From) {
		s.From = from
	}
	if compareEnds(to, s.To) < 0 {
		s.To = to
	}
	return s
}
