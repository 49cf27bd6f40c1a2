package session

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/protocol/budget"
	"synod/protocol/throttle"
	"synod/proxy/respio"
	"synod/proxy/stats"
)

// Config is what the sessions of a server need.
type Config struct {
	Backend  Backend
	Log      *zap.Logger
	Commands Table
	Stats    *stats.Stats
	// Memory bounds the buffers of all clients, Requests the large arguments of
	// their commands; a nil Requests is without limit.
	Memory   *respio.Memory
	Requests *budget.Share
	// Stop ends waits for memory when the server loses patience.
	Stop context.Context
	// ClientIDs is what the ids of clients start above.
	ClientIDs int64
}

// Settings are what CONFIG SET can change of sessions, at any time.
type Settings struct {
	BulkLimit   atomic.Int64 // proto-max-bulk-len, bytes
	QueryLimit  atomic.Int64 // client-query-buffer-limit, bytes
	OutputLimit atomic.Int64 // client-output-buffer-limit of normal clients, bytes; 0: none
	MaxClients  atomic.Int64 // maxclients
	password    atomic.Pointer[string]
}

// SetPassword changes requirepass; "" is none.
func (st *Settings) SetPassword(password string) { st.password.Store(&password) }

// Password returns requirepass.
func (st *Settings) Password() string {
	if p := st.password.Load(); p != nil {
		return *p
	}
	return ""
}

func (st *Settings) hasPassword() bool { return st.Password() != "" }

// Group is all sessions of one server. It is safe for concurrent use.
type Group struct {
	cfg      Config
	settings *Settings
	clients  clients
	pause    pause
	ended    throttle.Lines // log lines of clients that were disconnected
	draining atomic.Bool
}

// NewGroup returns a group without sessions. The settings may change while it is
// in use.
func NewGroup(cfg Config, settings *Settings) *Group {
	g := &Group{cfg: cfg, settings: settings}
	g.clients.init(cfg.ClientIDs)
	return g
}

// Open returns the session of a new connection, which the caller must Serve. If
// there are maxclients already, it tells the client, closes the connection and
// returns nil.
func (g *Group) Open(conn net.Conn) *Session {
	s := newSession(g, g.clients.nextID(), conn)
	if !g.clients.add(s, g.settings.MaxClients.Load()) {
		g.cfg.Stats.Rejected.Add(1)
		s.cancel()
		s.account.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // best effort, like Redis
		_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
		_ = conn.Close()
		return nil
	}
	if g.draining.Load() {
		s.nudge() // Drain may have missed it
	}
	return s
}

// Count returns the number of clients.
func (g *Group) Count() int { return g.clients.count() }

// CloseIdle disconnects the clients that were idle for longer than timeout.
func (g *Group) CloseIdle(now time.Time, timeout time.Duration) {
	for _, s := range g.clients.all() {
		if now.Sub(time.UnixMilli(s.active.Load())) > timeout && !s.busy.Load() {
			s.kill("idle")
		}
	}
}

// Drain makes all sessions, also those to come, end once they have answered what
// they have read.
func (g *Group) Drain() {
	g.draining.Store(true)
	g.pause.end()
	for _, s := range g.clients.all() {
		s.nudge()
	}
}

// Abort disconnects all clients and returns how many there were.
func (g *Group) Abort(reason string) int {
	rest := g.clients.all()
	for _, s := range rest {
		s.kill(reason)
	}
	return len(rest)
}
