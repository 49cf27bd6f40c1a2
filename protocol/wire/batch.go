package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
)

// Kind is the kind of a message in a batch. The number of a Kind never changes.
type Kind byte

// The kinds of messages.
const (
	KindRequest Kind = iota + 1
	KindReply
	KindFlushRequest
	KindFlushReply
	KindListRequest
	KindListReply
	KindChunk
	KindTallyRequest
	KindTallyReply
	KindMark
)

// open begins a message. It reserves one byte for the length; seal makes room if
// that is not enough. So small messages need no second pass.
func open(dst []byte, k Kind) (_ []byte, start int) {
	return append(dst, byte(k), 0), len(dst) + 2
}

func seal(dst []byte, start int) []byte {
	n := len(dst) - start
	if n < 0x80 {
		dst[start-1] = byte(n)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	w := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[:w-1]...) // grows; the bytes are overwritten
	copy(dst[start-1+w:], dst[start:start+n])
	copy(dst[start-1:], length[:w])
	return dst
}

// Batch iterates over the messages of one payload:
//
//	b := wire.NewBatch(payload)
//	for b.Next() {
//		switch b.Kind() {
//		case wire.KindRequest:
//			q, err := b.Request()
//			...
//		}
//	}
//	if err := b.Err(); err != nil { ... }
//
// The decoded messages own the payload from then on. A Batch is not safe for
// concurrent use; the messages that it returns are independent of it and of each
// other.
type Batch struct {
	rest  []byte
	body  []byte
	kind  Kind
	err   error
	total int
	slabs slabs
}

// NewBatch returns an iterator positioned before the first message.
func NewBatch(payload []byte) Batch {
	return Batch{rest: payload, total: len(payload)}
}

// Next moves to the next message. It returns false at the end, or if what follows
// is not a message; Err tells which.
func (b *Batch) Next() bool {
	if len(b.rest) == 0 || b.err != nil {
		return false
	}
	r := reader{b: b.rest}
	kind := Kind(r.byte())
	body := r.bytes()
	if kind == 0 {
		r.fail(badKind)
	}
	if r.why != "" {
		b.err = &Error{What: "batch", Reason: r.why, Offset: b.total - len(b.rest) + r.at}
		return false
	}
	b.kind, b.body, b.rest = kind, body, b.rest[r.i:]
	return true
}

// Err returns the error that ended the iteration, if one did.
func (b *Batch) Err() error { return b.err }

// Beginning returns the kind and the id of a payload's first message. It needs
// only the first bytes of the payload. ok is false if there are too few of them.
func Beginning(head []byte) (k Kind, id uint64, ok bool) {
	r := reader{b: head}
	k = Kind(r.byte())
	r.uvarint() // its length
	id = r.uvarint()
	return k, id, r.why == ""
}

// Kind returns the kind of the current message, which this version may not know.
func (b *Batch) Kind() Kind { return b.kind }

// reserve tells the slabs how many messages the rest of the batch may hold.
func (b *Batch) reserve() {
	n := 1
	for rest := b.rest; len(rest) > 1 && n < slabBlock; n++ {
		size, w := binary.Uvarint(rest[1:])
		if w <= 0 || size > uint64(len(rest)-1-w) {
			break
		}
		rest = rest[1+w+int(size):]
	}
	b.slabs.requests.want, b.slabs.replies.want = n, n
	b.slabs.ops.want, b.slabs.elems.want = n, n
}

// Request decodes the current message, a KindRequest.
func (b *Batch) Request() (*message.Request, error) {
	if len(b.slabs.requests.free) == 0 {
		b.reserve()
	}
	q := &b.slabs.requests.take(1)[0]
	r := reader{b: b.body}
	r.message(q, &b.slabs)
	if err := r.end("request"); err != nil {
		return nil, err
	}
	return q, nil
}

// Reply decodes the current message, a KindReply.
func (b *Batch) Reply() (*message.Reply, error) {
	if len(b.slabs.replies.free) == 0 {
		b.reserve()
	}
	p := &b.slabs.replies.take(1)[0]
	if err := b.ReplyInto(p); err != nil {
		return nil, err
	}
	return p, nil
}

// ReplyInto decodes the current message, a KindReply, into p, overwriting all
// of it. After an error p is not to be used.
func (b *Batch) ReplyInto(p *message.Reply) error {
	*p = message.Reply{}
	r := reader{b: b.body}
	r.reply(p, &b.slabs)
	return r.end("reply")
}

// Mark decodes the current message, a KindMark.
func (b *Batch) Mark() (uint64, error) {
	r := reader{b: b.body}
	position := r.uvarint()
	return position, r.end("mark")
}

// FlushRequest decodes the current message, a KindFlushRequest.
func (b *Batch) FlushRequest() (*message.FlushRequest, error) {
	r, q := reader{b: b.body}, new(message.FlushRequest)
	r.flushRequest(q)
	return q, r.end("flush request")
}

// FlushReply decodes the current message, a KindFlushReply.
func (b *Batch) FlushReply() (*message.FlushReply, error) {
	r, p := reader{b: b.body}, new(message.FlushReply)
	r.flushReply(p)
	return p, r.end("flush reply")
}

// ListRequest decodes the current message, a KindListRequest.
func (b *Batch) ListRequest() (*listing.Request, error) {
	r, q := reader{b: b.body}, new(listing.Request)
	r.listRequest(q)
	return q, r.end("list request")
}

// ListReply decodes the current message, a KindListReply.
func (b *Batch) ListReply() (*listing.Reply, error) {
	r, p := reader{b: b.body}, new(listing.Reply)
	r.listReply(p)
	return p, r.end("list reply")
}

// TallyRequest decodes the current message, a KindTallyRequest.
func (b *Batch) TallyRequest() (*listing.TallyRequest, error) {
	r, q := reader{b: b.body}, new(listing.TallyRequest)
	r.tallyRequest(q)
	return q, r.end("tally request")
}

// TallyReply decodes the current message, a KindTallyReply.
func (b *Batch) TallyReply() (*listing.TallyReply, error) {
	r, p := reader{b: b.body}, new(listing.TallyReply)
	r.tallyReply(p)
	return p, r.end("tally reply")
}
