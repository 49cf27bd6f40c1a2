package hash

import (
	"bytes"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
)

// edit collects a command's changes to a hash: to the fields that it names and
// to their index entries.
type edit struct {
	view register.View
	head register.Header
	now  int64 // or the floor, if that is later
	ops  []register.Op
	// edited has the fields' new states, for commands that may name a field
	// twice. A field without a value was removed.
	edited map[string]field
}

func editOf(v register.View, now int64) edit {
	return edit{view: v, head: v.Header, now: max(now, clockOf(v.Header).floor)}
}

// stored returns a field, even if it has expired, and whether it is stored.
func (e *edit) stored(key []byte) (field, bool) {
	if f, done := e.edited[string(key)]; done {
		return f, f.value != nil
	}
	b, exists := e.view.Get(key)
	return parse(b), exists
}

func (e *edit) note(key []byte, f field) {
	if e.edited != nil {
		e.edited[string(key)] = f
	}
}

func (e *edit) do(kind register.OpKind, key, value []byte) {
	e.ops = append(e.ops, register.Op{Kind: kind, Key: key, Value: value})
}

// put sets the element of a field, and reports whether the field is new.
func (e *edit) put(key, value []byte) (created bool) {
	f := parse(value)
	old, exists := e.stored(key)
	if exists && f.expiry == old.expiry && bytes.Equal(f.value, old.value) {
		return false
	}
	if !exists {
		e.head.Size++
	}
	if f.expiry != old.expiry {
		if old.expiry != 0 {
			e.do(register.Remove, indexKey(old.expiry, key), nil)
		}
		if f.expiry != 0 {
			e.do(register.Put, indexKey(f.expiry, key), nil)
			e.head.Aux = lowered(e.head.Aux, f.expiry)
		}
	}
	e.do(register.Put, key, value)
	e.note(key, f)
	return !exists || old.past(e.now)
}

// remove removes a field, which must exist.
func (e *edit) remove(key []byte, f field) {
	e.head.Size = max(e.head.Size, 1) - 1
	e.do(register.Remove, key, nil)
	if f.expiry != 0 {
		e.do(register.Remove, indexKey(f.expiry, key), nil)
	}
	e.note(key, field{})
}

// live returns a field if it exists. It removes an expired field.
func (e *edit) live(key []byte) (field, bool) {
	f, exists := e.stored(key)
	if exists && f.past(e.now) {
		e.remove(key, f)
		exists = false
	}
	return f, exists
}

// effect returns the edit's effect. The hash needs at least the given encoding.
func (e *edit) effect(encoding uint8, reply *resp.Value) operation.Effect {
	old := e.view.Header
	if len(e.ops) == 0 && (!old.Exists() || encoding <= old.Encoding) {
		return datatype.Reply(reply)
	}
	if e.head.Size == 0 {
		return datatype.Deletes(reply)
	}
	register.Sort(e.ops)
	return datatype.Changes(old, grown(e.head, 0, encoding), e.ops, reply)
}
