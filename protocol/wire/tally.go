package wire

import (
	"encoding/binary"

	"synod/protocol/caspaxos"
)

// AppendTallyRequest appends a message. Spans are written as their distance from
// the one before and their length.
func AppendTallyRequest(dst []byte, q *caspaxos.TallyRequest) []byte {
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

func (r *reader) tallyRequest(q *caspaxos.TallyRequest) {
	q.ID = r.uvarint()
	q.Epoch = r.uvarint()
	q.Databases = caspaxos.DatabaseSet(r.atMost(uint64(caspaxos.AllDatabases)))
	n := r.count(2, caspaxos.Slots)
	if n == 0 {
		return
	}
	q.Spans = make([]caspaxos.SlotSpan, n)
	next := uint64(0)
	for i := range q.Spans {
		first := next + r.atMost(caspaxos.Slots)
		last := first + r.atMost(caspaxos.Slots)
		if last >= caspaxos.Slots {
			r.fail(badSlot)
			q.Spans = nil
			return
		}
		q.Spans[i] = caspaxos.SlotSpan{First: uint16(first), Last: uint16(last)}
		next = last + 1
	}
}

// AppendTallyReply appends a message with all of p but After.
func AppendTallyReply(dst []byte, p *caspaxos.TallyReply) []byte {
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

func (r *reader) tallyReply(p *caspaxos.TallyReply) {
	p.ID = r.uvarint()
	p.Outcome = r.outcome(r.byte())
	p.Epoch = r.uvarint()
	n := r.count(12, caspaxos.Slots*caspaxos.Databases)
	if n == 0 {
		return
	}
	p.Tallies = make([]caspaxos.Tallied, n)
	for i := range p.Tallies {
		t := &p.Tallies[i]
		t.Span = r.slot()
		if t.Database = r.byte(); t.Database >= caspaxos.Databases {
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
