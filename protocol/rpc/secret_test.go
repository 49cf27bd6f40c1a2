package rpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func secretsOf(names ...string) func() []Secret {
	var all []Secret
	for _, n := range names {
		all = append(all, Secret("the secret named "+n))
	}
	return func() []Secret { return all }
}

// strict is a server that counts sessions and frames and keeps its log.
func strict(t testing.TB, secrets func() []Secret) (addr string, v *Server, counted *atomic.Int64, logs *observer.ObservedLogs) {
	core, logs := observer.New(zap.WarnLevel)
	counted = new(atomic.Int64)
	o := echoOptions()
	o.Log, o.Secrets = zap.New(core), secrets
	o.Opened = func(*Session) { counted.Add(1) }
	o.Handle = func(s *Session, c Class, p []byte) { counted.Add(1); echo(s, c, p) }
	addr, v = serveTCP(t, o)
	return addr, v, counted, logs
}

// TestWrongSecretIsRefused: both sides say what is wrong, and the server has no session.
func TestWrongSecretIsRefused(t *testing.T) {
	addr, v, counted, logs := strict(t, secretsOf("a"))
	o := newSink(0).options(Proxy, "p1")
	o.Secrets = secretsOf("b")
	if _, err := Dial(context.Background(), addr, o); !errors.Is(err, ErrSecret) {
		t.Errorf("client: %v", err)
	}
	v.Close()
	if counted.Load() != 0 || v.Refused(RefusedSecret) != 1 || logs.FilterField(zap.Error(ErrSecret)).Len() != 1 {
		t.Errorf("%d sessions and frames, %d refusals; logged %v", counted.Load(), v.Refused(RefusedSecret), logs.All())
	}
}

// TestSecretIsReplaced: while processes learn one after the other of a new
// secret, all can talk to all.
func TestSecretIsReplaced(t *testing.T) {
	for _, server := range [][]string{{"old"}, {"new", "old"}, {"old", "new"}} {
		for _, client := range [][]string{{"old"}, {"new", "old"}, {"old", "new"}} {
			addr, _, _, _ := strict(t, secretsOf(server...))
			o := newSink(0).options(Proxy, "p1")
			o.Secrets = secretsOf(client...)
			s, err := Dial(context.Background(), addr, o)
			if err != nil {
				t.Errorf("server knows %v, client %v: %v", server, client, err)
				continue
			}
			s.Close()
			<-s.Done()
		}
	}
}

func TestSecretIsNotKnownYet(t *testing.T) {
	var known atomic.Pointer[[]Secret]
	known.Store(new([]Secret))
	secrets := func() []Secret { return *known.Load() }
	addr, v, _, _ := strict(t, secrets)
	o := newSink(0).options(Proxy, "p1")
	if _, err := Dial(context.Background(), addr, o); !errors.Is(err, ErrNoSecret) {
		t.Errorf("the server does not know it: %v", err)
	}
	late := o
	late.Secrets = secrets
	if _, err := Dial(context.Background(), addr, late); !errors.Is(err, ErrNoSecret) {
		t.Errorf("the client does not know it: %v", err)
	}
	now := testSecrets()
	known.Store(&now)
	dial(t, addr, late)
	v.Close() // a refusal is counted after the peer has been told
	if n := v.Refused(RefusedNoSecret); n != 1 {
		t.Errorf("%d refusals", n)
	}
}

// between relays a handshake message by message, each of which change may alter,
// and closes both connections when it is over.
func between(t *testing.T, addr string, change func(toServer bool, h *hello, raw []byte) []byte) net.Conn {
	client, ours := net.Pipe()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	relay := func(from, to net.Conn, toServer bool) {
		defer to.Close()
		in := bufio.NewReader(from)
		for {
			h, raw, err := readHello(in)
			if err != nil {
				return
			}
			if _, err := to.Write(change(toServer, &h, raw)); err != nil {
				return
			}
		}
	}
	var both sync.WaitGroup
	both.Go(func() { relay(ours, server, true) })
	both.Go(func() { relay(server, ours, false) })
	t.Cleanup(both.Wait)
	return client
}

