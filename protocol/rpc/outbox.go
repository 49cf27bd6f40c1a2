package rpc

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// piece is how much of a class is written at once, so that other classes get
	// their turn in between.
	piece = 64 << 10
	// chunk is the size up to which frames are gathered in one buffer.
	chunk = 256 << 10
	// large is the size from which a payload is queued on its own.
	large = 64 << 10
)

// segment is a part of what is to be sent.
type segment struct {
	b      []byte
	pooled bool // b is a chunk that can be used again
}

// outbox is what one class of a session has to send. Any number of goroutines
// put frames into it, one takes them out.
type outbox struct {
	limit int
	bytes atomic.Int64 // in queue and taken but not yet written; changes under mu

	mu     sync.Mutex
	ready  sync.Cond // there is something to take, or nothing will come
	queue  []segment
	spare  []segment // the last queue, emptied
	chunks [][]byte  // to be used again
	waits  []waiter
	closed bool
}

// waiter waits until no more than a number of bytes are left.
type waiter struct {
	most int
	c    chan struct{} // to be closed then
}

func (o *outbox) init(limit int) {
	o.limit = limit
	o.ready.L = &o.mu
}

// put queues one frame. If shared, the outbox keeps payload instead of a copy.
func (o *outbox) put(header *[frameHeader]byte, payload []byte, shared bool) error {
	size := frameHeader + len(payload)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	if waits := o.backlog(); waits+size > o.limit && waits > 0 {
		return ErrBacklog
	}
	o.bytes.Add(int64(size))
	if len(payload) < large {
		c := o.open(size)
		c.b = append(append(c.b, header[:]...), payload...)
	} else {
		c := o.open(frameHeader)
		c.b = append(c.b, header[:]...)
		if !shared {
			payload = append([]byte(nil), payload...)
		}
		o.queue = append(o.queue, segment{b: payload})
	}
	o.ready.Signal()
	return nil
}

// open returns a chunk at the queue's end with room for n bytes.
func (o *outbox) open(n int) *segment {
	if i := len(o.queue) - 1; i >= 0 && o.queue[i].pooled && len(o.queue[i].b)+n <= chunk {
		return &o.queue[i]
	}
	var b []byte
	if i := len(o.chunks) - 1; i >= 0 {
		b, o.chunks = o.chunks[i], o.chunks[:i]
	}
	o.queue = append(o.queue, segment{b: b, pooled: true})
	return &o.queue[len(o.queue)-1]
}

// take waits until there is something to send and returns all of it, or false
// when the outbox is closed.
func (o *outbox) take() ([]segment, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && !o.closed {
		o.ready.Wait()
		if len(o.queue) > 0 {
			// Often several goroutines have something to send: let the others
			// queue it first.
			o.mu.Unlock()
			runtime.Gosched()
			o.mu.Lock()
		}
	}
	if o.closed {
		return nil, false
	}
	taken := o.queue
	o.queue, o.spare = o.spare[:0], nil
	return taken, true
}

// wrote notes that a segment that was taken has been written.
func (o *outbox) wrote(s *segment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes.Add(-int64(len(s.b)))
	if s.pooled && len(o.chunks) < 2 {
		o.chunks = append(o.chunks, s.b[:0])
	}
	*s = segment{}
	o.waits = slices.DeleteFunc(o.waits, func(w waiter) bool {
		if o.backlog() > w.most {
			return false
		}
		close(w.c)
		return true
	})
}

// done recycles the segments that take returned, after all of them were written.
func (o *outbox) done(taken []segment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = taken[:0]
}

// below returns a channel that is closed when no more than most bytes wait to be
// written, or when the outbox is closed. forget releases the channel.
func (o *outbox) below(most int) chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := make(chan struct{})
	if o.closed || o.backlog() <= most {
		close(c)
	} else {
		o.waits = append(o.waits, waiter{most, c})
	}
	return c
}

// forget releases a channel that below returned.
func (o *outbox) forget(c chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waits = slices.DeleteFunc(o.waits, func(w waiter) bool { return w.c == c })
}

func (o *outbox) backlog() int { return int(o.bytes.Load()) }

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.queue, o.chunks, o.spare = nil, nil, nil
	o.ready.Broadcast()
	for _, w := range o.waits {
		close(w.c)
	}
	o.waits = nil
}
