package session

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

	"synod/meta/placement"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/respio"
)

const (
	// farewell is how long a client may take to read its last replies.
	farewell = 5 * time.Second
	// quitPatience and drainPatience are how long it may take after that to stop
	// sending and close its side: after QUIT or a protocol error, and when the
	// server drains.
	quitPatience  = 500 * time.Millisecond
	drainPatience = 100 * time.Millisecond
	// memoryPatience is how long a large argument waits for memory before the
	// request is refused.
	memoryPatience = 5 * time.Second
)

// Session is one client's connection. Its goroutine reads requests, runs them in
// batches and writes the replies. Fields that other goroutines use are atomic or
// guarded.
type Session struct {
	group   *Group
	id      int64
	conn    net.Conn
	account *respio.Account
	in      respio.Input
	out     *respio.Output
	born    time.Time

	batch batch

	// Owned by the session's goroutine.
	authenticated bool
	silent        bool // CLIENT REPLY OFF
	skipping      bool // CLIENT REPLY SKIP came before this command
	skipNext      bool // this command is CLIENT REPLY SKIP
	last          bool // the requests after this one are ignored

	// Shown by CLIENT LIST.
	db     atomic.Int32
	proto  atomic.Int32 // RESP version
	active atomic.Int64 // when it last sent something, Unix milliseconds
	busy   atomic.Bool  // commands are running
	recent atomic.Pointer[command.Spec]

	mu      sync.Mutex
	labels  labels
	ended   string // why the connection was closed from outside; "" if it was not
	endedBy bool   // by another client or the operator, not for a fault

	ending context.Context // done when the connection is closed
	cancel context.CancelFunc
}

// labels are what a client says about itself.
type labels struct {
	name, libName, libVersion string
}

func newSession(g *Group, id int64, conn net.Conn) *Session {
	s := &Session{group: g, id: id, conn: conn, born: time.Now()}
	s.ending, s.cancel = context.WithCancel(g.cfg.Stop)
	s.account = g.cfg.Memory.Open(func() { s.end("evicted: all clients together hold more than maxmemory-clients") })
	s.out = respio.NewOutput(conn, s.account, &g.settings.OutputLimit, &g.cfg.Stats.BytesOut)
	s.in = respio.NewInput(conn, s.account, &g.cfg.Stats.BytesIn,
		respio.LargeArguments{Memory: g.cfg.Requests, Waiting: s.waiting, Expect: s.expect})
	s.batch.init(s)
	s.proto.Store(2)
	s.active.Store(s.born.UnixMilli())
	s.authenticated = !g.settings.hasPassword()
	return s
}

// Database returns the number of the database that the client has selected.
func (s *Session) Database() byte { return byte(s.db.Load()) }

// Serve runs the session to its end.
func (s *Session) Serve() {
	defer s.close()
	defer func() {
		if p := recover(); p != nil {
			s.group.cfg.Log.Error("a command panicked, the connection is closed",
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
		case failure == respio.ErrRequestTooBig:
			s.end("request exceeds client-query-buffer-limit")
			return
		case failure != nil:
			s.group.cfg.Stats.ProtocolErrors.Add(1)
			s.bye(failure)
			return
		case s.last:
			s.linger(quitPatience)
			return
		case s.group.draining.Load():
			s.linger(drainPatience)
			return
		}
		if err := s.in.Fill(); err != nil {
			if s.group.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
				s.linger(drainPatience)
			}
			s.report(err)
			return
		}
		s.active.Store(time.Now().UnixMilli())
	}
}

// requests runs all complete requests that have been read. failure is the protocol
// error after them.
func (s *Session) requests() (failure *resp.Value, err error) {
	for {
		more, failure := s.batch.collect()
		s.batch.wait()
		if err := s.batch.reply(); err != nil {
			return nil, err
		}
		if failure != nil || !more || s.last {
			return failure, nil
		}
	}
}

