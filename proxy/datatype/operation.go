package datatype

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
)

// Reads is embedded by operations that never change anything.
type Reads struct{}

// ReadOnly implements operation.Operation.
func (Reads) ReadOnly() bool { return true }

// Blind implements operation.Operation.
func (Reads) Blind() bool { return false }

// Writes is embedded by operations that change the state they read.
type Writes struct{}

// ReadOnly implements operation.Operation.
func (Writes) ReadOnly() bool { return false }

// Blind implements operation.Operation.
func (Writes) Blind() bool { return false }

// Reply is the effect of an operation that leaves the state unchanged.
func Reply(v *resp.Value) operation.Effect { return operation.Effect{Result: v} }

// Need is the effect of an operation that must read more first.
func Need(p register.Projection) operation.Effect { return operation.Effect{Need: &p} }

// Becomes is the effect of an operation that replaces the whole state.
func Becomes(h register.Header, ops []register.Op, v *resp.Value) operation.Effect {
	return operation.Effect{Change: register.Change{Kind: register.Full, Header: h, Ops: ops}, Result: v}
}

// Changes is the effect of an operation that changes part of a state, or
// creates a state.
func Changes(old, h register.Header, ops []register.Op, v *resp.Value) operation.Effect {
	kind := register.Delta
	if !old.Exists() {
		kind = register.Full
	}
	return operation.Effect{Change: register.Change{Kind: kind, Header: h, Ops: ops}, Result: v}
}

// Deletes is the effect of an operation that deletes the value.
func Deletes(v *resp.Value) operation.Effect {
	return operation.Effect{Change: register.Delete(), Result: v}
}

// Is reports whether an argument is the option name, which is in upper case.
// Redis compares C strings, so an argument ends at its first zero byte.
func Is(arg []byte, name string) bool {
	if len(arg) < len(name) || (len(arg) > len(name) && arg[len(name)] != 0) {
		return false
	}
	for i := range len(name) {
		c := arg[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}
