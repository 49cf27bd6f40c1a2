package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/proxytest"
)

// failing makes commands on keys that begin with "bad" fail.
func failing(err error) func(*Options, *proxytest.Backend) {
	return func(_ *Options, b *proxytest.Backend) {
		b.Fault = func(c *caspaxos.Command) error {
			if strings.HasPrefix(c.Register.Key[1:], "bad") {
				return err
			}
			return nil
		}
	}
}

func TestFailures(t *testing.T) {
	for err, want := range map[error]*resp.Value{
		caspaxos.ErrNoQuorum:                              resp.ErrClusterDown,
		fmt.Errorf("slot 7: %w", caspaxos.ErrContention):  resp.ErrTryAgain,
		caspaxos.ErrOverloaded:                            errOverloaded,
		caspaxos.ErrUncertain:                             resp.ErrUncertain,
		errors.New("something that nobody said could be"): resp.ErrUncertain,
	} {
		c := start(t, failing(err)).dial()
		failure := string(want.AppendTo(nil, 2))
		c.do("GET good\r\nSET bad x\r\nGET good\r\nMGET good bad", "$-1\r\n"+failure+"$-1\r\n"+failure)
		c.do("DEL bad1 bad2", failure)
		// A part was done: nobody may say that nothing was.
		c.do("DEL good bad", string(resp.ErrUncertain.AppendTo(nil, 2)))
		c.do("EXISTS good", ":0\r\n")
	}
}

// TestOrderPerKey has a pipeline in which every command depends on the one
// before it, with snapshots in between.
func TestOrderPerKey(t *testing.T) {
	c := start(t).dial()
	var requests, replies strings.Builder
	for i := range 500 {
		v := fmt.Sprint(i)
		requests.WriteString(array("SET", "a", v) + array("MGET", "a", "b") + array("SET", "b", v) + array("GET", "a") + array("DEL", "a", "c"))
		b := "$-1\r\n"
		if i > 0 {
			b = fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i-1)), i-1)
		}
		fmt.Fprintf(&replies, "+OK\r\n*2\r\n$%d\r\n%s\r\n%s+OK\r\n$%d\r\n%s\r\n:1\r\n", len(v), v, b, len(v), v)
	}
	c.send(requests.String())
	c.expect(replies.String())
}

// TestWriteWaitsForSnapshot checks that a write on a key that an earlier
// snapshot of the connection reads is not submitted before that is done, since
// the snapshot may be taken again; and that other keys do not wait.
func TestWriteWaitsForSnapshot(t *testing.T) {
	f := start(t)
	c := f.dial()
	f.backend.Hold()
	c.send(array("MGET", "a", "b") + array("GET", "x") + array("SET", "b", "new"))
	eventually(t, "the snapshot and the read of x are submitted", func() bool { return f.backend.Waiting() == 3 })
	f.backend.Release()
	c.expect("*2\r\n$-1\r\n$-1\r\n$-1\r\n+OK\r\n")
	c.do("GET b", "$3\r\nnew\r\n")
}

func TestCommandsAfterQuitAreIgnored(t *testing.T) {
	f := start(t)
	c, d := f.dial(), f.dial()
	c.send("SET a 1\r\nQUIT\r\nSET a 2\r\n")
	if got := c.closed(); got != "+OK\r\n+OK\r\n" {
		t.Errorf("got %q", got)
	}
	d.do("GET a", "$1\r\n1\r\n")
}

// TestLastRepliesArrive has much to read before the connection ends, and more
// to send after that: all replies arrive.
func TestLastRepliesArrive(t *testing.T) {
	value := strings.Repeat("v", 8<<20)
	for end, reply := range map[string]string{
		"*x\r\n":      "-ERR Protocol error: invalid multibulk length\r\n",
		array("QUIT"): "+OK\r\n",
	} {
		c := start(t).dial()
		c.send(array("SET", "k", value))
		c.expect("+OK\r\n")
		c.send(array("GET", "k") + end + strings.Repeat("x", 1<<20))
		want := fmt.Sprintf("$%d\r\n%s\r\n%s", len(value), value, reply)
		if got := c.closed(); got != want {
			t.Errorf("after %q: got %d bytes, want %d", end, len(got), len(want))
		}
	}
}

// TestRepliesAreTheirOwn leaves long replies unread while more requests come:
// those that refer to the requests themselves must not change.
func TestRepliesAreTheirOwn(t *testing.T) {
	c := start(t).dial()
	const n, size = 400, 100_000
	var requests, replies strings.Builder
	for i := range n {
		text := strings.Repeat(fmt.Sprintf("%04d", i), size/4)
		requests.WriteString(array("ECHO", text))
		fmt.Fprintf(&replies, "$%d\r\n%s\r\n", size, text)
	}
	c.send(requests.String())
	c.expect(replies.String())
}

