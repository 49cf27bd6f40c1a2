package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"synod/proxy/proxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen soon.
const patience = 20 * time.Second

// fixture is a server on a backend in memory.
type fixture struct {
	*Server
	t       *testing.T
	backend *proxytest.Backend
	logs    *observer.ObservedLogs
}

func start(t *testing.T, change ...func(*Options, *proxytest.Backend)) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	backend := proxytest.New()
	o := Options{Backend: backend, Log: zap.New(core), Version: "test"}
	for _, c := range change {
		c(&o, backend)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Server: NewServer(ln, o), t: t, backend: backend, logs: logs}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// client is a raw connection.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, network, addr string) *client {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

func (f *fixture) dial() *client {
	f.t.Helper()
	return dial(f.t, "tcp", f.Addr().String())
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// expect reads exactly the bytes of want.
func (c *client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

// do sends inline commands and checks their replies.
func (c *client) do(commands, want string) {
	c.t.Helper()
	c.send(commands + "\r\n")
	c.expect(want)
}

// line reads one line.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read: %v after %q", err, line)
	}
	return line
}

// bulk reads one bulk or verbatim string.
func (c *client) bulk() string {
	c.t.Helper()
	var n int
	line := c.line()
	if _, err := fmt.Sscanf(line[1:], "%d", &n); err != nil {
		c.t.Fatalf("not a bulk string: %q", line)
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, body); err != nil {
		c.t.Fatal(err)
	}
	return string(body[:n])
}

// closed checks that the server ends the connection, and returns what came
// before that.
func (c *client) closed() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection is still open; it brought %q", rest)
	}
	return string(rest)
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// array encodes a command as clients do.
func array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func TestBinaryAndEmpty(t *testing.T) {
	c := start(t).dial()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, key := range []string{"", "\x00", "\r\n", "$5\r\n", string(every)} {
		for _, value := range []string{"", "\r\n", "+OK\r\n", string(every)} {
			c.send(array("SET", key, value) + array("GET", key) + array("EXISTS", key))
			c.expect(fmt.Sprintf("+OK\r\n$%d\r\n%s\r\n:1\r\n", len(value), value))
		}
	}
}

func TestDatabasesAreSeparate(t *testing.T) {
	c := start(t).dial()
	c.do("SET k zero", "+OK\r\n")
	c.do("SELECT 15\r\nGET k\r\nSET k fifteen\r\nDBSIZE", "+OK\r\n$-1\r\n+OK\r\n:1\r\n")
	c.do("FLUSHDB\r\nSELECT 0\r\nGET k", "+OK\r\n+OK\r\n$4\r\nzero\r\n")
	c.do("SELECT 3\r\nSET x y\r\nFLUSHALL\r\nSELECT 0\r\nDBSIZE", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n:0\r\n")
}

func TestLargeValue(t *testing.T) {
	f := start(t)
	c := f.dial()
	value := strings.Repeat("0123456789abcdef", 3<<20/16)
	for range 3 {
		c.send(array("SET", "k", value) + array("GET", "k") + array("MGET", "k", "k") + array("STRLEN", "k"))
		bulk := fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
		c.expect("+OK\r\n" + bulk + "*2\r\n" + bulk + bulk + fmt.Sprintf(":%d\r\n", len(value)))
	}
	eventually(t, "the buffer of a large value is given up", func() bool {
		c.do("PING", "+PONG\r\n")
		used, _ := f.memory.total()
		return used <= 2*maxInput
	})
}

// TestPipelineWithoutRead sends 100,000 commands before it reads a reply.
func TestPipelineWithoutRead(t *testing.T) {
	c := start(t).dial()
	const n = 100_000
	var requests, replies bytes.Buffer
	for i := range n {
		requests.WriteString(array("SET", fmt.Sprint("k", i%1000), fmt.Sprint(i)))
		requests.WriteString(array("GET", fmt.Sprint("k", i%1000)))
		v := fmt.Sprint(i)
		fmt.Fprintf(&replies, "+OK\r\n$%d\r\n%s\r\n", len(v), v)
	}
	c.send(requests.String()) // ends only if the server reads on
	c.expect(replies.String())
}

func TestPipelineIsSubmittedTogether(t *testing.T) {
	f := start(t)
	c := f.dial()
	c.send(strings.Repeat(array("INCR", "n"), 100))
	for i := range 100 {
		c.expect(fmt.Sprintf(":%d\r\n", i+1))
	}
	if f.backend.Depth() < 2 {
		t.Error("each command was submitted by itself")
	}
}

// TestNeverReads sends requests without ever reading, until it is cut off.
func TestNeverReads(t *testing.T) {
	f := start(t)
	f.settings.outputLimit.Store(1 << 20)
	c := f.dial()
	c.send(array("SET", "k", strings.Repeat("v", 100_000)))
	for {
		if _, err := io.WriteString(c, strings.Repeat(array("GET", "k"), 100)); err != nil {
			break // closed by the server
		}
	}
	eventually(t, "the client is gone", func() bool { return f.clients.count() == 0 })
	if got := f.logs.FilterField(zap.String("reason", errOutputLimit.Error())).Len(); got != 1 {
		t.Errorf("%d log lines, want 1", got)
	}
	if used, _ := f.memory.total(); used != 0 {
		t.Errorf("%d bytes are still accounted for", used)
	}
}

// TestMemoryOfAllClients has one client that does not read and another that
// does; only the first is cut off when all together hold too much.
func TestMemoryOfAllClients(t *testing.T) {
	f := start(t)
	f.memory.setLimit(1 << 20)
	good, bad := f.dial(), f.dial()
	good.send(array("SET", "k", strings.Repeat("v", 100_000)))
	good.expect("+OK\r\n")
	for {
		if _, err := io.WriteString(bad, strings.Repeat(array("GET", "k"), 10)); err != nil {
			break
		}
	}
	eventually(t, "the greedy client is gone", func() bool { return f.clients.count() == 1 })
	good.do("STRLEN k", ":100000\r\n")
	if n := f.memory.evictions(); n != 1 {
		t.Errorf("%d clients were evicted, want 1", n)
	}
}
