package proxy

import (
	"bytes"
	"math"
	"strconv"

	"synod/protocol/caspaxos"
	"synod/protocol/resp"
)

// scanCount is how many keys a step of SCAN looks at unless it is told.
const scanCount = 10

var errCursor = resp.Err("ERR invalid cursor")

func dbSize(s *session, _ [][]byte) *resp.Value {
	n, err := s.srv.backend.Size(s.srv.stop, byte(s.db.Load()))
	if err != nil {
		return failureOfRead(err)
	}
	return resp.Int(n)
}

func flushAll(s *session, args [][]byte) *resp.Value {
	return s.flush(args, 0, caspaxos.Databases-1)
}

func flushDB(s *session, args [][]byte) *resp.Value {
	db := byte(s.db.Load())
	return s.flush(args, db, db)
}

// flush removes the keys of databases. SYNC and ASYNC make no difference: the
// nodes give the space back in the background either way.
func (s *session) flush(args [][]byte, first, last byte) *resp.Value {
	if len(args) > 2 || (len(args) == 2 && !is(args[1], "SYNC") && !is(args[1], "ASYNC")) {
		return resp.ErrSyntax
	}
	if err := s.srv.backend.Flush(s.srv.stop, first, last); err != nil {
		return failureOf(err)
	}
	return resp.OK
}

func keys(s *session, args [][]byte) *resp.Value {
	found, err := s.srv.backend.Keys(s.srv.stop, byte(s.db.Load()), args[1])
	if err != nil {
		return failureOfRead(err)
	}
	return listOf(found)
}

func randomKey(s *session, _ [][]byte) *resp.Value {
	key, ok, err := s.srv.backend.RandomKey(s.srv.stop, byte(s.db.Load()))
	switch {
	case err != nil:
		return failureOfRead(err)
	case !ok:
		return resp.Nil
	}
	return resp.Bytes(key)
}

func scan(s *session, args [][]byte) *resp.Value {
	req, failure := parseScan(args)
	if failure != nil {
		return failure
	}
	next, found, err := s.srv.backend.Scan(s.srv.stop, byte(s.db.Load()), req.cursor, req.match, req.count, req.typ)
	if err != nil {
		return failureOfRead(err)
	}
	return resp.List(*resp.Text(strconv.FormatUint(next, 10)), *listOf(found))
}

// noType is the name of a type that no key has.
const noType = "no type"

// scanRequest is what SCAN asks for.
type scanRequest struct {
	cursor uint64
	match  []byte // nil: all
	count  int
	typ    string // "": all
}

func parseScan(args [][]byte) (scanRequest, *resp.Value) {
	req := scanRequest{count: scanCount}
	cursor, ok := parseCursor(args[1])
	if !ok {
		return req, errCursor
	}
	req.cursor = cursor
	for rest := args[2:]; len(rest) > 0; rest = rest[2:] {
		switch {
		case len(rest) == 1:
			return req, resp.ErrSyntax
		case is(rest[0], "COUNT"):
			n, ok := parseLength(rest[1])
			if !ok {
				return req, resp.ErrNotInteger
			}
			if n < 1 {
				return req, resp.ErrSyntax
			}
			req.count = int(min(n, math.MaxInt32))
		case is(rest[0], "MATCH"):
			if req.match = rest[1]; string(req.match) == "*" {
				req.match = nil
			}
		case is(rest[0], "TYPE"):
			if req.typ = string(bytes.ToLower(rest[1])); req.typ == "" {
				req.typ = noType
			}
		default:
			return req, resp.ErrSyntax
		}
	}
	return req, nil
}

// parseCursor reads a cursor as C's strtoul does, which is what Redis takes:
// nothing is zero, a sign is allowed, a negative number wraps around, and a NUL
// ends it.
func parseCursor(b []byte) (uint64, bool) {
	b, _, _ = bytes.Cut(b, []byte{0})
	negative := len(b) > 0 && b[0] == '-'
	digits := b
	if negative || (len(b) > 0 && b[0] == '+') {
		digits = b[1:]
	}
	if len(digits) == 0 {
		return 0, len(b) == 0
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}

// wait is WAIT: every write that was acknowledged is on a quorum, and reaches
// the other copies by itself, so there is nothing to wait for.
func wait(s *session, args [][]byte) *resp.Value {
	if _, ok := parseLength(args[1]); !ok {
		return resp.ErrNotInteger
	}
	timeout, ok := parseLength(args[2])
	switch {
	case !ok:
		return errTimeout
	case timeout < 0:
		return errNegative
	}
	return resp.Int(int64(s.srv.replicas()))
}

var (
	errTimeout  = resp.Err("ERR timeout is not an integer or out of range")
	errNegative = resp.Err("ERR timeout is negative")
)

func listOf(words [][]byte) *resp.Value {
	elems := make([]resp.Value, len(words))
	for i, w := range words {
		elems[i] = resp.Value{Kind: resp.Bulk, Str: w}
	}
	return resp.List(elems...)
}

// failureOfRead returns the error reply of a failed read: whatever happened,
// nothing was changed.
func failureOfRead(err error) *resp.Value {
	if v := failureOf(err); v != resp.ErrUncertain {
		return v
	}
	return resp.ErrClusterDown
}
