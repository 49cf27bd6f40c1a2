package wire

import (
	"bytes"
	"encoding/binary"

	"synod/protocol/register"
)

// Limits on the memory that a state's encoding can make a reader allocate.
const (
	// maxOps bounds the operations of a change, and the elements, keys and
	// ranges of a view or projection.
	maxOps = 1 << 24
	// maxOffset bounds the offset of a Patch: applying one allocates all bytes
	// before it.
	maxOffset = 1 << 30
)

// A header's first byte: the type in the lower bits, and which fields follow.
const (
	headerType     = 0x0f
	headerEncoding = 0x10
	headerExpiry   = 0x20
	headerSize     = 0x40
	headerAux      = 0x80
)

// AppendHeader appends a state's header.
func AppendHeader(dst []byte, h *register.Header) []byte {
	flags := byte(h.Type)
	if h.Encoding != 0 {
		flags |= headerEncoding
	}
	if h.Expiry != 0 {
		flags |= headerExpiry
	}
	if h.Size != 0 {
		flags |= headerSize
	}
	if len(h.Aux) != 0 {
		flags |= headerAux
	}
	dst = append(dst, flags)
	if flags&headerEncoding != 0 {
		dst = append(dst, h.Encoding)
	}
	if flags&headerExpiry != 0 {
		dst = binary.AppendUvarint(dst, uint64(h.Expiry))
	}
	if flags&headerSize != 0 {
		dst = binary.AppendUvarint(dst, h.Size)
	}
	if flags&headerAux != 0 {
		dst = appendBytes(dst, h.Aux)
	}
	return dst
}

func (r *reader) header(h *register.Header) {
	flags := r.byte()
	*h = register.Header{Type: register.Type(flags & headerType)}
	if h.Type > register.Stream {
		r.fail(badKind)
	}
	if flags&headerEncoding != 0 {
		h.Encoding = r.byte()
	}
	if flags&headerExpiry != 0 {
		h.Expiry = int64(r.uvarint())
	}
	if flags&headerSize != 0 {
		h.Size = r.uvarint()
	}
	if flags&headerAux != 0 {
		if aux := r.bytes(); len(aux) > 0 {
			h.Aux = aux
		}
	}
}

// appendChange appends a change without its kind, which the caller puts into its
// flags.
func appendChange(dst []byte, c *register.Change) []byte {
	if c.Kind == register.None {
		return dst
	}
	dst = AppendHeader(dst, &c.Header)
	dst = binary.AppendUvarint(dst, uint64(len(c.Ops)))
	for i := range c.Ops {
		op := &c.Ops[i]
		dst = append(dst, byte(op.Kind))
		dst = appendBytes(dst, op.Key)
		if op.Kind == register.Patch {
			dst = binary.AppendUvarint(dst, uint64(op.Offset))
		}
		if op.Kind != register.Remove {
			dst = appendBytes(dst, op.Value)
		}
	}
	return dst
}

func (r *reader) change(c *register.Change, kind register.ChangeKind, s *slabs) {
	*c = register.Change{Kind: kind}
	if kind == register.None {
		return
	}
	if kind > register.Full {
		r.fail(badKind)
		return
	}
	r.header(&c.Header)
	n := r.count(2, maxOps)
	if n == 0 {
		return
	}
	c.Ops = s.ops.take(n)
	for i := range c.Ops {
		op := &c.Ops[i]
		op.Kind = register.OpKind(r.byte())
		if op.Kind > register.Remove {
			r.fail(badKind)
		}
		op.Key = r.bytes()
		if op.Kind == register.Patch {
			op.Offset = uint32(r.atMost(maxOffset))
		}
		if op.Kind != register.Remove {
			op.Value = r.bytes()
		}
		if r.why != "" {
			return
		}
	}
}

// A projection's first byte.
const (
	projectAll = 1 << iota
	projectKeys
	projectRanges
	projectCounts
)

// A range's first byte.
const (
	rangeReverse = 1 << iota
	rangeSkip
	rangeLimit
)

// maxLimit bounds the limit of a range.
const maxLimit = 1 << 40

// AppendProjection appends a projection.
func AppendProjection(dst []byte, p *register.Projection) []byte {
	if p.All {
		return append(dst, projectAll)
	}
	flags := bit(len(p.Keys) > 0, projectKeys) | bit(len(p.Ranges) > 0, projectRanges) | bit(len(p.Counts) > 0, projectCounts)
	dst = append(dst, flags)
	if flags&projectKeys != 0 {
		dst = appendKeys(dst, p.Keys)
	}
	if flags&projectRanges != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(p.Ranges)))
		for i := range p.Ranges {
			dst = appendRange(dst, &p.Ranges[i])
		}
	}
	if flags&projectCounts != 0 {
		dst = appendSpans(dst, p.Counts)
	}
	return dst
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}

func appendKeys(dst []byte, keys [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, k := range keys {
		dst = appendBytes(dst, k)
	}
	return dst
}

func appendRange(dst []byte, r *register.Range) []byte {
	flags := bit(r.Reverse, rangeReverse) | bit(r.Skip != 0, rangeSkip) | bit(r.Limit != 0, rangeLimit)
	dst = appendSpan(append(dst, flags), r.Span())
	if r.Skip != 0 {
		dst = binary.AppendUvarint(dst, r.Skip)
	}
	if r.Limit != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Limit))
	}
	return dst
}

