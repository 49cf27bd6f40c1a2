package register

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// Draft is a state to which changes are applied one after another. It also keeps
// the single change that is their sum.
type Draft struct {
	sum     Sum
	view    View
	ownView bool // the view's slices are the draft's own: it changes them in place
}

// NewDraft returns a draft that begins with what v knows of a state.
func NewDraft(v View) Draft { return Draft{view: v} }

// View returns the state as it is now. The view is valid until the next Apply; the
// values of its elements stay valid.
func (d *Draft) View() View { return d.view }

// Change returns the sum of all changes so far. It is valid until the next Apply.
func (d *Draft) Change() Change { return d.sum.Change() }

// Apply applies one more change.
func (d *Draft) Apply(c Change) {
	if c.Kind == None {
		return
	}
	d.sum.Add(c)
	switch {
	case c.Kind == Full:
		d.view, d.ownView = View{Header: c.Header, known: Knowledge{All: true}}, true
		if len(c.Ops) > 1 {
			d.view.elems = make([]Element, 0, len(c.Ops))
		}
	case !d.ownView:
		v := &d.view
		v.elems = slices.Clone(v.elems)
		v.known.Absent = slices.Clone(v.known.Absent)
		v.known.Counts = slices.Clone(v.known.Counts)
		d.ownView = true
	}
	d.view.Header = c.Header
	d.view.doAll(c.Ops)
}

// Apply returns the view of the state after c. A Put or Remove makes its element
// known. A Patch of an unknown element leaves it unknown.
func (v View) Apply(c Change) View {
	d := NewDraft(v)
	d.Apply(c)
	return d.view
}

// many is the number of ops, and of elements, from which it is cheaper to go through
// all elements once than to insert for each op.
const many = 16

// Sort sorts ops by element: many ops are applied fastest in that order. Ops on the
// same element keep their order.
func Sort(ops []Op) {
	if len(ops) < many {
		slices.SortStableFunc(ops, byKey)
		return
	}
	if slices.IsSortedFunc(ops, byKey) {
		return
	}
	// Comparing and moving only the first bytes of the keys is much faster.
	type place struct {
		begin uint64
		at    int
	}
	places := make([]place, len(ops))
	for i := range ops {
		var begin [8]byte
		copy(begin[:], ops[i].Key)
		places[i] = place{begin: binary.BigEndian.Uint64(begin[:]), at: i}
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := cmp.Compare(a.begin, b.begin); c != 0 {
			return c
		}
		if c := byKey(ops[a.at], ops[b.at]); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	sorted := make([]Op, len(ops))
	for i := range places {
		sorted[i] = ops[places[i].at]
	}
	copy(ops, sorted)
}

func byKey(a, b Op) int { return bytes.Compare(a.Key, b.Key) }

// doAll applies ops to the view, which must not be shared. Many ops should be sorted
// by key: then the time is in proportion to the number of ops plus the number of
// elements, not to their product.
func (v *View) doAll(ops []Op) {
	if len(ops) < many || len(v.elems)+len(v.known.Absent) < many || !slices.IsSortedFunc(ops, byKey) {
		for i := range ops {
			v.do(&ops[i])
		}
		return
	}
	rest, done := v.elems, make([]Element, 0, len(v.elems)+len(ops))
	absent, gone := v.known.Absent, slices.Grow([][]byte(nil), len(v.known.Absent))
	for len(ops) > 0 {
		key := ops[0].Key
		v.elems = rest
		at, found := v.find(key)
		end := after(at, found)
		done = append(done, rest[:at]...)
		// While the ops on one key are applied, the view holds no other element.
		v.elems, rest = rest[at:end:end], rest[end:]
		at, found = slices.BinarySearchFunc(absent, key, bytes.Compare)
		end = after(at, found)
		gone = append(gone, absent[:at]...)
		v.known.Absent, absent = absent[at:end:end], absent[end:]
		for len(ops) > 0 && bytes.Equal(ops[0].Key, key) {
			v.do(&ops[0])
			ops = ops[1:]
		}
		done, gone = append(done, v.elems...), append(gone, v.known.Absent...)
	}
	v.elems, v.known.Absent = append(done, rest...), append(gone, absent...)
}

// after returns the index after the result of a search: at+1 if it was found at at,
// else at.
func after(at int, found bool) int {
	if found {
		return at + 1
	}
	return at
}

// do applies an op to the view, which must not be shared.
func (v *View) do(op *Op) {
	i, found := v.find(op.Key)
	known := found || v.lacks(op.Key)
	v.recount(op, found, known)
	if !known && op.Kind == Patch {
		return
	}
	var old []byte
	if found {
		old = v.elems[i].Value
	}
	value, exists := ApplyOp(old, *op)
	switch {
	case exists && found:
		v.elems[i].Value = value
		return
	case exists:
		v.elems = slices.Insert(v.elems, i, Element{Key: op.Key, Value: value})
	case found:
		v.elems = slices.Delete(v.elems, i, i+1)
	}
	if v.spanned(op.Key) {
		return
	}
	at, gone := slices.BinarySearchFunc(v.known.Absent, op.Key, bytes.Compare)
	switch {
	case exists && gone:
		v.known.Absent = slices.Delete(v.known.Absent, at, at+1)
	case !exists && !gone:
		v.known.Absent = slices.Insert(v.known.Absent, at, op.Key)
	}
}

// recount updates the counts for an op. If the view does not know whether the
// element exists, the counts that contain it are dropped.
func (v *View) recount(op *Op, found, known bool) {
	if len(v.known.Counts) == 0 {
		return
	}
	v.known.Counts = slices.DeleteFunc(v.known.Counts, func(c Count) bool { return !known && c.Contains(op.Key) })
	for i := range v.known.Counts {
		c := &v.known.Counts[i]
		switch {
		case !c.Contains(op.Key):
		case op.Kind == Remove && found:
			c.N--
		case op.Kind != Remove && !found:
			c.N++
		}
	}
}

// Trimmed returns the view if it takes at most size bytes. Otherwise it returns a
// smaller view of the same state: the header and the elements that the last change
// touched, as far as they fit. They are copied, because they may be part of a chunk,
// all of which would stay in memory with them.
func (v View) Trimmed(last Change, size int) View {
	if v.Bytes() <= size {
		return v
	}
	out := View{Header: v.Header}
	room := size - out.Bytes()
	for i := len(last.Ops) - 1; i >= 0; i-- {
		key := last.Ops[i].Key
		value, exists, known := v.Lookup(key)
		if room -= (Element{Key: key, Value: value}).Bytes(); room < 0 || len(out.elems)+len(out.known.Absent) >= trimmedElements {
			break
		}
		switch {
		case exists:
			if at, twice := out.find(key); !twice {
				out.elems = slices.Insert(out.elems, at, Element{Key: bytes.Clone(key), Value: bytes.Clone(value)})
			}
		case known:
			if at, twice := slices.BinarySearchFunc(out.known.Absent, key, bytes.Compare); !twice {
				out.known.Absent = slices.Insert(out.known.Absent, at, bytes.Clone(key))
			}
		}
	}
	return out
}

// trimmedElements bounds how many elements a trimmed view keeps.
const trimmedElements = 32
