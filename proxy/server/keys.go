package server

import (
	"bytes"

	"synod/protocol/partition"
	"synod/protocol/resp"
	"synod/proxy/datatype/element"
	"synod/proxy/datatype/number"
	"synod/proxy/session"
)

func (srv *Server) dbSize(s *session.Session, _ [][]byte) *resp.Value {
	n, err := srv.backend.Size(srv.stop, s.Database())
	if err != nil {
		return readFailure(err)
	}
	return resp.Int(n)
}

func (srv *Server) flushAll(_ *session.Session, args [][]byte) *resp.Value {
	return srv.flush(args, 0, partition.Databases-1)
}

func (srv *Server) flushDB(s *session.Session, args [][]byte) *resp.Value {
	db := s.Database()
	return srv.flush(args, db, db)
}

// flush removes the keys of databases. SYNC and ASYNC make no difference: the nodes
// free the space in the background either way.
func (srv *Server) flush(args [][]byte, first, last byte) *resp.Value {
	if len(args) > 2 || (len(args) == 2 && !session.Is(args[1], "SYNC") && !session.Is(args[1], "ASYNC")) {
		return resp.ErrSyntax
	}
	if err := srv.backend.Flush(srv.stop, first, last); err != nil {
		return session.Failure(err)
	}
	return resp.OK
}

func (srv *Server) keys(s *session.Session, args [][]byte) *resp.Value {
	found, err := srv.backend.Keys(srv.stop, s.Database(), args[1])
	if err != nil {
		return readFailure(err)
	}
	return resp.List(element.Bulks(found)...)
}

func (srv *Server) randomKey(s *session.Session, _ [][]byte) *resp.Value {
	key, ok, err := srv.backend.RandomKey(srv.stop, s.Database())
	switch {
	case err != nil:
		return readFailure(err)
	case !ok:
		return resp.Nil
	}
	return resp.Bytes(key)
}

func (srv *Server) scan(s *session.Session, args [][]byte) *resp.Value {
	req, failure := parseScan(args)
	if failure != nil {
		return failure
	}
	next, found, err := srv.backend.Scan(srv.stop, s.Database(), req.Cursor, req.Match, req.Count, req.typ)
	if err != nil {
		return readFailure(err)
	}
	return element.Page(next, element.Bulks(found))
}

// noType is a name that no type has.
const noType = "no type"

// scanRequest is the arguments of SCAN.
type scanRequest struct {
	element.ScanRequest
	typ string // "": all
}

func parseScan(args [][]byte) (req scanRequest, failure *resp.Value) {
	if req.Cursor, failure = element.ParseCursor(args[1]); failure != nil {
		return req, failure
	}
	failure = req.ParseScanOptions(args[2:], func(option, value []byte) bool {
		if !session.Is(option, "TYPE") {
			return false
		}
		if req.typ = string(bytes.ToLower(value)); req.typ == "" {
			req.typ = noType
		}
		return true
	})
	return req, failure
}

// wait is WAIT. There is nothing to wait for: an acknowledged write is on a quorum and
// reaches the other copies by itself.
func (srv *Server) wait(_ *session.Session, args [][]byte) *resp.Value {
	if _, ok := number.ParseInt(args[1]); !ok {
		return resp.ErrNotInteger
	}
	if _, failure := session.ParseTimeout(args[2]); failure != nil {
		return failure
	}
	return resp.Int(int64(srv.replicas()))
}

// readFailure returns the error reply of a failed read: it is never uncertain, since
// reads change nothing.
func readFailure(err error) *resp.Value {
	if v := session.Failure(err); v != resp.ErrUncertain {
		return v
	}
	return resp.ErrClusterDown
}
