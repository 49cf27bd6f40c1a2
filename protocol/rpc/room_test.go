package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestRoomIsWaitedFor: who waits for room goes on when the peer has taken enough, when
// patience ends, or with the session, and leaves nothing behind.
func TestRoomIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		o := echoOptions()
		o.Handle = func(*Session, Class, []byte) { <-open }
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), o)
		defer stop()
		const some = 8 << 20
		if err := s.Room(context.Background(), Bulk, 0); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := s.SendShared(Bulk, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		patience, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Room(patience, Bulk, some); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with %d bytes waiting: %v", s.Backlog(Bulk), err)
		}
		if n := len(s.out[Bulk].waits); n != 0 {
			t.Errorf("%d still wait", n)
		}
		left := make(chan int)
		go func() {
			if err := s.Room(context.Background(), Bulk, some); err != nil {
				t.Error(err)
			}
			left <- s.Backlog(Bulk)
		}()
		synctest.Wait()
		close(open)
		if n := <-left; n > some {
			t.Errorf("%d bytes wait where %d may", n, some)
		}
	})
}

// TestRoomEndsWithTheSession: nobody waits for a session that has ended.
func TestRoomEndsWithTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		o := echoOptions()
		o.Handle = func(*Session, Class, []byte) { <-open }
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), o)
		defer stop()
		for range 20 {
			if err := s.SendShared(Bulk, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error)
		go func() { ended <- s.Room(context.Background(), Bulk, 0) }()
		synctest.Wait()
		s.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("Room: %v", err)
		}
		close(open)
	})
}

// TestHandlerWaitsForRoom: a handler that waits for its peer to take something does
// not keep the session from ending.
func TestHandlerWaitsForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		waited := make(chan error, 1)
		server := echoOptions()
		server.Handle = func(s *Session, _ Class, _ []byte) {
			for range 20 {
				if err := s.SendShared(Bulk, make([]byte, 1<<20)); err != nil {
					t.Error(err)
				}
			}
			waited <- s.Room(context.Background(), Bulk, 0)
		}
		open := make(chan struct{})
		client := newSink(0).options(Proxy, "p1")
		client.Handle = func(*Session, Class, []byte) { <-open }
		client.Closed = nil
		s, stop := pipe(t, client, server)
		defer stop() // waits for the server's side, too
		if err := s.Send(Votes, []byte("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.Close()
		if err := <-waited; !errors.Is(err, ErrHungUp) {
			t.Errorf("Room: %v", err)
		}
		close(open)
	})
}
