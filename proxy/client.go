package proxy

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"syscall"
	"time"

	"synod/protocol/resp"
)

// The CLIENT commands see and touch the clients of this proxy. Ids are unique
// over all proxies, so an id that another proxy gave names nobody here.

func clientID(s *session, _ [][]byte) *resp.Value { return resp.Int(s.id) }

func clientGetName(s *session, _ [][]byte) *resp.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.labels.name == "" {
		return resp.Nil
	}
	return resp.Text(s.labels.name)
}

func clientSetName(s *session, args [][]byte) *resp.Value { return s.rename(args[2]) }

// clientSetInfo keeps what a client library says of itself (Redis 7.2).
func clientSetInfo(s *session, args [][]byte) *resp.Value {
	attr, value := args[2], args[3]
	name := is(attr, "LIB-NAME")
	switch {
	case !name && !is(attr, "LIB-VER"):
		return resp.Err("ERR Unrecognized option '" + clean(attr) + "'")
	case !printableName(value):
		return resp.Err("ERR " + string(bytes.ToLower(attr)) + " cannot contain spaces, newlines or special characters.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name {
		s.labels.libName = string(value)
	} else {
		s.labels.libVersion = string(value)
	}
	return resp.OK
}

// clientSwitch is NO-EVICT and NO-TOUCH, which have no effect: no client is
// exempt from maxmemory-clients, and reading a key leaves no trace on it.
func clientSwitch(_ *session, args [][]byte) *resp.Value {
	if !is(args[2], "ON") && !is(args[2], "OFF") {
		return resp.ErrSyntax
	}
	return resp.OK
}

func clientReply(s *session, args [][]byte) *resp.Value {
	switch {
	case is(args[2], "ON"):
		s.silent, s.skipping = false, false
		return resp.OK
	case is(args[2], "OFF"):
		s.silent = true
	case is(args[2], "SKIP"):
		s.skipNext = !s.silent
	default:
		return resp.ErrSyntax
	}
	return nil
}

func clientPause(s *session, args [][]byte) *resp.Value {
	writes := false
	switch {
	case len(args) > 4:
		return resp.Err("ERR unknown subcommand or wrong number of arguments for '" + clean(args[1]) + "'. Try CLIENT HELP.")
	case len(args) == 4 && is(args[3], "WRITE"):
		writes = true
	case len(args) == 4 && !is(args[3], "ALL"):
		return resp.Err("ERR CLIENT PAUSE mode must be WRITE or ALL")
	}
	ms, ok := parseLength(args[2])
	switch {
	case !ok:
		return errTimeout
	case ms < 0:
		return errNegative
	}
	ms = min(ms, int64(math.MaxInt64/time.Millisecond))
	s.srv.pause.begin(time.Now().Add(time.Duration(ms)*time.Millisecond), writes)
	return resp.OK
}

func clientUnpause(s *session, _ [][]byte) *resp.Value {
	s.srv.pause.lift()
	return resp.OK
}

// Nobody tracks keys here, so these have one answer.

func clientGetRedir(*session, [][]byte) *resp.Value { return resp.Int(-1) }

func clientCaching(*session, [][]byte) *resp.Value {
	return resp.Err("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
}

func clientTrackingInfo(*session, [][]byte) *resp.Value {
	return &resp.Value{Kind: resp.Map, Elems: []resp.Value{
		*resp.Text("flags"), {Kind: resp.Set, Elems: []resp.Value{*resp.Text("off")}},
		*resp.Text("redirect"), *resp.Int(-1),
		*resp.Text("prefixes"), *resp.List(),
	}}
}

func clientInfo(s *session, _ [][]byte) *resp.Value {
	return verbatim(append(s.describe(nil, time.Now()), '\n'))
}

func clientList(s *session, args [][]byte) *resp.Value {
	var chosen []*session
	switch {
	case len(args) == 2:
		chosen = s.srv.clients.all()
	case len(args) == 4 && is(args[2], "TYPE"):
		normal, ok := clientType(args[3])
		if !ok {
			return errClientType(args[3])
		}
		if normal {
			chosen = s.srv.clients.all()
		}
	case len(args) > 3 && is(args[2], "ID"):
		for _, arg := range args[3:] {
			id, ok := parseLength(arg)
			if !ok {
				return resp.Err("ERR Invalid client ID")
			}
			if c := s.srv.clients.get(id); c != nil {
				chosen = append(chosen, c)
			}
		}
	default:
		return resp.ErrSyntax
	}
	var list []byte
	now := time.Now()
	for _, c := range chosen {
		list = append(c.describe(list, now), '\n')
	}
	return verbatim(list)
}

// clientType tells whether a client type of Redis is that of ordinary clients,
// and whether there is such a type.
func clientType(name []byte) (normal, ok bool) {
	switch string(bytes.ToLower(name)) {
	case "normal":
		return true, true
	case "slave", "replica", "master", "pubsub":
		return false, true
	}
	return false, false
}

func errClientType(name []byte) *resp.Value {
	return resp.Err("ERR Unknown client type '" + clean(name) + "'")
}

// killFilter says which clients CLIENT KILL means.
type killFilter struct {
	id          int64 // 0: any
	addr, laddr string
	none        bool // of a type that no client here has
	skipMe      bool
}

func (f *killFilter) matches(s, me *session) bool {
	switch {
	case f.none, f.skipMe && s == me, f.id != 0 && s.id != f.id:
		return false
	case f.addr != "" && s.conn.RemoteAddr().String() != f.addr:
		return false
	case f.laddr != "" && s.conn.LocalAddr().String() != f.laddr:
		return false
	}
	return true
}

func clientKill(s *session, args [][]byte) *resp.Value {
	if len(args) == 3 { // the old form, which may kill oneself
		if s.killAll(killFilter{addr: string(args[2])}) == 0 {
			return resp.Err("ERR No such client")
		}
		return resp.OK
	}
	f, failure := parseKill(args[2:])
	if failure != nil {
		return failure
	}
	return resp.Int(s.killAll(f))
}

func parseKill(args [][]byte) (killFilter, *resp.Value) {
	f := killFilter{skipMe: true}
	for ; len(args) > 0; args = args[2:] {
		if len(args) == 1 {
			return f, resp.ErrSyntax
		}
		if failure := f.add(args[0], args[1]); failure != nil {
			return f, failure
		}
	}
	return f, nil
}

func (f *killFilter) add(option, value []byte) *resp.Value {
	switch {
	case is(option, "ID"):
		id, ok := parseLength(value)
		if !ok || id < 1 {
			return resp.Err("ERR client-id should be greater than 0")
		}
		f.id = id
	case is(option, "TYPE"):
		normal, ok := clientType(value)
		if !ok {
			return errClientType(value)
		}
		f.none = !normal
	case is(option, "ADDR"):
		f.addr = string(value)
	case is(option, "LADDR"):
		f.laddr = string(value)
	case is(option, "USER"):
		if string(value) != defaultUser {
			return resp.Err("ERR No such user '" + clean(value) + "'")
		}
	case is(option, "SKIPME") && is(value, "YES"):
		f.skipMe = true
	case is(option, "SKIPME") && is(value, "NO"):
		f.skipMe = false
	default:
		return resp.ErrSyntax
	}
	return nil
}

// killAll disconnects the clients that match, the caller's own after the reply.
func (s *session) killAll(f killFilter) (n int64) {
	for _, c := range s.srv.clients.all() {
		if !f.matches(c, s) {
			continue
		}
		n++
		if c == s {
			s.last = true
		} else {
			c.kill("CLIENT KILL")
		}
	}
	return n
}

// describe appends the session's line of CLIENT LIST. Numbers of buffers are
// those that the client's account shows.
func (s *session) describe(dst []byte, now time.Time) []byte {
	s.mu.Lock()
	l := s.labels
	s.mu.Unlock()
	waiting, chunks := s.out.waiting()
	cmd := "NULL"
	if spec := s.recent.Load(); spec != nil {
		cmd = spec.FullName
	}
	memory := s.out.mem.bytes()
	return fmt.Appendf(dst, "id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=N db=%d sub=0 psub=0 ssub=0 multi=-1 "+
		"qbuf=0 qbuf-free=%d argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d events=%s cmd=%s "+
		"user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s",
		s.id, s.conn.RemoteAddr(), s.conn.LocalAddr(), s.fd(), l.name,
		int64(now.Sub(s.born).Seconds()), max(0, (now.UnixMilli()-s.active.Load())/1000), s.db.Load(),
		max(0, memory-waiting), chunks, waiting, memory, events(waiting), cmd,
		defaultUser, s.proto.Load(), l.libName, l.libVersion)
}

// events names what the connection is watched for: "r", or "rw" when replies
// wait for the client.
func events(waiting int64) string {
	if waiting > 0 {
		return "rw"
	}
	return "r"
}

// fd returns the connection's file descriptor, or -1 if it has none.
func (s *session) fd() int {
	fd := -1
	if sc, ok := s.conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(n uintptr) { fd = int(n) }) // a closed one stays -1
		}
	}
	return fd
}

// verbatim returns a text reply, which RESP3 clients get as such.
func verbatim(text []byte) *resp.Value {
	return &resp.Value{Kind: resp.Verbatim, Str: append([]byte("txt:"), text...)}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
