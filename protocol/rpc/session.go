package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"

	"synod/protocol/budget"
	"synod/protocol/caspaxos/identity"
)

const (
	// keepAlive is how often a session checks that its peer is there.
	keepAlive = 2 * time.Second
	// silence is how long a peer may leave such a check, or a write,
	// unanswered.
	silence = 5 * time.Second
	// window is how much of a stream may arrive before it is taken.
	window = 4 << 20
)

// Options are what both ends of a session need to know. Cluster, Secrets, Kind,
// Name, Handle and Log are required.
type Options struct {
	// Cluster is the cluster's name: sessions exist within a cluster only.
	Cluster string
	// Secrets returns the cluster's secrets, the preferred one first. There is more
	// than one while a secret is being replaced. Any that both sides know will do.
	// Without a secret, no session can be opened.
	Secrets func() []Secret
	// Kind and Name are who this side is.
	Kind Kind
	Name string
	// Expect is, for Dial, the name that the peer must have: an address may now belong
	// to another node. Empty: any.
	Expect string

	// Claim returns, for Dial, the proposer id that this side has taken, and Seen
	// what it has seen of the server before; Self, for a server that is a node,
	// what it is. Nil: nothing is said.
	Claim func() identity.Claim
	Seen  func() Mark
	Self  func() Mark
	// Judge, if not nil, is asked about a peer that has proved that it belongs
	// here; an error ends the handshake. A server says what it was if it is a
	// *ProposerError or ErrNotTheNode, and that it is busy otherwise.
	Judge func(Peer) error

	// Handle is called with every payload that arrives, which belongs to it. It
	// is called in order for each class, from a goroutine per class; while it
	// runs, the peer may send little more of that class.
	Handle func(s *Session, c Class, payload []byte)
	// Opened, if not nil, is called when a session begins, before Handle is.
	Opened func(s *Session)
	// Closed, if not nil, is called once when a session has ended, after the
	// last call of Handle has returned. err says why.
	Closed func(s *Session, err error)

	// Memory, if not nil, is the budget for large payloads. They wait for it before
	// they are read, and so does the peer. A bulk payload that waits too long, or is
	// larger than the share, is skipped: Refused gets its first bytes, and Handle is
	// not called. Weigh, if not nil, returns how much memory a payload takes in all.
	Memory  *budget.Share
	Weigh   func(c Class, size int) int64
	Refused func(s *Session, c Class, head []byte)

	// Traffic, if not nil, counts what all sessions with these options carry.
	Traffic *Traffic

	Log *zap.Logger
}

func (o *Options) check() {
	switch {
	case len(o.Cluster) > maxName || len(o.Name) > maxName:
		panic("rpc: name too long")
	case o.Handle == nil || o.Log == nil || o.Secrets == nil:
		panic("rpc: options without Handle, Log or Secrets")
	}
}

// Session is a connection to a peer. Its methods may be called from any
// goroutine, those of a handler included.
type Session struct {
	opt  *Options
	peer Peer
	conn *conn
	mux  *yamux.Session
	out  [classes]outbox

	loops sync.WaitGroup // a reader and a writer per class
	done  chan struct{}  // closed when all has ended

	ctx    context.Context // until the session begins to end
	cancel context.CancelFunc

	mu    sync.Mutex
	cause error // why it ends; set once
}

// Client makes a session of a connection to a server. It takes over the
// connection and closes it on error. ctx bounds the handshake alone.
func Client(ctx context.Context, nc net.Conn, o Options) (*Session, error) {
	o.check()
	s := newSession(newConn(nc, o.Traffic), &o)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	err := s.handshake(greet)
	if err == nil {
		s.mux, err = yamux.Client(s.conn, muxConfig(o.Log))
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return nil, fmt.Errorf("rpc: handshake with %s: %w", nc.RemoteAddr(), err)
	}
	if o.Opened != nil {
		o.Opened(s)
	}
	go s.supervise(s.openStreams)
	return s, nil
}

func newSession(c *conn, o *Options) *Session {
	s := &Session{opt: o, conn: c, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for i := range s.out {
		s.out[i].init(Class(i).MaxBacklog())
	}
	return s
}

// handshake does one side's part of it, within its time.
func (s *Session) handshake(part func(*conn, *Options) (Peer, error)) (err error) {
	if err := s.conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return explain(err)
	}
	if s.peer, err = part(s.conn, s.opt); err != nil {
		return err
	}
	return s.conn.SetDeadline(time.Time{})
}

