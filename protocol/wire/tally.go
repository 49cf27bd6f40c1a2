package wire

import (
	"encoding/binary"

	"synod/protocol/listing"
	"synod/protocol/partition"
)

// AppendTallyRequest appends a message. A span is written as its distance from the
// previous one and its length.
func AppendTallyRequest(dst []byte, q *listing.TallyRequest) []byte {
	dst, start := open(dst, KindTallyRequest)
	dst = binary.AppendUvarint(dst, q.ID)
	dst = binary.AppendUvarint(dst, q.Epoch)
	dst = binary.AppendUvarint(dst, uint64(q.Databases))
	dst = binary.AppendUvarint(dst, uint64(len(q.Spans)))
	next := 0
	for _, s := range q.Spans {
		dst = binary.AppendUvarint(dst, uint64(int(s.First)-next))
		dst = binary.AppendUvarint(dst, uint64(s.Last-s.First))
		next = int(s.Last) + 1
	}
	return seal(dst, start)
}

func (r *reader) tallyRequest(q *listing.TallyRequest) {
	q.ID = r.uvarint()
	q.Epoch = r.uvarint()
	q.Databases = partition.DatabaseSet(r.atMost(uint64(partition.AllDatabases)))
	n := r.count(2, partition.Slots)
	if n == 0 {
		return
	}
	q.Spans = make([]partition.SlotSpan, n)
	next := uint64(0)
	for i := range q.Spans {
		first := next + r.atMost(partition.Slots)
		last := first + r.atMost(partition.Slots)
		if last >= partition.Slots {
			r.fail(badSlot)
			q.Spans = nil
			return
		}
		q.Spans[i] = partition.SlotSpan{First: uint16(first), Last: uint16(last)}
		next = last + 1
	}
}

// AppendTallyReply appends a message with all fields of p except After.
func AppendTallyReply(dst []byte, p *listing.TallyReply) []byte {
	dst, start := open(dst, KindTallyReply)
	dst = binary.AppendUvarint(dst, p.ID)
	dst = append(dst, byte(p.Outcome))
	dst = binary.AppendUvarint(dst, p.Epoch)
	dst = binary.AppendUvarint(dst, uint64(len(p.Tallies)))
	for i := range p.Tallies {
		t := &p.Tallies[i]
		dst = binary.AppendUvarint(dst, uint64(t.Span))
		dst = append(dst, t.Database)
		dst = binary.AppendUvarint(dst, t.Keys)
		dst = binary.BigEndian.AppendUint64(dst, t.Digest)
		if dst = binary.AppendUvarint(dst, t.Expiring); t.Expiring > 0 {
			dst = binary.AppendUvarint(dst, uint64(t.Expiry))
		}
	}
	return seal(dst, start)
}

func (r *reader) tallyReply(p *listing.TallyReply) {
	p.ID = r.uvarint()
	p.Outcome = r.outcome(r.byte())
	p.Epoch = r.uvarint()
	n := r.count(12, partition.Slots*partition.Databases)
	if n == 0 {
		return
	}
	p.Tallies = make([]listing.Tallied, n)
	for i := range p.Tallies {
		t := &p.Tallies[i]
		t.Span = r.slot()
		if t.Database = r.byte(); t.Database >= partition.Databases {
			r.fail(badKind)
		}
		if i > 0 && !p.Tallies[i-1].Before(t) {
			r.fail(badOrder)
		}
		t.Keys, t.Digest = r.uvarint(), r.uint64()
		if t.Expiring = r.atMost(t.Keys); t.Expiring > 0 {
			t.Expiry = int64(r.uvarint())
		}
	}
}
