package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"synod/tests/harness"
)

const (
	// hugeSize is the initial number of elements in the largest collection:
	// tens of megabytes including their content.
	hugeSize = 300_000
	// meanwhile is how many commands must be answered while a huge collection
	// is read, to show that they do not wait for the read.
	meanwhile     = 5
	receivedBytes = `synod_node_bytes_total{direction="received"}`
	storeBytes    = "synod_node_store_bytes"
)

// huge is a collection of very many elements. Its writer adds and removes them
// in pairs, each pair in one command, so every state has both or neither.
type huge struct {
	key       string
	elements  int
	add, read string
	more      []string            // arguments of read
	pair      func(n int) []pairs // the commands of its writer
}

// pairs is a command of a writer: its name and its arguments behind the key.
type pairs []string

func huges() []*huge {
	two := func(name string, n int) pairs {
		return pairs{name, fmt.Sprintf("pair:a:%d", n), fmt.Sprintf("pair:b:%d", n)}
	}
	return []*huge{
		{key: keyAt("huge:hash", 0), elements: hugeSize, add: "HSET", read: "HGETALL", pair: func(n int) []pairs {
			return []pairs{{"HSET", "pair:a", strconv.Itoa(n), "pair:b", strconv.Itoa(n)}}
		}},
		{key: keyAt("huge:set", 0), elements: hugeSize / 3, add: "SADD", read: "SMEMBERS", pair: func(n int) []pairs {
			return []pairs{two("SADD", n), two("SREM", n)}
		}},
		{key: keyAt("huge:list", 0), elements: hugeSize / 3, add: "RPUSH", read: "LRANGE", more: []string{"0", "-1"}, pair: func(n int) []pairs {
			return []pairs{two("RPUSH", n), {"RPOP", "2"}}
		}},
	}
}

// words is the content of an element: unique and incompressible.
func (h *huge) words(n int) []string {
	word := fmt.Sprintf("%d:%x", n, sha256.Sum256([]byte(strconv.Itoa(n))))
	if h.add == "HSET" {
		return []string{word[:strings.IndexByte(word, ':')+1], word}
	}
	return []string{word}
}

func (h *huge) fill(t *testing.T, addr string) {
	items := make([]item, h.elements)
	for n := range items {
		items[n].element = strconv.Itoa(n)
	}
	n := -1
	requests := inParts(items, h.add, h.key, func(item) []string { n++; return h.words(n) })
	sendAll(t, addr, requests, (h.elements+fillAt-1)/fillAt)
}

// write changes the collection until ctx ends, and counts acknowledged writes.
func (h *huge) write(ctx context.Context, addr string, acked *atomic.Int64) {
	conn := open(addr)
	defer func() { _ = conn.Close() }()
	for n := 0; ctx.Err() == nil; n++ {
		for _, command := range h.pair(n) {
			args := []any{command[0], h.key}
			for _, arg := range command[1:] {
				args = append(args, arg)
			}
			if conn.Do(context.Background(), args...).Err() == nil {
				acked.Add(1)
			}
		}
	}
}

// readAll reads the whole collection and checks that it contains each original
// element exactly once, and complete pairs.
func (h *huge) readAll(t *testing.T, conn *harness.Conn) {
	t.Helper()
	reply, err := conn.Do(append([]string{h.read, h.key}, h.more...)...)
	if err != nil {
		t.Fatalf("%s: %v", h.read, err)
	}
	if err := h.check(reply); err != nil {
		t.Errorf("%s: %v", h.read, err)
	}
}

func (h *huge) check(reply []byte) error {
	words, err := bulks(reply)
	if err != nil {
		return err
	}
	seen := make([]bool, h.elements)
	pair, left := map[string]string{}, h.elements
	for i := 0; i < len(words); i++ {
		word := words[i]
		if bytes.HasPrefix(word, []byte("pair:")) {
			name, value := string(word), ""
			if h.add == "HSET" {
				i++
				value = string(words[i])
			}
			side := name[:len("pair:a")]
			if _, twice := pair[side]; twice {
				return fmt.Errorf("%q is not the only one", name)
			}
			pair[side] = name[len(side):] + value
			continue
		}
		number, _, _ := bytes.Cut(word, []byte(":"))
		n, err := strconv.Atoi(string(number))
		if err != nil || n < 0 || n >= len(seen) || seen[n] {
			return fmt.Errorf("%.100q is nobody's, or there twice", word)
		}
		seen[n] = true
		left--
		for _, want := range h.words(n) {
			if string(words[i]) != want {
				return fmt.Errorf("%.100q, want %q", words[i], want)
			}
			i++
		}
		i--
	}
	if left > 0 || pair["pair:a"] != pair["pair:b"] || len(pair) == 1 {
		return fmt.Errorf("%d elements are missing; half a change: %q", left, pair)
	}
	return nil
}

