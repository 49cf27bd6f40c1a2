package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"synod/proxy/proxytest"
	"synod/proxy/respio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	f := &fixture{Server: New(ln, o), t: t, backend: backend, logs: logs}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

func (f *fixture) dial() *proxytest.Client {
	f.t.Helper()
	return proxytest.Dial(f.t, f.Addr())
}

func TestBinaryAndEmpty(t *testing.T) {
	c := start(t).dial()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, key := range []string{"", "\x00", "\r\n", "$5\r\n", string(every)} {
		for _, value := range []string{"", "\r\n", "+OK\r\n", string(every)} {
			c.Send(proxytest.Array("SET", key, value) + proxytest.Array("GET", key) + proxytest.Array("EXISTS", key))
			c.Expect(fmt.Sprintf("+OK\r\n$%d\r\n%s\r\n:1\r\n", len(value), value))
		}
	}
}

func TestDatabasesAreSeparate(t *testing.T) {
	c := start(t).dial()
	c.Do("SET k zero", "+OK\r\n")
	c.Do("SELECT 15\r\nGET k\r\nSET k fifteen\r\nDBSIZE", "+OK\r\n$-1\r\n+OK\r\n:1\r\n")
	c.Do("FLUSHDB\r\nSELECT 0\r\nGET k", "+OK\r\n+OK\r\n$4\r\nzero\r\n")
	c.Do("SELECT 3\r\nSET x y\r\nFLUSHALL\r\nSELECT 0\r\nDBSIZE", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n:0\r\n")
}

func TestLargeValue(t *testing.T) {
	f := start(t)
	c := f.dial()
	value := strings.Repeat("0123456789abcdef", 3<<20/16)
	for range 3 {
		c.Send(proxytest.Array("SET", "k", value) + proxytest.Array("GET", "k") + proxytest.Array("MGET", "k", "k") + proxytest.Array("STRLEN", "k"))
		bulk := fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
		c.Expect("+OK\r\n" + bulk + "*2\r\n" + bulk + bulk + fmt.Sprintf(":%d\r\n", len(value)))
	}
	proxytest.Eventually(t, "the buffer of a large value is given up", func() bool {
		c.Do("PING", "+PONG\r\n")
		used, _ := f.memory.Total()
		return used <= 2*respio.MaxInput
	})
}

// TestPipelineWithoutRead: a client may send 100,000 commands before it reads a reply.
func TestPipelineWithoutRead(t *testing.T) {
	c := start(t).dial()
	const n = 100_000
	var requests, replies bytes.Buffer
	for i := range n {
		requests.WriteString(proxytest.Array("SET", fmt.Sprint("k", i%1000), fmt.Sprint(i)))
		requests.WriteString(proxytest.Array("GET", fmt.Sprint("k", i%1000)))
		v := fmt.Sprint(i)
		fmt.Fprintf(&replies, "+OK\r\n$%d\r\n%s\r\n", len(v), v)
	}
	c.Send(requests.String()) // ends only if the server reads on
	c.Expect(replies.String())
}

// TestNeverReads: a client that never reads is cut off.
func TestNeverReads(t *testing.T) {
	f := start(t)
	f.settings.OutputLimit.Store(1 << 20)
	c := f.dial()
	c.Send(proxytest.Array("SET", "k", strings.Repeat("v", 100_000)))
	for {
		if _, err := io.WriteString(c, strings.Repeat(proxytest.Array("GET", "k"), 100)); err != nil {
			break // closed by the server
		}
	}
	proxytest.Eventually(t, "the client is gone", func() bool { return f.sessions.Count() == 0 })
	if got := f.logs.FilterField(zap.String("reason", respio.ErrOutputLimit.Error())).Len(); got != 1 {
		t.Errorf("%d log lines, want 1", got)
	}
	if used, _ := f.memory.Total(); used != 0 {
		t.Errorf("%d bytes are still accounted for", used)
	}
}

// TestMemoryOfAllClients: when all clients together hold too much, the one that does not
// read is cut off, not the one that does.
func TestMemoryOfAllClients(t *testing.T) {
	f := start(t)
	f.memory.SetLimit(1 << 20)
	good, bad := f.dial(), f.dial()
	good.Send(proxytest.Array("SET", "k", strings.Repeat("v", 100_000)))
	good.Expect("+OK\r\n")
	for {
		if _, err := io.WriteString(bad, strings.Repeat(proxytest.Array("GET", "k"), 10)); err != nil {
			break
		}
	}
	proxytest.Eventually(t, "the greedy client is gone", func() bool { return f.sessions.Count() == 1 })
	good.Do("STRLEN k", ":100000\r\n")
	if n := f.memory.Evictions(); n != 1 {
		t.Errorf("%d clients were evicted, want 1", n)
	}
}