// TestEachCommandHasItsTime checks that a command's time does not run while an
// earlier one of its pipeline is waited for.
func TestEachCommandHasItsTime(t *testing.T) {
	var mu sync.Mutex
	started := map[string]caspaxos.Mono{}
	f := start(t, func(_ *Options, b *proxytest.Backend) {
		b.Fault = func(c *caspaxos.Command) error {
			mu.Lock()
			defer mu.Unlock()
			started[c.Register.Key[1:]] = c.Started
			return nil
		}
	})
	c := f.dial()
	f.backend.Hold()
	c.send(array("GET", "a") + array("GET", "b") + array("DBSIZE") + array("GET", "c"))
	eventually(t, "the first two wait", func() bool { return f.backend.Waiting() == 2 })
	released := f.backend.Now()
	f.backend.Release()
	c.expect("$-1\r\n$-1\r\n:0\r\n$-1\r\n")
	mu.Lock()
	defer mu.Unlock()
	if started["a"] != started["b"] || started["a"] > released || started["c"] < released {
		t.Errorf("started at %v, released at %v", started, released)
	}
}

func TestMaxClients(t *testing.T) {
	f := start(t, func(o *Options, _ *proxytest.Backend) { o.MaxClients = 2 })
	a, b := f.dial(), f.dial()
	a.do("PING", "+PONG\r\n")
	b.do("PING", "+PONG\r\n")
	if got := f.dial().closed(); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("got %q", got)
	}
	b.Close()
	eventually(t, "there is room again", func() bool { return f.clients.count() == 1 })
	f.dial().do("PING", "+PONG\r\n")
}

func TestIdleClientsAreClosed(t *testing.T) {
	f := start(t)
	c := f.dial()
	c.do("CONFIG SET timeout 1", "+OK\r\n")
	if got := c.closed(); got != "" {
		t.Errorf("got %q", got)
	}
	if n := f.logs.Len(); n != 0 {
		t.Errorf("closing an idle client made %d log lines", n)
	}
}

// TestPanic has a command that panics; it costs its connection only.
func TestPanic(t *testing.T) {
	f := start(t)
	spec := command.Lookup([]byte("time"))
	f.table[spec].run = func(*session, [][]byte) *resp.Value { panic("oops") }
	c, d := f.dial(), f.dial()
	d.do("PING", "+PONG\r\n")
	c.send("SET a b\r\nTIME\r\nPING\r\n")
	if got := c.closed(); !strings.HasSuffix(got, "-ERR internal error\r\n") {
		t.Errorf("got %q", got)
	}
	d.do("PING", "+PONG\r\n")
	if n := f.logs.FilterMessageSnippet("panicked").Len(); n != 1 {
		t.Errorf("%d log lines", n)
	}
}

func TestClientList(t *testing.T) {
	f := start(t, func(o *Options, _ *proxytest.Backend) { o.ClientIDs = 5 << 32 })
	c, d := f.dial(), f.dial()
	c.do("CLIENT ID", fmt.Sprintf(":%d\r\n", int64(5)<<32+1))
	d.do("SELECT 3\r\nHELLO 3 SETNAME other\r\nCLIENT SETINFO lib-name redis-py\r\nCLIENT SETINFO LIB-VER 5.0", "+OK\r\n%7\r\n")
	eventually(t, "the second client has its name", func() bool {
		c.send("CLIENT LIST\r\n")
		return strings.Contains(c.bulk(), "name=other")
	})
	c.send("CLIENT LIST\r\n")
	lines := strings.Split(c.bulk(), "\n")
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
	c.do("CLIENT SETINFO lib-name \"a b\"", "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n")
	c.do("CLIENT SETINFO foo bar", "-ERR Unrecognized option 'foo'\r\n")
	c.do("CLIENT NO-TOUCH on\r\nCLIENT NO-TOUCH x", "+OK\r\n-ERR syntax error\r\n")
}

