package hash

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// What one step of the background takes away at most: it reads no more than these
// fields' names, and what it changes delays nobody for long.
const (
	reapMost  = 1024
	reapBytes = 256 << 10 // about
)

// Reap is the operation by which the background takes away fields that are past
// their time, whatever type of value there is. It answers 1 if it left some, so
// that it should be run again, else 0.
type Reap struct {
	// Again is set when it is known that fields are left: it is a write then, and
	// begins with what it needs, where it else looks at the header, which mostly
	// says that there is nothing to do.
	Again bool
}

// ReadOnly implements operation.Operation.
func (o Reap) ReadOnly() bool { return !o.Again }

// Blind implements operation.Operation.
func (Reap) Blind() bool { return false }

// dueFields is the part of the index that a step looks at.
var dueFields = register.Range{From: []byte(element.End), Limit: reapMost + 1}

// Needs implements operation.Operation.
func (o Reap) Needs() register.Projection {
	if !o.Again {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{dueFields}}
}

// Execute takes away some fields and moves the bound to the earliest of the
// rest.
func (o Reap) Execute(v register.View, now int64) operation.Effect {
	c := clockOf(v.Header)
	now = max(now, c.floor)
	if c.bound == 0 || c.bound > now {
		return datatype.Reply(resp.Int(0))
	}
	index, known := v.Range(dueFields)
	if !known {
		return datatype.Need(register.Projection{Ranges: []register.Range{dueFields}})
	}
	after, bytes := v.Header, 0
	var ops []register.Op
	c.bound = 0
	for _, e := range index {
		expiry, key := indexed(e.Key)
		if c.bound = expiry; expiry > now || len(ops) == 2*reapMost || bytes > reapBytes {
			break
		}
		c.bound = 0
		bytes += 2 * len(e.Key)
		ops = append(ops, register.Op{Kind: register.Remove, Key: key}, register.Op{Kind: register.Remove, Key: e.Key})
	}
	gone := uint64(len(ops) / 2)
	if gone >= after.Size {
		return datatype.Deletes(resp.Int(0))
	}
	after.Size -= gone
	c.floor = 0
	more := int64(0)
	if c.bound != 0 && c.bound <= now { // those who read need not take the rest away
		c.floor, more = now, 1
	}
	after.Aux = c.aux()
	register.Sort(ops)
	return datatype.Changes(v.Header, after, ops, resp.Int(more))
}
