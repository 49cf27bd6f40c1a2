package wire

import (
	"bytes"
	"encoding/binary"

	"synod/protocol/register"
)

// Limits on what a state's encoding may ask a reader to allocate.
const (
	// maxOps bounds the operations of a change, and the elements, keys and
	// ranges of a view or projection.
	maxOps = 1 << 24
	// maxOffset bounds where a Patch may begin, as applying one allocates
	// whatever lies before it.
	maxOffset = 1 << 30
)

// A header's first byte: the type in the lower bits and what follows.
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

// appendChange appends a change but for its kind, which the caller has in its
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
)

// AppendProjection appends a projection.
func AppendProjection(dst []byte, p *register.Projection) []byte {
	if p.All {
		return append(dst, projectAll)
	}
	var flags byte
	if len(p.Keys) > 0 {
		flags |= projectKeys
	}
	if len(p.Ranges) > 0 {
		flags |= projectRanges
	}
	dst = append(dst, flags)
	if flags&projectKeys != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(p.Keys)))
		for _, k := range p.Keys {
			dst = appendBytes(dst, k)
		}
	}
	if flags&projectRanges != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(p.Ranges)))
		for _, rg := range p.Ranges {
			dst = appendBytes(dst, rg.From)
			if rg.To == nil {
				dst = append(dst, 0)
				continue
			}
			dst = binary.AppendUvarint(dst, uint64(len(rg.To))+1)
			dst = append(dst, rg.To...)
		}
	}
	return dst
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
	case flags&^(projectKeys|projectRanges) != 0:
		r.fail(badFlags)
		return
	}
	if flags&projectKeys != 0 {
		if n := r.count(1, maxOps); n > 0 {
			p.Keys = make([][]byte, n)
		}
		for i := range p.Keys {
			p.Keys[i] = r.bytes()
		}
	}
	if flags&projectRanges != 0 {
		if n := r.count(2, maxOps); n > 0 {
			p.Ranges = make([]register.Range, n)
		}
		for i := range p.Ranges {
			p.Ranges[i].From = r.bytes()
			if n := r.uvarint(); n > 0 {
				p.Ranges[i].To = r.take(n - 1)
			}
		}
	}
}

// AppendView appends a view.
func AppendView(dst []byte, v *register.View) []byte {
	dst = AppendHeader(dst, &v.Header)
	dst = AppendProjection(dst, &v.Known)
	elems := v.Elements()
	dst = binary.AppendUvarint(dst, uint64(len(elems)))
	for i := range elems {
		dst = appendBytes(dst, elems[i].Key)
		dst = appendBytes(dst, elems[i].Value)
	}
	return dst
}

func (r *reader) view(v *register.View, s *slabs) {
	var h register.Header
	var known register.Projection
	r.header(&h)
	r.projection(&known)
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
