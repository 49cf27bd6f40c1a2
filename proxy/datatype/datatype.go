// Package datatype says how commands on data are put: as operations on one
// register (operation.Operation), or as a Split into several. The packages
// below it are the commands themselves, one package per type of value: parsing
// of arguments into an operation, and its pure function from a state to a
// change and a reply. Nothing below knows of connections, slots or nodes.
//
// The result of every operation (operation.Effect.Result) is a *resp.Value.
package datatype

import (
	"synod/protocol/operation"
	"synod/protocol/resp"
)

// Split is a command on several registers, taken apart into one operation for
// each. Keys may name a register more than once.
type Split struct {
	Keys [][]byte
	Ops  []operation.Operation // Ops[i] runs on Keys[i]
	// Snapshot asks that all results come from one state of the database
	// (PROTOCOL §7); the operations are read-only then. Otherwise they are
	// independent of each other, and may run in any order.
	Snapshot bool
	// Then, if not nil, is called with the results so far when all of them are
	// there, and returns what else must be read, on what keys, before there is
	// a reply; nothing if that is all. Only for a Snapshot, and what it reads
	// is of the same state of the database. It is called again with those
	// results behind the others. As the reads may have to be repeated, it must
	// not keep anything from one call to the next.
	Then func(results []*resp.Value) (keys [][]byte, ops []operation.Operation)
	// Combine makes the reply out of the operations' results, in the order of
	// Ops and then those of Then. It is to be called only if all of them were
	// done; a result may be a Failure, when the register holds another type. It may keep the values.
	Combine func(results []*resp.Value) *resp.Value
}

// Sum is a Combine that adds integers. A result that is none is the reply.
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
