package txn

import (
	"sync"
	"sync/atomic"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/proposer"
)

const (
	// flowBytes is about how many bytes of states one client, or one command on many
	// registers, may be receiving at a time: enough to keep the nodes busy, but too few
	// to disturb others. If the commands would not be done in time, it grows up to
	// flowWide times as much. flowMost bounds the number of commands.
	flowBytes = 1 << 20
	flowWide  = 8
	flowMost  = 1024
	flowLeast = 4
	// flowSize is the assumed size of a read's result before the first has ended.
	flowSize = 8 << 10
)

// Flow submits commands in order, and limits the expected size of the pending reads to
// flowBytes. It learns the size of a read from those that have ended. Only one
// goroutine at a time may call Submit, any may call Ended. In the zero value only To
// must be set.
//
// The time limit of a command that is held back runs already.
type Flow struct {
	To Submitter
	// Within, if not zero, is the time in which all should be done.
	Within time.Duration

	out  atomic.Int64 // pending commands; from bit 32 on, the reads among them
	size atomic.Int64 // estimated bytes of a read's result; zero before the first has ended
	held atomic.Bool  // commands are held back, or are just being released

	mu    sync.Mutex
	queue []*proposer.Command // that are held back
	busy  bool                // a goroutine is submitting from the queue
	pace  pace

	wide atomic.Int64 // the factor by which flowBytes is widened; zero: not widened
}

// pace measures a Flow's speed since it began to hold commands back.
type pace struct {
	began instant.Mono
	sent  int64        // commands, of those since
	look  instant.Mono // when to look again
}

const flowRead = 1 << 32

// weight is what a command counts in Flow.out.
func weight(c *proposer.Command) int64 {
	if c.Op.ReadOnly() {
		return flowRead + 1
	}
	return 1
}

// fits reports whether this much may be under way at a time.
func (f *Flow) fits(out int64) bool {
	return out&(flowRead-1) <= flowMost && out/flowRead <= f.window()
}

// window is how many reads may be under way.
func (f *Flow) window() int64 {
	size := f.size.Load()
	if size == 0 {
		size = flowSize
	}
	return max(flowBytes*max(f.wide.Load(), 1)/size, flowLeast)
}

// Submit takes commands. It does not block and keeps the commands, but not the
// slice. Ended is to be called with each that has ended.
func (f *Flow) Submit(cmds []*proposer.Command) {
	if !f.held.Load() {
		var sum int64
		for _, c := range cmds {
			sum += weight(c)
		}
		if f.fits(f.out.Load() + sum) {
			f.out.Add(sum)
			f.To.Submit(cmds)
			return
		}
	}
	f.mu.Lock()
	if f.queue = append(f.queue, cmds...); !f.held.Swap(true) {
		f.pace = pace{began: f.To.Now(), sent: f.out.Load() & (flowRead - 1)}
		f.pace.look = f.pace.began + instant.Mono(f.Within/8)
	}
	f.mu.Unlock()
	f.pump()
}

// widen allows more pending reads if the rest would not be done in time. mu is held.
func (f *Flow) widen() {
	if f.Within == 0 || f.wide.Load() >= flowWide {
		return
	}
	now := f.To.Now()
	if now < f.pace.look {
		return
	}
	f.pace.look = now + instant.Mono(f.Within/8)
	out := f.out.Load() & (flowRead - 1)
	done, left := f.pace.sent-out, int64(len(f.queue))+out
	if took := float64(now - f.pace.began); took*float64(done+left) > float64(f.Within)*float64(done) {
		f.wide.Store(max(2*f.wide.Load(), 2))
	}
}

// Held reports whether commands are held back.
func (f *Flow) Held() bool { return f.held.Load() }

// Ended notes that a command has ended.
func (f *Flow) Ended(c *proposer.Command) {
	if n := int64(c.Seen.Bytes); n > 0 {
		f.learn(n)
	}
	f.out.Add(-weight(c))
	if f.held.Load() {
		f.pump()
	}
}

// learn updates the estimated size of a read. It adapts faster to larger sizes.
func (f *Flow) learn(n int64) {
	switch size := f.size.Load(); {
	case size == 0:
		f.size.Store(n)
	case n > size:
		f.size.Store(size + (n-size+1)/2)
	case n < size:
		f.size.Store(size - (size-n+7)/8)
	}
}

// pump submits held-back commands as far as they fit. Only one goroutine at a time does
// so, which keeps the order; others leave it to that one, which checks again.
func (f *Flow) pump() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		return
	}
	f.busy = true
	for {
		cmds := f.next()
		if cmds == nil {
			break
		}
		f.mu.Unlock()
		f.To.Submit(cmds) // some may have ended when it returns
		f.mu.Lock()
	}
	f.busy = false
	f.held.Store(len(f.queue) > 0)
}

// next takes the commands that fit out of the queue. It takes none if they are less than
// a quarter of the limit, because larger batches are cheaper. mu is held.
func (f *Flow) next() []*proposer.Command {
	f.widen()
	out, n := f.out.Load(), 0
	for n < len(f.queue) && f.fits(out+weight(f.queue[n])) {
		out += weight(f.queue[n])
		n++
	}
	if n == 0 || n < len(f.queue) && int64(n) < min(f.window(), flowMost)/4 {
		return nil
	}
	cmds := f.queue[:n:n]
	if f.queue = f.queue[n:]; len(f.queue) == 0 {
		f.queue = nil
	}
	for _, c := range cmds {
		f.out.Add(weight(c))
	}
	f.pace.sent += int64(n)
	return cmds
}
