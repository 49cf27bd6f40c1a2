package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// checkMessage tests that append and decode are each other's inverse, inside a
// batch, and that no prefix of the batch passes for a whole one.
func checkMessage[T any](t *testing.T, kind Kind, gen *rapid.Generator[*T],
	add func([]byte, *T) []byte, decode func(*Batch) (*T, error)) {
	rapid.Check(t, func(t *rapid.T) {
		msgs := rapid.SliceOfN(gen, 1, 4).Draw(t, "messages")
		var payload []byte
		for _, m := range msgs {
			payload = add(payload, m)
		}
		b := NewBatch(bytes.Clone(payload))
		for i, want := range msgs {
			if !b.Next() || b.Kind() != kind {
				t.Fatalf("message %d: not there or kind %d: %v", i, b.Kind(), b.Err())
			}
			got, err := decode(&b)
			if err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			if q, ok := any(got).(*message.Request); ok {
				q.Encoded = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("message %d:\n got %+v\nwant %+v", i, got, want)
			}
		}
		if b.Next() || b.Err() != nil {
			t.Fatalf("after the last message: %v", b.Err())
		}
		last := len(payload) - len(add(nil, msgs[len(msgs)-1]))
		cut := rapid.IntRange(last+1, len(payload)-1).Draw(t, "cut")
		b = NewBatch(payload[:cut])
		for b.Next() {
		}
		if !errors.Is(b.Err(), ErrMalformed) {
			t.Fatalf("a batch cut at %d of %d: %v", cut, len(payload), b.Err())
		}
	})
}

func TestRequestRoundTrip(t *testing.T) {
	checkMessage(t, KindRequest, genRequest(), AppendRequest, (*Batch).Request)
}

func TestReplyRoundTrip(t *testing.T) {
	checkMessage(t, KindReply, genReply(), AppendReply, (*Batch).Reply)
}

func TestFlushRequestRoundTrip(t *testing.T) {
	checkMessage(t, KindFlushRequest, genFlushRequest(), AppendFlushRequest, (*Batch).FlushRequest)
}

func TestFlushReplyRoundTrip(t *testing.T) {
	checkMessage(t, KindFlushReply, genFlushReply(), AppendFlushReply, (*Batch).FlushReply)
}

func TestListRequestRoundTrip(t *testing.T) {
	checkMessage(t, KindListRequest, genListRequest(), AppendListRequest, (*Batch).ListRequest)
}

func TestListReplyRoundTrip(t *testing.T) {
	checkMessage(t, KindListReply, genListReply(), AppendListReply, (*Batch).ListReply)
}

func TestTallyRequestRoundTrip(t *testing.T) {
	checkMessage(t, KindTallyRequest, genTallyRequest(), AppendTallyRequest, (*Batch).TallyRequest)
}

func TestTallyReplyRoundTrip(t *testing.T) {
	checkMessage(t, KindTallyReply, genTallyReply(), AppendTallyReply, (*Batch).TallyReply)
}

// sealed encloses a body as seal does.
func sealed(kind Kind, body []byte) []byte {
	dst, start := open(nil, kind)
	return seal(append(dst, body...), start)
}

// TestTruncatedBodyIsAnError cuts the body of a message, within an intact batch, at
// every byte. A cut is an error, but for one right before an Accept's Next.
func TestTruncatedBodyIsAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genRequest().Draw(t, "request")
		q.Piggyback, q.Needed = ballot.Ballot{}, false
		p := genReply().Draw(t, "reply")
		for kind, whole := range map[Kind][]byte{KindRequest: AppendRequest(nil, q), KindReply: AppendReply(nil, p)} {
			b := NewBatch(whole)
			b.Next()
			body := b.body
			for cut := range len(body) {
				b := NewBatch(sealed(kind, body[:cut]))
				if !b.Next() {
					t.Fatalf("a sound batch: %v", b.Err())
				}
				var err error
				if kind == KindRequest {
					_, err = b.Request()
				} else {
					_, err = b.Reply()
				}
				var typed *Error
				if !errors.Is(err, ErrMalformed) || !errors.As(err, &typed) {
					t.Fatalf("kind %d cut at %d of %d: %v", kind, cut, len(body), err)
				}
			}
		}
	})
}

func TestLogEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genLogEntry().Draw(t, "entry")
		b := AppendLogEntry(nil, &want)
		got, err := DecodeLogEntry(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
		for cut := range len(b) {
			if _, err := DecodeLogEntry(b[:cut]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("cut at %d of %d: %v", cut, len(b), err)
			}
		}
		if _, err := DecodeLogEntry(append(b, 0)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("with a byte left over: %v", err)
		}
	})
}

// TestAcceptIsLoggedAsItCame: an Accept that came over the wire is logged as it came,
// and that is what encoding it again gives.
func TestAcceptIsLoggedAsItCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := genRequest().Filter(func(q *message.Request) bool { return q.Kind == message.KindAccept }).Draw(t, "accept")
		b := NewBatch(AppendRequest(nil, sent))
		b.Next()
		got, err := b.Request()
		if err != nil || got.Encoded == nil {
			t.Fatalf("encoded %x, %v", got.Encoded, err)
		}
		asItCame := AppendLogEntry(nil, &durable.LogEntry{Accept: got})
		again := AppendLogEntry(nil, &durable.LogEntry{Accept: sent})
		if !bytes.Equal(asItCame, again) {
			t.Fatalf("as it came %x\n   encoded %x", asItCame, again)
		}
	})
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord().Draw(t, "record")
		want.Register = register.ID{Slot: 7, Key: "\x00k"}
		want.Pos, want.Since = 11, 12
		inline := genBytes().Draw(t, "inline")
		b := AppendRecord(nil, want)
		size := len(b)
		got := &durable.Record{Register: want.Register, Pos: 11, Since: 12, Votes: []ballot.Ballot{{Time: 1}}, Intent: []byte("old")}
		rest, err := DecodeRecord(append(b, inline...), got)
		if err != nil || !reflect.DeepEqual(got, want) || !bytes.Equal(rest, inline) {
			t.Fatalf("rest %x, %v\n got %+v\nwant %+v", rest, err, got, want)
		}
		for cut := range size {
			if _, err := DecodeRecord(b[:cut], got); !errors.Is(err, ErrMalformed) {
				t.Fatalf("cut at %d of %d: %v", cut, size, err)
			}
		}
	})
}