// TestHelloIsVouchedFor: who alters what the sides say of themselves is found
// out, by either.
func TestHelloIsVouchedFor(t *testing.T) {
	for name, change := range map[string]func(toServer bool, h *hello, raw []byte) []byte{
		"client's name": func(toServer bool, h *hello, raw []byte) []byte {
			return bytes.Replace(raw, []byte("p1"), []byte("p2"), 1)
		},
		"server's name": func(toServer bool, h *hello, raw []byte) []byte {
			return bytes.Replace(raw, []byte("n1"), []byte("n2"), 1)
		},
		"client's nonce": func(toServer bool, h *hello, raw []byte) []byte {
			if toServer && h.nonce != nil {
				h.nonce = newNonce()
				return h.append(nil)
			}
			return raw
		},
		"a field that is not known": func(toServer bool, h *hello, raw []byte) []byte {
			if h.name == "p1" {
				raw = append(bytes.Clone(raw), 200, 0, 1, 'x')
				raw[helloHead-1] += 4
			}
			return raw
		},
		"proof given back": func() func(bool, *hello, []byte) []byte {
			var servers []byte
			return func(toServer bool, h *hello, raw []byte) []byte {
				if !toServer && h.proof != nil {
					servers = raw
				}
				if toServer && h.proof != nil {
					return servers
				}
				return raw
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			addr, v, counted, _ := strict(t, testSecrets)
			_, err := Client(context.Background(), between(t, addr, change), newSink(0).options(Proxy, "p1"))
			if !errors.Is(err, ErrSecret) {
				t.Errorf("client: %v", err)
			}
			for deadline := time.Now().Add(10 * time.Second); v.Refused(RefusedSecret) != 1; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal("the server does not refuse it")
				}
			}
			v.Close()
			if counted.Load() != 0 {
				t.Errorf("%d sessions and frames", counted.Load())
			}
		})
	}
}

