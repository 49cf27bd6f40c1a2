package server

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"synod/proxy/proxytest"
)

// startRedis starts a real Redis and returns its socket.
func startRedis(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server to compare with")
	}
	socket := filepath.Join(t.TempDir(), "redis.sock")
	cmd := exec.Command(binary, append([]string{"--port", "0", "--unixsocket", socket, "--save", "", "--dir", filepath.Dir(socket)}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	proxytest.Eventually(t, "Redis answers", func() bool {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return socket
}

// marker ends the replies to a script that does not end its connection.
const marker = "that was all"

// converse sends a script in the parts that cut returns, and returns all replies.
func converse(t *testing.T, network, addr, script string, cut func(string) []string) string {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(proxytest.Patience))
	go func() { // ends when the connection does
		for _, piece := range cut(script + proxytest.Array("ECHO", marker)) {
			if _, err := io.WriteString(conn, piece); err != nil {
				return // closed by the server, as some scripts want
			}
		}
	}()
	var got []byte
	buf := make([]byte, 64<<10)
	for !strings.HasSuffix(string(got), marker+"\r\n") {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			return string(got) + "(closed)"
		default:
			t.Fatalf("%v after %.200q", err, got)
		}
	}
	return string(got)
}

func whole(s string) []string { return []string{s} }

func bytewise(s string) []string { return strings.Split(s, "") }

func randomly(s string) (pieces []string) {
	for len(s) > 0 {
		n := min(1+rand.IntN(40), len(s))
		pieces, s = append(pieces, s[:n]), s[n:]
	}
	return pieces
}

// varying matches the parts of replies that differ between runs.
var varying = regexp.MustCompile(`(\$2\r\nid\r\n:)\d+`)

// scripts are sent to Synod and to Redis, like proxytest.Requests. The replies must be
// equal.
var scripts = map[string]string{
	"quit":   "SET a b\r\nQUIT now\r\nPING\r\n",
	"reset":  "SELECT 3\r\nHELLO 3\r\nCLIENT SETNAME x\r\nRESET\r\nGET nothing\r\nCLIENT GETNAME\r\nRESET x\r\n",
	"select": "SELECT 1\r\nSELECT 16\r\nSELECT -1\r\nSELECT x\r\nSELECT 99999999999\r\nSELECT\r\nSELECT 0 1\r\nSELECT 9223372036854775808\r\n",
	"hello": "HELLO\r\nHELLO 2\r\nHELLO 3\r\nGET none\r\nHELLO\r\nHELLO 4\r\nHELLO 1\r\nHELLO x\r\nHELLO 3 FOO\r\nHELLO 3 SETNAME\r\nHELLO 3 SETNAME a\r\nCLIENT GETNAME\r\n" +
		"HELLO 3 AUTH default x SETNAME b\r\nCLIENT GETNAME\r\nHELLO 3 AUTH nobody x\r\nHELLO 3 AUTH a\r\nHELLO 2 SETNAME \"a b\"\r\nHELLO 99999999999999999999\r\n" + proxytest.Array("HELLO", "3", "a\r\nb"),
	"resp3":                 "HELLO 3\r\nGET none\r\nMGET a b\r\nCONFIG GET databases\r\nTYPE x\r\nRANDOMKEY\r\nCLIENT GETNAME\r\nSCAN 0\r\nCLIENT TRACKINGINFO\r\nCOMMAND COUNT x\r\nCONFIG GET nothing\r\nPING\r\n",
	"switch in a pipeline":  proxytest.Array("GET", "x") + proxytest.Array("HELLO", "3") + proxytest.Array("GET", "x") + proxytest.Array("HELLO", "2") + proxytest.Array("GET", "x"),
	"auth without password": "AUTH x\r\nAUTH default x\r\nAUTH nobody x\r\nAUTH a b c\r\nAUTH\r\n",
	"names":                 "CLIENT GETNAME\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\nCLIENT SETNAME \"a b\"\r\nCLIENT SETNAME \"\"\r\nCLIENT GETNAME\r\n" + proxytest.Array("CLIENT", "SETNAME", "a\nb") + proxytest.Array("CLIENT", "SETNAME", "\xe9") + "CLIENT SETNAME\r\n",
	"client kill": "CLIENT KILL\r\nCLIENT KILL 1.2.3.4:5\r\nCLIENT KILL ID 0\r\nCLIENT KILL ID x\r\nCLIENT KILL ID 99999\r\nCLIENT KILL TYPE foo\r\nCLIENT KILL TYPE pubsub\r\nCLIENT KILL TYPE master\r\n" +
		"CLIENT KILL USER foo\r\nCLIENT KILL SKIPME foo\r\nCLIENT KILL ID\r\nCLIENT KILL ID 99999 ADDR\r\nCLIENT KILL ADDR 1:1 LADDR 2:2\r\nCLIENT KILL FOO bar\r\nCLIENT KILL ID 99999 SKIPME no USER default\r\n",
	"kill oneself":     "CLIENT KILL SKIPME no\r\nPING\r\n",
	"kill others":      "CLIENT KILL SKIPME yes\r\nPING\r\n",
	"client list":      "CLIENT LIST TYPE foo\r\nCLIENT LIST ID x\r\nCLIENT LIST ID 99999 99998\r\nCLIENT LIST foo\r\nCLIENT LIST TYPE\r\nCLIENT LIST ID\r\nCLIENT LIST TYPE master\r\nCLIENT LIST TYPE replica\r\nCLIENT LIST TYPE pubsub x\r\n",
	"client switches":  "CLIENT NO-EVICT on\r\nCLIENT NO-EVICT off\r\nCLIENT NO-EVICT x\r\nCLIENT NO-EVICT\r\nCLIENT GETREDIR\r\nCLIENT TRACKINGINFO\r\nCLIENT CACHING yes\r\nCLIENT CACHING x\r\n",
	"client reply":     "CLIENT REPLY x\r\nCLIENT REPLY\r\nCLIENT REPLY SKIP\r\nPING one\r\nPING two\r\nCLIENT REPLY OFF\r\nPING three\r\nGET x\r\nfoo\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING four\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING five\r\nPING six\r\n",
	"reply off, reset": "CLIENT REPLY OFF\r\nPING\r\nRESET\r\nPING a\r\n",
	"client pause":     "CLIENT PAUSE x\r\nCLIENT PAUSE -1\r\nCLIENT PAUSE 1 foo\r\nCLIENT PAUSE 1 ALL x\r\nCLIENT PAUSE\r\nCLIENT PAUSE 20\r\nPING\r\nCLIENT PAUSE 20 write\r\nGET a\r\nSET a b\r\nCLIENT PAUSE 10000 WRITE\r\nGET a\r\nCLIENT UNPAUSE\r\nSET a c\r\nCLIENT UNPAUSE x\r\n",
	"config get":       "CONFIG GET\r\nCONFIG GET nothing\r\nCONFIG GET TIMEOUT\r\nCONFIG GET timeou?\r\nCONFIG GET [t]imeout\r\nCONFIG GET databases\r\nCONFIG GET SAVE\r\nCONFIG GET maxmemory-polic*\r\nCONFIG GET proto-max-bulk-le*\r\n",
	"config set": "CONFIG SET a b\r\nCONFIG SET a\r\nCONFIG SET\r\nCONFIG SET maxclients x\r\nCONFIG SET maxclients 0\r\nCONFIG SET timeout -1\r\nCONFIG SET timeout 99999999999\r\nCONFIG SET maxmemory x\r\nCONFIG SET maxmemory -1\r\n" +
		"CONFIG SET maxmemory 1mb\r\nCONFIG GET maxmemory\r\nCONFIG SET maxmemory 2K\r\nCONFIG GET maxmemory\r\nCONFIG SET maxmemory 0\r\nCONFIG SET maxmemory-policy foo\r\nCONFIG SET maxmemory-policy ALLKEYS-LRU\r\nCONFIG GET maxmemory-policy\r\n" +
		"CONFIG SET timeout 1 timeout 2\r\nCONFIG SET timeout 0 foo\r\nCONFIG SET timeout 0 foo bar\r\nCONFIG SET databases 3\r\nCONFIG SET DATABASES 3\r\nCONFIG SET timeout 7 databases 3\r\nCONFIG SET timeout 7 maxmemory x\r\nCONFIG GET timeout\r\nCONFIG SET TIMEOUT 100 maxmemory 5\r\nCONFIG GET timeout\r\n" +
		"CONFIG SET proto-max-bulk-len 1x\r\nCONFIG SET client-query-buffer-limit 1\r\nCONFIG SET maxclients 10000.5\r\nCONFIG RESETSTAT\r\nCONFIG RESETSTAT x\r\nCONFIG REWRITE\r\nCONFIG SET maxmemory-clients x\r\n",
	"config events": "CONFIG SET notify-keyspace-events Q\r\nCONFIG SET notify-keyspace-events KEA\r\nCONFIG GET notify-keyspace-events\r\nCONFIG SET notify-keyspace-events g$lshzxetdmnKE\r\nCONFIG GET notify-keyspace-events\r\nCONFIG SET notify-keyspace-events xeKg$\r\nCONFIG GET notify-keyspace-events\r\nCONFIG SET notify-keyspace-events Kgn\r\nCONFIG GET notify-keyspace-events\r\nCONFIG SET notify-keyspace-events mEA\r\nCONFIG GET notify-keyspace-events\r\nCONFIG SET notify-keyspace-events \"\"\r\nCONFIG GET notify-keyspace-events\r\n",
	"config limits": "CONFIG SET client-output-buffer-limit x\r\nCONFIG SET client-output-buffer-limit \"normal x 0 0\"\r\nCONFIG SET client-output-buffer-limit \"foo 1 0 0\"\r\nCONFIG SET client-output-buffer-limit \"normal 1 0\"\r\nCONFIG SET client-output-buffer-limit \"normal 8mb 0 0\"\r\nCONFIG GET client-output-buffer-limit\r\nCONFIG SET client-output-buffer-limit \"normal 0 0 0\"\r\nCONFIG GET client-output-buffer-limit\r\nCONFIG SET client-output-buffer-limit \"master 0 0 0\"\r\n",
	"keyspace":      "DBSIZE\r\nSET a 1\r\nDBSIZE\r\nDBSIZE x\r\nKEYS *\r\nKEYS b*\r\nKEYS\r\nRANDOMKEY\r\nRANDOMKEY x\r\nSCAN 0\r\nFLUSHDB\r\nKEYS *\r\nRANDOMKEY\r\nFLUSHALL x\r\nFLUSHALL SYNC\r\nFLUSHDB async\r\nFLUSHDB SYNC ASYNC\r\n",
	"scan":          "SCAN x\r\nSCAN\r\nSCAN 1x\r\nSCAN \" 1\"\r\nSCAN \"\"\r\nSCAN -1x\r\nSCAN 99999999999999999999\r\nSCAN 0 COUNT\r\nSCAN 0 COUNT 0\r\nSCAN 0 COUNT -1\r\nSCAN 0 COUNT x\r\nSCAN 0 FOO bar\r\nSCAN 0 MATCH\r\nSCAN 0 MATCH * COUNT 5 TYPE string\r\nSCAN 0 TYPE foo\r\nSET a b\r\nSCAN 0 TYPE STRING\r\nSCAN 0 TYPE list\r\nSCAN 0 MATCH b*\r\nSCAN 0 MATCH a count 1000\r\nSCAN x COUNT y\r\nSCAN +0\r\nSCAN -\r\n",
	"wait":          "WAIT 0 0\r\nWAIT 1 1\r\nWAIT x 1\r\nWAIT -1 1\r\nWAIT 0 x\r\nWAIT 0 -1\r\nWAIT 0\r\n",
	"time":          "TIME x\r\n",
	"pipeline":      strings.Repeat(proxytest.Array("INCR", "n")+proxytest.Array("GET", "n")+proxytest.Array("MGET", "n", "m", "n")+proxytest.Array("APPEND", "m", "x")+proxytest.Array("DEL", "none"), 300),
	"attack":        "POST / HTTP/1.1\r\nPING\r\n",
	"attack host":   "HOST: x\r\nPING\r\n",
}

func TestSameAsRedis(t *testing.T) {
	socket := startRedis(t)
	cuts := map[string]func(string) []string{"whole": whole, "bytewise": bytewise, "randomly": randomly}
	all := maps.Clone(scripts)
	maps.Copy(all, proxytest.Requests)
	for name, script := range all {
		for how, cut := range cuts {
			if how == "bytewise" && len(script) > 4000 {
				continue
			}
			t.Run(name+"/"+how, func(t *testing.T) {
				converse(t, "unix", socket, "FLUSHALL\r\nCONFIG SET timeout 0 maxmemory 0 maxmemory-policy noeviction\r\n", whole)
				want := converse(t, "unix", socket, script, cut)
				got := converse(t, "tcp", start(t).Addr().String(), script, cut)
				compare(t, got, want)
			})
		}
	}
}

// locked are scripts for servers with the password "secret".
var locked = map[string]string{
	"no auth":      "PING\r\nGET a\r\nfoo\r\nGET\r\nCLIENT foo\r\nHELLO\r\nHELLO 3\r\nHELLO 3 SETNAME x\r\nRESET\r\nAUTH wrong\r\nAUTH default wrong\r\nAUTH nobody secret\r\nAUTH secret\r\nPING\r\nRESET\r\nPING\r\nAUTH default secret\r\nPING\r\n",
	"hello auth":   "HELLO 3 AUTH default wrong\r\nHELLO 3 AUTH nobody secret\r\nHELLO 2 AUTH default secret\r\nGET a\r\nHELLO 3 AUTH default wrong\r\nGET a\r\n",
	"quit":         "QUIT\r\n",
	"many args":    proxytest.Array("ECHO", "1", "2", "3", "4", "5", "6", "7", "8", "9") + "PING\r\n*11\r\n",
	"long arg":     proxytest.Array("ECHO", strings.Repeat("x", 16384)) + proxytest.Array("ECHO", strings.Repeat("x", 16385)),
	"then allowed": "AUTH secret\r\n" + proxytest.Array("ECHO", strings.Repeat("x", 16385)) + proxytest.Array("ECHO", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"),
}

func TestSameAsRedisWithPassword(t *testing.T) {
	socket := startRedis(t, "--requirepass", "secret")
	for name, script := range locked {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *Options, _ *proxytest.Backend) { o.Password = "secret" })
			compare(t, converse(t, "tcp", f.Addr().String(), script, whole), converse(t, "unix", socket, script, whole))
		})
	}
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	got, want = varying.ReplaceAllString(got, "${1}N"), varying.ReplaceAllString(want, "${1}N")
	if got == want {
		return
	}
	g, w := strings.SplitAfter(got, "\r\n"), strings.SplitAfter(want, "\r\n")
	i := 0
	for i < min(len(g), len(w)) && g[i] == w[i] {
		i++
	}
	t.Errorf("line %d:\ngot  %.200q\nwant %.200q\nafter %q", i, g[i:min(i+3, len(g))], w[i:min(i+3, len(w))], g[max(0, i-3):i])
}

