package storetest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Forwarder is a TCP forwarder in front of an etcd, to cut a client off from a
// server that others still reach. It ends with the test.
type Forwarder struct {
	Endpoint string

	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// NewForwarder starts a forwarder to the etcd at endpoint.
func NewForwarder(t testing.TB, endpoint string) *Forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Forwarder{
		Endpoint: "http://" + l.Addr().String(), target: strings.TrimPrefix(endpoint, "http://"),
		l: l, conns: make(map[net.Conn]bool),
	}
	f.wg.Go(f.serve)
	t.Cleanup(func() {
		_ = l.Close()
		f.Cut()
		f.wg.Wait()
	})
	return f
}

// Cut closes all connections and refuses new ones until Mend.
func (f *Forwarder) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	for c := range f.conns {
		_ = c.Close()
	}
	clear(f.conns)
}

// Mend lets connections through again.
func (f *Forwarder) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = false
}

func (f *Forwarder) serve() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.forward(c) })
	}
}

func (f *Forwarder) forward(c net.Conn) {
	defer func() { _ = c.Close() }()
	if !f.keep(c) {
		return
	}
	d, err := net.Dial("tcp", f.target)
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }()
	if !f.keep(d) {
		return
	}
	f.wg.Go(func() {
		_, _ = io.Copy(c, d)
		_ = c.Close()
	})
	_, _ = io.Copy(d, c)
}

// keep notes a connection for Cut, unless the line is cut now.
func (f *Forwarder) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		return false
	}
	f.conns[c] = true
	return true
}
