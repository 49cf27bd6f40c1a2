package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/proxy/respio"
	"synod/proxy/session"
	"synod/proxy/stats"
)

// Options are what a Server needs and how it is tuned.
type Options struct {
	Backend session.Backend
	Log     *zap.Logger

	// Version is Synod's own, for INFO and LOLWUT.
	Version string
	// Password, if not empty, is what clients must give (AUTH, HELLO).
	Password string
	// MaxClients bounds the connections; 0 is 10000.
	MaxClients int
	// Memory is how the proxy's memory is divided.
	Memory Memory
	// Replicas returns the number of copies besides the first, for WAIT; nil is
	// none.
	Replicas func() int
	// ClientIDs is what the ids of clients start above. It differs between
	// proxies, so that the ids are unique.
	ClientIDs int64
}

// Server serves Redis clients from a Backend.
type Server struct {
	backend  session.Backend
	log      *zap.Logger
	version  string
	replicas func() int
	runID    string
	born     time.Time
	settings settings
	memory   *respio.Memory
	shares   Memory
	stats    stats.Stats
	commands session.Table
	sessions *session.Group

	ln       net.Listener
	draining atomic.Bool
	closing  chan struct{} // closed when Close begins
	stop     context.Context
	cancel   context.CancelFunc // aborts what runs when Close loses patience
	running  sync.WaitGroup     // the accept loop, the clock and the sessions
}

// New returns a server that accepts clients from ln, which it owns from now on,
// until Close.
func New(ln net.Listener, o Options) *Server {
	srv := &Server{
		backend: o.Backend,
		log:     o.Log,
		version: o.Version,
		runID:   newRunID(),
		born:    time.Now(),
		memory:  respio.NewMemory(o.Memory.clients()),
		ln:      ln,
		shares:  o.Memory,
		closing: make(chan struct{}),
	}
	if srv.replicas = o.Replicas; srv.replicas == nil {
		srv.replicas = func() int { return 0 }
	}
	srv.stop, srv.cancel = context.WithCancel(context.Background())
	srv.settings.init(ln.Addr(), srv.memory, o)
	srv.commands = session.NewTable(srv.bindings())
	srv.sessions = session.NewGroup(session.Config{Backend: o.Backend, Log: o.Log, Commands: srv.commands, Stats: &srv.stats,
		Memory: srv.memory, Requests: o.Memory.Requests, Stop: srv.stop, ClientIDs: o.ClientIDs}, &srv.settings.Settings)
	srv.running.Go(srv.accept)
	srv.running.Go(srv.tick)
	return srv
}

// Addr returns the address that the server listens on.
func (srv *Server) Addr() net.Addr { return srv.ln.Addr() }

// accept accepts connections until the listener is closed.
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
		// Usually out of file descriptors: wait until some are free.
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
	srv.stats.Connections.Add(1)
	if tcp, ok := conn.(*net.TCPConn); ok {
		// If these fail, so does the first read.
		_ = tcp.SetNoDelay(true)
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Minute, Interval: 100 * time.Second, Count: 3})
	}
	if s := srv.sessions.Open(conn); s != nil {
		srv.running.Go(s.Serve)
	}
}

// tick closes idle clients and measures rates, once a second.
func (srv *Server) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-srv.closing:
			return
		case now := <-ticker.C:
			srv.stats.Sample(now)
			if timeout := srv.settings.timeout.Load(); timeout > 0 {
				srv.sessions.CloseIdle(now, time.Duration(timeout)*time.Second)
			}
		}
	}
}

// Close shuts the server down: it accepts no more clients, finishes the commands that
// have been read, and closes the connections. When ctx ends first, it disconnects the
// remaining clients; the error has their number.
func (srv *Server) Close(ctx context.Context) error {
	if srv.draining.Swap(true) {
		srv.running.Wait()
		return nil
	}
	close(srv.closing)
	err := srv.ln.Close()
	srv.sessions.Drain()
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
	rest := srv.sessions.Abort("the proxy stops")
	srv.cancel()
	<-done // the backend bounds how long a command takes
	return errors.Join(err, fmt.Errorf("%d clients were cut off: %w", rest, ctx.Err()))
}
