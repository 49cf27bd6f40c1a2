package session

import (
	"fmt"
	"strings"
	"testing"

	"synod/protocol/budget"
	"synod/proxy/proxytest"
)

// little gives the sessions n bytes for large arguments.
func little(n int64) func(*Config, *proxytest.Backend) {
	return func(c *Config, _ *proxytest.Backend) { c.Requests = budget.New(n).Share(n) }
}

const tooLargeReply = "-OOM nothing was done: the request is larger than the memory that the proxy has for requests (--memory-limit)\r\n"

// TestLargeRequestIsRefused: a request that is larger than the memory for requests is
// refused; the requests after it run.
func TestLargeRequestIsRefused(t *testing.T) {
	c := start(t, little(1<<20)).dial()
	fits, large := strings.Repeat("f", 1<<20), strings.Repeat("l", 1<<20+1)
	c.Send(proxytest.Array("SET", "k", fits) + proxytest.Array("SET", "k", large) + proxytest.Array("STRLEN", "k") +
		proxytest.Array("RPUSH", "l", "small", large, "small", large) + proxytest.Array("EXISTS", "l") + proxytest.Array("CLIENT", "REPLY", "SKIP") +
		proxytest.Array("SET", "k", large) + proxytest.Array("ECHO", "there"))
	c.Expect("+OK\r\n" + tooLargeReply + ":1048576\r\n" + tooLargeReply + ":0\r\n" + "$5\r\nthere\r\n")
}

// TestLargeArguments: large and small arguments arrive unchanged in any order.
func TestLargeArguments(t *testing.T) {
	c := start(t, little(8<<20)).dial()
	var want strings.Builder
	for i, sizes := range [][]int{{budget.Large}, {budget.Large - 1, budget.Large, 0, budget.Large + 1}, {1, 300_000, 2, 200_000, 3}} {
		key := fmt.Sprint("l", i)
		words := []string{"RPUSH", key}
		want.WriteString(fmt.Sprintf(":%d\r\n*%d\r\n", len(sizes), len(sizes)))
		for j, n := range sizes {
			word := strings.Repeat(string(rune('a'+j)), n)
			words = append(words, word)
			want.WriteString(fmt.Sprintf("$%d\r\n%s\r\n", n, word))
		}
		c.Send(proxytest.Array(words...) + proxytest.Array("LRANGE", key, "0", "-1"))
	}
	c.Expect(want.String())
}

// TestLargeRequestIsGivenBack: a large request's memory is free once it is answered,
// while the connection is still open.
func TestLargeRequestIsGivenBack(t *testing.T) {
	c := start(t, little(3<<20)).dial()
	large := strings.Repeat("l", 2<<20)
	for range 3 {
		c.Send(proxytest.Array("ECHO", large))
		if got := c.Bulk(); got != large {
			t.Fatalf("%d bytes came back", len(got))
		}
		c.Do("PING", "+PONG\r\n")
	}
}

// TestStalledRequestGivesWay: a client that got memory and sends nothing is disconnected
// when others wait for memory.
func TestStalledRequestGivesWay(t *testing.T) {
	f := start(t, little(1<<20))
	stalled, other := f.dial(), f.dial()
	stalled.Send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\nx")
	proxytest.Eventually(t, "the memory is taken", func() bool { used, _, _ := f.group.cfg.Requests.Stats(); return used > 0 })
	other.Send(proxytest.Array("SET", "k", strings.Repeat("v", 1<<20)))
	// The other client is refused, or gets the memory once the first is gone.
	if got := other.Line(); got != "+OK\r\n" && !strings.HasPrefix(got, "-OOM nothing was done: other requests") {
		t.Errorf("got %q", got)
	}
	other.Do("PING", "+PONG\r\n")
}
