package register

import (
	"bytes"
	"slices"
	"sort"
)

// Range names the elements with From <= key < To, in byte order. A nil To has
// no upper end.
type Range struct {
	From, To []byte
}

func (r Range) contains(key []byte) bool {
	return bytes.Compare(key, r.From) >= 0 && (r.To == nil || bytes.Compare(key, r.To) < 0)
}

// Projection says which part of a state a command needs. The zero Projection
// asks for the header only. A node may send more than was asked for (it sends
// small states whole); the View says what was sent.
type Projection struct {
	All    bool
	Keys   [][]byte
	Ranges []Range
}

// HeaderOnly reports whether no element is asked for.
func (p Projection) HeaderOnly() bool {
	return !p.All && len(p.Keys) == 0 && len(p.Ranges) == 0
}

// Union returns a projection that asks for what either asks for.
func (p Projection) Union(q Projection) Projection {
	if p.All || q.All {
		return Projection{All: true}
	}
	if q.HeaderOnly() {
		return p
	}
	if p.HeaderOnly() {
		return q
	}
	return Projection{
		Keys:   append(slices.Clone(p.Keys), q.Keys...),
		Ranges: append(slices.Clone(p.Ranges), q.Ranges...),
	}
}

// View is the part of a register's state that somebody knows. Known tells
// which elements are known; one that is known and not in the view does not
// exist. A View is a value: Apply returns a new one and leaves the old as it
// was, so a view may be kept while rounds based on it are under way.
type View struct {
	Header Header
	Known  Projection
	elems  []Element // sorted by key, no two equal
}

// NewView returns a view of the elements given, which it takes over and which
// must be in byte order without doubles.
func NewView(h Header, known Projection, elems []Element) View {
	return View{Header: h, Known: known, elems: elems}
}

// Nothing returns the view of a register that holds nothing.
func Nothing() View { return View{Known: Projection{All: true}} }

// Elements returns the known elements in byte order. The caller must not
// modify the slice.
func (v View) Elements() []Element { return v.elems }

// Get returns the value of one element. The caller must have made sure that
// the view covers it.
func (v View) Get(key []byte) ([]byte, bool) {
	i, ok := v.find(key)
	if !ok {
		return nil, false
	}
	return v.elems[i].Value, true
}

func (v View) find(key []byte) (int, bool) {
	if len(v.elems) == 1 { // nearly every string
		c := bytes.Compare(v.elems[0].Key, key)
		if c < 0 {
			return 1, false
		}
		return 0, c == 0
	}
	return sort.Find(len(v.elems), func(i int) int { return bytes.Compare(key, v.elems[i].Key) })
}

// Covers reports whether the view knows all that p asks for.
func (v View) Covers(p Projection) bool {
	if v.Known.All || p.HeaderOnly() {
		return true
	}
	if p.All {
		return false
	}
	for _, k := range p.Keys {
		if !v.knows(k) {
			return false
		}
	}
	for _, r := range p.Ranges {
		if !v.knowsRange(r) {
			return false
		}
	}
	return true
}

func (v View) knows(key []byte) bool {
	for _, r := range v.Known.Ranges {
		if r.contains(key) {
			return true
		}
	}
	for _, k := range v.Known.Keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

func (v View) knowsRange(want Range) bool {
	for _, r := range v.Known.Ranges {
		if bytes.Compare(r.From, want.From) > 0 {
			continue
		}
		if r.To == nil || (want.To != nil && bytes.Compare(want.To, r.To) <= 0) {
			return true
		}
	}
	return false
}

// Add returns a view that also knows what more knows. Both must be views of
// the same state.
func (v View) Add(more View) View {
	if v.Known.All {
		return v
	}
	if more.Known.All {
		return more
	}
	out := View{Header: v.Header, Known: v.Known.Union(more.Known)}
	out.elems = make([]Element, 0, len(v.elems)+len(more.elems))
	a, b := v.elems, more.elems
	for len(a) > 0 && len(b) > 0 {
		switch c := bytes.Compare(a[0].Key, b[0].Key); {
		case c < 0:
			out.elems, a = append(out.elems, a[0]), a[1:]
		case c > 0:
			out.elems, b = append(out.elems, b[0]), b[1:]
		default:
			out.elems, a, b = append(out.elems, a[0]), a[1:], b[1:]
		}
	}
	out.elems = append(append(out.elems, a...), b...)
	return out
}

// Apply returns the view of the state after c. What the change does to
// elements that the view does not know leaves them unknown, except that a Put
// or Remove makes them known.
func (v View) Apply(c Change) View {
	if c.Kind == None {
		return v
	}
	out := View{Header: c.Header}
	if c.Kind == Full {
		out.Known = Projection{All: true}
	} else {
		out.Known = v.Known
		out.elems = slices.Clone(v.elems)
	}
	for _, op := range c.Ops {
		known := out.Known.All || out.knows(op.Key)
		if !known && op.Kind == Patch {
			continue
		}
		i, found := out.find(op.Key)
		var old []byte
		if found {
			old = out.elems[i].Value
		}
		value, exists := ApplyOp(old, op)
		switch {
		case exists && found:
			out.elems[i].Value = value
		case exists:
			out.elems = slices.Insert(out.elems, i, Element{Key: op.Key, Value: value})
		case found:
			out.elems = slices.Delete(out.elems, i, i+1)
		}
		if !known {
			out.Known.Keys = append(slices.Clone(out.Known.Keys), op.Key)
		}
	}
	return out
}

// Whole returns the change that makes this state out of any other. The view
// must know all of it.
func (v View) Whole() Change {
	c := Change{Kind: Full, Header: v.Header}
	if len(v.elems) > 0 {
		c.Ops = make([]Op, len(v.elems))
		for i, e := range v.elems {
			c.Ops[i] = Op{Kind: Put, Key: e.Key, Value: e.Value}
		}
	}
	return c
}

// Bytes estimates the memory that the view takes.
func (v View) Bytes() int {
	n := 96 + len(v.Header.Aux)
	for i := range v.elems {
		n += 48 + len(v.elems[i].Key) + len(v.elems[i].Value)
	}
	for _, k := range v.Known.Keys {
		n += 24 + len(k)
	}
	return n
}
