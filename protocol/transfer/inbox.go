package transfer

import (
	"context"
	"sync"
	"time"
)

// Inbox holds the chunks of one transfer between the goroutine that reads the
// connection and the one that takes them in. Put waits when it is full, which makes the
// peer wait; the connection's other transfers are not held late for that (see Reader).
//
// Times are the caller's monotonic clock. A peer has as much patience as is left: waiting
// uses it up, and each byte that comes restores some, so that chunks of next to nothing
// do not keep a transfer open.
type Inbox[T any] struct {
	reader *Reader
	limit  int64
	size   func(T) int64
	chunk  int64
	more   chan struct{} // a chunk was put
	room   chan struct{} // a chunk was taken

	mu       sync.Mutex
	queue    []T
	bytes    int64
	complete bool
	patience patience
}

// NewInbox returns an Inbox that holds up to limit bytes of chunks, or one chunk. A chunk
// of usual bytes restores all patience.
func NewInbox[T any](r *Reader, limit, usual int64, size func(T) int64) *Inbox[T] {
	return &Inbox[T]{reader: r, limit: limit, size: size, chunk: usual, patience: patience{left: Patience},
		more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// Put queues a chunk when there is room for it. It drops the chunk if ctx ends first.
// Only the connection's reader may call it.
func (b *Inbox[T]) Put(ctx context.Context, chunk T, last bool, now func() time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := b.size(chunk)
	for len(b.queue) > 0 && b.bytes+size > b.limit {
		b.mu.Unlock()
		b.reader.stop(now())
		select {
		case <-b.room:
		case <-ctx.Done():
		}
		b.reader.goOn(now())
		b.mu.Lock()
		if ctx.Err() != nil {
			return
		}
	}
	restored := Patience
	if size < b.chunk {
		restored = time.Duration(size) * (Patience / time.Duration(b.chunk))
	}
	b.patience.heard(b.reader.clock(now()), restored)
	b.queue = append(b.queue, chunk)
	b.bytes += size
	b.complete = last
	notify(b.more)
}

// Take waits for the next chunk. It returns false when ctx has ended.
func (b *Inbox[T]) Take(ctx context.Context, now func() time.Duration) (chunk T, ok bool) {
	for ctx.Err() == nil {
		if chunk, ok = b.take(now); ok {
			notify(b.room)
			return chunk, true
		}
		select {
		case <-b.more:
		case <-ctx.Done():
		}
	}
	return chunk, false
}

func (b *Inbox[T]) take(now func() time.Duration) (chunk T, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.patience.wait(b.reader.clock(now()))
		return chunk, false
	}
	var none T
	chunk, b.queue[0] = b.queue[0], none
	b.queue = b.queue[1:]
	b.bytes -= b.size(chunk)
	return chunk, true
}

// Complete reports whether the last chunk has come: the transfer needs its connection no
// more.
func (b *Inbox[T]) Complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.complete
}

// Late reports whether the peer has used up its patience.
func (b *Inbox[T]) Late(now time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.patience.over(b.reader.clock(now))
}

// Waiting reports whether the peer is waited for.
func (b *Inbox[T]) Waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.patience.waiting
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// patience is how long a transfer may wait for its peer.
type patience struct {
	left    time.Duration
	since   time.Duration // when the wait began
	waiting bool
}

func (p *patience) wait(now time.Duration) {
	if !p.waiting {
		p.since, p.waiting = now, true
	}
}

func (p *patience) heard(now, restored time.Duration) {
	if p.waiting {
		p.left -= now - p.since
		p.waiting = false
	}
	p.left = min(Patience, p.left+restored)
}

func (p *patience) over(now time.Duration) bool { return p.waiting && now-p.since > p.left }

// Reader is the goroutine that reads a connection, as its Inboxes see it: while it waits
// for room in one of them, the peers of the others are not late.
type Reader struct {
	mu      sync.Mutex
	waited  time.Duration // in all, except for the present wait
	since   time.Duration // when the present wait began
	waiting bool
}

// clock returns a time that stands still while the reader waits.
func (r *Reader) clock(now time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting {
		now = r.since
	}
	return now - r.waited
}

// Waiting reports whether the reader waits for room.
func (r *Reader) Waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting
}

func (r *Reader) stop(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.waiting = now, true
}

func (r *Reader) goOn(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waited, r.waiting = r.waited+now-r.since, false
}
