package respio

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"synod/proxy/stats"
)

const (
	// bufferBytes is the least size of a buffer for unsent replies.
	bufferBytes = 64 << 10
	// outputAhead is how many bytes may be unsent, while memory is crowded, before
	// the writer has to wait.
	outputAhead = 4 << 20
	// crowdEvery is how often a waiting writer checks whether memory still is
	// crowded.
	crowdEvery = time.Second
	// drainBuffers is how many buffers one call writes.
	drainBuffers = 256
)

// ErrOutputLimit ends a connection that has more unread replies than
// client-output-buffer-limit allows.
var ErrOutputLimit = errors.New("client output buffer limit exceeded")

// Output writes replies to a client. The caller itself writes what the kernel takes
// without blocking. The rest is queued for a goroutine that exists only while the
// queue is not empty: a client that pipelines without reading can go on for a
// while, and other clients cost no goroutine.
//
// When outputAhead bytes are queued and memory is crowded, the caller blocks: no
// more commands run for a client that does not read. With a limit set by the
// operator, a client may instead leave that much unread and is disconnected
// beyond; the reply in progress does not count.
type Output struct {
	conn  net.Conn
	mem   *Account
	limit *atomic.Int64 // bytes that may be queued; 0: no limit
	raw   syscall.RawConn

	// try is the callback of raw.Write, allocated once. It writes now and leaves
	// the result of write(2) in taken and fault.
	try   func(fd uintptr) bool
	now   []byte
	taken int
	fault error

	mu     sync.Mutex
	queue  [][]byte  // oldest first
	queued int64     // bytes in queue and in the hands of the drainer
	before int64     // of these, the bytes before the reply in progress
	less   sync.Cond // queued has shrunk, or err is set
	busy   bool      // the drainer runs
	err    error     // why nothing more is written
	drain  sync.WaitGroup

	written *stats.Counter // bytes given to the kernel
}

// NewOutput returns an Output to conn. It accounts for queued bytes in mem, reads
// client-output-buffer-limit from limit and counts bytes in written.
func NewOutput(conn net.Conn, mem *Account, limit *atomic.Int64, written *stats.Counter) *Output {
	o := &Output{conn: conn, mem: mem, limit: limit, written: written}
	o.less.L = &o.mu
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	o.try = func(fd uintptr) bool {
		for {
			o.taken, o.fault = syscall.Write(int(fd), o.now)
			if o.fault != syscall.EINTR {
				return true // never wait for the socket to become writable
			}
		}
	}
	return o
}

// Write sends b: whole replies, or the beginning of one. The caller may reuse b.
// Write, More and Give must not be called concurrently.
func (o *Output) Write(b []byte) error { return o.send(b, true, false) }

// More sends more of the reply that Write began. The caller may reuse b.
func (o *Output) More(b []byte) error { return o.send(b, false, false) }

// Give is More without copying: b must not be modified any more.
func (o *Output) Give(b []byte) error { return o.send(b, false, true) }

func (o *Output) send(b []byte, begins, given bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := o.limit.Load()
	if begins {
		o.before = o.queued
	}
	if o.err == nil && limit > 0 && o.before > limit {
		o.fail(ErrOutputLimit)
	}
	if o.err != nil {
		return o.err
	}
	if !o.busy && o.raw != nil {
		n, err := o.writeNow(b)
		if err != nil {
			o.err = err
			return err
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return nil
	}
	o.enqueue(b, given)
	if !o.busy {
		o.busy = true
		o.drain.Go(o.run)
	}
	most := int64(outputAhead)
	if limit > 0 {
		most += o.before
	}
	for o.queued > most && o.err == nil && o.mem.of.crowded() {
		o.wait()
	}
	return o.err
}

// wait returns when less is queued, or after crowdEvery; mu is held.
func (o *Output) wait() {
	again := time.AfterFunc(crowdEvery, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.less.Broadcast()
	})
	o.less.Wait()
	again.Stop()
}

// writeNow writes what the kernel takes without blocking.
func (o *Output) writeNow(b []byte) (int, error) {
	total := 0
	for total < len(b) {
		o.now, o.taken, o.fault = b[total:], 0, nil
		err := o.raw.Write(o.try)
		o.now = nil
		switch {
		case err != nil:
			return total, err
		case o.fault == syscall.EAGAIN:
			return total, nil
		case o.fault != nil:
			return total, o.fault
		}
		total += o.taken
		o.written.Add(int64(o.taken))
	}
	return total, nil
}

func (o *Output) enqueue(b []byte, given bool) {
	o.queued += int64(len(b))
	o.mem.Add(int64(len(b)))
	if given {
		o.queue = append(o.queue, b)
		return
	}
	for len(b) > 0 {
		last := len(o.queue) - 1
		if last < 0 || len(o.queue[last]) == cap(o.queue[last]) {
			o.queue = append(o.queue, make([]byte, 0, max(bufferBytes, min(len(b), 1<<20))))
			continue
		}
		n := min(len(b), cap(o.queue[last])-len(o.queue[last]))
		o.queue[last] = append(o.queue[last], b[:n]...)
		b = b[n:]
	}
}

// run drains the queue and ends when that is empty.
func (o *Output) run() {
	var batch [][]byte
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.err != nil {
			o.busy = false
			o.mu.Unlock()
			return
		}
		n := min(len(o.queue), drainBuffers)
		batch = append(batch[:0], o.queue[:n]...)
		clear(o.queue[:n])
		o.queue = o.queue[n:]
		o.mu.Unlock()

		size := int64(0)
		for _, b := range batch {
			size += int64(len(b))
		}
		all := net.Buffers(batch)
		written, err := all.WriteTo(o.conn)
		o.written.Add(written)

		o.mu.Lock()
		o.queued -= size
		o.mem.Add(-size)
		if err != nil {
			o.fail(err)
		}
		o.less.Broadcast()
		o.mu.Unlock()
	}
}

// fail drops the queue; mu is held.
func (o *Output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
	for _, b := range o.queue {
		o.queued -= int64(len(b))
		o.mem.Add(-int64(len(b)))
	}
	o.queue = nil
	o.less.Broadcast()
}

// Waiting returns how many bytes are unsent, and the number of buffers that are
// queued.
func (o *Output) Waiting() (bytes int64, buffers int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued, len(o.queue)
}

// Finish waits until everything is sent, at most for patience. Nothing may be
// written afterwards.
func (o *Output) Finish(patience time.Duration) {
	if bytes, _ := o.Waiting(); bytes > 0 {
		// This fails only if the connection is closed, which ends the drainer.
		_ = o.conn.SetWriteDeadline(time.Now().Add(patience))
	}
	o.drain.Wait()
}

// Wait waits until nothing is being sent any more. If the connection is closed,
// that is at once.
func (o *Output) Wait() { o.drain.Wait() }
