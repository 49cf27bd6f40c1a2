package message

import "synod/protocol/register"

// maxChunks bounds the chunks of a state: with ChunkBytes each, far more than any
// state has.
const maxChunks = 1 << 16

// ChunkBuffer puts together a state that comes in several replies. The network may
// reorder and duplicate them, and a duplicated request is answered twice. If all
// chunks are of one ballot, what they know is right. But it may be less than was
// asked for, so the caller of Take must check.
type ChunkBuffer struct {
	views []register.View // by number
	came  []bool
	left  int  // the number of views that have not come
	last  bool // the last chunk has come
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

// Take returns the state, joined with more, and empties the buffer.
func (p *ChunkBuffer) Take(more ...register.View) register.View {
	v := register.Join(append(p.views, more...)...)
	*p = ChunkBuffer{}
	return v
}
