package message

import "synod/protocol/register"

// maxChunks bounds the chunks of a state: with ChunkBytes each, far more than any
// state has.
const maxChunks = 1 << 16

// ChunkBuffer puts a state together that comes in several replies. A network may
// deliver these in any order, and twice; a request that it delivers twice is answered
// twice. If all chunks are of one ballot, what they know is right, but it may be less
// than what was asked for: whoever takes the state checks.
type ChunkBuffer struct {
	views []register.View // by number
	came  []bool
	left  int // of views, those that have not come
	last  bool
}

// Add takes one reply, and reports whether the state is complete.
func (p *ChunkBuffer) Add(reply *Reply) bool {
	n := int(reply.Chunk)
	if n >= maxChunks || (p.last && n >= len(p.views)) {
		return false
	}
	for len(p.views) <= n {
		p.views, p.came = append(p.views, register.View{}), append(p.came, false)
		p.left++
	}
	if !p.came[n] {
		p.views[n], p.came[n] = reply.View, true
		p.left--
	}
	p.last = p.last || !reply.More
	return p.last && p.left == 0
}

// Begun reports whether a reply has come.
func (p *ChunkBuffer) Begun() bool { return len(p.views) > 0 }

// Take returns the state with what else is known of it, and empties the buffer.
func (p *ChunkBuffer) Take(more ...register.View) register.View {
	v := register.Join(append(p.views, more...)...)
	*p = ChunkBuffer{}
	return v
}
