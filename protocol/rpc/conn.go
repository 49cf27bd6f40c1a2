package rpc

import (
	"bufio"
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"
)

// conn is the connection as yamux sees it. yamux writes the header and the body of
// a data frame by two calls, and reads through a small buffer. conn combines the two
// writes into one system call, and reads through a larger buffer.
//
// Write relies on yamux writing from one goroutine, and the body right after its
// header (Session.sendLoop).
type conn struct {
	net.Conn
	in *bufio.Reader

	start   time.Time
	heard   atomic.Int64 // since start, when bytes last came
	traffic *Traffic

	holds  bool
	header [yamuxHeader]byte
	joined []byte
	parts  [2][]byte
}

const (
	// yamux's frame header: version, type, flags (2), stream (4), length (4).
	yamuxHeader = 12
	yamuxData   = 0 // the type of frames that have a body
	// joinBelow is the body size below which copying it behind its header is
	// cheaper than a vectored write.
	joinBelow = 16 << 10
)

// Traffic counts the bytes that connections carried, including the overhead of yamux
// and frames.
type Traffic struct{ Sent, Received atomic.Uint64 }

func newConn(c net.Conn, t *Traffic) *conn {
	tune(c)
	if t == nil {
		t = new(Traffic)
	}
	out := &conn{Conn: c, start: time.Now(), traffic: t}
	out.in = bufio.NewReaderSize(timedReader{out}, 32<<10)
	return out
}

// timedReader notes when bytes come.
type timedReader struct{ c *conn }

func (r timedReader) Read(p []byte) (int, error) {
	n, err := r.c.Conn.Read(p)
	if n > 0 {
		r.c.heard.Store(int64(time.Since(r.c.start)))
		r.c.traffic.Received.Add(uint64(n))
	}
	return n, err
}

func (c *conn) lastHeard() time.Time { return c.start.Add(time.Duration(c.heard.Load())) }

func (c *conn) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *conn) Write(p []byte) (int, error) {
	if c.holds {
		c.holds = false
		return c.writeBody(p)
	}
	if len(p) == yamuxHeader && p[1] == yamuxData && binary.BigEndian.Uint32(p[8:]) > 0 {
		copy(c.header[:], p)
		c.holds = true
		return len(p), nil
	}
	n, err := c.Conn.Write(p)
	c.traffic.Sent.Add(uint64(n))
	return n, err
}

// writeBody writes the header that was held back and its body.
func (c *conn) writeBody(body []byte) (int, error) {
	var n int64
	var err error
	if len(body) < joinBelow {
		c.joined = append(append(c.joined[:0], c.header[:]...), body...)
		var w int
		w, err = c.Conn.Write(c.joined)
		n = int64(w)
	} else {
		c.parts = [2][]byte{c.header[:], body}
		both := net.Buffers(c.parts[:])
		n, err = both.WriteTo(c.Conn)
		c.parts = [2][]byte{}
	}
	c.traffic.Sent.Add(uint64(n))
	return max(0, int(n)-yamuxHeader), err
}

// tune sets the options of a TCP connection; on others it does nothing. It ignores
// errors: they cost only speed.
func tune(c net.Conn) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	_ = t.SetNoDelay(true)
	limitUnsent(t)
}
