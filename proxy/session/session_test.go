package session

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/proxytest"
)

// failing makes commands on keys that begin with "bad" fail.
func failing(err error) func(*Config, *proxytest.Backend) {
	return func(_ *Config, b *proxytest.Backend) {
		b.Fault = func(c *proposer.Command) error {
			if strings.HasPrefix(c.Register.Key[1:], "bad") {
				return err
			}
			return nil
		}
	}
}

func TestFailures(t *testing.T) {
	for err, want := range map[error]*resp.Value{
		operation.ErrNoQuorum:                             resp.ErrClusterDown,
		fmt.Errorf("slot 7: %w", operation.ErrContention): resp.ErrTryAgain,
		operation.ErrOverloaded:                           errOverloaded,
		operation.ErrUncertain:                            resp.ErrUncertain,
		errors.New("an unexpected error"):                 resp.ErrUncertain,
	} {
		c := start(t, failing(err)).dial()
		failure := string(want.AppendTo(nil, 2))
		c.Do("GET good\r\nSET bad x\r\nGET good\r\nMGET good bad", "$-1\r\n"+failure+"$-1\r\n"+failure)
		c.Do("DEL bad1 bad2", failure)
		// A part was done, so the reply must not say that nothing was.
		c.Do("DEL good bad", string(resp.ErrUncertain.AppendTo(nil, 2)))
		c.Do("EXISTS good", ":0\r\n")
	}
}

// TestOrderPerKey: a pipeline in which every command depends on the one before, with
// snapshots in between.
func TestOrderPerKey(t *testing.T) {
	c := start(t).dial()
	var requests, replies strings.Builder
	for i := range 500 {
		v := fmt.Sprint(i)
		requests.WriteString(proxytest.Array("SET", "a", v) + proxytest.Array("MGET", "a", "b") + proxytest.Array("SET", "b", v) + proxytest.Array("GET", "a") + proxytest.Array("DEL", "a", "c"))
		b := "$-1\r\n"
		if i > 0 {
			b = fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i-1)), i-1)
		}
		fmt.Fprintf(&replies, "+OK\r\n*2\r\n$%d\r\n%s\r\n%s+OK\r\n$%d\r\n%s\r\n:1\r\n", len(v), v, b, len(v), v)
	}
	c.Send(requests.String())
	c.Expect(replies.String())
}

// TestWriteWaitsForSnapshot: a write on a key that a running snapshot of the same
// connection reads waits, since the snapshot may be taken again. Other keys do not
// wait.
func TestWriteWaitsForSnapshot(t *testing.T) {
	f := start(t)
	c := f.dial()
	f.backend.Hold()
	c.Send(proxytest.Array("MGET", "a", "b") + proxytest.Array("GET", "x") + proxytest.Array("SET", "b", "new"))
	proxytest.Eventually(t, "the snapshot and the read of x are submitted", func() bool { return f.backend.Waiting() == 3 })
	f.backend.Release()
	c.Expect("*2\r\n$-1\r\n$-1\r\n$-1\r\n+OK\r\n")
	c.Do("GET b", "$3\r\nnew\r\n")
}

func TestCommandsAfterQuitAreIgnored(t *testing.T) {
	f := start(t)
	c, d := f.dial(), f.dial()
	c.Send("SET a 1\r\nQUIT\r\nSET a 2\r\n")
	if got := c.Closed(); got != "+OK\r\n+OK\r\n" {
		t.Errorf("got %q", got)
	}
	d.Do("GET a", "$1\r\n1\r\n")
}

// TestLastRepliesArrive: all replies arrive, although much is unread when the connection
// ends, and the client sends more after that.
func TestLastRepliesArrive(t *testing.T) {
	value := strings.Repeat("v", 8<<20)
	for end, reply := range map[string]string{
		"*x\r\n":                "-ERR Protocol error: invalid multibulk length\r\n",
		proxytest.Array("QUIT"): "+OK\r\n",
	} {
		c := start(t).dial()
		c.Send(proxytest.Array("SET", "k", value))
		c.Expect("+OK\r\n")
		c.Send(proxytest.Array("GET", "k") + end + strings.Repeat("x", 1<<20))
		want := fmt.Sprintf("$%d\r\n%s\r\n%s", len(value), value, reply)
		if got := c.Closed(); got != want {
			t.Errorf("after %q: got %d bytes, want %d", end, len(got), len(want))
		}
	}
}

// TestRepliesAreTheirOwn: unread replies that refer to their requests do not change when
// more requests come.
func TestRepliesAreTheirOwn(t *testing.T) {
	c := start(t).dial()
	const n, size = 400, 100_000
	var requests, replies strings.Builder
	for i := range n {
		text := strings.Repeat(fmt.Sprintf("%04d", i), size/4)
		requests.WriteString(proxytest.Array("ECHO", text))
		fmt.Fprintf(&replies, "$%d\r\n%s\r\n", size, text)
	}
	c.Send(requests.String())
	c.Expect(replies.String())
}

