package proposer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// queue is what goes to one node, with the goroutines that send it. A node that
// takes nothing, or answers nothing, fills its own queue alone.
//
// Whether anybody still waits for a request is not asked: one whose round was
// chosen by the other members goes out all the same, as that is how the last of
// them gets the value.
type queue struct {
	senders *senders
	to      caspaxos.NodeID
	count   atomic.Int32 // of open

	mu      sync.Mutex
	open    map[uint64]*sending // by the request's id, until it is answered
	waiting []*sending
	running int // goroutines
	held    int // bytes of the requests that have not been sent to their end
}

// add takes a parcel for the node, in the place of what it supersedes, which it
// returns. It returns false if the node has more to be sent than is kept for it.
func (q *queue) add(one *sending) (gone []uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	old, rest := q.outdated(one.parcel.request), q.held
	for _, o := range old {
		rest -= o.bytes
	}
	if rest >= q.senders.most || q.senders.ctx.Err() != nil {
		q.senders.refused.Add(1)
		return nil, false
	}
	gone = q.replace(old, one)
	q.open[one.id] = one
	q.held += one.bytes
	q.senders.bytes.Add(int64(one.bytes))
	q.counted(1)
	one.ctx, one.end = context.WithCancelCause(q.senders.ctx)
	if q.running < sendersEach {
		q.running++
		q.senders.wg.Go(q.run)
	}
	return gone, true
}

// supersede drops what waits and would come to nothing after the request, and
// returns the ids.
func (q *queue) supersede(r *caspaxos.Request) []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	old := q.outdated(r)
	if len(old) == 0 {
		return nil // as a rule: the lane sends many such
	}
	return q.replace(old, nil)
}

// outdated returns what waits and would come to nothing after the request: if that
// is a full change, what is of lower ballots of its register. What is on its way
// goes on: the node has begun to take it.
func (q *queue) outdated(r *caspaxos.Request) (old []*sending) {
	if r.Kind != caspaxos.KindAccept || r.Change.Kind != register.Full {
		return nil
	}
	for _, one := range q.waiting {
		if o := one.parcel.request; o.Register == r.Register && o.Ballot.Less(r.Ballot) {
			old = append(old, one)
		}
	}
	return old
}

// replace forgets old, and has one wait in the place of the first of them, so that
// a register that is written all the time has its turn, too. Without any, one comes
// last; it may be nil.
func (q *queue) replace(old []*sending, one *sending) (gone []uint64) {
	kept := make([]*sending, 0, len(q.waiting)+1)
	for _, w := range q.waiting {
		if !slices.Contains(old, w) {
			kept = append(kept, w)
			continue
		}
		gone = append(gone, w.id)
		q.forget(w)
		if one != nil {
			kept, one = append(kept, one), nil
		}
	}
	if one != nil {
		kept = append(kept, one)
	}
	q.waiting = kept
	q.senders.superseded.Add(uint64(len(gone)))
	return gone
}

// run sends what waits.
func (q *queue) run() {
	for one := q.next(); one != nil; one = q.next() {
		switch err := one.send(); {
		case err == nil:
			q.sent(one)
			one.await()
		case errors.Is(err, errAnswered):
			q.senders.sent.Add(1)
		default:
			q.senders.failed.Add(1)
			one.lane.Replies(q.to, []*caspaxos.Reply{{ID: one.id, Outcome: caspaxos.Unreachable}})
		}
		q.ended(one)
	}
}

// next returns the one whose turn it is, or nil if the goroutine is to end.
func (q *queue) next() *sending {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.senders.ctx.Err() != nil {
		q.running--
		return nil
	}
	one := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	return one
}

// sent lets go of a request: while its answer is awaited it takes no memory.
func (q *queue) sent(one *sending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.senders.sent.Add(1)
	q.release(one)
}

func (q *queue) ended(one *sending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(one)
}

func (q *queue) forget(one *sending) {
	one.end(nil)
	q.release(one)
	q.remove(one)
}

func (q *queue) release(one *sending) {
	q.held -= one.bytes
	q.senders.bytes.Add(-int64(one.bytes))
	one.bytes, one.parcel = 0, nil
}

// remove takes a request out of those that are open, if it is one.
func (q *queue) remove(one *sending) {
	if q.open[one.id] == one {
		delete(q.open, one.id)
		q.counted(-1)
	}
}

func (q *queue) counted(n int32) {
	q.count.Add(n)
	q.senders.count.Add(n)
}

// answered notes the node's replies.
func (q *queue) answered(replies []*caspaxos.Reply) {
	if q.count.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range replies {
		if one := q.open[r.ID]; one != nil {
			one.end(errAnswered)
			q.remove(one)
		}
	}
}
