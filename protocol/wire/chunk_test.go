package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// genPuts draws Puts in the order of their keys.
func genPuts(t *rapid.T) []register.Op {
	keys := rapid.SliceOfN(genBytes(), 0, 12).Draw(t, "keys")
	slices.SortFunc(keys, bytes.Compare)
	var ops []register.Op
	for _, k := range slices.CompactFunc(keys, bytes.Equal) {
		ops = append(ops, register.Op{Kind: register.Put, Key: k, Value: genBytes().Draw(t, "value")})
	}
	return ops
}

// genWhole draws an Accept whose full change has its ops elsewhere.
func genWhole() *rapid.Generator[*message.Request] {
	accepts := genRequest().Filter(func(q *message.Request) bool { return q.Kind == message.KindAccept })
	return rapid.Custom(func(t *rapid.T) *message.Request {
		q := accepts.Draw(t, "accept")
		q.Change = register.Change{Kind: register.Full, Header: genHeader(t)}
		return q
	})
}

func genChunk() *rapid.Generator[*Chunk] {
	return rapid.Custom(func(t *rapid.T) *Chunk {
		p := &Chunk{
			ID: rapid.Uint64().Draw(t, "id"), Number: rapid.Uint32Range(0, 2).Draw(t, "number"),
			Last: rapid.Bool().Draw(t, "last"), Ops: genPuts(t),
		}
		if p.Number == 0 {
			p.Accept = genWhole().Draw(t, "whole")
			p.Accept.ID = p.ID
		}
		return p
	})
}

func TestChunkRoundTrip(t *testing.T) {
	checkMessage(t, KindChunk, genChunk(), AppendChunk, (*Batch).Chunk)
}

// A full change that is cut comes together again, and only what may be cut is.
func TestChunksOfAChangeJoinAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := register.Change{Kind: register.Full, Ops: genPuts(t)}
		if !Divisible(&c) {
			t.Fatalf("%v cannot be divided", c)
		}
		size := rapid.IntRange(1, 200).Draw(t, "size")
		var joined []register.Op
		for rest := c.Ops; len(rest) > 0; {
			n := Cut(rest, size)
			if n == 0 {
				t.Fatal("a chunk of nothing")
			}
			if got := (register.Change{Ops: rest[:n]}).Bytes() - 32; n > 1 && got > size {
				t.Fatalf("a chunk of %d bytes, want %d", got, size)
			}
			joined, rest = append(joined, rest[:n]...), rest[n:]
		}
		if !reflect.DeepEqual(joined, c.Ops) {
			t.Fatalf("%v became %v", c.Ops, joined)
		}
	})
	op := func(kind register.OpKind, key string) register.Op { return register.Op{Kind: kind, Key: []byte(key)} }
	for _, c := range []register.Change{
		{Kind: register.Delta},
		{Kind: register.Full, Ops: []register.Op{op(register.Patch, "a")}},
		{Kind: register.Full, Ops: []register.Op{op(register.Put, "b"), op(register.Put, "a")}},
		{Kind: register.Full, Ops: []register.Op{op(register.Put, "a"), op(register.Put, "a")}},
	} {
		if Divisible(&c) {
			t.Errorf("%v can be divided", c)
		}
	}
}

func TestMalformedChunksAreRefused(t *testing.T) {
	accept := &message.Request{Kind: message.KindAccept, Register: register.ID{Key: "k"}, Change: register.Delete()}
	delta, read := *accept, *accept
	delta.Change.Kind, read.Kind = register.Delta, message.KindRead
	put := func(key string) register.Op { return register.Op{Key: []byte(key)} }
	whole := AppendChunk(nil, &Chunk{Accept: accept})
	flags := bytes.Clone(whole)
	flags[4] |= 0x80
	for i, b := range [][]byte{
		AppendChunk(nil, &Chunk{Accept: &delta}),
		AppendChunk(nil, &Chunk{Accept: &read}),
		AppendChunk(nil, &Chunk{Accept: accept, Ops: []register.Op{put("b"), put("a")}}),
		AppendChunk(nil, &Chunk{Number: 1, Ops: []register.Op{put("a"), put("a")}}),
		AppendChunk(nil, &Chunk{Number: maxChunks + 1}),
		flags,
		whole[:len(whole)-1],
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := NewBatch(b)
			if !b.Next() {
				checkError(t, b.Err())
				return
			}
			if p, err := b.Chunk(); !errors.Is(err, ErrMalformed) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// Only a changelog says that elements were there before.
func TestOnlyTheChangelogHasStages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := genWhole().Draw(t, "whole")
		q.ID, q.Piggyback, q.Needed = 0, ballot.Ballot{}, false
		q.Change.Stage = rapid.Uint32Range(1, 1<<32-1).Draw(t, "stage")
		b := AppendLogEntry(nil, &durable.LogEntry{Accept: q})
		got, err := DecodeLogEntry(b)
		if err != nil || !reflect.DeepEqual(got.Accept, q) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got.Accept, q)
		}
		q.Change.Stage = 1 // one byte
		b = AppendLogEntry(nil, &durable.LogEntry{Accept: q})
		b[1] = 0
		if _, err := DecodeLogEntry(b); !errors.Is(err, ErrMalformed) {
			t.Fatalf("an entry of no stage: %v", err)
		}
		batch := NewBatch(AppendRequest(nil, q))
		if batch.Next(); batch.Err() != nil {
			t.Fatal(batch.Err())
		}
		if got, err := batch.Request(); err != nil || got.Change.Stage != 0 {
			t.Fatalf("a message with a stage: %+v, %v", got, err)
		}
	})
}