// TestInfoFields checks that INFO has the sections of Redis, in its order.
func TestInfoFields(t *testing.T) {
	socket := startRedis(t)
	names := func(text string) (out []string) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "# ") {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return out
	}
	f := start(t)
	for _, args := range []string{"", " default", " all", " everything", " server clients", " SERVER nothing", " nothing"} {
		want := names(converse(t, "unix", socket, "INFO"+args+"\r\n", whole))
		want = slices.DeleteFunc(want, func(s string) bool { return s == "# Latencystats" })
		if got := names(converse(t, "tcp", f.Addr().String(), "INFO"+args+"\r\n", whole)); !slices.Equal(got, want) {
			t.Errorf("INFO%s: got %q, want %q", args, got, want)
		}
	}
	c := f.dial()
	c.Do("SET a b\r\nSELECT 3\r\nSET c d", "+OK\r\n+OK\r\n+OK\r\n")
	const keyspace = "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n"
	for _, args := range []string{"", " all", " everything", " keyspace"} {
		c.Send("INFO" + args + "\r\n")
		if got := c.Bulk(); !strings.HasSuffix(got, keyspace) {
			t.Errorf("INFO%s: got %q", args, got)
		}
	}
	// Redis updates avg_ttl only now and then, so it is not compared.
	const some = "FLUSHALL\r\nSET a 1\r\nSET b 1 EX 1000\r\nSET c 1 PX 3000000\r\nSELECT 2\r\nSET d 1 EX 50\r\nINFO keyspace\r\n"
	told := regexp.MustCompile(`db\d+:keys=\d+,expires=\d+,avg_ttl=`)
	want := told.FindAllString(converse(t, "unix", socket, some, whole), -1)
	if got := told.FindAllString(converse(t, "tcp", f.Addr().String(), some, whole), -1); len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