// TestEachCommandHasItsTime: a command's time limit does not include the wait for earlier
// ones of its pipeline.
func TestEachCommandHasItsTime(t *testing.T) {
	var mu sync.Mutex
	started := map[string]instant.Mono{}
	f := start(t, func(_ *Config, b *proxytest.Backend) {
		b.Fault = func(c *proposer.Command) error {
			mu.Lock()
			defer mu.Unlock()
			started[c.Register.Key[1:]] = c.Started
			return nil
		}
	})
	c := f.dial()
	f.backend.Hold()
	c.Send(proxytest.Array("GET", "a") + proxytest.Array("GET", "b") + proxytest.Array("DBSIZE") + proxytest.Array("GET", "c"))
	proxytest.Eventually(t, "the first two wait", func() bool { return f.backend.Waiting() == 2 })
	released := f.backend.Now()
	f.backend.Release()
	c.Expect("$-1\r\n$-1\r\n:0\r\n$-1\r\n")
	mu.Lock()
	defer mu.Unlock()
	if started["a"] != started["b"] || started["a"] > released || started["c"] < released {
		t.Errorf("started at %v, released at %v", started, released)
	}
}

// TestDrain: commands that run are finished and answered.
func TestDrain(t *testing.T) {
	f := start(t)
	busy, idle, paused := f.dial(), f.dial(), f.dial()
	idle.Do("PING", "+PONG\r\n")
	f.backend.Hold()
	busy.Send(proxytest.Array("SET", "a", "1") + proxytest.Array("GET", "a"))
	proxytest.Eventually(t, "the commands wait", func() bool { return f.backend.Waiting() == 2 })
	f.group.pause.begin(time.Now().Add(time.Hour), false)
	paused.Send(proxytest.Array("PING"))
	proxytest.Eventually(t, "the client waits", func() bool { return f.group.clients.get(3) != nil && f.group.clients.get(3).busy.Load() })

	f.group.Drain()
	if got := idle.Closed(); got != "" {
		t.Errorf("idle: got %q", got)
	}
	idle.Close()
	if got := paused.Closed(); got != "+PONG\r\n" {
		t.Errorf("paused: got %q", got)
	}
	proxytest.Eventually(t, "only the client with commands is left", func() bool { return f.group.Count() == 1 })
	f.backend.Release()
	if got := busy.Closed(); got != "+OK\r\n$1\r\n1\r\n" {
		t.Errorf("busy: got %q", got)
	}
}

func TestMaxClients(t *testing.T) {
	f := start(t)
	f.group.settings.MaxClients.Store(2)
	a, b := f.dial(), f.dial()
	a.Do("PING", "+PONG\r\n")
	b.Do("PING", "+PONG\r\n")
	if got := f.dial().Closed(); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("got %q", got)
	}
	b.Close()
	proxytest.Eventually(t, "there is room again", func() bool { return f.group.clients.count() == 1 })
	f.dial().Do("PING", "+PONG\r\n")
}

// TestPanic: a handler that panics costs its own connection only.
func TestPanic(t *testing.T) {
	f := start(t)
	spec := command.Lookup([]byte("time"))
	f.group.cfg.Commands[spec].Run = func(*Session, [][]byte) *resp.Value { panic("oops") }
	c, d := f.dial(), f.dial()
	d.Do("PING", "+PONG\r\n")
	c.Send("SET a b\r\nTIME\r\nPING\r\n")
	if got := c.Closed(); !strings.HasSuffix(got, "-ERR internal error\r\n") {
		t.Errorf("got %q", got)
	}
	d.Do("PING", "+PONG\r\n")
	if n := f.logs.FilterMessageSnippet("panicked").Len(); n != 1 {
		t.Errorf("%d log lines", n)
	}
}

