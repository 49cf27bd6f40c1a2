package session

import (
	"bytes"
	"fmt"
	"math"
	"syscall"
	"time"

	"synod/protocol/resp"
	"synod/proxy/datatype/number"
	"synod/proxy/respio"
)

// The CLIENT commands concern the clients of this proxy. Ids are unique over all
// proxies, so the id of another proxy's client matches none here.

func clientID(s *Session, _ [][]byte) *resp.Value { return resp.Int(s.id) }

func clientGetName(s *Session, _ [][]byte) *resp.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.labels.name == "" {
		return resp.Nil
	}
	return resp.Text(s.labels.name)
}

func clientSetName(s *Session, args [][]byte) *resp.Value { return s.rename(args[2]) }

// clientSetInfo keeps what a client library says about itself (Redis 7.2).
func clientSetInfo(s *Session, args [][]byte) *resp.Value {
	attr, value := args[2], args[3]
	name := Is(attr, "LIB-NAME")
	switch {
	case !name && !Is(attr, "LIB-VER"):
		return resp.Err("ERR Unrecognized option '" + respio.OneLine(attr) + "'")
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

// clientSwitch is NO-EVICT and NO-TOUCH. They have no effect: no client is exempt
// from maxmemory-clients, and reads do not modify keys.
func clientSwitch(_ *Session, args [][]byte) *resp.Value {
	if !Is(args[2], "ON") && !Is(args[2], "OFF") {
		return resp.ErrSyntax
	}
	return resp.OK
}

func clientReply(s *Session, args [][]byte) *resp.Value {
	switch {
	case Is(args[2], "ON"):
		s.silent, s.skipping = false, false
		return resp.OK
	case Is(args[2], "OFF"):
		s.silent = true
	case Is(args[2], "SKIP"):
		s.skipNext = !s.silent
	default:
		return resp.ErrSyntax
	}
	return nil
}

func clientPause(s *Session, args [][]byte) *resp.Value {
	writes := false
	switch {
	case len(args) > 4:
		return resp.Err("ERR unknown subcommand or wrong number of arguments for '" + respio.OneLine(args[1]) + "'. Try CLIENT HELP.")
	case len(args) == 4 && Is(args[3], "WRITE"):
		writes = true
	case len(args) == 4 && !Is(args[3], "ALL"):
		return resp.Err("ERR CLIENT PAUSE mode must be WRITE or ALL")
	}
	ms, failure := ParseTimeout(args[2])
	if failure != nil {
		return failure
	}
	ms = min(ms, int64(math.MaxInt64/time.Millisecond))
	s.group.pause.begin(time.Now().Add(time.Duration(ms)*time.Millisecond), writes)
	return resp.OK
}

// ParseTimeout reads a timeout in milliseconds.
func ParseTimeout(arg []byte) (ms int64, failure *resp.Value) {
	ms, ok := number.ParseInt(arg)
	switch {
	case !ok:
		return 0, errTimeout
	case ms < 0:
		return 0, errNegative
	}
	return ms, nil
}

var (
	errTimeout  = resp.Err("ERR timeout is not an integer or out of range")
	errNegative = resp.Err("ERR timeout is negative")
)

func clientUnpause(s *Session, _ [][]byte) *resp.Value {
	s.group.pause.lift()
	return resp.OK
}

// Client-side caching is not supported, so these have one answer.

func clientGetRedir(*Session, [][]byte) *resp.Value { return resp.Int(-1) }

func clientCaching(*Session, [][]byte) *resp.Value {
	return resp.Err("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
}

func clientTrackingInfo(*Session, [][]byte) *resp.Value {
	return &resp.Value{Kind: resp.Map, Elems: []resp.Value{
		*resp.Text("flags"), {Kind: resp.Set, Elems: []resp.Value{*resp.Text("off")}},
		*resp.Text("redirect"), *resp.Int(-1),
		*resp.Text("prefixes"), *resp.List(),
	}}
}

func clientInfo(s *Session, _ [][]byte) *resp.Value {
	return verbatim(append(s.describe(nil, time.Now()), '\n'))
}

func clientList(s *Session, args [][]byte) *resp.Value {
	var chosen []*Session
	switch {
	case len(args) == 2:
		chosen = s.group.clients.all()
	case len(args) == 4 && Is(args[2], "TYPE"):
		normal, ok := ClientType(args[3])
		if !ok {
			return errClientType(args[3])
		}
		if normal {
			chosen = s.group.clients.all()
		}
	case len(args) > 3 && Is(args[2], "ID"):
		for _, arg := range args[3:] {
			id, ok := number.ParseInt(arg)
			if !ok {
				return resp.Err("ERR Invalid client ID")
			}
			if c := s.group.clients.get(id); c != nil {
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

// ClientType reports whether Redis has a type of clients with that name (ok), and
// whether it is that of ordinary clients, the only one here.
func ClientType(name []byte) (normal, ok bool) {
	switch string(bytes.ToLower(name)) {
	case "normal":
		return true, true
	case "slave", "replica", "master", "pubsub":
		return false, true
	}
	return false, false
}

func errClientType(name []byte) *resp.Value {
	return resp.Err("ERR Unknown client type '" + respio.OneLine(name) + "'")
}

// killFilter is which clients CLIENT KILL disconnects.
type killFilter struct {
	id          int64 // 0: any
	addr, laddr string
	none        bool // a type that no client here has
	skipMe      bool
}

func (f *killFilter) matches(s, me *Session) bool {
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

func clientKill(s *Session, args [][]byte) *resp.Value {
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
	case Is(option, "ID"):
		id, ok := number.ParseInt(value)
		if !ok || id < 1 {
			return resp.Err("ERR client-id should be greater than 0")
		}
		f.id = id
	case Is(option, "TYPE"):
		normal, ok := ClientType(value)
		if !ok {
			return errClientType(value)
		}
		f.none = !normal
	case Is(option, "ADDR"):
		f.addr = string(value)
	case Is(option, "LADDR"):
		f.laddr = string(value)
	case Is(option, "USER"):
		if string(value) != defaultUser {
			return resp.Err("ERR No such user '" + respio.OneLine(value) + "'")
		}
	case Is(option, "SKIPME") && Is(value, "YES"):
		f.skipMe = true
	case Is(option, "SKIPME") && Is(value, "NO"):
		f.skipMe = false
	default:
		return resp.ErrSyntax
	}
	return nil
}

// killAll disconnects the clients that match, the caller's own after the reply.
func (s *Session) killAll(f killFilter) (n int64) {
	for _, c := range s.group.clients.all() {
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

// describe appends the session's line of CLIENT LIST. The sizes of buffers are those
// in the client's account.
func (s *Session) describe(dst []byte, now time.Time) []byte {
	s.mu.Lock()
	l := s.labels
	s.mu.Unlock()
	waiting, chunks := s.out.Waiting()
	cmd := "NULL"
	if spec := s.recent.Load(); spec != nil {
		cmd = spec.FullName
	}
	memory := s.account.Bytes()
	return fmt.Appendf(dst, "id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=N db=%d sub=0 psub=0 ssub=0 multi=-1 "+
		"qbuf=0 qbuf-free=%d argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d events=%s cmd=%s "+
		"user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s",
		s.id, s.conn.RemoteAddr(), s.conn.LocalAddr(), s.fd(), l.name,
		int64(now.Sub(s.born).Seconds()), max(0, (now.UnixMilli()-s.active.Load())/1000), s.db.Load(),
		max(0, memory-waiting), chunks, waiting, memory, events(waiting), cmd,
		defaultUser, s.proto.Load(), l.libName, l.libVersion)
}

// events is "r", or "rw" while unsent replies wait for the client.
func events(waiting int64) string {
	if waiting > 0 {
		return "rw"
	}
	return "r"
}

// fd returns the connection's file descriptor, or -1 if it has none.
func (s *Session) fd() int {
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
