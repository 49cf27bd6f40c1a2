package str

import (
	"synod/protocol/register"
	"synod/protocol/resp"
)

// What follows is for package hll, whose values are strings that it changes in
// place.

// Check returns the error for commands on strings, if the state is of another
// type.
func Check(h register.Header) *resp.Value { return check(h) }

// Span returns the projection of the bytes from, inclusive, to to, exclusive.
func Span(from, to uint64) register.Projection { return span(from, to) }

// Bytes returns the bytes from to to of the string, which the view must cover.
// They may be shared with the view.
func Bytes(v register.View, from, to uint64) []byte { return read(v, from, to) }

// Overwrite returns the ops that write value at an offset of a string that was
// size bytes long.
func Overwrite(size, offset uint64, value []byte) []register.Op {
	return overwrite(nil, size, offset, value)
}

// InPlace is the header of a string of that size after it was changed in place.
// If it is the old one, nothing about the header has changed.
func InPlace(old register.Header, size uint64) register.Header {
	return rewritten(old, int(size), encodingRaw)
}
