package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"synod/protocol/wire"
	"synod/tests/harness"
)

// A node rejects invalid bytes, a peer of another version, one of another
// cluster and a stranger. It logs and counts each reason; nobody else is
// affected.
func TestGarbageOnTheRPCPort(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	n := c.Nodes[0]
	random := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(random)
	valid := hello(wire.Version, "main")
	for _, test := range []struct {
		name string
		sent []byte
		says string // in the node's log: nothing again for what it said just before
		why  string // as the node counts it
		half bool   // nothing more is sent
	}{
		{"random", random, "does not speak Synod's protocol", "protocol", false},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: n1\r\n\r\n"), "", "protocol", false},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "", "protocol", false},
		{"RESP", harness.Command("PING"), "", "protocol", false},
		{"zeros", make([]byte, 64<<10), "", "protocol", false},
		{"version", hello(wire.Version+1, "main"), "version", "version", false},
		{"cluster", hello(wire.Version, "somewhere else"), "somewhere else", "cluster", false},
		{"stranger", valid, "wrong cluster secret", "secret", false},
		{"garbage after the hello", append(bytes.Clone(valid), random...), "", "secret", false},
		{"end in the hello", valid[:7], "", "silent", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, refused := len(n.Stderr()), refusals(t, n, test.why)
			conn := harness.Dial(t, n.Addr)
			_ = conn.Send(test.sent)
			if test.half {
				_ = conn.Close()
			} else if _, closed := conn.Rest(); !closed {
				t.Error("the connection is not closed")
			}
			if !harness.Poll(harness.Patience, func() bool { return strings.Contains(n.Stderr()[before:], test.says) }) {
				t.Errorf("the log does not say %q:\n%s", test.says, n.Stderr()[before:])
			}
			if !harness.Poll(harness.Patience, func() bool { return refusals(t, n, test.why) == refused+1 }) {
				t.Errorf("the node does not count it as %q", test.why)
			}
			if got := strings.Count(n.Stderr()[before:], "\n"); got > 3 {
				t.Errorf("%d log lines:\n%s", got, n.Stderr()[before:])
			}
		})
	}
	silent := harness.Dial(t, n.Addr) // says nothing at all
	w.progress(enough)
	if _, closed := silent.Rest(); !closed {
		t.Error("a connection that says nothing is kept")
	}
	if !n.Running() || strings.Contains(n.Stderr(), "panic") {
		t.Error("the node did not take it well")
	}
	w.check(c.Proxies[0].Addr)
}

// refusals returns how many connections a node has refused for a reason.
func refusals(t *testing.T, n *harness.Member, why string) float64 {
	t.Helper()
	return n.Metric(t, `synod_node_refused_connections_total{reason="`+why+`"}`)
}

// hello is the beginning of a session, as documented in protocol/rpc, of a peer
// that does not know the cluster's secret.
func hello(version byte, cluster string) []byte {
	body := []byte{0}
	for i, value := range []string{"\x01", cluster, "stranger", strings.Repeat("n", 32), "a secret"} {
		body = append(body, byte(i+1))
		body = binary.BigEndian.AppendUint16(body, uint16(len(value)))
		body = append(body, value...)
	}
	b := append([]byte("SYNOD"), version)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// 100,000 commands are sent before one reply is read. All are answered, in
// order.
func TestHundredThousandPipelined(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	conn := harness.Dial(t, c.Proxies[0].Addr)
	const commands = 100_000
	var requests []byte
	for i := range commands / 2 {
		requests = append(requests, harness.Command("SET", fmt.Sprint("pipe:", i%1000), strconv.Itoa(i))...)
		requests = append(requests, harness.Command("INCR", "pipe:count")...)
	}
	start := time.Now()
	if err := conn.Send(requests); err != nil {
		t.Fatal(err)
	}
	sent := time.Since(start)
	for i := range commands {
		reply, err := conn.Reply()
		want := "+OK\r\n"
		if i%2 == 1 {
			want = fmt.Sprintf(":%d\r\n", i/2+1)
		}
		if err != nil || string(reply) != want {
			t.Fatalf("reply %d: %q %v, want %q", i, reply, err, want)
		}
	}
	t.Logf("sent in %v, answered in %v", sent.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
}

// A client requests a lot and never reads. It is disconnected, the proxy's
// memory stays bounded, and others are served.
func TestClientThatNeverReads(t *testing.T) {
	const limit = 64 << 20
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	p := c.Proxies[0]
	admin := harness.Dial(t, p.Addr)
	admin.Must(t, "SET", "big", strings.Repeat("x", 1<<20))
	if got := admin.Must(t, "CONFIG", "SET", "client-output-buffer-limit", fmt.Sprintf("normal %d 0 0", limit)); got != "+OK\r\n" {
		t.Fatalf("CONFIG SET: %q", got)
	}
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	before := resident(t, p.PID())
	greedy := harness.Dial(t, p.Addr)
	_ = greedy.Send(bytes.Repeat(harness.Command("GET", "big"), 5000)) // 5 GB of replies
	p.AwaitOutput("output buffer limit")
	w.progress(enough)
	if grown := resident(t, p.PID()) - before; grown > 8*limit {
		t.Errorf("the proxy took %d MiB", grown>>20)
	}
	w.check(p.Addr)
}

// resident returns a process's memory in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	return memoryOf(t, pid, "VmRSS")
}

// Endless requests and lengths beyond the limits are refused before they use
// memory.
func TestEndlessRequests(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	p := c.Proxies[0]
	before := resident(t, p.PID())
	for _, test := range []struct{ sent, want string }{
		{"*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{strings.Repeat("x", 70<<10), "-ERR Protocol error: too big inline request\r\n"},
		{"*1\r\n$" + strings.Repeat("1", 70<<10), "-ERR Protocol error: too big bulk count string\r\n"},
		{"*" + strings.Repeat("1", 70<<10), "-ERR Protocol error: too big mbulk count string\r\n"},
	} {
		conn := harness.Dial(t, p.Addr)
		_ = conn.Send([]byte(test.sent))
		if got, closed := conn.Rest(); !closed || !bytes.HasPrefix([]byte(test.want), got) {
			t.Errorf("%.30q…: %q, closed %v; want %q", test.sent, got, closed, test.want)
		}
	}
	// Many clients announce a lot and send little.
	for range 100 {
		conn := harness.Dial(t, p.Addr)
		_ = conn.Send([]byte("*2\r\n$4\r\nECHO\r\n$536870912\r\nx"))
	}
	harness.Dial(t, p.Addr).Must(t, "PING")
	if grown := resident(t, p.PID()) - before; grown > 256<<20 {
		t.Errorf("the proxy took %d MiB", grown>>20)
	}
}
