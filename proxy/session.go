package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/resp"
	"synod/proxy/command"
)

// How long a client may take, when its connection ends in order, to read its
// last replies, and then to stop sending and close its side: after QUIT or a
// protocol error, and when the server drains.
const (
	farewell      = 5 * time.Second
	quitPatience  = 500 * time.Millisecond
	drainPatience = 100 * time.Millisecond
)

// session is one client's connection. Its goroutine reads requests, runs them
// in batches and writes the replies; what other goroutines may look at is
// atomic or guarded.
type session struct {
	srv  *Server
	id   int64
	conn net.Conn
	in   input
	out  *output
	born time.Time

	batch batch

	// Owned by the session's goroutine.
	authenticated bool
	silent        bool // CLIENT REPLY OFF
	skipping      bool // CLIENT REPLY SKIP came before this command
	skipNext      bool // this command is CLIENT REPLY SKIP
	last          bool // no request after this one is looked at

	// Shown by CLIENT LIST.
	db     atomic.Int32
	proto  atomic.Int32 // RESP version
	active atomic.Int64 // when it last sent something, Unix milliseconds
	busy   atomic.Bool  // commands are under way
	recent atomic.Pointer[command.Spec]

	mu      sync.Mutex
	labels  labels
	ended   string // why the connection was ended from outside; "" if it was not
	endedBy bool   // by another client or the operator, rather than for a fault

	ending context.Context // until the first ending
	cancel context.CancelFunc
}

// labels are what a client says of itself.
type labels struct {
	name, libName, libVersion string
}

func newSession(srv *Server, id int64, conn net.Conn) *session {
	s := &session{srv: srv, id: id, conn: conn, born: time.Now()}
	s.ending, s.cancel = context.WithCancel(srv.stop)
	account := srv.memory.open(func() { s.end("evicted: all clients together hold more than maxmemory-clients") })
	s.out = newOutput(conn, account, &srv.settings.outputLimit, &srv.stats.bytesOut)
	s.in = input{src: conn, mem: account, read: &srv.stats.bytesIn}
	s.in.large.memory, s.in.large.waiting, s.in.large.expect = srv.shares.Requests, s.waiting, s.expect
	s.batch.init(s)
	s.proto.Store(2)
	s.active.Store(s.born.UnixMilli())
	s.authenticated = !srv.settings.hasPassword()
	return s
}

// serve runs the session to its end.
func (s *session) serve() {
	defer s.close()
	defer func() {
		if p := recover(); p != nil {
			s.srv.log.Error("a command panicked, the connection is closed",
				zap.String("client", s.conn.RemoteAddr().String()),
				zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			s.bye(resp.Err("ERR internal error"))
		}
	}()
	for {
		s.busy.Store(true)
		failure, err := s.requests()
		s.busy.Store(false)
		switch {
		case err != nil:
			s.report(err)
			return
		case failure == errRequestTooBig:
			s.end("request exceeds client-query-buffer-limit")
			return
		case failure != nil:
			s.srv.stats.protocolErrors.add(1)
			s.bye(failure)
			return
		case s.last:
			s.linger(quitPatience)
			return
		case s.srv.draining.Load():
			s.linger(drainPatience)
			return
		}
		if err := s.in.fill(); err != nil {
			if s.srv.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
				s.linger(drainPatience)
			}
			s.report(err)
			return
		}
		s.active.Store(time.Now().UnixMilli())
	}
}

// requests runs all complete requests that have been read. The failure is the
// protocol error that follows them.
func (s *session) requests() (failure *resp.Value, err error) {
	for {
		more, failure := s.batch.collect()
		s.batch.settle()
		if err := s.batch.reply(); err != nil {
			return nil, err
		}
		if failure != nil || !more || s.last {
			return failure, nil
		}
	}
}

// bye sends a last reply, if the client still takes any.
func (s *session) bye(v *resp.Value) {
	if !s.muted() && s.out.write(v.AppendTo(nil, int(s.proto.Load()))) == nil {
		s.linger(quitPatience)
	}
}

// linger waits until the client has its replies, and then a moment longer for
// it to stop sending: closing a socket with unread input makes the kernel drop
// what the client has not received yet.
func (s *session) linger(patience time.Duration) {
	s.out.finish(farewell)
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if s.conn.SetReadDeadline(time.Now().Add(patience)) == nil {
		_, _ = io.CopyN(io.Discard, s.conn, 4<<20) // whatever it is
	}
}

// end closes the connection from outside the session's goroutine, for a fault
// that is worth a log line. The first reason counts.
func (s *session) end(reason string) { s.endAs(reason, false) }

// kill closes the connection because somebody asked for it.
func (s *session) kill(reason string) { s.endAs(reason, true) }

func (s *session) endAs(reason string, asked bool) {
	s.mu.Lock()
	if s.ended == "" {
		s.ended, s.endedBy = reason, asked
	}
	s.mu.Unlock()
	_ = s.conn.Close() // the session's goroutine sees it
	s.cancel()
}

// waiting bounds a wait for memory.
func (s *session) waiting() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ending, largePatience)
}

// expect has a read of the session's goroutine fail if the client sends nothing
// within so long; 0: it may take its time.
func (s *session) expect(within time.Duration) {
	until := time.Time{}
	if within > 0 {
		until = time.Now().Add(within)
	}
	if s.conn.SetReadDeadline(until) == nil && s.srv.draining.Load() {
		s.nudge() // whose deadline this one may have replaced
	}
}

// nudge makes a session that waits for its client look up: the server drains.
func (s *session) nudge() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

// report notes why the connection ended, if that is worth a line.
func (s *session) report(err error) {
	switch {
	case errors.Is(err, errOutputLimit), errors.Is(err, errStalled):
		s.end(err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
	default:
		s.end(fmt.Sprintf("connection failed: %v", err))
	}
}

// close gives up all that the session holds.
func (s *session) close() {
	s.mu.Lock()
	reason, asked := s.ended, s.endedBy
	s.mu.Unlock()
	if reason == "" {
		s.out.finish(farewell)
	}
	_ = s.conn.Close()
	s.cancel()
	s.out.drain.Wait()
	s.out.mem.close()
	s.srv.clients.remove(s)
	if reason != "" && !asked {
		s.reportEnd(reason)
	}
}

// reportEnd logs why a client was disconnected, for each address and reason now
// and then: clients can bring it about as often as they like.
func (s *session) reportEnd(reason string) {
	addr := s.conn.RemoteAddr().String()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if suppressed, write := s.srv.ended.Next(host+" "+reason, time.Now()); write {
		s.srv.log.Warn("client disconnected", zap.String("client", addr),
			zap.Int64("id", s.id), zap.String("reason", reason), zap.Int("more_before", suppressed))
	}
}

// register returns the register of a key in the session's database.
func (s *session) register(key []byte) caspaxos.Register {
	name := make([]byte, 1+len(key)) // never modified below, so it may be a string
	name[0] = byte(s.db.Load())
	copy(name[1:], key)
	return caspaxos.Register{Slot: slotOf(key), Key: unsafe.String(&name[0], len(name))}
}

// locked reports that the client must authenticate first.
func (s *session) locked() bool { return !s.authenticated && s.srv.settings.hasPassword() }

// muted reports that the current command is not to be answered.
func (s *session) muted() bool { return s.silent || s.skipping }

func (s *session) limits() requestLimits {
	return requestLimits{
		bulk:    s.srv.settings.bulkLimit.Load(),
		request: s.srv.settings.queryLimit.Load(),
		unauth:  s.locked(),
	}
}
