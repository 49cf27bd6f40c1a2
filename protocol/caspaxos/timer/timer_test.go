package timer_test

import (
	"math/rand/v2"
	"testing"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/timer"
)

func TestPopIsInOrder(t *testing.T) {
	var h timer.Heap[int]
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 1000 {
		h.Push(timer.Timer[int]{At: instant.Mono(rnd.IntN(100)), What: i})
	}
	for last := instant.Mono(0); len(h) > 0; {
		next := h.Pop()
		if next.At < last {
			t.Fatalf("%d after %d", next.At, last)
		}
		last = next.At
	}
}
