package rpc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test with a clock of its own. yamux keeps its timers in a pool
// of the whole process, and a timer must not get from one bubble into another:
// two garbage collections empty the pool.
func bubble(t *testing.T, f func(t *testing.T)) {
	empty := func() {
		runtime.GC()
		runtime.GC()
	}
	empty()
	defer empty()
	synctest.Test(t, f)
}

// sink takes payloads and the session's end to channels.
type sink struct {
	got   [classes]chan []byte
	ended chan error
}

func newSink(depth int) *sink {
	k := &sink{ended: make(chan error, 1)}
	for i := range k.got {
		k.got[i] = make(chan []byte, depth)
	}
	return k
}

func (k *sink) options(kind Kind, name string) Options {
	return Options{
		Cluster: "test", Secrets: testSecrets, Kind: kind, Name: name, Log: zap.NewNop(),
		Handle: func(_ *Session, c Class, p []byte) { k.got[c] <- p },
		Closed: func(_ *Session, err error) { k.ended <- err },
	}
}

func testSecrets() []Secret { return []Secret{Secret("a secret of tests")} }

// echo sends back what it gets.
func echo(s *Session, c Class, p []byte) {
	if err := s.SendShared(c, p); err != nil && !errors.Is(err, ErrClosed) {
		panic(err)
	}
}

func echoOptions() Options {
	return Options{Cluster: "test", Secrets: testSecrets, Kind: Node, Name: "n1", Log: zap.NewNop(), Handle: echo}
}

// serveTCP starts a server on loopback, which ends with the test.
func serveTCP(t testing.TB, o Options) (addr string, v *Server) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v = NewServer(o)
	result := make(chan error, 1)
	go func() { result <- v.Serve(l) }()
	t.Cleanup(func() {
		v.Close()
		if err := <-result; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String(), v
}

func dial(t testing.TB, addr string, o Options) *Session {
	s, err := Dial(context.Background(), addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		<-s.Done()
	})
	return s
}

// pipe connects a client and a server in memory. stop waits for both.
func pipe(t *testing.T, client, server Options) (s *Session, stop func()) {
	a, b := net.Pipe()
	v := NewServer(server)
	var wg sync.WaitGroup
	wg.Go(func() { v.ServeConn(b) })
	s, err := Client(context.Background(), a, client)
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		s.Close()
		<-s.Done()
		wg.Wait()
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

func TestPayloadsArriveInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newSink(100)
		s, stop := pipe(t, k.options(Proxy, "p1"), echoOptions())
		defer stop()
		sizes := []int{0, 1, 100, large - 1, large, piece + 1, chunk, 3 << 20}
		for _, n := range sizes {
			for c := range Class(classes) {
				if err := s.Send(c, pattern(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, n := range sizes {
			for c := range Class(classes) {
				if got := <-k.got[c]; !bytes.Equal(got, pattern(n)) {
					t.Fatalf("%s: %d bytes came, %d were sent", c, len(got), n)
				}
			}
		}
		if p := s.Peer(); p.Kind != Node || p.Name != "n1" {
			t.Errorf("peer %v", p)
		}
	})
}

// TestSendCopies: the caller may use its buffer again.
func TestSendCopies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		k := newSink(2)
		s, stop := pipe(t, k.options(Proxy, "p1"), echoOptions())
		defer stop()
		for _, n := range []int{100, 2 * large} {
			b := pattern(n)
			if err := s.Send(Bulk, b); err != nil {
				t.Fatal(err)
			}
			clear(b)
			if got := <-k.got[Bulk]; !bytes.Equal(got, pattern(n)) {
				t.Errorf("%d bytes came changed", n)
			}
		}
	})
}

