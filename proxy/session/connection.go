package session

import (
	"bytes"
	"crypto/subtle"

	"synod/protocol/partition"
	"synod/protocol/resp"
	"synod/proxy/datatype/number"
	"synod/proxy/respio"
)

// RedisVersion is the version of Redis whose behaviour clients get.
const RedisVersion = "7.0.15"

// defaultUser is the only user.
const defaultUser = "default"

var (
	pong     = resp.Status("PONG")
	resetOK  = resp.Status("RESET")
	errNoPwd = resp.Err("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	errWrong = resp.Err("WRONGPASS invalid username-password pair or user is disabled.")
	errHello = resp.Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	errProto = resp.Err("NOPROTO unsupported protocol version")
	errName  = resp.Err("ERR Client names cannot contain spaces, newlines or special characters.")
	errDB    = resp.Err("ERR DB index is out of range")
)

func ping(_ *Session, args [][]byte) *resp.Value {
	switch len(args) {
	case 1:
		return pong
	case 2:
		return resp.Bytes(args[1])
	}
	return resp.ErrArity("ping")
}

func quit(s *Session, _ [][]byte) *resp.Value {
	s.last = true
	return resp.OK
}

// reset puts the connection into the state of a new one.
func reset(s *Session, _ [][]byte) *resp.Value {
	s.db.Store(0)
	s.proto.Store(2)
	s.silent, s.skipping, s.skipNext = false, false, false
	s.authenticated = !s.group.settings.hasPassword()
	s.mu.Lock()
	s.labels.name = ""
	s.mu.Unlock()
	return resetOK
}

func selectDB(s *Session, args [][]byte) *resp.Value {
	n, ok := number.ParseInt(args[1])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case int64(int32(n)) != n:
		return resp.Err("ERR value is out of range, value must between -2147483648 and 2147483647")
	case n < 0 || n >= partition.Databases:
		return errDB
	}
	s.db.Store(int32(n))
	return resp.OK
}

func auth(s *Session, args [][]byte) *resp.Value {
	switch len(args) {
	case 2:
		if !s.group.settings.hasPassword() {
			return errNoPwd
		}
		return s.login([]byte(defaultUser), args[1])
	case 3:
		return s.login(args[1], args[2])
	}
	return resp.ErrSyntax
}

// login authenticates the client, or returns why not. Without a password, the
// default user may log in with any.
func (s *Session) login(user, password []byte) *resp.Value {
	if string(user) != defaultUser {
		return errWrong
	}
	want := s.group.settings.Password()
	if want != "" && subtle.ConstantTimeCompare([]byte(want), password) != 1 {
		return errWrong
	}
	s.authenticated = true
	return resp.OK
}

func hello(s *Session, args [][]byte) *resp.Value {
	proto := s.proto.Load()
	if len(args) > 1 {
		n, ok := number.ParseInt(args[1])
		switch {
		case !ok:
			return resp.Err("ERR Protocol version is not an integer or out of range")
		case n < 2 || n > 3:
			return errProto
		}
		proto = int32(n)
		if failure := s.helloOptions(args[2:]); failure != nil {
			return failure
		}
	}
	if s.locked() {
		return errHello
	}
	s.proto.Store(proto)
	return &resp.Value{Kind: resp.Map, Elems: []resp.Value{
		*resp.Text("server"), *resp.Text("redis"),
		*resp.Text("version"), *resp.Text(RedisVersion),
		*resp.Text("proto"), *resp.Int(int64(s.proto.Load())),
		*resp.Text("id"), *resp.Int(s.id),
		*resp.Text("mode"), *resp.Text("standalone"),
		*resp.Text("role"), *resp.Text("master"),
		*resp.Text("modules"), *resp.List(),
	}}
}

// helloOptions applies HELLO's options one by one: as in Redis, those before a wrong
// one take effect.
func (s *Session) helloOptions(rest [][]byte) (failure *resp.Value) {
	for len(rest) > 0 {
		var v *resp.Value
		switch {
		case Is(rest[0], "AUTH") && len(rest) >= 3:
			v, rest = s.login(rest[1], rest[2]), rest[3:]
		case Is(rest[0], "SETNAME") && len(rest) >= 2:
			v, rest = s.rename(rest[1]), rest[2:]
		default:
			return resp.Err("ERR Syntax error in HELLO option '" + respio.OneLine(rest[0]) + "'")
		}
		if v.IsError() {
			return v
		}
	}
	return nil
}

// rename sets the connection's name; the empty name is none.
func (s *Session) rename(name []byte) *resp.Value {
	if !printableName(name) {
		return errName
	}
	s.mu.Lock()
	s.labels.name = string(name)
	s.mu.Unlock()
	return resp.OK
}

// printableName reports whether CLIENT LIST can show the name.
func printableName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

// Is reports whether a word of a command is a keyword, which is in upper case.
func Is(word []byte, keyword string) bool {
	return len(word) == len(keyword) && bytes.EqualFold(word, []byte(keyword))
}
