package sim

import "time"

// Instant is simulated true time, in nanoseconds since the run began. No node
// and no proxy knows it; they have clocks of their own.
type Instant int64

// event is something that happens at an instant.
type event struct {
	at  Instant
	seq uint64 // events of one instant happen in the order in which they were made
	do  func()
}

// events is a heap of what is going to happen.
type events struct {
	heap []event
	seq  uint64
}

func (q *events) less(a, b *event) bool {
	return a.at < b.at || (a.at == b.at && a.seq < b.seq)
}

func (q *events) push(at Instant, do func()) {
	q.seq++
	q.heap = append(q.heap, event{at, q.seq, do})
	h := q.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.less(&h[i], &h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *events) pop() event {
	h := q.heap
	top, n := h[0], len(h)-1
	h[0], h[n] = h[n], event{}
	h = h[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && q.less(&h[down+1], &h[down]) {
			down++
		}
		if !q.less(&h[down], &h[i]) {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	q.heap = h
	return top
}

// after makes do happen d from now.
func (w *World) after(d time.Duration, do func()) {
	w.events.push(w.now+Instant(max(d, 1)), do)
}

// runUntil lets everything happen that is due by an instant, or until a check
// has failed.
func (w *World) runUntil(end Instant) {
	for w.failure == "" && len(w.events.heap) > 0 && w.events.heap[0].at <= end {
		e := w.events.pop()
		w.now = e.at
		e.do()
	}
	w.now = max(w.now, end)
}