// TestVotesPassBulk: votes go back and forth while one large payload is under
// way.
func TestVotesPassBulk(t *testing.T) {
	const size, enough = 256 << 20, 20
	arrived := make(chan int, 1)
	o := echoOptions()
	o.Handle = func(s *Session, c Class, p []byte) {
		if c == Bulk {
			arrived <- len(p)
			return
		}
		echo(s, c, p)
	}
	addr, _ := serveTCP(t, o)
	k := newSink(1)
	s := dial(t, addr, k.options(Proxy, "p1"))
	if err := s.SendShared(Bulk, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	trips := 0
	for {
		if err := s.Send(Votes, []byte("vote")); err != nil {
			t.Fatal(err)
		}
		<-k.got[Votes]
		select {
		case n := <-arrived:
			if n != size || trips < enough {
				t.Fatalf("%d bytes arrived, and %d round trips before them", n, trips)
			}
			t.Logf("%d round trips during %d MiB", trips, size>>20)
			return
		default:
			trips++
		}
	}
}

// TestUnreadBulkHoldsUpNothingElse: votes and control go on while nobody takes the bulk payloads.
func TestUnreadBulkHoldsUpNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		var took atomic.Int32
		o := echoOptions()
		o.Handle = func(s *Session, c Class, p []byte) {
			if c == Bulk {
				<-open
				took.Add(1)
				return
			}
			echo(s, c, p)
		}
		k := newSink(1)
		s, stop := pipe(t, k.options(Proxy, "p1"), o)
		defer stop()
		const payloads = 20
		for range payloads {
			if err := s.SendShared(Bulk, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // all that can move has moved
		if left := s.Backlog(Bulk); left < (payloads<<20)-2*window {
			t.Fatalf("only %d bytes are held back", left)
		}
		for range 10 {
			for _, c := range []Class{Votes, Control} {
				if err := s.Send(c, []byte("x")); err != nil {
					t.Fatal(err)
				}
				<-k.got[c]
			}
		}
		if took.Load() != 0 {
			t.Fatal("bulk was taken")
		}
		close(open)
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := took.Load(); n != payloads {
			t.Fatalf("%d of %d arrived", n, payloads)
		}
	})
}

// TestBacklogIsBounded: a peer that takes nothing costs the sender bounded
// memory and no time, and gets what was queued when it goes on.
func TestBacklogIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		var took atomic.Int32
		o := echoOptions()
		o.Handle = func(*Session, Class, []byte) { <-open; took.Add(1) }
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), o)
		defer stop()
		payload := make([]byte, 1<<20)
		sent := int32(0)
		for ; ; sent++ {
			if err := s.SendShared(Votes, payload); errors.Is(err, ErrBacklog) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if b := s.Backlog(Votes); b > Votes.MaxBacklog() || b < Votes.MaxBacklog()/2 {
			t.Errorf("%d bytes wait where %d may", b, Votes.MaxBacklog())
		}
		if err := s.Send(Control, []byte("x")); err != nil {
			t.Errorf("another class: %v", err)
		}
		close(open)
		if err := s.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := took.Load(); n != sent+1 {
			t.Errorf("%d of %d arrived", n, sent+1)
		}
	})
}

func TestTooLargePayloadIsRefusedBySend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), echoOptions())
		defer stop()
		var size *SizeError
		if err := s.Send(Votes, make([]byte, Votes.MaxPayload()+1)); !errors.As(err, &size) || size.Class != Votes {
			t.Errorf("%v", err)
		}
		if s.Err() != nil {
			t.Errorf("the session ended: %v", s.Err())
		}
	})
}

// TestFrozenPeerIsGivenUp: a peer that stops reading and answering is given up, and
// sending to it does not block meanwhile.
func TestFrozenPeerIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() { // the handshake, then nothing
			c := newConn(b, nil)
			if _, err := welcome(c, &Options{Cluster: "test", Secrets: testSecrets, Kind: Node, Name: "n1"}, func(Peer) (byte, error) { return statusWelcome, nil }); err != nil {
				t.Error(err)
			}
		}()
		k := newSink(0)
		s, err := Client(context.Background(), a, k.options(Proxy, "p1"))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 1000 {
			if err := s.Send(Votes, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(begin) != 0 {
			t.Error("Send waited")
		}
		if err := <-k.ended; !errors.Is(err, ErrSilent) {
			t.Errorf("ended: %v", err)
		}
		if d := time.Since(begin); d > keepAlive+silence {
			t.Errorf("noticed after %v", d)
		}
		if err := s.Send(Votes, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Send afterwards: %v", err)
		}
		if !s.LastHeard().Equal(begin) {
			t.Errorf("heard at %v, %v after the handshake", s.LastHeard(), s.LastHeard().Sub(begin))
		}
		<-s.Done()
		b.Close()
	})
}

