// Package timer is a heap of times at which something is to be looked at.
package timer

import "synod/protocol/caspaxos/instant"

// Heap has the earliest timer first. Timers are never removed early: whoever pops one
// that is no longer wanted skips it.
type Heap[T any] []Timer[T]

// Timer is a time and what to look at then.
type Timer[T any] struct {
	At   instant.Mono
	What T
	Gen  uint32 // tells uses of What apart, if it is reused
}

// Push adds a timer.
func (h *Heap[T]) Push(t Timer[T]) {
	*h = append(*h, t)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].At <= s[i].At {
			break
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

// Pop takes out the earliest timer. The heap must not be empty.
func (h *Heap[T]) Pop() Timer[T] {
	s := *h
	top := s[0]
	n := len(s) - 1
	s[0], s[n] = s[n], Timer[T]{}
	s = s[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && s[down+1].At < s[down].At {
			down++
		}
		if s[i].At <= s[down].At {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	*h = s
	return top
}
