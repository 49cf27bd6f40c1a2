package register

// Chunks divides a view into chunks. Join puts them together again.
type Chunks struct {
	rest View
	from []byte // where the next chunk begins
	next int    // its number
}

// Chunks returns the view's chunks.
func (v View) Chunks() *Chunks { return &Chunks{rest: v} }

// Next returns a chunk of about size bytes, give or take one element, and whether
// more follows. The first chunk has all knowledge other than spans.
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
	var chunk Knowledge
	if p.next == 0 {
		chunk.Absent, chunk.Counts = known.Absent, known.Counts
	}
	if known.All {
		known.Spans = []Span{{}}
	}
	for _, s := range known.Spans {
		if c := s.cut(p.from, to); !c.Empty() {
			chunk.Spans = append(chunk.Spans, c)
		}
	}
	v = NewView(p.rest.Header, chunk, elems[:n:n])
	p.rest.elems, p.from = elems[n:], to
	p.next++
	return v, to != nil, nil
}

// Close does nothing. It makes Chunks a message.Transfer, like one that reads a disk.
func (p *Chunks) Close() error { return nil }

// cut returns the part of a span with from <= key < to.
func (s Span) cut(from, to []byte) Span {
	if string(from) > string(s.From) {
		s.From = from
	}
	if compareEnds(to, s.To) < 0 {
		s.To = to
	}
	return s
}