// TestIdleSessionStays: a session without traffic stays, and hears from its peer.
func TestIdleSessionStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), echoOptions())
		defer stop()
		time.Sleep(time.Hour) // of the bubble
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
		if d := time.Since(s.LastHeard()); d > keepAlive {
			t.Errorf("last heard %v ago", d)
		}
	})
}

// TestCloseTellsAllSenders: everybody who sends is told, and everything ends.
func TestCloseTellsAllSenders(t *testing.T) {
	addr, _ := serveTCP(t, echoOptions())
	k := newSink(1 << 20)
	s := dial(t, addr, k.options(Proxy, "p1"))
	var senders sync.WaitGroup
	for c := range Class(classes) {
		senders.Go(func() {
			for {
				switch err := s.Send(c, pattern(1000)); {
				case errors.Is(err, ErrClosed):
					return
				case err != nil && !errors.Is(err, ErrBacklog):
					t.Errorf("Send: %v", err)
					return
				}
			}
		})
	}
	<-k.got[Votes]
	s.Close()
	senders.Wait()
	<-s.Done()
	if err := <-k.ended; !errors.Is(err, ErrClosed) {
		t.Errorf("ended: %v", err)
	}
	if err := s.Flush(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush: %v", err)
	}
}

// TestHandlerMayClose: a handler may close its own session.
func TestHandlerMayClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := echoOptions()
		o.Handle = func(s *Session, _ Class, _ []byte) { s.Close() }
		k := newSink(0)
		s, stop := pipe(t, k.options(Proxy, "p1"), o)
		defer stop()
		if err := s.Send(Votes, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := <-k.ended; !errors.Is(err, ErrHungUp) {
			t.Errorf("ended: %v", err)
		}
	})
}

// TestServerCloseEndsSessions: both ends of every session have ended when Close returns or
// soon after.
func TestServerCloseEndsSessions(t *testing.T) {
	server, opened := newSink(0), make(chan struct{})
	o := server.options(Node, "n1")
	o.Opened = func(*Session) { close(opened) }
	addr, v := serveTCP(t, o)
	k := newSink(0)
	dial(t, addr, k.options(Proxy, "p1"))
	<-opened
	idle, err := net.Dial("tcp", addr) // never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	v.Close()
	if err := <-server.ended; !errors.Is(err, ErrClosed) {
		t.Errorf("server's end: %v", err)
	}
	if err := <-k.ended; !errors.Is(err, ErrHungUp) {
		t.Errorf("client's end: %v", err)
	}
	if _, err := Dial(context.Background(), addr, k.options(Proxy, "p1")); err == nil {
		t.Error("a closed server accepted a session")
	}
}

func TestOpenedComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var opened atomic.Bool
		o := echoOptions()
		o.Opened = func(s *Session) {
			opened.Store(true)
			if err := s.Send(Votes, []byte("first")); err != nil {
				t.Error(err)
			}
		}
		o.Handle = func(*Session, Class, []byte) {
			if !opened.Load() {
				t.Error("Handle before Opened")
			}
		}
		k := newSink(1)
		s, stop := pipe(t, k.options(Proxy, "p1"), o)
		defer stop()
		if err := s.Send(Votes, nil); err != nil {
			t.Fatal(err)
		}
		if p := <-k.got[Votes]; string(p) != "first" {
			t.Errorf("got %q", p)
		}
	})
}
