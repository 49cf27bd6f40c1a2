// Package datatype defines how data commands run: as an operation on one
// register (operation.Operation), or as a Split over several. Each package
// below it implements the commands of one value type: it parses arguments into
// an operation, a pure function from a state to a change and a reply. These
// packages know nothing of connections, slots or nodes.
//
// The result of every operation (operation.Effect.Result) is a *resp.Value.
package datatype

import (
	"synod/protocol/operation"
	"synod/protocol/resp"
)

// Split is a command on several registers, divided into one operation for each.
// Keys may contain duplicates.
type Split struct {
	Keys [][]byte
	Ops  []operation.Operation // Ops[i] runs on Keys[i]
	// Snapshot requires all results to come from one state of the database
	// (PROTOCOL §7); the operations must be read-only. Otherwise the operations
	// are independent and may run in any order.
	Snapshot bool
	// Then, if not nil, receives all results so far and returns the operations
	// still to run, and their keys; none if nothing more is needed. Only a
	// Snapshot may set it, and its reads see the same state of the database. It
	// is called again with the new results appended. Reads may be repeated, so
	// it must keep no state between calls.
	Then func(results []*resp.Value) (keys [][]byte, ops []operation.Operation)
	// Combine builds the reply from the results, in the order of Ops followed
	// by those of Then. It must be called only if all operations ran; a result
	// may be a Failure if the register holds another type. Combine may keep the
	// values.
	Combine func(results []*resp.Value) *resp.Value
}

// Sum is a Combine that adds integers. The first result that is not an integer
// becomes the reply.
func Sum(results []*resp.Value) *resp.Value {
	if len(results) == 1 {
		return results[0]
	}
	var n int64
	for _, r := range results {
		if r.Kind != resp.Integer {
			return r
		}
		n += r.Int
	}
	return resp.Int(n)
}

// Array is a Combine that lists the results.
func Array(results []*resp.Value) *resp.Value {
	elems := make([]resp.Value, len(results))
	for i, r := range results {
		elems[i] = *r
	}
	return resp.List(elems...)
}