// bulks returns the bulk strings of an array.
func bulks(reply []byte) (words [][]byte, err error) {
	head, rest, _ := bytes.Cut(reply, []byte("\r\n"))
	if len(head) == 0 || head[0] != '*' {
		return nil, fmt.Errorf("%.100q is no array", reply)
	}
	for len(rest) > 0 {
		var length []byte
		length, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		n, err := strconv.Atoi(string(length[1:]))
		if err != nil || length[0] != '$' || n < 0 || n+2 > len(rest) {
			return nil, fmt.Errorf("%.100q is no bulk string", length)
		}
		words, rest = append(words, rest[:n]), rest[n+2:]
	}
	if string(head[1:]) != strconv.Itoa(len(words)) {
		return nil, fmt.Errorf("%d words in an array of %s", len(words), head[1:])
	}
	return words, nil
}

// Huge collections are read while they are written, even with one node down and
// by clients that disconnect during the reply. Then they are deleted and
// replaced, and their disk space is freed.
func TestHugeCollections(t *testing.T) {
	flags := []string{"--command-timeout", "20s"}
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 2, NodeFlags: flags, ProxyFlags: flags})
	all := huges()
	var filling sync.WaitGroup
	for i, h := range all {
		filling.Go(func() { h.fill(t, c.Addrs()[i%2]) })
	}
	filling.Wait()
	if t.Failed() {
		return
	}
	t.Run("written meanwhile", func(t *testing.T) { readWritten(t, c, all) })
	t.Run("a node down", func(t *testing.T) {
		c.Nodes[0].Freeze() // the node that is asked first
		defer c.Nodes[0].Thaw()
		readWritten(t, c, all)
	})
	t.Run("readers that leave", func(t *testing.T) { leave(t, c, all[0]) })
	t.Run("replaced", func(t *testing.T) { replace(t, c, all) })
}

// readWritten reads all collections while other clients write them, and other
// keys at the same proxy.
func readWritten(t *testing.T, c *harness.Cluster, all []*huge) {
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	var writes, others atomic.Int64
	for _, h := range all {
		clients.Go(func() { h.write(ctx, c.Addrs()[1], &writes) })
	}
	clients.Go(func() {
		conn := open(c.Addrs()[0])
		defer func() { _ = conn.Close() }()
		for n := 0; ctx.Err() == nil; n++ {
			if conn.Incr(context.Background(), keyAt(fmt.Sprint("other:", n%10), 0)).Err() == nil {
				others.Add(1)
			}
		}
	})
	conn := harness.Dial(t, c.Addrs()[0])
	harness.Await(t, "writes", func() bool { return writes.Load() > meanwhile && others.Load() > meanwhile })
	for _, h := range all {
		harness.Await(t, "others to be answered during "+h.read, func() bool {
			before, written := others.Load(), writes.Load()
			h.readAll(t, conn)
			before, written = others.Load()-before, writes.Load()-written
			t.Logf("%s: %d writes, %d commands on other keys meanwhile", h.read, written, before)
			return t.Failed() || before >= meanwhile && written >= meanwhile
		})
	}
}

// leavers is how many clients disconnect while they are answered.
const leavers = 8

