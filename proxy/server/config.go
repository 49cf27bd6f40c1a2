package server

import (
	"bytes"
	"slices"
	"strings"

	"synod/protocol/resp"
	"synod/proxy/datatype/glob"
	"synod/proxy/respio"
	"synod/proxy/session"
)

func (srv *Server) configGet(_ *session.Session, args [][]byte) *resp.Value {
	reply := &resp.Value{Kind: resp.Map}
	for i := range parameters {
		p := &parameters[i]
		if name, ok := p.named(args[2:]); ok {
			reply.Elems = append(reply.Elems, *resp.Text(name), *resp.Text(p.get(&srv.settings)))
		}
	}
	return reply
}

// named reports whether a pattern matches the parameter, and under which name to show
// it. As in Redis, a plain name is shown as the client wrote it.
func (p *parameter) named(patterns [][]byte) (string, bool) {
	for _, pattern := range patterns {
		if strings.EqualFold(p.name, string(pattern)) {
			return string(pattern), true
		}
		if bytes.ContainsAny(pattern, "*?[") && glob.Match(bytes.ToLower(pattern), []byte(p.name)) {
			return p.name, true
		}
	}
	return "", false
}

// configSet sets all of the parameters or, on an error, none.
func (srv *Server) configSet(_ *session.Session, args [][]byte) *resp.Value {
	pairs := args[2:]
	if len(pairs)%2 != 0 {
		return resp.ErrSyntax
	}
	chosen := make([]*parameter, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		p := find(pairs[i])
		switch {
		case p == nil:
			return resp.Err("ERR Unknown option or number of arguments for CONFIG SET - '" + respio.OneLine(pairs[i]) + "'")
		case p.set == nil:
			return errConfig(pairs[i], "can't set immutable config")
		case slices.Contains(chosen, p):
			return errConfig(pairs[i], "duplicate parameter")
		}
		chosen = append(chosen, p)
	}
	apply := make([]func(), len(chosen))
	for i, p := range chosen {
		change, problem := p.set(&srv.settings, string(pairs[2*i+1]))
		if problem != "" {
			return errConfig(pairs[2*i], problem)
		}
		apply[i] = change
	}
	for _, change := range apply {
		change()
	}
	return resp.OK
}

func find(name []byte) *parameter {
	for i := range parameters {
		if strings.EqualFold(parameters[i].name, string(name)) {
			return &parameters[i]
		}
	}
	return nil
}

func errConfig(name []byte, problem string) *resp.Value {
	return resp.Err("ERR CONFIG SET failed (possibly related to argument '" + respio.OneLine(name) + "') - " + problem)
}

func (srv *Server) configResetStat(_ *session.Session, _ [][]byte) *resp.Value {
	srv.stats.Reset()
	for _, c := range srv.commands {
		c.Counts.Reset()
	}
	return resp.OK
}

func configRewrite(*session.Session, [][]byte) *resp.Value {
	return resp.Err("ERR The server is running without a config file")
}