func TestClientList(t *testing.T) {
	f := start(t, func(o *Config, _ *proxytest.Backend) { o.ClientIDs = 5 << 32 })
	c, d := f.dial(), f.dial()
	c.Do("CLIENT ID", fmt.Sprintf(":%d\r\n", int64(5)<<32+1))
	d.Do("SELECT 3\r\nHELLO 3 SETNAME other\r\nCLIENT SETINFO lib-name redis-py\r\nCLIENT SETINFO LIB-VER 5.0", "+OK\r\n%7\r\n")
	proxytest.Eventually(t, "the second client has its name", func() bool {
		c.Send("CLIENT LIST\r\n")
		return strings.Contains(c.Bulk(), "name=other")
	})
	c.Send("CLIENT LIST\r\n")
	lines := strings.Split(c.Bulk(), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %q", lines)
	}
	for i, pattern := range []string{
		`^id=21474836481 addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ fd=\d+ name= age=\d+ idle=0 flags=N db=0 .* cmd=client\|list user=default redir=-1 resp=2 lib-name= lib-ver=$`,
		`^id=21474836482 .* name=other .* db=3 .* resp=3 lib-name=redis-py lib-ver=5\.0$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(lines[i]) {
			t.Errorf("line %q does not match %s", lines[i], pattern)
		}
	}
	c.Do("CLIENT SETINFO lib-name \"a b\"", "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n")
	c.Do("CLIENT SETINFO foo bar", "-ERR Unrecognized option 'foo'\r\n")
	c.Do("CLIENT NO-TOUCH on\r\nCLIENT NO-TOUCH x", "+OK\r\n-ERR syntax error\r\n")
}

func TestClientKill(t *testing.T) {
	f := start(t)
	c, d, e := f.dial(), f.dial(), f.dial()
	d.Do("PING", "+PONG\r\n")
	e.Do("CLIENT ID", ":3\r\n")
	c.Do("CLIENT KILL "+d.LocalAddr().String(), "+OK\r\n")
	c.Do("CLIENT KILL ID 3 ADDR "+e.LocalAddr().String(), ":1\r\n")
	if got := d.Closed() + e.Closed(); got != "" {
		t.Errorf("got %q", got)
	}
	c.Send("CLIENT KILL " + c.LocalAddr().String() + "\r\n")
	if got := c.Closed(); got != "+OK\r\n" {
		t.Errorf("got %q", got)
	}
	if n := f.logs.Len(); n != 0 {
		t.Errorf("%d log lines for what was asked for", n)
	}
}

func TestPause(t *testing.T) {
	f := start(t)
	c, d := f.dial(), f.dial()
	c.Do("CLIENT PAUSE 100000 WRITE", "+OK\r\n")
	d.Send(proxytest.Array("PING") + proxytest.Array("GET", "a") + proxytest.Array("SET", "a", "1") + proxytest.Array("GET", "a"))
	d.Expect("+PONG\r\n$-1\r\n") // what came before the pause is answered
	c.Do("GET a", "$-1\r\n")
	c.Do("CLIENT UNPAUSE", "+OK\r\n")
	d.Expect("+OK\r\n$1\r\n1\r\n")

	c.Do("CLIENT PAUSE 100000", "+OK\r\n")
	d.Send(proxytest.Array("PING"))
	proxytest.Eventually(t, "the client waits", func() bool { return busy(f, 2) })
	f.group.clients.get(2).kill("test")
	if got := d.Closed(); got != "" {
		t.Errorf("got %q", got)
	}
	proxytest.Eventually(t, "a killed client does not wait for the end of the pause", func() bool { return f.group.clients.count() == 1 })
}

// busy reports whether a client is there and waits for its commands.
func busy(f *fixture, id int64) bool {
	c := f.group.clients.get(id)
	return c != nil && c.busy.Load()
}

// TestPausedClientEnds: commands that wait for the end of a pause do not run if their
// client is killed or disconnects.
func TestPausedClientEnds(t *testing.T) {
	for name, end := range map[string]func(f *fixture, d *proxytest.Client){
		"killed":       func(f *fixture, d *proxytest.Client) { f.group.clients.get(2).kill("test") },
		"disconnected": func(_ *fixture, d *proxytest.Client) { d.Close() },
		"half closed":  func(_ *fixture, d *proxytest.Client) { d.Conn.(*net.TCPConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			c, d := f.dial(), f.dial()
			c.Do("CLIENT PAUSE 100000 WRITE", "+OK\r\n")
			d.Send(proxytest.Array("SET", "a", "1") + proxytest.Array("SET", "b", "1") + proxytest.Array("GET", "a"))
			proxytest.Eventually(t, "the client waits", func() bool { return busy(f, 2) })
			end(f, d)
			proxytest.Eventually(t, "the client is gone", func() bool { return f.group.clients.count() == 1 })
			c.Do("CLIENT UNPAUSE", "+OK\r\n")
			c.Do("EXISTS a b", ":0\r\n")
		})
	}
}

func TestPipelineIsSubmittedTogether(t *testing.T) {
	f := start(t)
	c := f.dial()
	c.Send(strings.Repeat(proxytest.Array("INCR", "n"), 100))
	for i := range 100 {
		c.Expect(fmt.Sprintf(":%d\r\n", i+1))
	}
	if f.backend.Depth() < 2 {
		t.Error("each command was submitted by itself")
	}
}
