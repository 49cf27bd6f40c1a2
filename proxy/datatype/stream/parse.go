package stream

import (
	"bytes"
	"math"
	"strconv"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype"
	"synod/proxy/datatype/number"
)

var errID = resp.Err("ERR Invalid stream ID specified as stream command argument")

// check returns the error if a header is of another type.
func check(h register.Header) *resp.Value {
	if h.Exists() && h.Type != register.Stream {
		return resp.ErrWrongType
	}
	return nil
}

// parseID reads "ms-seq" or "ms", which means seq as given. What clients write
// ends at the first zero byte, as it does in Redis.
func parseID(arg []byte, seq uint64) (ID, *resp.Value) {
	id, _, err := parseOpenID(arg, seq, false)
	return id, err
}

// parseOpenID is parseID that, if open is set, also takes "ms-*" and reports it.
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

// parseUint reads a number as Redis does: strictly, or else as C's strtoull,
// which takes spaces before it, signs and leading zeros, and wraps around.
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

// parseAnyID is parseID that also takes "-" and "+" for the least and the
// greatest ID.
func parseAnyID(arg []byte, seq uint64) (ID, *resp.Value) {
	switch {
	case datatype.Is(arg, "-"):
		return ID{}, nil
	case datatype.Is(arg, "+"):
		return maxID, nil
	}
	return parseID(arg, seq)
}

var (
	errStart = resp.Err("ERR invalid start ID for the interval")
	errEnd   = resp.Err("ERR invalid end ID for the interval")
)

// parseStart reads where an interval begins, which "(" excludes.
func parseStart(arg []byte) (ID, *resp.Value) {
	if len(arg) < 2 || arg[0] != '(' {
		return parseAnyID(arg, 0)
	}
	id, err := parseID(arg[1:], 0)
	if err != nil {
		return ID{}, err
	}
	if id == maxID {
		return ID{}, errStart
	}
	return id.next(), nil
}

// parseEnd reads where an interval ends, which "(" excludes.
func parseEnd(arg []byte) (ID, *resp.Value) {
	if len(arg) < 2 || arg[0] != '(' {
		return parseAnyID(arg, math.MaxUint64)
	}
	id, err := parseID(arg[1:], math.MaxUint64)
	if err != nil {
		return ID{}, err
	}
	if id.Zero() {
		return ID{}, errEnd
	}
	return id.previous(), nil
}

// parseInterval reads both ends of an interval.
func parseInterval(start, end []byte) (from, to ID, err *resp.Value) {
	if from, err = parseStart(start); err != nil {
		return from, to, err
	}
	to, err = parseEnd(end)
	return from, to, err
}

// parseIDs reads a list of IDs.
func parseIDs(args [][]byte) ([]ID, *resp.Value) {
	ids := make([]ID, len(args))
	for i, arg := range args {
		var err *resp.Value
		if ids[i], err = parseID(arg, 0); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// limit makes a count out of what a client asks for. No state has as many
// elements as would be cut off.
func limit(n int64) int { return int(min(max(n, 0), math.MaxInt32)) }

// entryReply is an entry as commands list it.
func entryReply(e register.Element) resp.Value {
	return *resp.List(*idReply(idAtEnd(e.Key)), resp.Value{Kind: resp.Array, Elems: fieldReplies(e.Value)})
}

// fieldReplies is entryFields for a reply.
func fieldReplies(value []byte) []resp.Value {
	r := reader(value)
	elems := make([]resp.Value, min(r.uint(), uint64(len(r))))
	for i := range elems {
		elems[i] = resp.Value{Kind: resp.Bulk, Str: r.text()}
	}
	return elems
}

func idReply(id ID) *resp.Value { return resp.Bytes(id.text()) }

func entryReplies(elems []register.Element) *resp.Value {
	out := make([]resp.Value, len(elems))
	for i, e := range elems {
		out[i] = entryReply(e)
	}
	return &resp.Value{Kind: resp.Array, Elems: out}
}

// lookup returns an element's value, or asks for it in need.
func lookup(v register.View, key []byte, need *register.Projection) (value []byte, exists bool) {
	value, exists, known := v.Lookup(key)
	if !known {
		need.Keys = append(need.Keys, key)
	}
	return value, exists
}

// list returns the elements of a range, or asks for them in need.
func list(v register.View, r register.Range, need *register.Projection) []register.Element {
	elems, known := v.Range(r)
	if !known {
		need.Ranges = append(need.Ranges, r)
	}
	return elems
}

func lacking(need *register.Projection) bool { return len(need.Keys) > 0 || len(need.Ranges) > 0 }

// changes is datatype.Changes with the operations in the order of their keys,
// in which many cost the least.
func changes(old, h register.Header, ops []register.Op, reply *resp.Value) caspaxos.Effect {
	register.Sort(ops)
	return datatype.Changes(old, h, ops, reply)
}
