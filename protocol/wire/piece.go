package wire

import (
	"bytes"
	"encoding/binary"

	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// Piece is a part of an Accept with a full change that is too large for one
// message. Pieces of one request go to a node in the order of their numbers, by
// one session.
type Piece struct {
	ID     uint64 // of the request
	Number uint32 // from zero
	Last   bool
	// Accept is there in piece zero alone: the request, without the ops.
	Accept *message.Request
	// Ops are Puts in the order of their keys, each once: also over all pieces.
	Ops []register.Op
}

// maxPieces bounds the pieces of one request.
const maxPieces = 1 << 20

// A piece's flags.
const (
	pieceLast = 1 << iota
	pieceNext // the Accept has a Next
	pieceNeeded
)

// Divisible reports whether an Accept with such a change may go in pieces: what
// its elements are shows in any part of its ops.
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

// Cut returns how many of the ops make a piece of about size bytes. An op that is
// larger is one of its own.
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

// AppendPiece appends a message:
//
//	body = ID · number · flags · [request without ops · [Next]] · count · {key · value}
func AppendPiece(dst []byte, p *Piece) []byte {
	dst, start := open(dst, KindPiece)
	dst = binary.AppendUvarint(dst, p.ID)
	dst = binary.AppendUvarint(dst, uint64(p.Number))
	next := p.Accept != nil && !p.Accept.Piggyback.IsZero()
	dst = append(dst, bit(p.Last, pieceLast)|bit(next, pieceNext)|bit(p.Accept != nil && p.Accept.Needed, pieceNeeded))
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

// Piece decodes the current message, a KindPiece.
func (b *Batch) Piece() (*Piece, error) {
	r, p := reader{b: b.body}, new(Piece)
	r.piece(p, &b.slabs)
	return p, r.end("piece")
}

func (r *reader) piece(p *Piece, s *slabs) {
	p.ID = r.uvarint()
	p.Number = uint32(r.atMost(maxPieces))
	flags := r.byte()
	if flags&^(pieceLast|pieceNext|pieceNeeded) != 0 || flags&^pieceLast != 0 && p.Number > 0 {
		r.fail(badFlags)
	}
	p.Last = flags&pieceLast != 0
	if p.Number == 0 {
		p.Accept = &message.Request{ID: p.ID}
		r.wholeChange(p.Accept, s)
		p.Accept.Needed = flags&pieceNeeded != 0
		if flags&pieceNext != 0 {
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

// wholeChange reads an Accept whose full change has its ops elsewhere.
func (r *reader) wholeChange(q *message.Request, s *slabs) {
	r.request(q, s)
	if q.Kind != message.KindAccept || q.Change.Kind != register.Full || len(q.Change.Ops) > 0 {
		r.fail(badKind)
	}
}
