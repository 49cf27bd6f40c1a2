package storaged

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/rpc"
	"synod/storaged/changelog"
	"synod/storaged/engine"
)

const (
	// queueItems and queueBytes bound what waits for a lane.
	queueItems = 1 << 14
	queueBytes = 256 << 20
	// A batch ends after batchItems messages or about batchTime, checked every
	// batchLook messages. Then the changelog is asked to sync and replies leave. With
	// larger batches, the first message would wait for the last.
	batchItems = 512
	batchTime  = time.Millisecond
	batchLook  = 16
)

// item is one thing for a lane to do: to step a request, or to call do.
type item struct {
	session *rpc.Session
	request *message.Request
	do      func()
}

// lane is one acceptor and the goroutine that drives it.
type lane struct {
	daemon   *Daemon
	number   int
	store    *engine.Lane
	acceptor *acceptor.Acceptor

	mu     sync.Mutex
	queue  []item
	spare  []item // the last queue, emptied
	bytes  int    // of the payloads that the queue's requests came in
	closed bool
	wake   chan struct{}
	stop   chan struct{}

	replies replies
	waiting map[*message.Request]*rpc.Session // Prepares that wait for the ceiling
	failing bool                              // an error of the store was reported

	ceiling atomic.Bool // it has moved: call resume
	forget  atomic.Bool // the promises that Rotate has returned may be forgotten
	counts  [kinds][outcomes]atomic.Uint64
	depth   atomic.Int64
	held    atomic.Int64 // promises
}

func newLane(d *Daemon, number int, store *engine.Lane, a *acceptor.Acceptor) *lane {
	l := &lane{
		daemon: d, number: number, store: store, acceptor: a,
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		waiting: make(map[*message.Request]*rpc.Session),
	}
	l.replies.lane = l
	return l
}

// poke wakes the lane, to look for work.
func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// push queues items, in order, that came in a payload of size bytes. It returns
// false, and queues none, if too much is waiting.
func (l *lane) push(items []item, bytes int) bool {
	l.mu.Lock()
	if l.closed || (len(l.queue) > 0 && (len(l.queue)+len(items) > queueItems || l.bytes+bytes > queueBytes)) {
		l.mu.Unlock()
		return false
	}
	l.queue = append(l.queue, items...)
	l.bytes += bytes
	l.depth.Store(int64(len(l.queue)))
	l.mu.Unlock()
	l.poke()
	return true
}

// run is the lane's goroutine.
func (l *lane) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	armed := false
	for {
		select {
		case <-l.wake:
			runtime.Gosched() // other sessions may be about to push: the batch grows
		case <-timer.C:
			armed = false
		case <-l.stop:
			return
		}
		if l.ceiling.Swap(false) {
			l.resume()
		}
		if l.forget.Swap(false) {
			l.acceptor.Forget()
		}
		l.drain()
		// Even if nothing was queued: the store may need Maintain.
		again := l.store.Maintain(l.daemon.now().Mono)
		if again > 0 && !armed {
			timer.Reset(again)
			armed = true
		}
	}
}

// drain works on everything that is queued.
func (l *lane) drain() {
	l.mu.Lock()
	items := l.queue
	l.queue, l.spare = l.spare[:0], nil
	l.bytes = 0
	l.depth.Store(0)
	l.mu.Unlock()
	for rest := items; len(rest) > 0; {
		n := l.batch(rest[:min(len(rest), batchItems)])
		if rest = rest[n:]; len(rest) > 0 {
			l.store.Maintain(l.daemon.now().Mono)
		}
	}
	clear(items)
	const keep = 1 << 12
	if cap(items) <= keep {
		l.mu.Lock()
		l.spare = items[:0]
		l.mu.Unlock()
	}
}