// TestHandshakeIsNotRepeated: what somebody has overheard opens no session.
func TestHandshakeIsNotRepeated(t *testing.T) {
	addr, v, counted, _ := strict(t, testSecrets)
	var said [][]byte
	var mu sync.Mutex
	c := between(t, addr, func(toServer bool, _ *hello, raw []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		if toServer {
			said = append(said, raw)
		}
		return raw
	})
	o := newSink(0).options(Proxy, "p1")
	if _, err := greet(newConn(c, nil), &o); err != nil {
		t.Fatal(err)
	}
	c.Close()
	again, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	in := bufio.NewReader(again)
	mu.Lock()
	overheard := said
	mu.Unlock()
	if len(overheard) != 2 {
		t.Fatalf("the client said %d things", len(overheard))
	}
	for i, answers := range []int{2, 1} {
		if _, err := again.Write(overheard[i]); err != nil {
			t.Fatal(err)
		}
		for range answers {
			h, _, err := readHello(in)
			if err != nil {
				t.Fatal(err)
			}
			if last := i == 1; last != (h.status == statusSecret) {
				t.Errorf("answer to message %d: status %d", i, h.status)
			}
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
	v.Close()
	if counted.Load() > 1 { // the first, if it was not closed before
		t.Errorf("%d sessions", counted.Load())
	}
}

// TestStrangersKeepNobodyOut: connections that say nothing have room of their
// own, and when that is full the oldest goes.
func TestStrangersKeepNobodyOut(t *testing.T) {
	addr, v := serveTCP(t, echoOptions())
	k := newSink(1)
	s := dial(t, addr, k.options(Proxy, "p1"))
	var silent []net.Conn
	for range maxStrangers + 10 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	dial(t, addr, newSink(0).options(Proxy, "p2"))
	if _, err := silent[0].Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, net.ErrClosed) {
		t.Errorf("the first is still there: %v", err)
	}
	if err := s.Send(Votes, []byte("still there")); err != nil {
		t.Fatal(err)
	}
	<-k.got[Votes]
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := len(v.strangers); n > maxStrangers {
		t.Errorf("%d strangers", n)
	}
}

// addrConn is a connection from a made-up address.
type addrConn struct {
	net.Conn
	from string
}

func (c *addrConn) RemoteAddr() net.Addr { return fakeAddr(c.from) }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

// TestStrangersFromElsewhere: those go of whom there are most.
func TestStrangersFromElsewhere(t *testing.T) {
	var s strangers
	few := &addrConn{from: "10.0.0.2:1000"}
	s.add(few)
	many := make([]net.Conn, 2*maxStrangers)
	for i := range many {
		many[i] = &addrConn{from: fmt.Sprint("10.0.0.1:", i)}
		out := s.add(many[i])
		if i < maxStrangers-1 && out != nil || i >= maxStrangers-1 && out != many[i-maxStrangers+1] {
			t.Fatalf("%v has to go for %v", out, many[i])
		}
	}
	if len(s) != maxStrangers || s[0].conn != few {
		t.Errorf("%d are left", len(s))
	}
	s.remove(few)
	s.remove(few)
	if len(s) != maxStrangers-1 {
		t.Errorf("%d are left", len(s))
	}
}

// TestOnePeerKeepsNobodyOut: sessions are bounded for each peer.
func TestOnePeerKeepsNobodyOut(t *testing.T) {
	addr, _ := serveTCP(t, echoOptions())
	var last *Session
	for range maxPerName {
		last = dial(t, addr, newSink(0).options(Proxy, "p1"))
	}
	if _, err := Dial(context.Background(), addr, newSink(0).options(Proxy, "p1")); !errors.Is(err, ErrPeerBusy) {
		t.Errorf("one more: %v", err)
	}
	dial(t, addr, newSink(0).options(Proxy, "p2"))
	dial(t, addr, newSink(0).options(Node, "p1"))
	last.Close()
	<-last.Done()
	for { // the server notices a little later
		s, err := Dial(context.Background(), addr, newSink(0).options(Proxy, "p1"))
		if err == nil {
			s.Close()
			<-s.Done()
			break
		}
		if !errors.Is(err, ErrPeerBusy) {
			t.Fatal(err)
		}
	}
}

func TestPlacesOfAnAddressAreBounded(t *testing.T) {
	var p places
	peer := func(i int, host string) Peer {
		return Peer{Kind: Proxy, Name: fmt.Sprint("p", i), Addr: fakeAddr(fmt.Sprint(host, ":", i))}
	}
	for i := range maxPerAddr {
		if _, err := p.take(peer(i, "10.0.0.1")); err != nil {
			t.Fatal(err)
		}
	}
	if status, err := p.take(peer(maxPerAddr, "10.0.0.1")); status != statusPeerBusy || !errors.Is(err, ErrPeerBusy) {
		t.Errorf("%d %v", status, err)
	}
	for i := range maxSessions - maxPerAddr {
		if _, err := p.take(peer(i, fmt.Sprint("10.0.1.", i%7))); err != nil {
			t.Fatal(err)
		}
	}
	if status, err := p.take(peer(0, "10.0.2.1")); status != statusBusy || !errors.Is(err, ErrBusy) {
		t.Errorf("%d %v", status, err)
	}
	for i := range maxPerAddr {
		p.leave(peer(i, "10.0.0.1"))
	}
	for i := range maxSessions - maxPerAddr {
		p.leave(peer(i, fmt.Sprint("10.0.1.", i%7)))
	}
	if p.taken != 0 || len(p.byAddr) != 0 || len(p.byName) != 0 {
		t.Errorf("left over: %+v", p)
	}
}

// TestRefusalsAreNotRepeated: who knocks a hundred times is worth a line.
func TestRefusalsAreNotRepeated(t *testing.T) {
	addr, v, _, logs := strict(t, testSecrets)
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(c)
		c.Close()
	}
	v.Close()
	if v.Refused(RefusedProtocol) != 100 || logs.Len() != 1 {
		t.Errorf("%d refusals, %d lines", v.Refused(RefusedProtocol), logs.Len())
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := Secret("do not print me")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, s); text != "(secret)" {
			t.Errorf("%s: %q", format, text)
		}
	}
	if text := fmt.Sprintf("%+v", struct{ S []Secret }{[]Secret{s}}); bytes.Contains([]byte(text), s) {
		t.Error(text)
	}
}
