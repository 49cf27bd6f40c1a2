// Package register defines what one register (one Redis key with its whole
// value) holds, which part of it a command reads and how a write changes it.
//
// A state is a Header and an ordered map of elements. A string is a map from
// chunk index to chunk; a collection is a map from member to value. The model
// says nothing about storage: whether a node keeps the elements inside the
// record or as rows of their own is the node's private matter. Proxies see a
// View (the part of a state that a Projection asked for) and answer with a
// Change; nodes apply Changes.
//
// Everything here is plain data and pure functions. Byte slices handed to or
// returned by this package are shared, never modified: to change a value,
// build a new slice.
package register

// Type says what kind of value a register holds.
type Type uint8

// The types of a register. Absent is a register that holds nothing: never
// written, deleted or expired.
const (
	Absent Type = iota
	String
	List
	Hash
	Set
	SortedSet
	Stream
)

var typeNames = [...]string{"none", "string", "list", "hash", "set", "zset", "stream"}

// String returns the name that Redis's TYPE command answers.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// Header is the part of a state that is not elements.
type Header struct {
	Type Type
	// Encoding is a hint that the type's commands keep with the value, for
	// instance that a string was built by APPEND. Zero is the default.
	Encoding uint8
	// Expiry is the absolute time, in Unix milliseconds, at which the value
	// ceases to exist. Zero: never.
	Expiry int64
	// Size is the number of bytes of a string, of elements of a collection.
	Size uint64
	// Aux is further data of a type (a list's ends, a stream's last id). Consensus
	// does not interpret it.
	Aux []byte
}

// Exists reports whether the register holds a value, even an expired one.
func (h Header) Exists() bool { return h.Type != Absent }

// Expired reports whether the value is past its expiry at the time now, in
// Unix milliseconds. Like Redis, a value lives up to and excluding its expiry.
func (h Header) Expired(now int64) bool {
	return h.Type != Absent && h.Expiry != 0 && now >= h.Expiry
}

// Element is one entry of a state's ordered map.
type Element struct {
	Key   []byte
	Value []byte
}

// OpKind says what an Op does to one element.
type OpKind uint8

// The operations on elements.
const (
	// Put sets the element's value, whether or not it exists.
	Put OpKind = iota
	// Patch writes Value into the element's value at Offset, extending it with
	// zero bytes as needed; a missing element counts as empty.
	Patch
	// Remove deletes the element, if it exists.
	Remove
)

// Op changes one element.
type Op struct {
	Kind   OpKind
	Key    []byte
	Offset uint32 // of a Patch: bytes from the start of the element's value
	Value  []byte
}

// ChangeKind says what a Change is based on.
type ChangeKind uint8

// The kinds of a Change.
const (
	// None changes nothing: the state stays, only the ballot moves.
	None ChangeKind = iota
	// Delta applies Header and Ops to the state at the base ballot.
	Delta
	// Full replaces the whole state by Header and the elements that Ops make from
	// an empty state. With an Absent header it is a delete.
	Full
)

// Change is what one Accept does to a register's state. Equal base states and
// equal changes give equal states on every node.
type Change struct {
	Kind   ChangeKind
	Header Header // the header afterwards; not used with None
	Ops    []Op   // in the order in which they apply

	// Stage, of a Full change, is not zero if the node that votes for it has the
	// elements on disk already: it is the number of their incarnation there, and Ops
	// is empty. It never leaves the node and its changelog.
	Stage uint32
}

// Delete returns the change that deletes the whole value.
func Delete() Change { return Change{Kind: Full} }

// Bytes estimates the memory and wire bytes that the change's content takes.
func (c Change) Bytes() int {
	n := 32 + len(c.Header.Aux)
	for i := range c.Ops {
		n += 8 + len(c.Ops[i].Key) + len(c.Ops[i].Value)
	}
	return n
}

// ApplyOp returns the value of an element after op, and whether the element
// exists afterwards. old is its value before (nil and exists=false if it has
// none) and is not modified.
func ApplyOp(old []byte, op Op) (value []byte, exists bool) {
	switch op.Kind {
	case Put:
		return op.Value, true
	case Patch:
		end := int(op.Offset) + len(op.Value)
		out := make([]byte, max(end, len(old)))
		copy(out, old)
		copy(out[op.Offset:], op.Value)
		return out, true
	}
	return nil, false
}

// TypeNamed returns the type for which TYPE answers this name. It returns false for
// "none", Absent's name.
func TypeNamed(name string) (Type, bool) {
	for t := String; t <= Stream; t++ {
		if typeNames[t] == name {
			return t, true
		}
	}
	return Absent, false
}
