package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/register"
)

// maxListed bounds the registers of a page, and the limit of a request for one.
const maxListed = 1 << 20

// AppendMark appends a message: the sender's changelog is durable up to position.
// It is sent with replies.
func AppendMark(dst []byte, position uint64) []byte {
	dst, start := open(dst, KindMark)
	return seal(binary.AppendUvarint(dst, position), start)
}

// AppendFlushRequest appends a message.
func AppendFlushRequest(dst []byte, q *message.FlushRequest) []byte {
	dst, start := open(dst, KindFlushRequest)
	dst = binary.AppendUvarint(dst, q.ID)
	dst = AppendBallot(dst, q.Ballot)
	dst = binary.AppendUvarint(dst, q.Epoch)
	dst = appendSlots(dst, q.First, q.Last, q.Space)
	return seal(dst, start)
}

func (r *reader) flushRequest(q *message.FlushRequest) {
	q.ID = r.uvarint()
	q.Ballot = r.ballot()
	q.Epoch = r.uvarint()
	q.First, q.Last, q.Space = r.slots()
	if q.Space == register.RecordSpace { // §8: transaction records are not flushed
		r.fail(badSpace)
	}
}

func appendSlots(dst []byte, first, last uint16, space byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(first))
	dst = binary.AppendUvarint(dst, uint64(last))
	return append(dst, space)
}

// slots reads a non-empty range of valid slots, and a name space.
func (r *reader) slots() (first, last uint16, space byte) {
	first, last = r.slot(), r.slot()
	if first > last {
		r.fail(badOrder)
	}
	return first, last, r.byte()
}

// AppendFlushReply appends a message with all fields of p except After.
func AppendFlushReply(dst []byte, p *message.FlushReply) []byte {
	dst, start := open(dst, KindFlushReply)
	dst = binary.AppendUvarint(dst, p.ID)
	dst = append(dst, byte(p.Outcome)|byte(flag(p.Incomplete, 0x80)))
	dst = binary.AppendUvarint(dst, p.Epoch)
	dst = AppendBallot(dst, p.Promise)
	dst = binary.AppendUvarint(dst, uint64(len(p.Refused)))
	for i := range p.Refused {
		dst = appendRegister(dst, &p.Refused[i])
	}
	return seal(dst, start)
}

func (r *reader) flushReply(p *message.FlushReply) {
	p.ID = r.uvarint()
	flags := r.byte()
	p.Incomplete = flags&0x80 != 0
	p.Outcome = r.outcome(flags &^ 0x80)
	p.Epoch = r.uvarint()
	p.Promise = r.ballot()
	n := r.count(3, maxListed)
	if n == 0 {
		return
	}
	p.Refused = make([]register.ID, n)
	for i := range p.Refused {
		r.register(&p.Refused[i])
	}
}

// AppendListRequest appends a message. A Limit above the maximum is reduced to it.
func AppendListRequest(dst []byte, q *listing.Request) []byte {
	dst, start := open(dst, KindListRequest)
	dst = binary.AppendUvarint(dst, q.ID)
	dst = binary.AppendUvarint(dst, q.Epoch)
	dst = appendSlots(dst, q.First, q.Last, q.Space)
	dst = binary.AppendUvarint(dst, q.From)
	dst = binary.AppendUvarint(dst, uint64(min(max(q.Limit, 0), maxListed)))
	dst = append(dst, byte(flag(q.Expired, 1)))
	return seal(dst, start)
}

func (r *reader) listRequest(q *listing.Request) {
	q.ID = r.uvarint()
	q.Epoch = r.uvarint()
	q.First, q.Last, q.Space = r.slots()
	q.From = r.uvarint()
	q.Limit = int(r.atMost(maxListed))
	q.Expired = r.byte()&1 != 0
}

// AppendListReply appends a message.
func AppendListReply(dst []byte, p *listing.Reply) []byte {
	dst, start := open(dst, KindListReply)
	dst = binary.AppendUvarint(dst, p.ID)
	dst = append(dst, byte(p.Outcome)|byte(flag(p.Done, 0x80)))
	dst = binary.AppendUvarint(dst, p.Epoch)
	dst = binary.AppendUvarint(dst, uint64(p.NextSlot))
	dst = binary.AppendUvarint(dst, p.NextHash)
	dst = binary.AppendUvarint(dst, p.Reads)
	dst = binary.AppendUvarint(dst, p.Votes)
	dst = binary.AppendUvarint(dst, uint64(len(p.Entries)))
	for i := range p.Entries {
		e := &p.Entries[i]
		dst = appendRegister(dst, &e.Register)
		dst = binary.AppendUvarint(dst, e.Hash)
		dst = AppendBallot(dst, e.Accepted)
		dst = append(dst, e.Type)
		dst = binary.AppendUvarint(dst, uint64(e.Expiry))
	}
	return seal(dst, start)
}

func (r *reader) listReply(p *listing.Reply) {
	p.ID = r.uvarint()
	flags := r.byte()
	p.Done = flags&0x80 != 0
	p.Outcome = r.outcome(flags &^ 0x80)
	p.Epoch = r.uvarint()
	p.NextSlot = r.slot()
	p.NextHash = r.uvarint()
	p.Reads, p.Votes = r.uvarint(), r.uvarint()
	n := r.count(7, maxListed)
	if n == 0 {
		return
	}
	p.Entries = make([]listing.Entry, n)
	for i := range p.Entries {
		e := &p.Entries[i]
		r.register(&e.Register)
		e.Hash = r.uvarint()
		e.Accepted = r.ballot()
		e.Type = r.byte()
		if register.Type(e.Type) > register.Stream {
			r.fail(badKind)
		}
		e.Expiry = int64(r.uvarint())
	}
}
