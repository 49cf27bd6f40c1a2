package proxy

import (
	"bytes"

	"synod/protocol/caspaxos"
	"synod/protocol/resp"
	"synod/proxy/datatype/element"
)

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
	return resp.List(element.Bulks(found)...)
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
	next, found, err := s.srv.backend.Scan(s.srv.stop, byte(s.db.Load()), req.Cursor, req.Match, req.Count, req.typ)
	if err != nil {
		return failureOfRead(err)
	}
	return element.Page(next, element.Bulks(found))
}

// noType is the name of a type that no key has.
const noType = "no type"

// scanRequest is what SCAN asks for.
type scanRequest struct {
	element.ScanRequest
	typ string // "": all
}

func parseScan(args [][]byte) (req scanRequest, failure *resp.Value) {
	if req.Cursor, failure = element.ParseCursor(args[1]); failure != nil {
		return req, failure
	}
	failure = req.ParseScanOptions(args[2:], func(option, value []byte) bool {
		if !is(option, "TYPE") {
			return false
		}
		if req.typ = string(bytes.ToLower(value)); req.typ == "" {
			req.typ = noType
		}
		return true
	})
	return req, failure
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

// failureOfRead returns the error reply of a failed read: whatever happened,
// nothing was changed.
func failureOfRead(err error) *resp.Value {
	if v := failureOf(err); v != resp.ErrUncertain {
		return v
	}
	return resp.ErrClusterDown
}
