package wire

import (
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// slabs allocate the small objects of a batch in blocks. No object is handed out
// twice; the garbage collector frees a block when none of its objects is in use.
type slabs struct {
	requests slab[message.Request]
	replies  slab[message.Reply]
	ops      slab[register.Op]
	elems    slab[register.Element]
}

// slabBlock is the number of objects in a block: large enough to make allocations
// cheap, small enough that a single object in use does not keep much memory alive.
const slabBlock = 32

type slab[T any] struct {
	free []T
	want int // objects that the rest of the batch may need; zero: allocate one at a time
}

// take returns n zero objects. The capacity of the slice is n.
func (s *slab[T]) take(n int) []T {
	if n > len(s.free) {
		if n > slabBlock/4 {
			return make([]T, n)
		}
		s.free = make([]T, max(n, min(s.want, slabBlock)))
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}
