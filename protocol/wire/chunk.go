package wire

import (
	"bytes"
	"encoding/binary"

	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// Chunk is a part of an Accept with a full change that is too large for one
// message. Chunks of one request go to a node in the order of their numbers, by
// one session.
type Chunk struct {
	ID     uint64 // of the request
	Number uint32 // from zero
	Last   bool
	// Accept is set in chunk zero only: the request, without the ops.
	Accept *message.Request
	// Ops are Puts. Over all chunks, their keys ascend and none occurs twice.
	Ops []register.Op
}

// maxChunks bounds the chunks of one request.
const maxChunks = 1 << 20

// A chunk's flags.
const (
	chunkLast = 1 << iota
	chunkNext // the Accept has a piggybacked prepare
	chunkNeeded
)

// Divisible reports whether an Accept with this change may be sent in chunks. Its ops
// must be Puts with ascending keys, so that each op alone gives one element's final value.
func Divisible(c *register.Change) bool {
	if c.Kind != register.Full {
		return false
	}
	for i := range c.Ops {
		if c.Ops[i].Kind != register.Put || i > 0 && bytes.Compare(c.Ops[i-1].Key, c.Ops[i].Key) >= 0 {
			return false
		}
	}
	return true
}

// Cut returns how many of the ops make a chunk of about size bytes. A larger op
// makes a chunk of its own.
func Cut(ops []register.Op, size int) int {
	n := 0
	for ; n < len(ops); n++ {
		size -= len(ops[n].Key) + len(ops[n].Value) + 8
		if size < 0 && n > 0 {
			break
		}
	}
	return n
}

// AppendChunk appends a message:
//
//	body = ID · number · flags · [request without ops · [next]] · count · {key · value}
func AppendChunk(dst []byte, p *Chunk) []byte {
	dst, start := open(dst, KindChunk)
	dst = binary.AppendUvarint(dst, p.ID)
	dst = binary.AppendUvarint(dst, uint64(p.Number))
	next := p.Accept != nil && !p.Accept.Piggyback.IsZero()
	dst = append(dst, bit(p.Last, chunkLast)|bit(next, chunkNext)|bit(p.Accept != nil && p.Accept.Needed, chunkNeeded))
	if p.Number == 0 {
		request := *p.Accept
		request.Change.Ops = nil
		dst = appendAccept(dst, &request)
		if next {
			dst = AppendBallot(dst, request.Piggyback)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Ops)))
	for i := range p.Ops {
		dst = appendBytes(appendBytes(dst, p.Ops[i].Key), p.Ops[i].Value)
	}
	return seal(dst, start)
}

// Chunk decodes the current message, a KindChunk.
func (b *Batch) Chunk() (*Chunk, error) {
	r, p := reader{b: b.body}, new(Chunk)
	r.chunk(p, &b.slabs)
	return p, r.end("chunk")
}

func (r *reader) chunk(p *Chunk, s *slabs) {
	p.ID = r.uvarint()
	p.Number = uint32(r.atMost(maxChunks))
	flags := r.byte()
	if flags&^(chunkLast|chunkNext|chunkNeeded) != 0 || flags&^chunkLast != 0 && p.Number > 0 {
		r.fail(badFlags)
	}
	p.Last = flags&chunkLast != 0
	if p.Number == 0 {
		p.Accept = &message.Request{ID: p.ID}
		r.wholeChange(p.Accept, s)
		p.Accept.Needed = flags&chunkNeeded != 0
		if flags&chunkNext != 0 {
			p.Accept.Piggyback = r.ballot()
		}
	}
	n := r.count(2, maxOps)
	if n == 0 {
		return
	}
	p.Ops = s.ops.take(n)
	for i := range p.Ops {
		p.Ops[i].Key, p.Ops[i].Value = r.bytes(), r.bytes()
		if i > 0 && bytes.Compare(p.Ops[i-1].Key, p.Ops[i].Key) >= 0 {
			r.fail(badOrder)
		}
		if r.why != "" {
			return
		}
	}
}

// wholeChange reads an Accept with a full change whose ops are not part of it.
func (r *reader) wholeChange(q *message.Request, s *slabs) {
	r.request(q, s)
	if q.Kind != message.KindAccept || q.Change.Kind != register.Full || len(q.Change.Ops) > 0 {
		r.fail(badKind)
	}
}
