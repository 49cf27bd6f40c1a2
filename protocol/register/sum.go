package register

import "bytes"

// Sum combines several changes, each made to the state after the previous one, into
// a single change.
type Sum struct {
	change Change
	own    bool // change.Ops is its own slice: it is changed in place
}

// Change returns the sum of all changes so far. It is valid until the next Add.
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
		// A hot key combines many commands on one element; the nodes need only the
		// last value.
		if n := len(s.change.Ops); op.Kind != Patch && n > 0 && bytes.Equal(s.change.Ops[n-1].Key, op.Key) {
			s.change.Ops[n-1] = op
			continue
		}
		s.change.Ops = append(s.change.Ops, op)
	}
}

// Compact returns ops with the same effect, sorted by element, without those that a
// later op on the same element overwrites. It may reorder ops itself.
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
