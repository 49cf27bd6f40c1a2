package register

import "bytes"

// Sum is the one change that several amount to, each of which is made on the
// state after the one before it.
type Sum struct {
	change Change
	own    bool // it changes ops that it has made itself in place
}

// Change returns what all changes so far amount to. It is valid until the next
// Add.
func (s *Sum) Change() Change { return s.change }

// Add adds one more change.
func (s *Sum) Add(c Change) {
	if c.Kind == None {
		return
	}
	if c.Kind == Full || s.change.Kind == None {
		s.change, s.own = c, false
		return
	}
	if !s.own {
		ops := make([]Op, len(s.change.Ops), 2*(len(s.change.Ops)+len(c.Ops)))
		copy(ops, s.change.Ops)
		s.change.Ops, s.own = ops, true
	}
	s.change.Header = c.Header
	for _, op := range c.Ops {
		// A hot key combines many commands on the same element; the last value
		// is all that the nodes need.
		if n := len(s.change.Ops); op.Kind != Patch && n > 0 && bytes.Equal(s.change.Ops[n-1].Key, op.Key) {
			s.change.Ops[n-1] = op
			continue
		}
		s.change.Ops = append(s.change.Ops, op)
	}
}

// Compact returns ops that come to the same, in the order of their elements and
// without those that a later one on the same element makes void. It may change
// the order of ops.
func Compact(ops []Op) []Op {
	Sort(ops)
	out := ops[:0]
	for _, op := range ops {
		if op.Kind != Patch {
			for n := len(out); n > 0 && bytes.Equal(out[n-1].Key, op.Key); n = len(out) {
				out = out[:n-1]
			}
		}
		out = append(out, op)
	}
	return out
}
