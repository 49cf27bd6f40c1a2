package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
)

// again encodes the current message, decoded, and decodes it again. It returns
// both values and the encoding, nil for a message of an unknown kind, or the first
// decoding's error.
func again(b *Batch) (first, second any, encoded []byte, err error) {
	switch b.Kind() {
	case KindRequest:
		return reencode(b, AppendRequest, (*Batch).Request)
	case KindReply:
		return reencode(b, AppendReply, (*Batch).Reply)
	case KindFlushRequest:
		return reencode(b, AppendFlushRequest, (*Batch).FlushRequest)
	case KindFlushReply:
		return reencode(b, AppendFlushReply, (*Batch).FlushReply)
	case KindListRequest:
		return reencode(b, AppendListRequest, (*Batch).ListRequest)
	case KindListReply:
		return reencode(b, AppendListReply, (*Batch).ListReply)
	case KindTallyRequest:
		return reencode(b, AppendTallyRequest, (*Batch).TallyRequest)
	case KindTallyReply:
		return reencode(b, AppendTallyReply, (*Batch).TallyReply)
	case KindChunk:
		return reencode(b, AppendChunk, (*Batch).Chunk)
	case KindMark:
		return reencode(b, func(dst []byte, position *uint64) []byte { return AppendMark(dst, *position) },
			func(b *Batch) (*uint64, error) { position, err := b.Mark(); return &position, err })
	}
	return nil, nil, nil, nil
}

func reencode[T any](b *Batch, add func([]byte, *T) []byte, decode func(*Batch) (*T, error)) (first, second any, encoded []byte, err error) {
	one, err := decode(b)
	if err != nil {
		return nil, nil, nil, err
	}
	encoded = add(nil, one)
	b2 := NewBatch(encoded)
	if !b2.Next() {
		return one, b2.Err(), encoded, nil
	}
	two, err2 := decode(&b2)
	if err2 != nil {
		return one, err2, encoded, nil
	}
	for _, m := range []any{one, two} {
		if q, ok := m.(*message.Request); ok {
			q.Encoded = nil // the same value may have several encodings
		}
	}
	return one, two, encoded, nil
}

// checkError fails the test unless err is one that the package promises.
func checkError(t *testing.T, err error) {
	t.Helper()
	var typed *Error
	if !errors.Is(err, ErrMalformed) || !errors.As(err, &typed) {
		t.Fatalf("error of another type: %v", err)
	}
}

// FuzzBatch: any bytes are refused or decoded into messages that encode and
// decode to themselves.
func FuzzBatch(f *testing.F) {
	for _, seed := range batchSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := NewBatch(payload)
		for b.Next() {
			first, second, _, err := again(&b)
			if err != nil {
				checkError(t, err)
				continue
			}
			if !reflect.DeepEqual(first, second) {
				t.Fatalf("kind %d:\n first %+v\nsecond %+v", b.Kind(), first, second)
			}
		}
		if err := b.Err(); err != nil {
			checkError(t, err)
		}
	})
}

// FuzzLogEntry is the like of FuzzBatch for entries of the changelog.
func FuzzLogEntry(f *testing.F) {
	for _, seed := range logSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := DecodeLogEntry(b)
		if err != nil {
			checkError(t, err)
			return
		}
		second, err := DecodeLogEntry(AppendLogEntry(nil, &first))
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("%v\n first %+v\nsecond %+v", err, first, second)
		}
	})
}

// FuzzRecord is the like of FuzzBatch for records.
func FuzzRecord(f *testing.F) {
	for _, seed := range recordSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second durable.Record
		rest, err := DecodeRecord(b, &first)
		if err != nil {
			checkError(t, err)
			return
		}
		rest2, err := DecodeRecord(append(AppendRecord(nil, &first), rest...), &second)
		if err != nil || !reflect.DeepEqual(first, second) || !bytes.Equal(rest, rest2) {
			t.Fatalf("%v\n first %+v\nsecond %+v", err, first, second)
		}
	})
}

// The seeds: the messages of the hot path, and a few of every kind.

func batchSeeds() [][]byte {
	told := sampleTold()
	told.History = &history.History{Lineage: *sampleLineage(3), Votes: []ballot.Ballot{sampleBallot(1)}, Floor: sampleBallot(0)}
	full := sampleAccept()
	full.History = sampleLineage(4)
	seeds := [][]byte{
		AppendRequest(nil, sampleAccept()), AppendRequest(nil, sampleRead()), AppendRequest(nil, full),
		AppendReply(AppendReply(nil, told), &message.Reply{ID: 2, Outcome: message.Acked, Granted: true}),
	}
	seeds = append(seeds, examples(genRequest(), AppendRequest)...)
	seeds = append(seeds, examples(genReply(), AppendReply)...)
	seeds = append(seeds, examples(genFlushRequest(), AppendFlushRequest)[:1]...)
	seeds = append(seeds, examples(genFlushReply(), AppendFlushReply)...)
	seeds = append(seeds, examples(genListRequest(), AppendListRequest)[:1]...)
	seeds = append(seeds, examples(genListReply(), AppendListReply)...)
	seeds = append(seeds, examples(genTallyRequest(), AppendTallyRequest)...)
	seeds = append(seeds, examples(genTallyReply(), AppendTallyReply)...)
	return append(seeds, examples(genChunk(), AppendChunk)...)
}

func logSeeds() [][]byte {
	seeds := [][]byte{AppendLogEntry(nil, &durable.LogEntry{Accept: sampleAccept()})}
	for i := range 6 {
		e := genLogEntry().Example(i)
		seeds = append(seeds, AppendLogEntry(nil, &e))
	}
	staged := genWhole().Example(0)
	staged.Change.Stage = 7
	return append(seeds, AppendLogEntry(nil, &durable.LogEntry{Accept: staged}))
}

func recordSeeds() [][]byte {
	rec := &durable.Record{Accepted: sampleBallot(0), Prepared: true, Lineage: *sampleLineage(3)}
	return append(examples(genRecord(), AppendRecord), append(AppendRecord(nil, rec), "inline"...))
}

func examples[T any](gen *rapid.Generator[*T], add func([]byte, *T) []byte) [][]byte {
	var all [][]byte
	for i := range 3 {
		all = append(all, add(nil, gen.Example(i)))
	}
	return all
}

// TestWriteCorpus writes the seeds that are in the tree, when asked to.
func TestWriteCorpus(t *testing.T) {
	if os.Getenv("SYNOD_WRITE_CORPUS") == "" {
		t.Skip("SYNOD_WRITE_CORPUS is not set")
	}
	for name, seeds := range map[string][][]byte{"FuzzBatch": batchSeeds(), "FuzzLogEntry": logSeeds(), "FuzzRecord": recordSeeds()} {
		dir := filepath.Join("testdata", "fuzz", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, seed := range seeds {
			text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", seed)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed-%02d", i)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
