package process

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synod/tests/harness"
)

const (
	// largeBytes is the size of a value whose transfer takes some time.
	largeBytes = 48 << 20
	stagings   = "synod_node_stagings"
)

// largeValue returns a value of which no part is like another.
func largeValue(seed byte) string {
	b := make([]byte, largeBytes)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails, says its documentation
	return string(b)
}

func digest(s string) string { return fmt.Sprintf("%d bytes %x", len(s), sha256.Sum256([]byte(s))) }

func wantLarge(t *testing.T, addr, key, value string) {
	t.Helper()
	got := harness.Dial(t, addr).Must(t, "GET", key)
	_, got, _ = strings.Cut(got, "\r\n")
	if got = strings.TrimSuffix(got, "\r\n"); got != value {
		t.Fatalf("%s holds %s, want %s", key, digest(got), digest(value))
	}
}

// wantNothingStaged checks that no incomplete large state is left.
func wantNothingStaged(t *testing.T, n *harness.Member) {
	t.Helper()
	harness.Await(t, n.ID+" to have taken in what there was", func() bool { return n.Metric(t, stagings) == 0 })
	left, err := os.ReadDir(filepath.Join(n.Dir, "stage"))
	if err != nil || len(left) > 0 {
		t.Errorf("%s has files left: %v, %v", n.ID, left, err)
	}
}

// A node is repeatedly killed while it receives a large value. The write still
// succeeds, and the node has the value, or can catch up, when it is back.
func TestNodeKilledInALargeValue(t *testing.T) {
	flags := []string{"--command-timeout", "20s"}
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1, NodeFlags: flags, ProxyFlags: flags})
	key := keyAt("large", 0)
	addr := c.Addrs()[0]
	var value string
	for i, n := range c.Nodes {
		value = largeValue(byte(i))
		done := make(chan string, 1)
		conn := harness.Dial(t, addr)
		go func() { done <- conn.Must(t, "SET", key, value) }()
		harness.Await(t, n.ID+" to be sent the value", func() bool { return n.Metric(t, stagings) > 0 })
		n.Kill()
		if got := <-done; got != "+OK\r\n" {
			t.Fatalf("SET: %q", got)
		}
		wantLarge(t, addr, key, value)
		n.Start()
		n.AwaitReady(t)
		wantNothingStaged(t, n)
	}
	// A node that missed a part is needed now.
	for _, n := range c.Nodes {
		n.Freeze()
		wantLarge(t, addr, key, value)
		if got := harness.Dial(t, addr).Must(t, "SETRANGE", key, "0", value[:8]); got != fmt.Sprintf(":%d\r\n", largeBytes) {
			t.Errorf("SETRANGE: %q", got)
		}
		n.Thaw()
	}
	for _, n := range c.Nodes {
		wantNothingStaged(t, n)
	}
}

// All nodes are killed right after a large value was acknowledged: it survives.
func TestLargeValueSurvivesAllKilled(t *testing.T) {
	flags := []string{"--command-timeout", "20s"}
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1, NodeFlags: flags, ProxyFlags: flags})
	key := keyAt("large", 0)
	addr := c.Addrs()[0]
	for i := range 2 {
		value := largeValue(byte(i))
		if got := harness.Dial(t, addr).Must(t, "SET", key, value); got != "+OK\r\n" {
			t.Fatalf("SET: %q", got)
		}
		for _, n := range c.Nodes {
			n.Kill()
		}
		for _, n := range c.Nodes {
			n.Start()
		}
		c.AwaitServing()
		wantLarge(t, addr, key, value)
		for _, n := range c.Nodes {
			wantNothingStaged(t, n)
		}
	}
}
