package server

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"synod/proxy/proxytest"
	"synod/proxy/session"
)

func TestIdleClientsAreClosed(t *testing.T) {
	f := start(t)
	c := f.dial()
	c.Do("CONFIG SET timeout 1", "+OK\r\n")
	if got := c.Closed(); got != "" {
		t.Errorf("got %q", got)
	}
	if n := f.logs.Len(); n != 0 {
		t.Errorf("closing an idle client made %d log lines", n)
	}
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

// TestClose: commands that run are finished and answered.
func TestClose(t *testing.T) {
	f := start(t)
	busy, idle := f.dial(), f.dial()
	idle.Do("PING", "+PONG\r\n")
	f.backend.Hold()
	busy.Send(proxytest.Array("SET", "a", "1") + proxytest.Array("GET", "a"))
	proxytest.Eventually(t, "the commands wait", func() bool { return f.backend.Waiting() == 2 })

	closed := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
		defer cancel()
		closed <- f.Close(ctx)
	}()
	if got := idle.Closed(); got != "" {
		t.Errorf("idle: got %q", got)
	}
	if _, err := net.Dial("tcp", f.Addr().String()); err == nil {
		t.Error("the server still accepts clients")
	}
	select {
	case err := <-closed:
		t.Fatalf("closed while a command runs: %v", err)
	default:
	}
	f.backend.Release()
	if got := busy.Closed(); got != "+OK\r\n$1\r\n1\r\n" {
		t.Errorf("busy: got %q", got)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestCloseLosesPatience: a client that does not read is cut off.
func TestCloseLosesPatience(t *testing.T) {
	f := start(t)
	c := f.dial()
	c.Send(proxytest.Array("SET", "k", strings.Repeat("v", 10<<20)) + proxytest.Array("GET", "k") + proxytest.Array("GET", "k"))
	c.Expect("+OK\r\n")
	proxytest.Eventually(t, "replies wait", func() bool {
		used, _ := f.memory.Total()
		return used > 10<<20
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
	c.Do("GET a", "-NOAUTH Authentication required.\r\n")
	c.Do("AUTH secret\r\nCONFIG SET requirepass other\r\nGET a", "+OK\r\n+OK\r\n$-1\r\n")
	d := f.dial()
	d.Do("AUTH secret\r\nAUTH other", "-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n")
}

func TestMetrics(t *testing.T) {
	f := start(t)
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(f.Server); err != nil {
		t.Fatal(err)
	}
	c := f.dial()
	c.Send(proxytest.Array("SET", "a", "x") + proxytest.Array("INCR", "a") + proxytest.Array("CLIENT", "ID") + proxytest.Array("nonsense"))
	c.Expect("+OK\r\n-ERR value is not an integer or out of range\r\n:1\r\n-ERR unknown")
	page := func() string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w.Body.String()
	}
	for _, line := range []string{
		`synod_proxy_commands_total{command="set",outcome="ok"} 1`,
		`synod_proxy_commands_total{command="incr",outcome="error"} 1`,
		`synod_proxy_commands_total{command="client|id",outcome="ok"} 1`,
		"synod_proxy_unknown_commands_total 1", "synod_proxy_clients 1", "synod_proxy_batch_commands_sum 4",
		`synod_proxy_batch_commands_bucket{le="4096"} `,
	} {
		proxytest.Eventually(t, line, func() bool { return strings.Contains(page(), line) })
	}
}

func TestInfo(t *testing.T) {
	f := start(t)
	c, d := f.dial(), f.dial()
	d.Do("SET a b\r\nINCR a\r\nnonsense\r\nPING", "+OK\r\n-ERR value is not an integer or out of range\r\n-ERR unknown command 'nonsense', with args beginning with: \r\n+PONG\r\n")
	field := func(args, name string) string {
		t.Helper()
		c.Send("INFO " + args + "\r\n")
		for line := range strings.Lines(c.Bulk()) {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				return strings.TrimSpace(value)
			}
		}
		t.Errorf("INFO %s has no %s", args, name)
		return ""
	}
	_, port, _ := net.SplitHostPort(f.Addr().String())
	for name, want := range map[string]string{
		"redis_version": session.RedisVersion, "synod_version": "test", "redis_mode": "standalone", "tcp_port": port,
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
	c.Do("CONFIG RESETSTAT", "+OK\r\n")
	if got := field("stats", "total_commands_processed"); got != "1" { // RESETSTAT itself
		t.Errorf("total_commands_processed after a reset: %q", got)
	}
}

func TestLolwut(t *testing.T) {
	c := start(t).dial()
	c.Send("LOLWUT\r\n")
	if art := c.Bulk(); !strings.HasSuffix(art, "\nSynod test, Redis ver. "+session.RedisVersion+"\n") || strings.Count(art, "@") < 13 {
		t.Errorf("got %s", art)
	}
}