func muxConfig(log *zap.Logger) *yamux.Config {
	return &yamux.Config{
		// Nobody opens more streams than there are classes.
		AcceptBacklog:          classes,
		EnableKeepAlive:        true,
		KeepAliveInterval:      keepAlive,
		ConnectionWriteTimeout: silence,
		MaxStreamWindowSize:    window,
		StreamOpenTimeout:      handshakeTimeout,
		StreamCloseTimeout:     0, // streams end with their session, never by themselves
		Logger:                 muxLog{log.Sugar()},
	}
}

// muxLog takes yamux's log: the end of a session, which is all that it can
// report, is reported by Closed.
type muxLog struct{ log *zap.SugaredLogger }

func (l muxLog) Print(v ...any)                 { l.log.Debug(v...) }
func (l muxLog) Printf(format string, v ...any) { l.log.Debugf(format, v...) }
func (l muxLog) Println(v ...any)               { l.log.Debug(v...) }

// supervise runs a session from its first stream to its end.
func (s *Session) supervise(streams func() error) {
	err := streams()
	if err == nil {
		if _, err = s.mux.AcceptStream(); err == nil {
			err = fmt.Errorf("the peer opened another stream: %w", ErrNotSynod)
		}
	}
	if errors.Is(err, yamux.ErrSessionShutdown) {
		err = s.shutdownReason()
	}
	s.end(err)
	s.mux.Close()
	s.loops.Wait()
	if s.opt.Closed != nil {
		s.opt.Closed(s, s.Err())
	}
	close(s.done)
}

// shutdownReason returns why yamux's session ended. Only a call for another
// stream returns that, and only when no stream is waiting to be taken.
func (s *Session) shutdownReason() error {
	for range classes {
		if _, err := s.mux.AcceptStream(); err != nil && err != yamux.ErrSessionShutdown {
			return err
		}
	}
	return yamux.ErrSessionShutdown
}

// openStreams opens a stream for each class.
func (s *Session) openStreams() error {
	for c := range Class(classes) {
		stream, err := s.mux.OpenStream()
		if err != nil {
			return err
		}
		s.serve(c, stream)
	}
	return nil
}

// acceptStreams takes the streams that the client opens.
func (s *Session) acceptStreams() error {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	for c := range Class(classes) {
		stream, err := s.mux.AcceptStreamWithContext(ctx)
		if err != nil {
			return err
		}
		if id := stream.StreamID(); id != 2*uint32(c)+1 { // the ids a client takes
			return fmt.Errorf("stream %d opened for %s: %w", id, c, ErrNotSynod)
		}
		s.serve(c, stream)
	}
	return nil
}

func (s *Session) serve(c Class, stream *yamux.Stream) {
	s.loops.Go(func() { s.stopped(s.read(c, stream)) })
	s.loops.Go(func() { s.stopped(s.write(c, stream)) })
}

// stopped ends the session because one of its loops cannot go on. If the session is
// ending already, the loop's error means nothing.
func (s *Session) stopped(err error) {
	if err != nil && !s.mux.IsClosed() {
		s.end(err)
	}
}

func (s *Session) read(c Class, stream *yamux.Stream) error {
	frames := newFrameReader(c, stream)
	if frames.memory, frames.ctx = s.opt.Memory, s.ctx; s.opt.Refused != nil {
		frames.refused = func(head []byte) { s.opt.Refused(s, c, head) }
	}
	if s.opt.Weigh != nil {
		frames.weigh = func(size int) int64 { return s.opt.Weigh(c, size) }
	}
	frames.limit = func(within time.Duration) {
		until := time.Time{}
		if within > 0 {
			until = time.Now().Add(within)
		}
		_ = stream.SetReadDeadline(until) // never fails
	}
	for {
		payload, err := frames.next()
		if err != nil {
			return err
		}
		s.opt.Handle(s, c, payload)
	}
}

