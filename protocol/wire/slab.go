package wire

import (
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// slabs hand out the small objects of a batch from a few allocations. What was
// handed out is never handed out again; the garbage collector frees a block
// when nothing of it is in use any more.
type slabs struct {
	requests slab[message.Request]
	replies  slab[message.Reply]
	ops      slab[register.Op]
	elems    slab[register.Element]
}

// slabBlock is the number of objects in a block: large enough to make the
// allocations cheap, small enough that one object kept does not keep much
// alive.
const slabBlock = 32

type slab[T any] struct {
	free []T
	want int // objects that the rest of the batch may ask for; zero: one at a time
}

// take returns n zero objects, which cannot be appended to in place.
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
