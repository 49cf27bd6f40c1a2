package hash

import (
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// Limits for one background step, so that it reads few field names and its
// change delays other commands only briefly.
const (
	reapMost  = 1024
	reapBytes = 256 << 10 // about
)

// Reap is the operation with which the background removes expired fields; it
// accepts a value of any type. It replies 1 if fields are left and it should
// run again, else 0.
type Reap struct {
	// Again is set when fields are known to be left. The operation is then a
	// write and starts by reading what it needs. Otherwise it first reads the
	// header, which usually shows that there is nothing to do.
	Again bool
}

// ReadOnly implements operation.Operation.
func (o Reap) ReadOnly() bool { return !o.Again }

// Blind implements operation.Operation.
func (Reap) Blind() bool { return false }

// dueFields is the part of the index that one step reads.
var dueFields = register.Range{From: []byte(element.End), Limit: reapMost + 1}

// Needs implements operation.Operation.
func (o Reap) Needs() register.Projection {
	if !o.Again {
		return register.Projection{}
	}
	return register.Projection{Ranges: []register.Range{dueFields}}
}

// Execute removes some fields and moves the bound to the earliest remaining
// expiry.
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
	if c.bound != 0 && c.bound <= now { // reads then need not remove the rest
		c.floor, more = now, 1
	}
	after.Aux = c.aux()
	register.Sort(ops)
	return datatype.Changes(v.Header, after, ops, resp.Int(more))
}
