package wire

import (
	"testing"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
)

// The benchmarks encode or decode batches of 32 messages, as under load; their
// figures are per message.
const benchBatch = 32

func BenchmarkEncode(b *testing.B) {
	accept, read, told := sampleAccept(), sampleRead(), sampleTold()
	ack := &message.Reply{ID: 1000, Outcome: message.Acked, Granted: true}
	entry := durable.LogEntry{Accept: accept}
	for name, add := range map[string]func([]byte) []byte{
		"accept": func(dst []byte) []byte { return AppendRequest(dst, accept) },
		"read":   func(dst []byte) []byte { return AppendRequest(dst, read) },
		"ack":    func(dst []byte) []byte { return AppendReply(dst, ack) },
		"told":   func(dst []byte) []byte { return AppendReply(dst, told) },
		"log":    func(dst []byte) []byte { return AppendLogEntry(dst, &entry) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1<<16)
			for i := 0; b.Loop(); i++ {
				if i%benchBatch == 0 {
					buf = buf[:0]
				}
				buf = add(buf)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	ack := &message.Reply{ID: 1000, Outcome: message.Acked, Granted: true}
	for name, msg := range map[string][]byte{
		"accept": AppendRequest(nil, sampleAccept()),
		"read":   AppendRequest(nil, sampleRead()),
		"ack":    AppendReply(nil, ack),
		"told":   AppendReply(nil, sampleTold()),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var payload []byte
			for range benchBatch {
				payload = append(payload, msg...)
			}
			var batch Batch
			for b.Loop() {
				if !batch.Next() {
					batch = NewBatch(payload)
					batch.Next()
				}
				var err error
				if batch.Kind() == KindRequest {
					_, err = batch.Request()
				} else {
					_, err = batch.Reply()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	rec := &durable.Record{Accepted: sampleBallot(0), Prepared: true, Lineage: *sampleLineage(8)}
	for _, e := range rec.Lineage.Entries {
		rec.Votes = append(rec.Votes, e.Ballot)
	}
	buf := AppendRecord(nil, rec)
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			buf = AppendRecord(buf[:0], rec)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeRecord(buf, rec); err != nil {
				b.Fatal(err)
			}
		}
	})
}
