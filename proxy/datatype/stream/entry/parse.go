package entry

import (
	"bytes"
	"math"
	"strconv"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var errID = resp.Err("ERR Invalid stream ID specified as stream command argument")

// Check returns the error if the header belongs to another type.
func Check(h register.Header) *resp.Value {
	if h.Exists() && h.Type != register.Stream {
		return resp.ErrWrongType
	}
	return nil
}

// ParseID parses "ms-seq", or "ms" with the given seq. As in Redis, the
// argument ends at its first zero byte.
func ParseID(arg []byte, seq uint64) (ID, *resp.Value) {
	id, _, err := parseOpenID(arg, seq, false)
	return id, err
}

// parseOpenID is ParseID. If open is set, it also accepts "ms-*", reported as
// auto.
func parseOpenID(arg []byte, seq uint64, open bool) (id ID, auto bool, err *resp.Value) {
	const longest = 127
	if len(arg) > longest {
		return ID{}, false, errID
	}
	text, _, _ := bytes.Cut(arg, []byte{0})
	ms, rest, both := bytes.Cut(text, []byte{'-'})
	ok1, ok2 := false, true
	id.Seq = seq
	id.MS, ok1 = parseUint(ms)
	switch {
	case both && open && string(rest) == "*":
		id.Seq, auto = 0, true
	case both:
		id.Seq, ok2 = parseUint(rest)
	}
	if !ok1 || !ok2 {
		return ID{}, false, errID
	}
	return id, auto, nil
}

// parseUint parses a number as Redis does: strictly, or otherwise like C's
// strtoull, which accepts leading spaces, signs and zeros, and wraps around.
func parseUint(b []byte) (uint64, bool) {
	if n, ok := number.ParseInt(b); ok {
		return uint64(n), n >= 0
	}
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	negative := len(b) > 0 && b[0] == '-'
	if negative || (len(b) > 0 && b[0] == '+') {
		b = b[1:]
	}
	if len(b) == 0 || b[0] < '0' || b[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}

// ParseAnyID is ParseID, but also accepts "-" and "+" for the smallest and
// greatest ID.
func ParseAnyID(arg []byte, seq uint64) (ID, *resp.Value) {
	switch {
	case datatype.Is(arg, "-"):
		return ID{}, nil
	case datatype.Is(arg, "+"):
		return MaxID, nil
	}
	return ParseID(arg, seq)
}

var (
	errStart = resp.Err("ERR invalid start ID for the interval")
	errEnd   = resp.Err("ERR invalid end ID for the interval")
)

// ParseStart reads the start of an interval; "(" excludes it.
func ParseStart(arg []byte) (ID, *resp.Value) {
	if len(arg) < 2 || arg[0] != '(' {
		return ParseAnyID(arg, 0)
	}
	id, err := ParseID(arg[1:], 0)
	if err != nil {
		return ID{}, err
	}
	if id == MaxID {
		return ID{}, errStart
	}
	return id.Next(), nil
}

// parseEnd reads the end of an interval; "(" excludes it.
func parseEnd(arg []byte) (ID, *resp.Value) {
	if len(arg) < 2 || arg[0] != '(' {
		return ParseAnyID(arg, math.MaxUint64)
	}
	id, err := ParseID(arg[1:], math.MaxUint64)
	if err != nil {
		return ID{}, err
	}
	if id.Zero() {
		return ID{}, errEnd
	}
	return id.previous(), nil
}

// ParseInterval reads both ends of an interval.
func ParseInterval(start, end []byte) (from, to ID, err *resp.Value) {
	if from, err = ParseStart(start); err != nil {
		return from, to, err
	}
	to, err = parseEnd(end)
	return from, to, err
}

// ParseIDs reads a list of IDs.
func ParseIDs(args [][]byte) ([]ID, *resp.Value) {
	ids := make([]ID, len(args))
	for i, arg := range args {
		var err *resp.Value
		if ids[i], err = ParseID(arg, 0); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Limit converts a client's count, clipped to what a state can hold.
func Limit(n int64) int { return int(min(max(n, 0), math.MaxInt32)) }

// Reply returns an entry as listed by commands.
func Reply(e register.Element) resp.Value {
	return *resp.List(*IDReply(IDAtEnd(e.Key)), resp.Value{Kind: resp.Array, Elems: fieldReplies(e.Value)})
}

// fieldReplies is Fields, for a reply.
func fieldReplies(value []byte) []resp.Value {
	r := Reader(value)
	elems := make([]resp.Value, min(r.Uint(), uint64(len(r))))
	for i := range elems {
		elems[i] = resp.Value{Kind: resp.Bulk, Str: r.text()}
	}
	return elems
}

// IDReply returns an ID as a reply.
func IDReply(id ID) *resp.Value { return resp.Bytes(id.text()) }

// Replies returns the list of entries.
func Replies(elems []register.Element) *resp.Value {
	out := make([]resp.Value, len(elems))
	for i, e := range elems {
		out[i] = Reply(e)
	}
	return &resp.Value{Kind: resp.Array, Elems: out}
}

// Lookup returns an element's value. If it is unknown, Lookup adds it to need.
func Lookup(v register.View, key []byte, need *register.Projection) (value []byte, exists bool) {
	value, exists, known := v.Lookup(key)
	if !known {
		need.Keys = append(need.Keys, key)
	}
	return value, exists
}

// List returns the elements of a range. If they are unknown, List adds them to
// need.
func List(v register.View, r register.Range, need *register.Projection) []register.Element {
	elems, known := v.Range(r)
	if !known {
		need.Ranges = append(need.Ranges, r)
	}
	return elems
}

// Lacking reports whether something is needed.
func Lacking(need *register.Projection) bool { return len(need.Keys) > 0 || len(need.Ranges) > 0 }

// Changes is datatype.Changes with the operations sorted by key, the cheapest
// order for many operations.
func Changes(old, h register.Header, ops []register.Op, reply *resp.Value) operation.Effect {
	register.Sort(ops)
	return datatype.Changes(old, h, ops, reply)
}