func (s *Session) write(c Class, stream *yamux.Stream) error {
	out := &s.out[c]
	for {
		segments, ok := out.take()
		if !ok {
			return nil
		}
		for i := range segments {
			for b := segments[i].b; len(b) > 0; {
				n := min(len(b), piece)
				if _, err := stream.Write(b[:n]); err != nil {
					return err
				}
				b = b[n:]
			}
			out.wrote(&segments[i])
		}
		out.done(segments)
	}
}

// end begins the session's end, for the reason given unless there is one. The
// closed connection ends yamux's session, and that ends everything else.
func (s *Session) end(err error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = fmt.Errorf("rpc: session with %s: %w", s.peer, explain(err))
	}
	s.mu.Unlock()
	s.cancel()
	for i := range s.out {
		s.out[i].close()
	}
	s.conn.Close()
}

// muxProtocol are the errors of yamux that mean that the peer is not yamux.
var muxProtocol = []error{
	yamux.ErrInvalidVersion, yamux.ErrInvalidMsgType, yamux.ErrDuplicateStream,
	yamux.ErrRecvWindowExceeded, yamux.ErrUnexpectedFlag,
}

// explain adds what an error of the connection or of yamux means. (An end that
// this side wants is noted before yamux knows of it.)
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w (%w)", ErrClosed, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, yamux.ErrConnectionReset):
		return fmt.Errorf("%w (%w)", ErrHungUp, err)
	case errors.Is(err, yamux.ErrKeepAliveTimeout), errors.Is(err, yamux.ErrConnectionWriteTimeout),
		errors.Is(err, yamux.ErrSessionShutdown), // no stream was acknowledged in time
		errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (%w)", ErrSilent, err)
	}
	for _, protocol := range muxProtocol {
		if errors.Is(err, protocol) {
			return fmt.Errorf("%w (%w)", ErrNotSynod, err)
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w (%w)", ErrSilent, err)
	}
	return err
}

// Send queues a copy of payload and returns at once. The error is ErrClosed,
// ErrBacklog or a *SizeError, and nothing was queued then; nil does not mean
// that the payload arrives.
func (s *Session) Send(c Class, payload []byte) error { return s.send(c, payload, false) }

// SendShared is Send without the copy: the payload must not be modified from
// now on. It may be sent to several peers.
func (s *Session) SendShared(c Class, payload []byte) error { return s.send(c, payload, true) }

func (s *Session) send(c Class, payload []byte, shared bool) error {
	if limit := c.MaxPayload(); len(payload) > limit {
		return &SizeError{Class: c, Size: len(payload), Limit: limit}
	}
	var header [frameHeader]byte
	putFrameHeader(header[:], payload)
	return s.out[c].put(&header, payload, shared)
}

// Flush waits until everything that was sent so far has been handed to the
// operating system. It does not mean that the peer has got it.
func (s *Session) Flush(ctx context.Context) error {
	for c := range Class(classes) {
		if err := s.Room(ctx, c, 0); err != nil {
			return fmt.Errorf("rpc: flush: %w", err)
		}
	}
	return nil
}

// Room waits until no more than backlog bytes of a class wait to be written, so that
// a large transfer can be sent bit by bit. It also returns when the session ends, so
// a handler may call it.
func (s *Session) Room(ctx context.Context, c Class, backlog int) error {
	room := s.out[c].below(backlog)
	select {
	case <-room:
		return s.Err()
	case <-ctx.Done():
		s.out[c].forget(room)
		return context.Cause(ctx)
	}
}

// Backlog returns the bytes of a class that wait to be written.
func (s *Session) Backlog(c Class) int { return s.out[c].backlog() }

// Peer returns who is at the other end.
func (s *Session) Peer() Peer { return s.peer }

// LastHeard returns when something last came from the peer. A peer that is
// there is heard at least every few seconds.
func (s *Session) LastHeard() time.Time { return s.conn.lastHeard() }

// Probe asks the peer for a sign of life, which LastHeard then shows, and waits
// until it comes, the session ends or the peer has been silent for too long.
func (s *Session) Probe() { _, _ = s.mux.Ping() }

// Close begins to end the session and drops what waits to be sent. It does not wait
// for the end; see Done.
func (s *Session) Close() { s.end(ErrClosed) }

// Done is closed when the session has ended and Options.Closed has returned.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session ends, nil as long as it does not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}
