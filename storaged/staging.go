package storaged

import (
	"context"
	"sync"
	"time"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/wire"
)

// stagingPatience is how long one may wait for its next piece, all pieces before
// taken together but for what they have made good: a piece of the usual size
// makes good all of it.
const stagingPatience = caspaxos.Mono(10 * time.Second)

// staging is a large state that is coming in: what the session's reader and the
// staging's own goroutine share.
type staging struct {
	stagingKey
	lane    *lane
	request *caspaxos.Request
	reader  *intake
	ctx     context.Context // until it ends, for whatever reason
	end     context.CancelCauseFunc

	next    uint32 // the number of the piece that should come; the reader's
	ended   bool   // the last one has come; the reader's
	skipped bool   // there was no room for one; the reader's

	mu       sync.Mutex
	queue    []*wire.Piece
	bytes    int64 // of the queue
	whole    bool  // all are there: it needs its session no more
	patience patience
	more     chan struct{} // something is queued
	room     chan struct{} // something was taken
}

// pieceBytes is what a piece weighs.
func pieceBytes(p *wire.Piece) int64 { return int64(register.Change{Ops: p.Ops}.Bytes()) }

// expects reports whether a piece may be the next one. It notes that it has come.
func (st *staging) expects(p *wire.Piece) bool {
	empty := len(p.Ops) == 0 && !(p.Number == 0 && p.Last)
	large := len(p.Ops) > 1 && pieceBytes(p) > 2*caspaxos.PageBytes
	if st.ended || p.Number != st.next || empty || large {
		return false
	}
	st.next, st.ended = st.next+1, p.Last
	return true
}

// put queues a piece, when there is room for it. If the staging ends, it is not
// needed.
func (st *staging) put(p *wire.Piece, now func() caspaxos.Now) {
	st.mu.Lock()
	defer st.mu.Unlock()
	size := pieceBytes(p)
	for len(st.queue) > 0 && st.bytes+size > stagingQueue {
		st.mu.Unlock()
		st.reader.stand(now().Mono)
		select {
		case <-st.room:
		case <-st.ctx.Done():
		}
		st.reader.goOn(now().Mono)
		st.mu.Lock()
		if st.ctx.Err() != nil {
			return
		}
	}
	st.patience.heard(st.reader.clock(now().Mono), size)
	st.queue = append(st.queue, p)
	st.bytes += size
	st.whole = p.Last
	notify(st.more)
}

// take waits for a piece. It returns nil if the staging has ended.
func (st *staging) take(now func() caspaxos.Now) *wire.Piece {
	for st.ctx.Err() == nil {
		st.mu.Lock()
		if len(st.queue) > 0 {
			p := st.queue[0]
			st.queue[0] = nil
			st.queue = st.queue[1:]
			st.bytes -= pieceBytes(p)
			st.mu.Unlock()
			notify(st.room)
			return p
		}
		st.patience.wait(st.reader.clock(now().Mono))
		st.mu.Unlock()
		select {
		case <-st.more:
		case <-st.ctx.Done():
		}
	}
	return nil
}

// gone ends it if its session would have to bring more.
func (st *staging) gone() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.whole {
		st.end(errGone)
	}
}

func (st *staging) endIfLate(now caspaxos.Mono) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.patience.over(st.reader.clock(now)) {
		st.end(errLate)
	}
}

// patience is what is left of it.
type patience struct {
	left  caspaxos.Mono
	since caspaxos.Mono // when the wait began
	waits bool
}

func (p *patience) wait(now caspaxos.Mono) {
	if !p.waits {
		p.since, p.waits = now, true
	}
}

func (p *patience) heard(now caspaxos.Mono, bytes int64) {
	if p.waits {
		p.left -= now - p.since
		p.waits = false
	}
	p.left = min(stagingPatience, p.left+caspaxos.Mono(bytes)*(stagingPatience/caspaxos.PageBytes))
}

func (p *patience) over(now caspaxos.Mono) bool { return p.waits && now-p.since > p.left }

// intake is the goroutine that reads a session's bulk traffic, as its stagings see
// it: while it waits until one of them has room, the others wait for nothing that
// the peer should have sent.
type intake struct {
	mu     sync.Mutex
	stood  caspaxos.Mono // how long it has waited in all, but for this time
	since  caspaxos.Mono // when it began to wait
	stands bool
}

// clock returns a time that does not go on while the reader waits.
func (r *intake) clock(now caspaxos.Mono) caspaxos.Mono {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stands {
		now = r.since
	}
	return now - r.stood
}

func (r *intake) stand(now caspaxos.Mono) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.stands = now, true
}

func (r *intake) goOn(now caspaxos.Mono) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stood, r.stands = r.stood+now-r.since, false
}
