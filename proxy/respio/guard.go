package respio

import (
	"bytes"
	"math"

	"synod/protocol/budget"
	"synod/protocol/resp"
	"synod/proxy/datatype/number"
)

// Redis's limits on a request (networking.c), in bytes unless noted otherwise.
const (
	maxLine            = 64 << 10 // an inline request, or a line with a count
	maxUnauthBulks     = 10       // number of arguments before AUTH
	maxUnauthBulkBytes = 16 << 10 // length of an argument before AUTH
	// argumentBytes is the memory that an argument takes besides its bytes: a
	// slice header while it is parsed and one for the command.
	argumentBytes = 48
)

// Limits bound what a client may send. They apply to the next length that it
// announces.
type Limits struct {
	Bulk    int64 // bytes of one argument: proto-max-bulk-len
	Request int64 // bytes of one request, with overhead: client-query-buffer-limit
	Unauth  bool  // the client has not authenticated yet, but must
}

// ErrRequestTooBig ends a connection without a reply, as Redis does when a
// client exceeds client-query-buffer-limit.
var ErrRequestTooBig = resp.Err("ERR request exceeds client-query-buffer-limit")

// guard scans the requests of one connection as they arrive and finds where each
// ends. It enforces Redis's limits as soon as a length is announced, before any
// memory is taken for it. It remembers its position, so that a request that
// trickles in is scanned once, not once per read.
//
// Redis ignores the byte after a line's '\r' and the two bytes after an argument.
// The guard overwrites them with CRLF: the parser behind it insists on that, and
// must see the same commands as Redis does.
type guard struct {
	pos   int   // bytes scanned, from the start of the request
	bulks int   // arguments to come; 0 before the first line is complete
	skip  int   // bytes to come of the current argument, with CRLF
	args  int64 // arguments scanned; an announced count alone takes no memory

	// large is the length of the current argument if that gets memory of its own.
	// Its bytes come next and do not stay in the buffer. largeBytes is the sum
	// over such arguments of the request that are complete.
	large      int
	largeBytes int64
}

// frame is the kind of request at the start of the buffer.
type frame uint8

const (
	frameNone   frame = iota // incomplete
	frameEmpty               // to be ignored
	frameInline              // a line of words
	frameBulks               // an array of bulk strings
)

// next scans buf, which begins where the last complete request ended and may have
// grown since the last call. It returns the length of the first request if that
// is complete. A failure is the protocol error that Redis replies with, and
// final.
func (g *guard) next(buf []byte, lim Limits) (frame, int, *resp.Value) {
	if len(buf) == 0 {
		return frameNone, 0, nil
	}
	if buf[0] != '*' {
		return g.inline(buf)
	}
	if g.large > 0 {
		return frameNone, 0, nil
	}
	if g.bulks == 0 {
		done, failure := g.count(buf, lim)
		if failure != nil || !done {
			return frameNone, 0, failure
		}
		if g.bulks == 0 {
			return frameEmpty, g.finish(), nil
		}
	}
	for g.bulks > 0 {
		if g.skip == 0 {
			done, failure := g.bulk(buf, lim)
			if failure != nil || !done || g.large > 0 {
				return frameNone, 0, failure
			}
		}
		have := min(g.skip, len(buf)-g.pos)
		g.pos += have
		g.skip -= have
		if g.skip > 0 {
			return frameNone, 0, nil
		}
		buf[g.pos-2], buf[g.pos-1] = '\r', '\n'
		g.bulks--
	}
	return frameBulks, g.finish(), nil
}

// finish prepares for the next request and returns the length of this one.
func (g *guard) finish() int {
	n := g.pos
	*g = guard{}
	return n
}

// taken ends a large argument of n bytes.
func (g *guard) taken(n int) {
	g.large = 0
	g.largeBytes += int64(n)
}

// wants returns how many bytes of the current argument are to come, so that the
// buffer can grow to the right size.
func (g *guard) wants() int { return g.skip }

func (g *guard) inline(buf []byte) (frame, int, *resp.Value) {
	i := bytes.IndexByte(buf[g.pos:], '\n')
	if i < 0 {
		g.pos = len(buf)
	} else {
		g.pos += i + 1
	}
	switch {
	case g.pos > maxLine+2:
		return frameNone, 0, protocolError("too big inline request")
	case i < 0:
		return frameNone, 0, nil
	}
	return frameInline, g.finish(), nil
}

// count reads the line "*<arguments>".
func (g *guard) count(buf []byte, lim Limits) (bool, *resp.Value) {
	end, failure := g.line(buf, "too big mbulk count string")
	if end < 0 {
		return false, failure
	}
	n, ok := number.ParseInt(buf[1:end])
	switch {
	case !ok || n > math.MaxInt32:
		return false, protocolError("invalid multibulk length")
	case n > maxUnauthBulks && lim.Unauth:
		return false, protocolError("unauthenticated multibulk length")
	}
	g.bulks = int(max(n, 0))
	return true, nil
}

// bulk reads the line "$<length>" of the next argument.
func (g *guard) bulk(buf []byte, lim Limits) (bool, *resp.Value) {
	start := g.pos
	end, failure := g.line(buf, "too big bulk count string")
	if end < 0 {
		return false, failure
	}
	if buf[start] != '$' {
		return false, protocolError("expected '$', got '" + OneLine(buf[start:start+1]) + "'")
	}
	n, ok := number.ParseInt(buf[start+1 : end])
	switch {
	case !ok || n < 0 || n > lim.Bulk:
		return false, protocolError("invalid bulk length")
	case n > maxUnauthBulkBytes && lim.Unauth:
		return false, protocolError("unauthenticated bulk length")
	case int64(g.pos)+g.largeBytes+n+g.args*argumentBytes > lim.Request:
		return false, ErrRequestTooBig
	}
	g.skip = 2
	if g.args++; n >= budget.Large {
		g.large = int(n)
	} else {
		g.skip += int(n)
	}
	return true, nil
}

// line moves past the line that starts at g.pos and returns where its '\r' is; -1
// if the line is incomplete.
func (g *guard) line(buf []byte, tooBig string) (int, *resp.Value) {
	i := bytes.IndexByte(buf[g.pos:], '\r')
	switch {
	case i > maxLine || (i < 0 && len(buf)-g.pos > maxLine):
		return -1, protocolError(tooBig)
	case i < 0 || g.pos+i+1 == len(buf):
		return -1, nil
	}
	end := g.pos + i
	buf[end+1] = '\n'
	g.pos = end + 2
	return end, nil
}

func protocolError(what string) *resp.Value { return resp.Err("ERR Protocol error: " + what) }

// OneLine returns client input as an error reply, which is one line, can quote it.
func OneLine(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c == '\r' || c == '\n' {
			c = ' '
		}
		out[i] = c
	}
	return string(out)
}
