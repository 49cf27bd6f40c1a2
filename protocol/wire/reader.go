package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed matches every decoding error, by errors.Is.
var ErrMalformed = errors.New("malformed encoding")

// Error says what is wrong with an encoding, and where. errors.Is matches it with
// ErrMalformed.
type Error struct {
	What   string // what was decoded
	Reason string
	Offset int // bytes from the start of what was decoded
}

func (e *Error) Error() string {
	return fmt.Sprintf("wire: malformed %s at byte %d: %s", e.What, e.Offset, e.Reason)
}

// Is reports whether target is ErrMalformed.
func (e *Error) Is(target error) bool { return target == ErrMalformed }

// Reasons of an Error.
const (
	short       = "too short"
	trailing    = "bytes left over"
	overflow    = "number too large"
	badFlags    = "unknown flags"
	badKind     = "unknown kind"
	badOrder    = "not in ascending order"
	tooMany     = "more entries than allowed or than there are bytes for"
	badSlot     = "slot out of range"
	emptyKey    = "key without a name space"
	badSpace    = "no name space to flush"
	badPartial  = "lane out of range"
	tooFar      = "offset beyond any element"
	wrongFormat = "unknown format version"
)

// reader reads one encoding from front to back. After the first failure every read
// returns zero, so callers check only once, at the end.
type reader struct {
	b   []byte
	i   int
	why string // the first failure
	at  int    // its offset
}

func (r *reader) fail(reason string) {
	if r.why == "" {
		r.why, r.at = reason, r.i
		r.b = r.b[:r.i]
	}
}

func (r *reader) left() int { return len(r.b) - r.i }

// end returns the error, if any. what names the thing that was decoded. Bytes left
// over are an error, too.
func (r *reader) end(what string) error {
	if r.why == "" && r.i == len(r.b) {
		return nil
	}
	return r.problem(what)
}

func (r *reader) problem(what string) error {
	if r.why == "" {
		r.fail(trailing)
	}
	return &Error{What: what, Reason: r.why, Offset: r.at}
}

func (r *reader) byte() byte {
	if r.i >= len(r.b) {
		r.fail(short)
		return 0
	}
	c := r.b[r.i]
	r.i++
	return c
}

func (r *reader) uvarint() uint64 {
	if r.i < len(r.b) && r.b[r.i] < 0x80 {
		c := r.b[r.i]
		r.i++
		return uint64(c)
	}
	return r.longUvarint()
}

func (r *reader) longUvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.i:])
	switch {
	case n > 0:
		r.i += n
		return v
	case n == 0:
		r.fail(short)
	default:
		r.fail(overflow)
	}
	return 0
}

// atMost reads a number that must not exceed limit.
func (r *reader) atMost(limit uint64) uint64 {
	v := r.uvarint()
	if v > limit {
		r.fail(overflow)
		return 0
	}
	return v
}

func (r *reader) uint64() uint64 {
	if r.left() < 8 {
		r.fail(short)
		return 0
	}
	v := binary.BigEndian.Uint64(r.b[r.i:])
	r.i += 8
	return v
}

// bytes reads a byte string. It aliases the input; its capacity is its length, so
// that an append does not overwrite what follows.
func (r *reader) bytes() []byte {
	return r.take(r.uvarint())
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(r.left()) {
		r.fail(short)
		return nil
	}
	i := r.i
	r.i += int(n)
	return r.b[i:r.i:r.i]
}

// count reads the number of entries of a list. Each entry takes at least size
// bytes: this keeps the memory for the list in proportion to the input.
func (r *reader) count(size, limit int) int {
	n := r.uvarint()
	if n > uint64(limit) || n > uint64(r.left()/size) {
		r.fail(tooMany)
		return 0
	}
	return int(n)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