// TestMalformedMessagesAreRefused has one sample of each thing that the decoders refuse beyond
// missing bytes.
func TestMalformedMessagesAreRefused(t *testing.T) {
	read := func(tail ...byte) []byte { return sealed(KindRequest, append([]byte{1}, tail...)) }
	accept := func(change ...byte) []byte {
		// kind Accept, Full; slot 0, key "\0", epoch 0, zero ballot
		return sealed(KindRequest, append([]byte{1, 3 | 2<<requestChange, 0, 1, 0, 0, 0}, change...))
	}
	told := func(flags0, flags1 byte, tail ...byte) []byte {
		return sealed(KindReply, append([]byte{1, flags0, flags1}, tail...))
	}
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	for _, c := range []struct {
		name    string
		payload []byte
		reason  string
	}{
		{"kind of request", read(0, 0, 1, 0, 0), badKind},
		{"flags of a read", read(0x81, 0, 1, 0, 0, 0), badFlags},
		{"slot", read(1, 0x80, 0x80, 1, 1, 0, 0), badSlot},
		{"empty key", read(1, 0, 0, 0), emptyKey},
		{"key beyond the message", read(1, 0, 5, 'a'), short},
		{"bytes left over", read(1, 0, 1, 0, 0, 9), trailing},
		{"number beyond 64 bits", read(1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), overflow},
		{"projection", read(1|requestProjection, 0, 1, 0, 0, 0x80), badFlags},
		{"projected keys", read(append([]byte{1 | requestProjection, 0, 1, 0, 0, projectKeys}, huge...)...), tooMany},
		{"projected ranges", read(append([]byte{1 | requestProjection, 0, 1, 0, 0, projectRanges}, huge...)...), tooMany},
		{"change kind", sealed(KindRequest, []byte{1, 3 | 3<<requestChange, 0, 1, 0, 0, 0}), badKind},
		{"type", accept(0x0f, 0), badKind},
		{"op count", accept(append([]byte{1}, huge...)...), tooMany},
		{"op kind", accept(1, 1, 3, 0, 0), badKind},
		{"patch offset", accept(1, 1, 1, 0, 0x81, 0x80, 0x80, 0x80, 4, 0), overflow},
		{"outcome", told(0, 0), badKind},
		{"outcome beyond the last", told(13, 0), badKind},
		{"states to go back to", told(5, 0, 5, 0, 0, 0, 0, 0), tooMany},
		{"way from nothing", told(7, 0, 0, 0, 0, 0, 0), badKind},
		{"way that is a state", told(7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0), badKind},
		{"read since nothing", read(1|requestSince, 0, 1, 0, 0, 0, 0), badFlags},
		{"prepare since", sealed(KindRequest, []byte{1, 2 | requestSince, 0, 1, 0, 0, 0, 1, 0}), badFlags},
		{"lineage count", told(2|replyHistory, 0, 0, 0x81, 0x08, 0, 0, 0), tooMany},
		{"lineage out of order", told(2|replyHistory, 0, 0, 2, stepBlind|stepProposer, 5, 1, stepBlind, 0, 0, 0, 0), badOrder},
		{"lineage with two parents", told(2|replyHistory, 0, 0, 1, stepBlind|stepFromZero, 5, 0, 0, 0), badFlags},
		{"vote with a parent", told(2|replyHistory, 0, 0, 0, 1, stepBlind, 5, 0, 0), badFlags},
		{"vote's time beyond 48 bits", told(2|replyHistory, 0, 0, 0, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0), overflow},
		{"elements out of order", told(2|replyState, 0, 1, projectAll, 2, 1, 'b', 0, 1, 'a', 0), badOrder},
		{"element twice", told(2|replyState, 0, 1, projectAll, 2, 1, 'b', 0, 1, 'b', 0), badOrder},
		{"element count", told(2|replyState, 0, append([]byte{1, projectAll}, huge...)...), tooMany},
		{"flush of slots upside down", sealed(KindFlushRequest, []byte{1, 0, 0, 2, 1, 0}), badOrder},
		{"listed type", sealed(KindListReply, []byte{1, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9, 0}), badKind},
		{"tally of a slot that is not there", sealed(KindTallyRequest, []byte{1, 0, 1, 1, 0xff, 0x7f, 1}), badSlot},
		{"tallies out of order", sealed(KindTallyReply, []byte{1, 2, 0, 2,
			1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}), badOrder},
		{"more expiries than keys", sealed(KindTallyReply, []byte{1, 2, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2}), overflow},
		{"list limit", sealed(KindListRequest, append([]byte{1, 0, 0, 0, 0, 0}, huge...)), overflow},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := decodeAll(c.payload)
			var typed *Error
			if !errors.As(err, &typed) || typed.Reason != c.reason {
				t.Fatalf("got %v, want %q", err, c.reason)
			}
		})
	}
	for _, payload := range [][]byte{{0, 0}, {1}, {1, 5, 0}, append([]byte{1}, huge...)} {
		b := NewBatch(payload)
		if b.Next() || !errors.Is(b.Err(), ErrMalformed) {
			t.Errorf("batch %x: %v", payload, b.Err())
		}
	}
	if _, err := DecodeRecord([]byte{RecordFormat + 1, 0, 0, 0, 0, 0, 0}, new(durable.Record)); !errors.Is(err, ErrMalformed) {
		t.Errorf("record of another format: %v", err)
	}
	flush := AppendLogEntry(nil, &durable.LogEntry{Flush: &durable.FlushVote{Part: 2, Parts: 2}})
	if _, err := DecodeLogEntry(flush); !errors.Is(err, ErrMalformed) {
		t.Errorf("flush vote of a lane that is not: %v", err)
	}
}