func appendSpans(dst []byte, spans []register.Span) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	for _, s := range spans {
		dst = appendSpan(dst, s)
	}
	return dst
}

func appendSpan(dst []byte, s register.Span) []byte {
	dst = appendBytes(dst, s.From)
	if s.To == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.To))+1)
	return append(dst, s.To...)
}

func (r *reader) projection(p *register.Projection) {
	*p = register.Projection{}
	flags := r.byte()
	switch {
	case flags == 0:
		return
	case flags == projectAll:
		p.All = true
		return
	case flags&^(projectKeys|projectRanges|projectCounts) != 0:
		r.fail(badFlags)
		return
	}
	if flags&projectKeys != 0 {
		p.Keys = r.keys()
	}
	if flags&projectRanges != 0 {
		if n := r.count(3, maxOps); n > 0 {
			p.Ranges = make([]register.Range, n)
		}
		for i := range p.Ranges {
			r.rangeOf(&p.Ranges[i])
		}
	}
	if flags&projectCounts != 0 {
		p.Counts = r.spans()
	}
}

func (r *reader) keys() [][]byte {
	n := r.count(1, maxOps)
	if n == 0 {
		return nil
	}
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = r.bytes()
	}
	return keys
}

func (r *reader) rangeOf(rg *register.Range) {
	flags := r.byte()
	if flags&^(rangeReverse|rangeSkip|rangeLimit) != 0 {
		r.fail(badFlags)
	}
	s := r.span()
	*rg = register.Range{From: s.From, To: s.To, Reverse: flags&rangeReverse != 0}
	if flags&rangeSkip != 0 {
		rg.Skip = r.uvarint()
	}
	if flags&rangeLimit != 0 {
		rg.Limit = int(r.atMost(maxLimit))
	}
}

func (r *reader) spans() []register.Span {
	n := r.count(2, maxOps)
	if n == 0 {
		return nil
	}
	spans := make([]register.Span, n)
	for i := range spans {
		spans[i] = r.span()
	}
	return spans
}

func (r *reader) span() (s register.Span) {
	s.From = r.bytes()
	if n := r.uvarint(); n > 0 {
		s.To = r.take(n - 1)
	}
	return s
}

// Flags of a view, in the byte after its header.
const (
	viewAll = 1 << iota
	viewSpans
	viewAbsent
	viewCounts
)

// AppendView appends a view.
func AppendView(dst []byte, v *register.View) []byte {
	dst = AppendHeader(dst, &v.Header)
	known := v.Known()
	flags := bit(known.All, viewAll) | bit(len(known.Spans) > 0, viewSpans) |
		bit(len(known.Absent) > 0, viewAbsent) | bit(len(known.Counts) > 0, viewCounts)
	dst = append(dst, flags)
	if flags&viewSpans != 0 {
		dst = appendSpans(dst, known.Spans)
	}
	if flags&viewAbsent != 0 {
		dst = appendKeys(dst, known.Absent)
	}
	if flags&viewCounts != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(known.Counts)))
		for _, c := range known.Counts {
			dst = binary.AppendUvarint(appendSpan(dst, c.Span), c.N)
		}
	}
	elems := v.Elements()
	dst = binary.AppendUvarint(dst, uint64(len(elems)))
	for i := range elems {
		dst = appendBytes(dst, elems[i].Key)
		dst = appendBytes(dst, elems[i].Value)
	}
	return dst
}

// DecodeView reads a view that AppendView wrote. It must take up all of b. The view
// shares b's memory.
func DecodeView(b []byte) (v register.View, err error) {
	r := reader{b: b}
	r.view(&v, new(slabs))
	return v, r.end("view")
}

func (r *reader) knowledge(k *register.Knowledge) {
	flags := r.byte()
	if flags&^(viewAll|viewSpans|viewAbsent|viewCounts) != 0 || (flags&viewAll != 0 && flags != viewAll) {
		r.fail(badFlags)
		return
	}
	k.All = flags&viewAll != 0
	if flags&viewSpans != 0 {
		k.Spans = r.spans()
		for i := 1; i < len(k.Spans); i++ {
			if last := k.Spans[i-1].To; last == nil || bytes.Compare(last, k.Spans[i].From) >= 0 {
				r.fail(badOrder)
			}
		}
	}
	if flags&viewAbsent != 0 {
		k.Absent = r.keys()
		for i := 1; i < len(k.Absent); i++ {
			if bytes.Compare(k.Absent[i-1], k.Absent[i]) >= 0 {
				r.fail(badOrder)
			}
		}
	}
	if flags&viewCounts != 0 {
		if n := r.count(3, maxOps); n > 0 {
			k.Counts = make([]register.Count, n)
		}
		for i := range k.Counts {
			k.Counts[i].Span = r.span()
			k.Counts[i].N = r.uvarint()
		}
	}
}

func (r *reader) view(v *register.View, s *slabs) {
	var h register.Header
	var known register.Knowledge
	r.header(&h)
	r.knowledge(&known)
	n := r.count(2, maxOps)
	var elems []register.Element
	if n > 0 {
		elems = s.elems.take(n)
	}
	for i := range elems {
		elems[i].Key = r.bytes()
		elems[i].Value = r.bytes()
		if i > 0 && bytes.Compare(elems[i-1].Key, elems[i].Key) >= 0 {
			r.fail(badOrder)
		}
		if r.why != "" {
			return
		}
	}
	*v = register.NewView(h, known, elems)
}
