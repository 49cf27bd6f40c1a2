package transfer

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// newInbox returns an Inbox of chunks that are numbers: of their bytes.
func newInbox(limit int64) *Inbox[int64] {
	return NewInbox(new(Reader), limit, 1<<20, func(n int64) int64 { return n })
}

// Chunks that bring next to nothing do not keep a transfer open.
func TestPatienceIsRestoredByBytes(t *testing.T) {
	for _, c := range []struct {
		size int64
		most int
		ends bool
	}{{1 << 20, 100, false}, {100, 2, true}} {
		b, now := newInbox(1<<22), time.Duration(1)
		clock := func() time.Duration { return now }
		chunks := 0
		for ; chunks < 100 && !b.Late(now); chunks++ {
			b.take(clock) // waits
			now += Patience * 9 / 10
			if b.Late(now) {
				break
			}
			b.Put(t.Context(), c.size, false, clock)
			b.take(clock)
		}
		if ended := chunks < 100; ended != c.ends || chunks > c.most {
			t.Errorf("it ended after %d chunks of %d bytes", chunks, c.size)
		}
	}
}

// A full Inbox makes its reader wait. Meanwhile the peers of the reader's other Inboxes
// are not late.
func TestFullInboxMakesNobodyElseLate(t *testing.T) {
	full, now := newInbox(10), time.Duration(1)
	other := NewInbox(full.reader, 10, 10, func(n int64) int64 { return n })
	clock := func() time.Duration { return now }
	other.take(clock) // it waits for its peer
	full.Put(t.Context(), 100, false, clock)
	put := make(chan struct{})
	go func() {
		full.Put(t.Context(), 1, true, clock)
		close(put)
	}()
	for !full.reader.Waiting() {
		runtime.Gosched()
	}
	if other.Late(now + 2*Patience) {
		t.Error("the other one's peer is late, as nobody reads what it sends")
	}
	if got, ok := full.Take(t.Context(), clock); !ok || got != 100 {
		t.Errorf("took %d, %v", got, ok)
	}
	<-put
	if !full.Complete() || other.Complete() {
		t.Error("which one is complete")
	}
	if !other.Late(now + 2*Patience) {
		t.Error("the other one's peer is never late")
	}
}

// Who waits for a chunk, or for room, ends with the context.
func TestInboxEnds(t *testing.T) {
	b := newInbox(10)
	clock := func() time.Duration { return 1 }
	ctx, end := context.WithCancel(t.Context())
	b.Put(ctx, 10, false, clock)
	end()
	b.Put(ctx, 10, true, clock)
	if b.Complete() {
		t.Error("a chunk was queued without room")
	}
	if _, ok := b.Take(ctx, clock); ok {
		t.Error("a chunk was taken after the end")
	}
}
