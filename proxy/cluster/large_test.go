package cluster

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"synod/protocol/caspaxos/limits"
	"synod/protocol/register"
	"synod/proxy/nodetest"
)

// noise returns a value of which no part is like another.
func noise(size int) string {
	b := make([]byte, size)
	chacha := rand.NewChaCha8([32]byte{1})
	_, _ = chacha.Read(b) // never fails, says its documentation
	return string(b)
}

// connected waits for all connections: who has none when a value is written does
// not get it.
func (c *Cluster) connected(t *testing.T) {
	t.Helper()
	all := c.router.Config(0)
	await(t, "all connections", func() bool { return c.router.Reachable(all) == all.All() })
}

// Large values go to the nodes in chunks.
func TestLargeValuesInChunks(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	limits := limits.Default()
	limits.Command *= 4 // this is no test of time
	c := openOn(t, snap, 1, limits)
	c.connected(t)
	const size = 50 << 20
	big := noise(size)
	c.want(t, "+OK\r\n", "set", "big", big)
	c.want(t, fmt.Sprintf("$%d\r\n%s\r\n", size, big), "get", "big")
	c.want(t, "$4\r\n"+big[size/2:size/2+4]+"\r\n", "getrange", "big", strconv.Itoa(size/2), strconv.Itoa(size/2+3))
	await(t, "the value to be on all nodes", func() bool {
		return !slices.ContainsFunc(nodes, func(n *nodetest.Node) bool { return n.View("\x00big").Header.Size != size })
	})
	for _, n := range nodes {
		if got := n.Chunks(); got < size>>20 || got > size>>20+8 {
			t.Errorf("%d chunks came to %s", got, n.ID)
		}
		if !sameState(n, nodes[0], "\x00big") {
			t.Errorf("%s holds something else", n.ID)
		}
	}
}

// A member that lacks a large value is sent it in chunks.
func TestLargeRepairInChunks(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	c.connected(t)
	const size = 8 << 20
	c.want(t, "+OK\r\n", "set", "k", noise(size))
	lacks := func(n *nodetest.Node) bool { return n.View("\x00k").Header.Size != size }
	await(t, "the value to be on all nodes", func() bool { return !slices.ContainsFunc(nodes, lacks) })
	before := nodes[2].Chunks()
	nodes[2].Forget("\x00k")
	await(t, "the member that lacks it to have it again", func() bool {
		c.do(t, "setbit", "k", "7", "1")
		return !lacks(nodes[2])
	})
	if got := nodes[2].Chunks() - before; got < size>>20 {
		t.Errorf("%d chunks came to a member that lacked the value", got)
	}
	await(t, "the members to be equal", func() bool { return sameState(nodes[2], nodes[0], "\x00k") })
}

func sameState(a, b *nodetest.Node, key string) bool {
	return slices.EqualFunc(a.View(key).Elements(), b.View(key).Elements(), func(x, y register.Element) bool {
		return bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value)
	})
}

// Changes whose elements are in no order become chunks, too.
func TestLargeCollectionsInChunks(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	c.connected(t)
	value := noise(200)
	words := []string{"hset", "h"}
	for i := range 12_000 {
		words = append(words, fmt.Sprint("f", i%10_000), value[:100+i%100])
	}
	c.want(t, ":10000\r\n", words...)
	c.want(t, ":10000\r\n", "hlen", "h")
	c.want(t, "$100\r\n"+value[:100]+"\r\n", "hget", "h", "f1000")
	c.want(t, "$199\r\n"+value[:199]+"\r\n", "hget", "h", "f1999")
	await(t, "chunks, be it to the last of the three", func() bool { return nodes[0].Chunks() > 1 })
}

// A node that goes away while it is sent a large value holds up nobody.
func TestLargeValueToANodeThatGoes(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	limits := limits.Default()
	limits.Command *= 4
	c := openOn(t, snap, 1, limits)
	c.connected(t)
	c.want(t, "+OK\r\n", "set", "k", "v")
	nodes[2].Deafen(true)
	done := make(chan string, 1)
	big := noise(30 << 20)
	go func() { done <- c.do(t, "set", "big", big) }()
	await(t, "it to begin", func() bool { return nodes[0].Chunks() > 0 })
	nodes[2].Stop()
	if got := <-done; got != "+OK\r\n" {
		t.Errorf("set: %q", got)
	}
	c.want(t, "$1\r\nv\r\n", "get", "k")
	c.want(t, fmt.Sprintf("$%d\r\n%s\r\n", len(big), big), "get", "big")
}