// batch steps the acceptor through as many messages as there is time for, and then
// starts one sync. It returns how many it did.
func (l *lane) batch(items []item) int {
	now := l.daemon.now()
	began := now.Mono
	var reply message.Reply
	failed := false
	for i := range items {
		if i%batchLook == 0 && i > 0 {
			if now = l.daemon.now(); time.Duration(now.Mono-began) > batchTime {
				items = items[:i]
				break
			}
		}
		it := &items[i]
		if it.do != nil {
			it.do()
			continue
		}
		if it.request.WantState {
			it.request.Along = l.replies.along(it.session)
		}
		answered, err := l.acceptor.Step(now, it.request, &reply)
		if !answered && err == nil {
			l.waiting[it.request] = it.session
			continue
		}
		l.answer(it.session, it.request, &reply, err)
		failed = failed || err != nil
	}
	l.failing = l.failing && failed
	l.finish()
	l.daemon.metrics.batch(len(items))
	return len(items)
}

// answer queues the reply to a request.
func (l *lane) answer(s *rpc.Session, q *message.Request, reply *message.Reply, err error) {
	if err != nil {
		*reply = message.Reply{ID: q.ID, Outcome: failed(err)}
		l.report(err)
	}
	l.count(q.Kind, reply.Outcome)
	if reply.Outcome == message.ClockAhead {
		l.daemon.clockAhead(s, q.Ballot, reply.Promise)
	}
	l.replies.add(s, reply)
}

// failed is the outcome of a request that failed in the store.
func failed(err error) message.Outcome {
	if errors.Is(err, changelog.ErrNoSpace) {
		return message.DiskFull
	}
	return message.Busy
}

// finish ends a batch: it starts the sync and sends the replies.
func (l *lane) finish() {
	l.daemon.engine.Kick()
	l.replies.seal()
	l.held.Store(int64(l.acceptor.Promises()))
	if l.daemon.node.CeilingWanted() {
		notify(l.daemon.due)
	}
	l.daemon.noticeEpochs()
}

// clockEvery is the least time between two warnings about clocks.
const clockEvery = 10 * time.Second

// clockAhead logs, at most every clockEvery, that the clock rule refused a ballot
// (PROTOCOL §2): one of the two clocks is wrong.
func (d *Daemon) clockAhead(s *rpc.Session, ballot, clock ballot.Ballot) {
	now := int64(d.now().Mono)
	last := d.clockSaid.Load()
	if last != 0 && now-last < int64(clockEvery) || !d.clockSaid.CompareAndSwap(last, now) {
		return
	}
	d.log.Warn("a ballot is ahead of this node's clock and refused",
		zap.Stringer("from", s.Peer()),
		zap.Time("ballot", time.UnixMilli(ballot.Time.UnixMilli())),
		zap.Time("clock", time.UnixMilli(clock.Time.UnixMilli())),
		zap.Duration("max_clock_offset", d.cfg.Limits.MaxClockOffset))
}

// report logs an error of the store, once until it works again. The store itself
// reports a full disk.
func (l *lane) report(err error) {
	if errors.Is(err, changelog.ErrNoSpace) || errors.Is(err, changelog.ErrBacklog) || errors.Is(err, changelog.ErrClosed) || l.failing {
		return
	}
	l.failing = true
	l.daemon.log.Error("the store fails", zap.Int("lane", l.number), zap.Error(err))
}

// resume answers the Prepares that waited for the ceiling.
func (l *lane) resume() {
	if l.acceptor.Deferred() == 0 {
		return
	}
	l.acceptor.Resume(l.daemon.now(), func(q *message.Request, reply *message.Reply, err error) {
		s := l.waiting[q]
		delete(l.waiting, q)
		if s != nil {
			l.answer(s, q, reply, err)
		}
	})
	l.finish()
}

// barrier waits until the lane has worked on everything that is queued now and
// its replies have left.
func (l *lane) barrier(ctx context.Context) error {
	done := make(chan struct{})
	if !l.push([]item{{do: func() { close(done) }}}, 0) {
		return errors.New("too much is waiting")
	}
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return l.replies.drained(ctx)
}

// close ends the lane's goroutine; what is queued is dropped.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.stop)
	}
}

// release lets replies go that the changelog, durable up to pos, allows.
func (l *lane) release(pos uint64) { l.replies.release(pos) }

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
