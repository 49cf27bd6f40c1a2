package hash

import (
	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/element"
)

// Reap is the operation by which the background takes away fields that are past
// their time, whatever type of value there is. It answers 1 if it left some, so
// that it should be run again, else 0.
type Reap struct{ datatype.Reads }

// Needs asks for the header, which says mostly that there is nothing to do.
func (Reap) Needs() register.Projection { return register.Projection{} }

// Execute takes away some fields and moves the bound to the earliest of the
// rest.
func (Reap) Execute(v register.View, now int64) caspaxos.Effect {
	c := clockOf(v.Header)
	now = max(now, c.floor)
	if c.bound == 0 || c.bound > now {
		return datatype.Reply(resp.Int(0))
	}
	r := register.Range{From: []byte(element.End), Limit: most + 1}
	index, known := v.Range(r)
	if !known {
		return datatype.Need(register.Projection{Ranges: []register.Range{r}})
	}
	after := v.Header
	var ops []register.Op
	c.bound = 0
	for _, e := range index {
		expiry, key := indexed(e.Key)
		if c.bound = expiry; expiry > now || len(ops) == 2*most {
			break
		}
		c.bound = 0
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
