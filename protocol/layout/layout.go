// Package layout is what nodes and proposers must know of how values of Redis's types
// are laid out in a register. Consensus does not: it is told.
package layout

import (
	"encoding/binary"

	"synod/protocol/register"
)

// Due returns the first time, in Unix milliseconds, at which something in a value may
// have expired; 0: never. The Aux of a hash, if there is any, begins with a bound on
// the expiries of its fields, 8 bytes, big end first.
func Due(h register.Header) int64 {
	if h.Type != register.Hash || len(h.Aux) < 8 {
		return h.Expiry
	}
	fields := int64(binary.BigEndian.Uint64(h.Aux))
	if h.Expiry == 0 || (fields != 0 && fields < h.Expiry) {
		return fields
	}
	return h.Expiry
}

// ranked is where a sorted set keeps its members in the order of their scores.
var ranked = register.Span{From: []byte{'s'}, To: []byte{'t'}}

// Counted returns the span in which commands on values of the type ask for ranks and
// counts (Range.Skip, Projection.Counts), if they do. Nodes keep what it takes to
// answer these in less than linear time. For a List it is every element, for a
// SortedSet those whose keys begin with 's'.
func Counted(t register.Type) (register.Span, bool) {
	switch t {
	case register.List:
		return register.Span{}, true
	case register.SortedSet:
		return ranked, true
	}
	return register.Span{}, false
}