// decodeAll decodes every message of a batch and returns the first error.
func decodeAll(payload []byte) error {
	b := NewBatch(payload)
	for b.Next() {
		var err error
		switch b.Kind() {
		case KindRequest:
			_, err = b.Request()
		case KindReply:
			_, err = b.Reply()
		case KindFlushRequest:
			_, err = b.FlushRequest()
		case KindFlushReply:
			_, err = b.FlushReply()
		case KindListRequest:
			_, err = b.ListRequest()
		case KindListReply:
			_, err = b.ListReply()
		case KindTallyRequest:
			_, err = b.TallyRequest()
		case KindTallyReply:
			_, err = b.TallyReply()
		}
		if err != nil {
			return err
		}
	}
	return b.Err()
}

// TestUnknownKindIsSkipped: a message of a kind that this version does not know
// does not hide the next one.
func TestUnknownKindIsSkipped(t *testing.T) {
	payload := sealed(99, bytes.Repeat([]byte("?"), 300))
	payload = AppendReply(payload, &message.Reply{ID: 5, Outcome: message.Acked})
	b := NewBatch(payload)
	if !b.Next() || b.Kind() != 99 || !b.Next() {
		t.Fatalf("kind %d: %v", b.Kind(), b.Err())
	}
	if p, err := b.Reply(); err != nil || p.ID != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
}

// TestSizesOfTheHotPath pins what the messages of the hot path cost on the wire.
func TestSizesOfTheHotPath(t *testing.T) {
	for _, c := range []struct {
		name string
		got  int
		want int
	}{
		{"zero ballot", len(AppendBallot(nil, ballot.Ballot{})), 1},
		{"ballot", len(AppendBallot(nil, sampleBallot(0))), 9},
		{"ack", len(AppendReply(nil, &message.Reply{ID: 1000, Outcome: message.Acked, Granted: true})), 6},
		{"read", len(AppendRequest(nil, sampleRead())), 21},
		{"accept, without its value", len(AppendRequest(nil, sampleAccept())) - 64, 57},
		{"64 entries of lineage", len(AppendLineage(nil, sampleLineage(64))), 199},
	} {
		if c.got != c.want {
			t.Errorf("%s takes %d bytes, not %d", c.name, c.got, c.want)
		}
	}
}

func sampleBallot(ms int64) ballot.Ballot {
	return ballot.Ballot{Time: ballot.MakeTime(1_790_000_000_000+ms, 0), Proposer: 3}
}

func sampleLineage(n int) *history.Lineage {
	l := new(history.Lineage)
	var before ballot.Ballot
	for i := range n {
		b := sampleBallot(int64(i) * 150)
		l.Entries = append(l.Entries, history.Entry{Ballot: b, Parent: before})
		before = b
	}
	return l
}

func sampleRead() *message.Request {
	return &message.Request{
		ID: 1000, Kind: message.KindRead, Register: register.ID{Slot: 5000, Key: "\x00key:000001"}, Epoch: 5,
		WantState: true, Projection: register.Projection{All: true},
	}
}

func sampleAccept() *message.Request {
	return &message.Request{
		ID: 1000, Kind: message.KindAccept, Register: register.ID{Slot: 5000, Key: "\x00key:000001"}, Epoch: 5,
		Prepared: true, Ballot: sampleBallot(2), Base: sampleBallot(1), Piggyback: sampleBallot(3),
		Change: register.Change{
			Kind: register.Full, Header: register.Header{Type: register.String, Size: 64},
			Ops: []register.Op{{Key: []byte{0, 0, 0, 0}, Value: bytes.Repeat([]byte("v"), 64)}},
		},
	}
}

func sampleTold() *message.Reply {
	return &message.Reply{
		ID: 1000, Outcome: message.ReadOK, Accepted: sampleBallot(1), Prepared: true, Held: 1e9, HasState: true,
		View: register.NewView(register.Header{Type: register.String, Size: 64}, register.Knowledge{All: true},
			[]register.Element{{Key: []byte{0, 0, 0, 0}, Value: bytes.Repeat([]byte("v"), 64)}}),
	}
}
