package element

import (
	"bytes"
	"slices"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// Check returns the error if a register holds another type.
func Check(h register.Header, typ register.Type) *resp.Value {
	if h.Type == typ || h.Type == register.Absent {
		return nil
	}
	return resp.ErrWrongType
}

// ParseSize parses a command that answers the number of members.
func ParseSize(typ register.Type) (operation.Operation, *resp.Value) { return size(typ), nil }

type size register.Type

func (size) ReadOnly() bool             { return true }
func (size) Blind() bool                { return false }
func (size) Needs() register.Projection { return register.Projection{} }

func (o size) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header, register.Type(o)); err != nil {
		return datatype.Reply(err)
	}
	return datatype.Reply(resp.Int(int64(v.Header.Size)))
}

// lookup reads members by name.
type lookup struct {
	datatype.Reads
	typ  register.Type
	show func(v register.View, keys [][]byte) *resp.Value
	keys [][]byte
	one  [1][]byte // keys, if there is only one
}

// ParseLookup parses a command that reads members by name. show builds the
// reply from a view that covers their element keys, even if the register is
// empty.
func ParseLookup(typ register.Type, prefix string, members [][]byte, show func(v register.View, keys [][]byte) *resp.Value) (operation.Operation, *resp.Value) {
	o := &lookup{typ: typ, show: show}
	if o.keys = o.one[:]; len(members) != 1 {
		o.keys = make([][]byte, len(members))
	}
	for i, m := range members {
		o.keys[i] = Key(prefix, m)
	}
	return o, nil
}

func (o *lookup) Needs() register.Projection { return register.Projection{Keys: o.keys} }

func (o *lookup) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header, o.typ); err != nil {
		return datatype.Reply(err)
	}
	return datatype.Reply(o.show(v, o.keys))
}

// whole reads all members.
type whole struct {
	datatype.Reads
	typ  register.Type
	show func(elems []register.Element) *resp.Value
}

// ParseWhole parses a command that reads all elements of a value, or none if
// there is no value.
func ParseWhole(typ register.Type, show func(elems []register.Element) *resp.Value) (operation.Operation, *resp.Value) {
	return whole{typ: typ, show: show}, nil
}

func (whole) Needs() register.Projection { return register.Projection{All: true} }

func (o whole) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header, o.typ); err != nil {
		return datatype.Reply(err)
	}
	return datatype.Reply(o.show(v.Elements()))
}

// remove removes members of a type that has one element per member.
type remove struct {
	datatype.Writes
	typ  register.Type
	keys [][]byte // without duplicates
}

// ParseRemove parses a command that removes members and replies with their
// number, for a type that has one element per member.
func ParseRemove(typ register.Type, members [][]byte) (operation.Operation, *resp.Value) {
	o := &remove{typ: typ, keys: make([][]byte, len(members))}
	for i, m := range members {
		o.keys[i] = Key("", m)
	}
	slices.SortFunc(o.keys, bytes.Compare)
	o.keys = slices.CompactFunc(o.keys, bytes.Equal)
	return o, nil
}

func (o *remove) Needs() register.Projection { return register.Projection{Keys: o.keys} }

func (o *remove) Execute(v register.View, _ int64) operation.Effect {
	if err := Check(v.Header, o.typ); err != nil {
		return datatype.Reply(err)
	}
	var gone [][]byte
	for _, key := range o.keys {
		if _, exists := v.Get(key); exists {
			gone = append(gone, key)
		}
	}
	return Without(v.Header, gone, resp.Int(int64(len(gone))))
}

// Without returns the effect of removing elements, all of which must exist,
// from a value with one element per member.
func Without(h register.Header, keys [][]byte, reply *resp.Value) operation.Effect {
	switch n := uint64(len(keys)); {
	case n == 0:
		return datatype.Reply(reply)
	case n >= h.Size:
		return datatype.Deletes(reply)
	}
	ops := make([]register.Op, len(keys))
	for i, key := range keys {
		ops[i] = register.Op{Kind: register.Remove, Key: key}
	}
	after := h
	after.Size -= uint64(len(keys))
	return datatype.Changes(h, after, ops, reply)
}

// Last sorts ops and keeps only the last one on each element.
func Last(ops []register.Op) []register.Op {
	if len(ops) < 2 {
		return ops
	}
	register.Sort(ops)
	out := ops[:0]
	for i, op := range ops {
		if i+1 == len(ops) || !bytes.Equal(op.Key, ops[i+1].Key) {
			out = append(out, op)
		}
	}
	return out
}

// Keys returns the element keys of ops.
func Keys(ops []register.Op) [][]byte {
	keys := make([][]byte, len(ops))
	for i := range ops {
		keys[i] = ops[i].Key
	}
	return keys
}

// News returns those of puts that change the view's state, and how many of them
// create an element. Each must be on a different element.
func News(v register.View, puts []register.Op) (ops []register.Op, created uint64) {
	for i, op := range puts {
		value, exists := v.Get(op.Key)
		switch {
		case !exists:
			created++
		case bytes.Equal(value, op.Value):
			continue
		}
		if len(ops) == i { // nothing has been left out so far
			ops = puts[: i+1 : i+1]
		} else {
			ops = append(ops, op)
		}
	}
	return ops, created
}

// Exists replies 1 if the first key exists, else 0.
func Exists(v register.View, keys [][]byte) *resp.Value { return flag(v, keys[0]) }

func flag(v register.View, key []byte) *resp.Value {
	if _, exists := v.Get(key); exists {
		return resp.Int(1)
	}
	return resp.Int(0)
}

// Exist replies with a list of 1 or 0 for each key: whether it exists.
func Exist(v register.View, keys [][]byte) *resp.Value {
	elems := make([]resp.Value, len(keys))
	for i, key := range keys {
		elems[i] = *flag(v, key)
	}
	return resp.List(elems...)
}

// Bulks converts strings to values.
func Bulks(list [][]byte) []resp.Value {
	elems := make([]resp.Value, len(list))
	for i, b := range list {
		elems[i] = resp.Value{Kind: resp.Bulk, Str: b}
	}
	return elems
}
