package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/protocol/resp"
	"synod/protocol/throttle"
)

// redisVersion is the version of Redis whose behaviour clients meet.
const redisVersion = "7.0.15"

// Options are what a Server needs and how it is tuned.
type Options struct {
	Backend Backend
	Log     *zap.Logger

	// Version is Synod's own, for INFO and LOLWUT.
	Version string
	// Password, if not empty, must be given by clients (AUTH, HELLO).
	Password string
	// MaxClients bounds the connections; 0 is 10000.
	MaxClients int
	// Memory is what the proxy's memory is divided into; the zero Memory is
	// without limits.
	Memory Memory
	// Replicas returns how many copies every write has besides the first, for
	// WAIT; nil is none.
	Replicas func() int
	// ClientIDs is what the clients' ids start above, so that the ids of all
	// proxies differ.
	ClientIDs int64
}

// Server serves Redis clients from a Backend.
type Server struct {
	backend  Backend
	log      *zap.Logger
	version  string
	replicas func() int
	runID    string
	born     time.Time
	settings settings
	memory   *memory
	shares   Memory
	clients  clients
	pause    pause
	stats    stats
	table    table
	ended    throttle.Lines // of clients that were disconnected, for the log

	ln       net.Listener
	draining atomic.Bool
	closing  chan struct{} // closed when Close begins
	stop     context.Context
	cancel   context.CancelFunc // ends what still runs when Close loses patience
	running  sync.WaitGroup     // the accept loop, the clock and the sessions
}

// NewServer returns a server that listens on ln, which it takes over, and
// serves until Close.
func NewServer(ln net.Listener, o Options) *Server {
	srv := &Server{
		backend: o.Backend,
		log:     o.Log,
		version: o.Version,
		runID:   newRunID(),
		born:    time.Now(),
		memory:  newMemory(o.Memory.clients()),
		table:   newTable(),
		ln:      ln,
		shares:  o.Memory,
		closing: make(chan struct{}),
	}
	if srv.replicas = o.Replicas; srv.replicas == nil {
		srv.replicas = func() int { return 0 }
	}
	srv.clients.init(o.ClientIDs)
	srv.settings.init(srv, o)
	srv.stop, srv.cancel = context.WithCancel(context.Background())
	srv.running.Go(srv.accept)
	srv.running.Go(srv.tick)
	return srv
}

// Addr returns the address that the server listens on.
func (srv *Server) Addr() net.Addr { return srv.ln.Addr() }

// accept takes connections until the listener is closed.
func (srv *Server) accept() {
	pause := time.Duration(0)
	for {
		conn, err := srv.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			srv.welcome(conn)
			continue
		case errors.Is(err, net.ErrClosed) || srv.draining.Load():
			return
		}
		// Out of file descriptors, as a rule: wait until some are back.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		srv.log.Warn("accepting a client failed", zap.Error(err), zap.Duration("retry_in", pause))
		select {
		case <-time.After(pause):
		case <-srv.closing:
			return
		}
	}
}

// welcome starts a session, unless there are too many.
func (srv *Server) welcome(conn net.Conn) {
	srv.stats.connections.add(1)
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Failures show with the first read.
		_ = tcp.SetNoDelay(true)
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Minute, Interval: 100 * time.Second, Count: 3})
	}
	s := newSession(srv, srv.clients.nextID(), conn)
	if !srv.clients.add(s, srv.settings.maxClients.Load()) {
		srv.stats.rejected.add(1)
		s.cancel()
		s.out.mem.close()
		_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // best effort, like Redis
		_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
		_ = conn.Close()
		return
	}
	srv.running.Go(s.serve)
	if srv.draining.Load() {
		s.nudge() // Close may have missed it
	}
}

// tick does once a second what Redis does in its cron: it closes clients that
// were idle for too long and measures rates.
func (srv *Server) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-srv.closing:
			return
		case now := <-ticker.C:
			srv.stats.sample(now)
			srv.closeIdle(now)
		}
	}
}

func (srv *Server) closeIdle(now time.Time) {
	timeout := time.Duration(srv.settings.timeout.Load()) * time.Second
	if timeout == 0 {
		return
	}
	for _, s := range srv.clients.all() {
		if now.Sub(time.UnixMilli(s.active.Load())) > timeout && !s.busy.Load() {
			s.kill("idle")
		}
	}
}

// Close ends the server in order: it accepts no more clients, lets those that
// are connected finish the commands that have been read, and closes their
// connections. When ctx ends first, the rest is cut off, and an error tells
// how many clients that concerned.
func (srv *Server) Close(ctx context.Context) error {
	if srv.draining.Swap(true) {
		srv.running.Wait()
		return nil
	}
	close(srv.closing)
	err := srv.ln.Close()
	srv.pause.end()
	for _, s := range srv.clients.all() {
		s.nudge()
	}
	done := make(chan struct{})
	go func() {
		srv.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		srv.cancel()
		return err
	case <-ctx.Done():
	}
	rest := srv.clients.all()
	srv.cancel()
	for _, s := range rest {
		s.kill("the proxy stops")
	}
	<-done // the backend bounds how long a command takes
	return errors.Join(err, fmt.Errorf("%d clients were cut off: %w", len(rest), ctx.Err()))
}

var errNoAuth = resp.Err("NOAUTH Authentication required.")

func slotOf(key []byte) uint16 { return placement.Slot(key) }
