package str

import (
	"synod/protocol/register"
	"synod/protocol/resp"
)

// The following is for package hll, whose values are strings that it changes in
// place.

// Check returns the error if the state is not a string.
func Check(h register.Header) *resp.Value { return check(h) }

// Span returns the projection of the bytes from (inclusive) to to (exclusive).
func Span(from, to uint64) register.Projection { return span(from, to) }

// Bytes returns the bytes from to to of the string, which the view must cover.
// They may be shared with the view.
func Bytes(v register.View, from, to uint64) []byte { return read(v, from, to) }

// Overwrite returns the ops that write value at an offset of a string of size
// bytes.
func Overwrite(size, offset uint64, value []byte) []register.Op {
	return overwrite(nil, size, offset, value)
}

// InPlace returns the header of a string of the given size after a change in
// place. If it equals the old header, the header is unchanged.
func InPlace(old register.Header, size uint64) register.Header {
	return rewritten(old, int(size), encodingRaw)
}