// TestClientListFields compares the names of the fields with Redis's.
func TestClientListFields(t *testing.T) {
	socket := startRedis(t)
	names := func(text string) string {
		return regexp.MustCompile(`=\S*`).ReplaceAllString(strings.TrimSpace(strings.SplitN(text, "\r\n", 3)[1]), "")
	}
	want := names(converse(t, "unix", socket, "CLIENT LIST\r\n", whole)) + " lib-name lib-ver"
	if got := names(converse(t, "tcp", start(t).Addr().String(), "CLIENT INFO\r\n", whole)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestClientKill(t *testing.T) {
	f := start(t)
	c, d, e := f.dial(), f.dial(), f.dial()
	d.do("PING", "+PONG\r\n")
	e.do("CLIENT ID", ":3\r\n")
	c.do("CLIENT KILL "+d.LocalAddr().String(), "+OK\r\n")
	c.do("CLIENT KILL ID 3 ADDR "+e.LocalAddr().String(), ":1\r\n")
	if got := d.closed() + e.closed(); got != "" {
		t.Errorf("got %q", got)
	}
	c.send("CLIENT KILL " + c.LocalAddr().String() + "\r\n")
	if got := c.closed(); got != "+OK\r\n" {
		t.Errorf("got %q", got)
	}
	if n := f.logs.Len(); n != 0 {
		t.Errorf("%d log lines for what was asked for", n)
	}
}

func TestPause(t *testing.T) {
	f := start(t)
	c, d := f.dial(), f.dial()
	c.do("CLIENT PAUSE 100000 WRITE", "+OK\r\n")
	d.send(array("PING") + array("GET", "a") + array("SET", "a", "1") + array("GET", "a"))
	d.expect("+PONG\r\n$-1\r\n") // what came before the pause is answered
	c.do("GET a", "$-1\r\n")
	c.do("CLIENT UNPAUSE", "+OK\r\n")
	d.expect("+OK\r\n$1\r\n1\r\n")

	c.do("CLIENT PAUSE 100000", "+OK\r\n")
	d.send(array("PING"))
	eventually(t, "the client waits", func() bool { return f.clients.get(2).busy.Load() })
	f.clients.get(2).kill("test")
	if got := d.closed(); got != "" {
		t.Errorf("got %q", got)
	}
	eventually(t, "a killed client does not wait for the end of the pause", func() bool { return f.clients.count() == 1 })
}

// TestPausedClientEnds: what a client waits to do when it is killed, or goes
// away, is not done.
func TestPausedClientEnds(t *testing.T) {
	for name, end := range map[string]func(f *fixture, d *client){
		"killed":       func(f *fixture, d *client) { f.clients.get(2).kill("test") },
		"disconnected": func(_ *fixture, d *client) { d.Close() },
		"half closed":  func(_ *fixture, d *client) { d.Conn.(*net.TCPConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			c, d := f.dial(), f.dial()
			c.do("CLIENT PAUSE 100000 WRITE", "+OK\r\n")
			d.send(array("SET", "a", "1") + array("SET", "b", "1") + array("GET", "a"))
			eventually(t, "the client waits", func() bool { return f.clients.get(2).busy.Load() })
			end(f, d)
			eventually(t, "the client is gone", func() bool { return f.clients.count() == 1 })
			c.do("CLIENT UNPAUSE", "+OK\r\n")
			c.do("EXISTS a b", ":0\r\n")
		})
	}
}

// TestDrain closes the server while commands are under way: they are finished
// and answered first.
func TestDrain(t *testing.T) {
	f := start(t)
	busy, idle, paused := f.dial(), f.dial(), f.dial()
	idle.do("PING", "+PONG\r\n")
	f.backend.Hold()
	busy.send(array("SET", "a", "1") + array("GET", "a"))
	eventually(t, "the commands wait", func() bool { return f.backend.Waiting() == 2 })
	f.pause.begin(time.Now().Add(time.Hour), false)
	paused.send(array("PING"))
	eventually(t, "the client waits", func() bool { return f.clients.get(3) != nil && f.clients.get(3).busy.Load() })

	closed := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		closed <- f.Close(ctx)
	}()
	if got := idle.closed(); got != "" {
		t.Errorf("idle: got %q", got)
	}
	idle.Close()
	if got := paused.closed(); got != "+PONG\r\n" {
		t.Errorf("paused: got %q", got)
	}
	if _, err := net.Dial("tcp", f.Addr().String()); err == nil {
		t.Error("the server still accepts clients")
	}
	select {
	case err := <-closed:
		t.Fatalf("closed with a command under way: %v", err)
	default:
	}
	f.backend.Release()
	if got := busy.closed(); got != "+OK\r\n$1\r\n1\r\n" {
		t.Errorf("busy: got %q", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestCloseLosesPatience closes the server while a client does not take its
// replies.
func TestCloseLosesPatience(t *testing.T) {
	f := start(t)
	c := f.dial()
	c.send(array("SET", "k", strings.Repeat("v", 10<<20)) + array("GET", "k") + array("GET", "k"))
	c.expect("+OK\r\n")
	eventually(t, "replies wait", func() bool {
		n, _ := f.clients.get(1).out.waiting()
		return n > 10<<20
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestPassword(t *testing.T) {
	f := start(t, func(o *Options, _ *proxytest.Backend) { o.Password = "secret" })
	c := f.dial()
	c.do("GET a", "-NOAUTH Authentication required.\r\n")
	c.do("AUTH secret\r\nCONFIG SET requirepass other\r\nGET a", "+OK\r\n+OK\r\n$-1\r\n")
	d := f.dial()
	d.do("AUTH secret\r\nAUTH other", "-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n")
}

func TestAdmin(t *testing.T) {
	f := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	problem := errors.New("no quorum yet")
	ready := make(chan error, 2)
	ready <- problem
	ready <- nil
	a, err := NewAdmin(ln, AdminOptions{
		Log: zap.NewNop(), Ready: func() error { return <-ready }, Collectors: []prometheus.Collector{f.Server},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(context.Background())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	get := func(path string) (int, string) {
		t.Helper()
		reply, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + a.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		if err != nil {
			t.Fatal(err)
		}
		return reply.StatusCode, string(body)
	}
	check := func(path string, code int, contains string) {
		t.Helper()
		if c, body := get(path); c != code || !strings.Contains(body, contains) {
			t.Errorf("%s: %d %.300q, want %d with %q", path, c, body, code, contains)
		}
	}
	c := f.dial()
	c.send(array("SET", "a", "x") + array("INCR", "a") + array("CLIENT", "ID") + array("nonsense"))
	c.expect("+OK\r\n-ERR value is not an integer or out of range\r\n:1\r\n-ERR unknown")
	check("/healthz", 200, "ok")
	check("/readyz", 503, problem.Error())
	check("/readyz", 200, "ok")
	check("/debug/pprof/", 200, "goroutine")
	for _, line := range []string{
		`synod_proxy_commands_total{command="set",outcome="ok"} 1`,
		`synod_proxy_commands_total{command="incr",outcome="error"} 1`,
		`synod_proxy_commands_total{command="client|id",outcome="ok"} 1`,
		"synod_proxy_unknown_commands_total 1", "synod_proxy_clients 1", "synod_proxy_batch_commands_sum 4",
		`synod_proxy_batch_commands_bucket{le="4096"} `, "go_goroutines ",
	} {
		check("/metrics", 200, line)
	}
}

func TestDepthOfBatches(t *testing.T) {
	f := start(t)
	for _, n := range []int{1, 2, 3, 4, 5, maxBatch} {
		f.stats.batch(n)
	}
	want := map[int]int64{0: 1, 1: 1, 2: 2, 3: 1, 12: 1}
	for i := range f.stats.batches {
		if got := f.stats.batches[i].total(); got != want[i] {
			t.Errorf("bucket %d: %d, want %d", i, got, want[i])
		}
	}
}

func TestInfo(t *testing.T) {
	f := start(t)
	c, d := f.dial(), f.dial()
	d.do("SET a b\r\nINCR a\r\nnonsense\r\nPING", "+OK\r\n-ERR value is not an integer or out of range\r\n-ERR unknown command 'nonsense', with args beginning with: \r\n+PONG\r\n")
	field := func(args, name string) string {
		t.Helper()
		c.send("INFO " + args + "\r\n")
		for line := range strings.Lines(c.bulk()) {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				return strings.TrimSpace(value)
			}
		}
		t.Errorf("INFO %s has no %s", args, name)
		return ""
	}
	_, port, _ := net.SplitHostPort(f.Addr().String())
	for name, want := range map[string]string{
		"redis_version": redisVersion, "synod_version": "test", "redis_mode": "standalone", "tcp_port": port,
		"connected_clients": "2", "maxclients": "10000", "aof_enabled": "1", "role": "master", "cluster_enabled": "0",
		"total_connections_received": "2", "errorstat_ERR": "count=2", "rejected_connections": "0",
	} {
		if got := field("", name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := field("commandstats", "cmdstat_incr"); got != "calls=1,failed_calls=1" {
		t.Errorf("cmdstat_incr: got %q", got)
	}
	if n, err := strconv.Atoi(field("memory", "used_memory")); err != nil || n < 10_000 {
		t.Errorf("used_memory: %d, %v", n, err)
	}
	c.do("CONFIG RESETSTAT", "+OK\r\n")
	if got := field("stats", "total_commands_processed"); got != "1" { // RESETSTAT itself
		t.Errorf("total_commands_processed after a reset: %q", got)
	}
}

func TestLolwut(t *testing.T) {
	c := start(t).dial()
	c.send("LOLWUT\r\n")
	if art := c.bulk(); !strings.HasSuffix(art, "\nSynod test, Redis ver. "+redisVersion+"\n") || strings.Count(art, "@") < 13 {
		t.Errorf("got %s", art)
	}
}
