package caspaxos

import "synod/protocol/register"

// maxParts bounds the parts of a state: with PageBytes each, far more than any
// state has.
const maxParts = 1 << 16

// parts puts a state together that comes in several replies. A network may
// bring these in any order, and twice; a request that it brings twice is
// answered twice. What all parts know is right then, if all are of one ballot,
// but it may be less than what was asked for: whoever takes the state looks.
type parts struct {
	views []register.View // by number
	came  []bool
	left  int // of views, those that have not come
	last  bool
}

// add takes one reply, and reports whether the state is complete.
func (p *parts) add(reply *Reply) bool {
	n := int(reply.Part)
	if n >= maxParts || (p.last && n >= len(p.views)) {
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

// begun reports whether a reply has come.
func (p *parts) begun() bool { return len(p.views) > 0 }

// take returns the state with what else is known of it, and forgets it.
func (p *parts) take(more ...register.View) register.View {
	v := register.Join(append(p.views, more...)...)
	*p = parts{}
	return v
}
