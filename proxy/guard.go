package proxy

import (
	"bytes"
	"math"

	"synod/protocol/budget"
	"synod/protocol/resp"
)

// Redis's limits on a request (networking.c), in bytes unless said otherwise.
const (
	maxLine            = 64 << 10 // an inline request, or a line with a count
	maxUnauthBulks     = 10       // arguments of a command before AUTH
	maxUnauthBulkBytes = 16 << 10 // length of an argument before AUTH
	// argumentBytes is what one argument costs in memory besides its bytes: a
	// slice header while it is parsed and one for the command.
	argumentBytes = 48
)

// requestLimits bound what a client may send. They are read when a length is
// met, so that a change holds from the next length on.
type requestLimits struct {
	bulk    int64 // proto-max-bulk-len
	request int64 // client-query-buffer-limit: one command with all its costs
	unauth  bool  // the client must authenticate first
}

// errRequestTooBig ends a connection without a reply, as Redis does when a
// client exceeds client-query-buffer-limit.
var errRequestTooBig = resp.Err("ERR request exceeds client-query-buffer-limit")

// guard walks the requests of one connection as they arrive and finds where
// each ends. It enforces Redis's limits at the moment a length is announced,
// before any memory is taken for it, and remembers how far it has come, so
// that a request which trickles in is looked at once and not once per read.
//
// Redis looks neither at the byte after a line's '\r' nor at the two bytes
// after an argument. The guard puts CRLF there, so that the parser behind it,
// which insists on them, sees the same commands as Redis does.
type guard struct {
	pos   int   // examined so far, from the start of the request
	bulks int   // arguments still to come; 0 before the first line is complete
	skip  int   // bytes of the current argument, with CRLF, still to come
	args  int64 // arguments met so far; an announced count takes no memory

	// away is the length of an argument that is large enough for memory of its
	// own. Its bytes come next, and are taken out of the buffer; apart is how many
	// bytes such arguments of the request have had.
	away  int
	apart int64
}

// frame is what the guard found at the start of the buffer.
type frame uint8

const (
	frameNone   frame = iota // not complete yet
	frameEmpty               // an empty request, to be ignored
	frameInline              // a line of words
	frameBulks               // an array of bulk strings
)

// next examines buf, which begins where the last complete request ended and
// may have grown since the last call. It returns the length of the first
// request once it is complete. A failure is final: it is the protocol error
// that Redis answers.
func (g *guard) next(buf []byte, lim requestLimits) (frame, int, *resp.Value) {
	if len(buf) == 0 {
		return frameNone, 0, nil
	}
	if buf[0] != '*' {
		return g.inline(buf)
	}
	if g.away > 0 {
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
			if failure != nil || !done || g.away > 0 {
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

// finish makes the guard ready for the next request and returns the length of
// this one.
func (g *guard) finish() int {
	n := g.pos
	*g = guard{}
	return n
}

// taken tells that an argument that was away has been taken.
func (g *guard) taken(n int) {
	g.away = 0
	g.apart += int64(n)
}

// wants returns how many bytes the current argument still lacks, so that the
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
func (g *guard) count(buf []byte, lim requestLimits) (bool, *resp.Value) {
	end, failure := g.line(buf, "too big mbulk count string")
	if end < 0 {
		return false, failure
	}
	n, ok := parseLength(buf[1:end])
	switch {
	case !ok || n > math.MaxInt32:
		return false, protocolError("invalid multibulk length")
	case n > maxUnauthBulks && lim.unauth:
		return false, protocolError("unauthenticated multibulk length")
	}
	g.bulks = int(max(n, 0))
	return true, nil
}

// bulk reads the line "$<length>" of the next argument.
func (g *guard) bulk(buf []byte, lim requestLimits) (bool, *resp.Value) {
	start := g.pos
	end, failure := g.line(buf, "too big bulk count string")
	if end < 0 {
		return false, failure
	}
	if buf[start] != '$' {
		return false, protocolError("expected '$', got '" + printable(buf[start]) + "'")
	}
	n, ok := parseLength(buf[start+1 : end])
	switch {
	case !ok || n < 0 || n > lim.bulk:
		return false, protocolError("invalid bulk length")
	case n > maxUnauthBulkBytes && lim.unauth:
		return false, protocolError("unauthenticated bulk length")
	case int64(g.pos)+g.apart+n+g.args*argumentBytes > lim.request:
		return false, errRequestTooBig
	}
	g.skip = 2
	if g.args++; n >= budget.Large {
		g.away = int(n)
	} else {
		g.skip += int(n)
	}
	return true, nil
}

// line finds the end of the line that starts at g.pos, steps behind it and
// returns where its '\r' is; -1 if the line is not complete.
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

// parseLength reads a decimal number as Redis's string2ll does: no plus sign,
// no leading zero, no "-0".
func parseLength(b []byte) (int64, bool) {
	if len(b) == 1 && b[0] == '0' {
		return 0, true
	}
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 || b[0] < '1' || b[0] > '9' {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0') // 19 digits fit
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

func protocolError(what string) *resp.Value { return resp.Err("ERR Protocol error: " + what) }

// printable keeps a byte from ending the line of the error that quotes it.
func printable(c byte) string {
	if c == '\r' || c == '\n' {
		return " "
	}
	return string([]byte{c})
}
