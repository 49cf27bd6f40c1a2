package process

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// SCAN returns everything that exists throughout, even if a replica lags and
// other keys come and go. A scan can continue at another proxy.
func TestScanWithALaggingReplica(t *testing.T) {
	c := harness.StartCluster(t, usual)
	const keys = 2000
	lagging := c.Nodes[0]
	write := func(first, end int) {
		t.Helper()
		conn := harness.Dial(t, c.Proxies[0].Addr)
		var requests []byte
		for i := first; i < end; i++ {
			requests = append(requests, harness.Command("SET", fmt.Sprint("stays:", i), "v")...)
		}
		if err := conn.Send(requests); err != nil {
			t.Fatal(err)
		}
		for range end - first {
			if reply, err := conn.Reply(); err != nil || string(reply) != "+OK\r\n" {
				t.Fatalf("%q %v", reply, err)
			}
		}
	}
	write(0, keys/2)
	lagging.Freeze()
	write(keys/2, keys)
	conn := harness.Dial(t, c.Proxies[1].Addr)
	for i := 0; i < keys; i += 10 { // the lagging one has these, the others do not
		conn.Must(t, "DEL", fmt.Sprint("stays:", i))
	}
	lagging.Thaw()
	other := c.Nodes[1]
	other.Freeze() // so that the lagging one is needed
	defer other.Thaw()

	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	written := make(chan int)
	go func() { written <- churn(stop, c.Proxies[0].Addr) }()
	clients := []*redis.Client{open(c.Proxies[0].Addr), open(c.Proxies[1].Addr)}
	for _, count := range []int64{1000, 10, 100} {
		seen := scanAll(t, clients, count)
		missing := 0
		for i := range keys {
			if key := fmt.Sprint("stays:", i); seen[key] != (i%10 != 0) {
				if missing++; missing < 10 {
					t.Errorf("COUNT %d: %s returned: %v", count, key, seen[key])
				}
			}
		}
		t.Logf("COUNT %d: %d keys", count, len(seen))
	}
	cancel()
	t.Logf("%d other keys were written meanwhile", <-written)
	for _, c := range clients {
		_ = c.Close()
	}
}

// churn sets and deletes keys until ctx ends, and returns how many.
func churn(ctx context.Context, addr string) (n int) {
	c := open(addr)
	defer func() { _ = c.Close() }()
	for ; ctx.Err() == nil; n++ {
		_ = c.Set(ctx, fmt.Sprint("comes:", n), "v", time.Hour)
		_ = c.Del(ctx, fmt.Sprint("comes:", n-50))
	}
	return n
}

// scanAll goes through all keys, each step at another proxy.
func scanAll(t *testing.T, clients []*redis.Client, count int64) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	var cursor uint64
	for step := 0; ; step++ {
		keys, next, err := clients[step%len(clients)].Scan(t.Context(), cursor, "*", count).Result()
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, key := range keys {
			if bytes.HasPrefix([]byte(key), []byte("stays:")) {
				seen[key] = true
			}
		}
		if cursor = next; cursor == 0 {
			return seen
		}
	}
}
