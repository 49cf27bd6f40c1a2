package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// chunkBytes is the size of the pieces that waiting replies are kept in.
	chunkBytes = 64 << 10
	// outputAhead is how much may wait for a client when clients hold much
	// together, before its session waits, too.
	outputAhead = 4 << 20
	// crowdEvery is how often a session that waits looks whether they still do.
	crowdEvery = time.Second
	// drainChunks is how many pieces are written by one call.
	drainChunks = 256
)

// errOutputLimit: the client has left more replies unread than
// client-output-buffer-limit allows.
var errOutputLimit = errors.New("client output buffer limit exceeded")

// output writes replies to a client. What the kernel takes at once is written at
// once, by the caller; the rest waits for a goroutine that lives only as long as
// something waits. So a client that pipelines without reading can go on for a
// while, and the others cost no goroutine.
//
// When outputAhead bytes wait and clients hold much together, the caller waits,
// too: of a client that does not read no further command is run, however many it
// has sent. If the operator has set a limit, the client may leave so much unread
// instead, and is disconnected beyond; the reply in progress does not count.
type output struct {
	conn  net.Conn
	mem   *account
	limit *atomic.Int64 // bytes that may wait; 0: no limit
	raw   syscall.RawConn

	// try is the function that raw.Write calls, made once; it writes now and
	// leaves what write(2) returned in taken and fault.
	try   func(fd uintptr) bool
	now   []byte
	taken int
	fault error

	mu     sync.Mutex
	queue  [][]byte  // what waits, oldest first
	queued int64     // bytes in queue, and in the drainer's hands
	before int64     // of these, what is no part of the reply in progress
	less   sync.Cond // queued has shrunk, or nothing is written any more
	busy   bool      // a drainer is at work
	err    error     // why nothing is written any more
	drain  sync.WaitGroup

	written *counter // bytes given to the kernel
}

func newOutput(conn net.Conn, mem *account, limit *atomic.Int64, written *counter) *output {
	o := &output{conn: conn, mem: mem, limit: limit, written: written}
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

// write sends b, which the caller may reuse afterwards: whole replies, or the
// beginning of one. It must be called by one goroutine at a time.
func (o *output) write(b []byte) error { return o.send(b, true, false) }

// more sends what follows of the reply that write has begun.
func (o *output) more(b []byte) error { return o.send(b, false, false) }

// give is more without copying: nobody may modify b any more.
func (o *output) give(b []byte) error { return o.send(b, false, true) }

func (o *output) send(b []byte, begins, given bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := o.limit.Load()
	if begins {
		o.before = o.queued
	}
	if o.err == nil && limit > 0 && o.before > limit {
		o.fail(errOutputLimit)
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

// wait returns when less is queued, and now and then; mu is held.
func (o *output) wait() {
	again := time.AfterFunc(crowdEvery, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.less.Broadcast()
	})
	o.less.Wait()
	again.Stop()
}

// writeNow writes what the kernel takes without waiting.
func (o *output) writeNow(b []byte) (int, error) {
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
		o.written.add(int64(o.taken))
	}
	return total, nil
}

func (o *output) enqueue(b []byte, given bool) {
	o.queued += int64(len(b))
	o.mem.add(int64(len(b)))
	if given {
		o.queue = append(o.queue, b)
		return
	}
	for len(b) > 0 {
		last := len(o.queue) - 1
		if last < 0 || len(o.queue[last]) == cap(o.queue[last]) {
			o.queue = append(o.queue, make([]byte, 0, max(chunkBytes, min(len(b), 1<<20))))
			continue
		}
		n := min(len(b), cap(o.queue[last])-len(o.queue[last]))
		o.queue[last] = append(o.queue[last], b[:n]...)
		b = b[n:]
	}
}

// run writes what waits until nothing does.
func (o *output) run() {
	var chunks [][]byte
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.err != nil {
			o.busy = false
			o.mu.Unlock()
			return
		}
		n := min(len(o.queue), drainChunks)
		chunks = append(chunks[:0], o.queue[:n]...)
		clear(o.queue[:n])
		o.queue = o.queue[n:]
		o.mu.Unlock()

		size := int64(0)
		for _, c := range chunks {
			size += int64(len(c))
		}
		all := net.Buffers(chunks)
		written, err := all.WriteTo(o.conn)
		o.written.add(written)

		o.mu.Lock()
		o.queued -= size
		o.mem.add(-size)
		if err != nil {
			o.fail(err)
		}
		o.less.Broadcast()
		o.mu.Unlock()
	}
}

// fail drops what waits; mu is held.
func (o *output) fail(err error) {
	if o.err == nil {
		o.err = err
	}
	for _, chunk := range o.queue {
		o.queued -= int64(len(chunk))
		o.mem.add(-int64(len(chunk)))
	}
	o.queue = nil
	o.less.Broadcast()
}

// waiting returns how many bytes and chunks wait for the client.
func (o *output) waiting() (bytes int64, chunks int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued, len(o.queue)
}

// finish waits until the client has taken everything, at most for patience.
// Nothing may be written afterwards.
func (o *output) finish(patience time.Duration) {
	if bytes, _ := o.waiting(); bytes > 0 {
		// A failure to set the deadline means that the connection is gone.
		_ = o.conn.SetWriteDeadline(time.Now().Add(patience))
	}
	o.drain.Wait()
}
