package rpc

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"
)

const (
	// acceptPause is how long a server waits after a failed accept, mostly until other
	// files have been closed.
	acceptPause = 50 * time.Millisecond
)

// Server accepts sessions.
type Server struct {
	opt Options

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{} // all, those without a session included
	strangers strangers
	places    places
	refusals  refusals
	stop      chan struct{}
	wait      sync.WaitGroup // connections
}

// NewServer returns a server that gives every session the same options.
func NewServer(o Options) *Server {
	o.check()
	return &Server{
		opt: o, stop: make(chan struct{}),
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[net.Conn]struct{}),
	}
}

// Serve accepts connections until the listener fails or the server is closed,
// and closes the listener. It always returns an error, ErrServerClosed after
// Close.
func (v *Server) Serve(l net.Listener) error {
	defer l.Close()
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return ErrServerClosed
	}
	v.listeners[l] = struct{}{}
	v.mu.Unlock()
	defer v.forget(l)
	for failing := false; ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			failing = false
			v.accept(c)
		case v.isClosed():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("rpc: accept: %w", err)
		default: // mostly: too many open files
			if !failing {
				v.opt.Log.Warn("cannot accept connections", zap.Error(err))
			}
			failing = true
			select {
			case <-time.After(acceptPause):
			case <-v.stop:
			}
		}
	}
}

func (v *Server) forget(l net.Listener) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.listeners, l)
}

func (v *Server) isClosed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

// accept starts a goroutine for a connection. If too many are in their handshake, it
// closes one of them.
func (v *Server) accept(c net.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		c.Close()
		return
	}
	if out := v.strangers.add(c); out != nil {
		out.Close()
	}
	v.conns[c] = struct{}{}
	v.wait.Go(func() { v.ServeConn(c) })
}

// ServeConn serves one connection, which it takes over, until its session has
// ended. The server's Close ends it if the connection came from Serve.
func (v *Server) ServeConn(nc net.Conn) {
	defer func() {
		nc.Close()
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.conns, nc)
		v.strangers.remove(nc)
	}()
	opt := v.opt
	s := newSession(newConn(nc, opt.Traffic), &opt)
	entered := false
	defer func() {
		if entered {
			v.leave(s.peer)
		}
	}()
	err := s.handshake(func(c *conn, o *Options) (Peer, error) {
		return welcome(c, o, func(p Peer) (byte, error) {
			if status, err := judge(o, p); err != nil {
				return status, err
			}
			status, err := v.enter(nc, p)
			entered = err == nil
			return status, err
		})
	})
	if err == nil {
		s.mux, err = yamux.Server(s.conn, muxConfig(opt.Log))
	}
	if err != nil {
		v.refused(nc, err)
		return
	}
	if opt.Opened != nil {
		opt.Opened(s)
	}
	s.supervise(s.acceptStreams)
}

// judge asks Options.Judge whether to refuse a peer.
func judge(o *Options, p Peer) (status byte, err error) {
	if o.Judge == nil {
		return statusWelcome, nil
	}
	var taken *ProposerError
	switch err = o.Judge(p); {
	case err == nil:
		return statusWelcome, nil
	case errors.As(err, &taken):
		return statusProposer, err
	case errors.Is(err, ErrNotTheNode):
		return statusNode, err
	}
	return statusBusy, err
}

// enter takes one of the places for sessions.
func (v *Server) enter(nc net.Conn, p Peer) (status byte, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if status, err = v.places.take(p); err == nil {
		v.strangers.remove(nc)
	}
	return status, err
}

func (v *Server) leave(p Peer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.places.leave(p)
}

// Close ends all listeners and sessions that came from Serve and waits until
// they have ended. It must not be called from a handler.
func (v *Server) Close() {
	v.mu.Lock()
	if !v.closed {
		v.closed = true
		close(v.stop)
	}
	for l := range v.listeners {
		l.Close()
	}
	for c := range v.conns {
		c.Close()
	}
	v.mu.Unlock()
	v.wait.Wait()
}