// bye sends a last reply, if the client still takes any.
func (s *Session) bye(v *resp.Value) {
	if !s.muted() && s.out.Write(v.AppendTo(nil, int(s.proto.Load()))) == nil {
		s.linger(quitPatience)
	}
}

// linger waits until the client has its replies, and then a moment longer for it
// to stop sending: if a socket is closed with unread input, the kernel drops what
// the client has not received yet.
func (s *Session) linger(patience time.Duration) {
	s.out.Finish(farewell)
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if s.conn.SetReadDeadline(time.Now().Add(patience)) == nil {
		_, _ = io.CopyN(io.Discard, s.conn, 4<<20)
	}
}

// end closes the connection, from any goroutine, for a fault that is logged. The
// first reason counts.
func (s *Session) end(reason string) { s.endAs(reason, false) }

// kill closes the connection because somebody asked for it.
func (s *Session) kill(reason string) { s.endAs(reason, true) }

func (s *Session) endAs(reason string, asked bool) {
	s.mu.Lock()
	if s.ended == "" {
		s.ended, s.endedBy = reason, asked
	}
	s.mu.Unlock()
	_ = s.conn.Close() // the session's goroutine sees it
	s.cancel()
}

// waiting returns the context that bounds a wait for memory.
func (s *Session) waiting() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ending, memoryPatience)
}

// expect makes a read of the session's goroutine fail if the client sends nothing
// within the duration; 0: never.
func (s *Session) expect(within time.Duration) {
	until := time.Time{}
	if within > 0 {
		until = time.Now().Add(within)
	}
	if s.conn.SetReadDeadline(until) == nil && s.group.draining.Load() {
		s.nudge() // the deadline above may have replaced that of Drain
	}
}

// nudge interrupts a session that waits for its client, because the server drains.
func (s *Session) nudge() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

// report notes why the connection ended, unless it was closed in order.
func (s *Session) report(err error) {
	switch {
	case errors.Is(err, respio.ErrOutputLimit), errors.Is(err, respio.ErrStalled):
		s.end(err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
	default:
		s.end(fmt.Sprintf("connection failed: %v", err))
	}
}

// close frees all that the session holds.
func (s *Session) close() {
	s.mu.Lock()
	reason, asked := s.ended, s.endedBy
	s.mu.Unlock()
	if reason == "" {
		s.out.Finish(farewell)
	}
	_ = s.conn.Close()
	s.cancel()
	s.out.Wait()
	s.account.Close()
	s.group.clients.remove(s)
	if reason != "" && !asked {
		s.reportEnd(reason)
	}
}

// reportEnd logs why a client was disconnected. The lines are limited for each
// address and reason, since clients can cause any number.
func (s *Session) reportEnd(reason string) {
	addr := s.conn.RemoteAddr().String()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if suppressed, write := s.group.ended.Next(host+" "+reason, time.Now()); write {
		s.group.cfg.Log.Warn("client disconnected", zap.String("client", addr),
			zap.Int64("id", s.id), zap.String("reason", reason), zap.Int("more_before", suppressed))
	}
}

// register returns the register of a key in the session's database.
func (s *Session) register(key []byte) register.ID {
	name := make([]byte, 1+len(key)) // not modified once it is a string
	name[0] = byte(s.db.Load())
	copy(name[1:], key)
	return register.ID{Slot: placement.Slot(key), Key: unsafe.String(&name[0], len(name))}
}

// locked reports whether the client must authenticate first.
func (s *Session) locked() bool { return !s.authenticated && s.group.settings.hasPassword() }

// muted reports whether the current command gets no reply.
func (s *Session) muted() bool { return s.silent || s.skipping }

func (s *Session) limits() respio.Limits {
	return respio.Limits{
		Bulk:    s.group.settings.BulkLimit.Load(),
		Request: s.group.settings.QueryLimit.Load(),
		Unauth:  s.locked(),
	}
}