// leave has clients request everything and disconnect. Nothing of them may
// remain.
func leave(t *testing.T, c *harness.Cluster, h *huge) {
	p := c.Proxies[0]
	members := append([]*harness.Member{p}, c.Nodes...)
	conn := harness.Dial(t, p.Addr)
	h.readAll(t, conn)
	idle := func() bool { return harness.Total(t, c.Nodes, "synod_node_streams") == 0 }
	harness.Await(t, "states to be sent", idle)
	clients, open := p.Metric(t, "synod_proxy_clients"), harness.Total(t, c.Nodes, sessions)
	var routines []float64
	for _, m := range members {
		routines = append(routines, m.Metric(t, "go_goroutines"))
	}
	for n := range leavers {
		conn := harness.Dial(t, p.Addr)
		if err := conn.Send(harness.Command(h.read, h.key)); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 { // otherwise before the reply starts
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.Close()
	}
	harness.Await(t, "the clients to be forgotten", func() bool {
		return idle() && p.Metric(t, "synod_proxy_clients") <= clients
	})
	for i, m := range members {
		harness.Await(t, m.ID+" to end what it did for them", func() bool {
			return m.Metric(t, "go_goroutines") < routines[i]+leavers
		})
	}
	if n := harness.Total(t, c.Nodes, sessions); n != open {
		t.Errorf("%v sessions, %v before", n, open)
	}
	h.readAll(t, conn)
}

// replace deletes and overwrites the collections, without reading them, and
// waits until the nodes have freed the space.
func replace(t *testing.T, c *harness.Cluster, all []*huge) {
	conn := harness.Dial(t, c.Proxies[1].Addr) // this proxy has written them
	var taken []float64
	for _, n := range c.Nodes {
		taken = append(taken, n.Metric(t, storeBytes))
	}
	before := harness.Total(t, c.Proxies, receivedBytes)
	for _, h := range all {
		expect := func(want string, words ...string) {
			t.Helper()
			if got := conn.Must(t, append([]string{words[0], h.key}, words[1:]...)...); got != want {
				t.Errorf("%s %s: %q, want %q", words[0], h.key, got, want)
			}
		}
		if h.add == "HSET" {
			expect("+OK\r\n", "SET", "small")
			expect("$5\r\nsmall\r\n", "GET")
			expect("+string\r\n", "TYPE")
		}
		expect(":1\r\n", "DEL")
		expect("+none\r\n", "TYPE")
		expect(":2\r\n", "ZADD", "1", "one", "2", "two")
		expect(":2\r\n", "ZCARD")
		expect("*2\r\n$3\r\none\r\n$3\r\ntwo\r\n", "ZRANGE", "0", "-1")
	}
	// The smallest of them is much larger than this.
	if n := harness.Total(t, c.Proxies, receivedBytes) - before; n > 1<<20 {
		t.Errorf("%v bytes of large states were read to get rid of them", n)
	}
	ballast := strings.Repeat("x", 1<<20) // compresses to almost nothing, but advances the changelog
	for i, n := range c.Nodes {
		if taken[i] < hugeSize*32 {
			t.Errorf("%s had %v bytes in its store", n.ID, taken[i])
		}
		harness.Await(t, n.ID+" to have room again", func() bool {
			for key := range 10 {
				conn.Must(t, "SET", fmt.Sprint("ballast:", key), ballast)
			}
			return n.Metric(t, storeBytes) < taken[i]/4
		})
		t.Logf("%s: %.1f MB, then %.1f MB", n.ID, taken[i]/1e6, n.Metric(t, storeBytes)/1e6)
	}
}

// The check of what is read finds what it is there to find.
func TestHugeChecker(t *testing.T) {
	for _, h := range huges() {
		h.elements = 3
		array := func(words []string, elements ...int) []byte {
			words = slices.Clone(words)
			for _, n := range elements {
				words = append(words, h.words(n)...)
			}
			return harness.Command(words...)
		}
		pair := h.pair(7)[0][1:]
		half := pair[:len(pair)/2]
		if err := h.check(array(pair, 2, 0, 1)); err != nil {
			t.Error(err)
		}
		for what, reply := range map[string][]byte{
			"a missing element":     array(pair, 0, 1),
			"an element twice":      array(pair, 0, 1, 2, 1),
			"an element of nobody":  array(pair, 0, 1, 2, 3),
			"half a change":         array(half, 0, 1, 2),
			"something else at all": []byte("$-1\r\n"),
		} {
			if h.check(reply) == nil {
				t.Errorf("%s: %s is not noticed", h.read, what)
			}
		}
	}
}
