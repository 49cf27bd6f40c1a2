package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synod/tests/harness"
)

// The reads below are small one by one, but their total exceeds what may be
// queued on a connection between a proxy and a node.
const (
	sumStrings     = 10000
	sumStringBytes = 20000
	sumSets        = 2000
	sumMembers     = 200
	sumStreams     = 1000
	sumEntries     = 150
	sumHashes      = 400
	sumFields      = 1500
)

// A client reads a large total while others use the same and another proxy. It
// gets the right bytes, they get no errors, and no connection between a proxy
// and a node is closed.
func TestLargeSumsOfReplies(t *testing.T) {
	flags := []string{"--command-timeout", "10s"}
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 2, NodeFlags: flags, ProxyFlags: flags})
	fillSums(t, c.Addrs()[0])
	others := startOthers(t, c.Addrs())
	ended := linksEnded(c)
	for _, read := range []struct {
		name string
		do   func(*harness.Conn) error
	}{
		{"nothing", func(*harness.Conn) error { others.await(4000); return nil }},
		{"MGET", sumMGet},
		{"MGET again", sumMGet},
		{"pipelined GET", sumGets},
		{"SUNION", sumUnion},
		{"XREAD", sumRead},
		{"pipelined HGETALL", sumHashAll},
	} {
		others.await(1000)
		others.phase()
		conn := harness.Dial(t, c.Addrs()[0])
		began := time.Now()
		err := read.do(conn)
		t.Logf("%-18s %8s; others: %s", read.name, time.Since(began).Round(time.Millisecond), others.phase())
		if err != nil {
			t.Errorf("%s: %v", read.name, err)
		}
		if now := linksEnded(c); now != ended {
			t.Errorf("%s: %d times a connection to a node ended", read.name, now-ended)
			ended = now
		}
		_ = conn.Close()
	}
	for _, err := range others.stop() {
		t.Errorf("another client: %v", err)
	}
}

// linksEnded counts the connections between proxies and nodes that have ended.
func linksEnded(c *harness.Cluster) int {
	n := 0
	for _, m := range slices.Concat(c.Nodes, c.Proxies) {
		n += strings.Count(m.Stderr(), "no connection to the node") + strings.Count(m.Stderr(), "ending a session")
	}
	return n
}

// sumBytes returns bytes that no other seed has.
func sumBytes(seed, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], uint64(seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails, says its documentation
	return b
}

func sumName(kind string, i int) string { return fmt.Sprintf("sum:%s:%d", kind, i) }

func sumNames(kind string, n int, words ...string) []string {
	for i := range n {
		words = append(words, sumName(kind, i))
	}
	return words
}

// sumMember returns a member of a set; every second one is in all sets.
func sumMember(set, m int) []byte {
	if m%2 == 0 {
		set = -1
	}
	return fmt.Appendf(nil, "%0100d", (set+1)*sumMembers+m)
}

func fillSums(t *testing.T, addr string) {
	t.Helper()
	var requests []byte
	count := 0
	flush := func() {
		sendAll(t, addr, requests, count)
		requests, count = requests[:0], 0
	}
	send := func(args ...[]byte) {
		requests = harness.AppendCommand(requests, args...)
		if count++; len(requests) > 4<<20 {
			flush()
		}
	}
	for i := range sumStrings {
		send([]byte("SET"), []byte(sumName("string", i)), sumBytes(i, sumStringBytes))
	}
	for i := range sumSets {
		add := [][]byte{[]byte("SADD"), []byte(sumName("set", i))}
		for m := range sumMembers {
			add = append(add, sumMember(i, m))
		}
		send(add...)
	}
	for i := range sumStreams {
		for e := range sumEntries {
			send([]byte("XADD"), []byte(sumName("stream", i)), fmt.Appendf(nil, "%d-1", e+1), []byte("f"), sumBytes(i+e, 200))
		}
	}
	for i := range sumHashes {
		set := [][]byte{[]byte("HSET"), []byte(sumName("hash", i))}
		for f := range sumFields {
			set = append(set, fmt.Appendf(nil, "field:%d", f), sumBytes(i+f, 100))
		}
		send(set...)
	}
	flush()
}

// sumDo sends requests while the replies are taken.
func sumDo(conn *harness.Conn, requests []byte, replies int, take func(n int, reply []byte) error) error {
	sent := make(chan error, 1)
	go func() { sent <- conn.Send(requests) }()
	for n := range replies {
		reply, err := conn.Reply()
		if err == nil && bytes.HasPrefix(reply, []byte("-")) {
			err = errors.New(string(bytes.TrimSpace(reply)))
		}
		if err == nil {
			err = take(n, reply)
		}
		if err != nil {
			return fmt.Errorf("reply %d: %w", n, err)
		}
	}
	return <-sent
}

// appendBulk appends a bulk string.
func appendBulk(dst, b []byte) []byte {
	return append(append(fmt.Appendf(dst, "$%d\r\n", len(b)), b...), "\r\n"...)
}

// wantReply compares a reply without showing all of it.
func wantReply(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes %.60q, want %d bytes %.60q", len(got), got, len(want), want)
	}
	return nil
}

func sumMGet(conn *harness.Conn) error {
	want := fmt.Appendf(nil, "*%d\r\n", sumStrings)
	for i := range sumStrings {
		want = appendBulk(want, sumBytes(i, sumStringBytes))
	}
	return sumDo(conn, harness.Command(sumNames("string", sumStrings, "MGET")...), 1, func(_ int, got []byte) error {
		return wantReply(got, want)
	})
}

func sumGets(conn *harness.Conn) error {
	var requests []byte
	for i := range sumStrings {
		requests = append(requests, harness.Command("GET", sumName("string", i))...)
	}
	return sumDo(conn, requests, sumStrings, func(i int, got []byte) error {
		return wantReply(got, appendBulk(nil, sumBytes(i, sumStringBytes)))
	})
}

func sumUnion(conn *harness.Conn) error {
	want := map[string]bool{}
	for i := range sumSets {
		for m := range sumMembers {
			want[string(sumMember(i, m))] = true
		}
	}
	return sumDo(conn, harness.Command(sumNames("set", sumSets, "SUNION")...), 1, func(_ int, got []byte) error {
		lines := bytes.Split(bytes.TrimSuffix(got, []byte("\r\n")), []byte("\r\n"))
		if head := fmt.Sprintf("*%d", len(want)); string(lines[0]) != head || len(lines) != 1+2*len(want) {
			return fmt.Errorf("%q and %d lines, want %q", lines[0], len(lines)-1, head)
		}
		for i := 2; i < len(lines); i += 2 {
			if !want[string(lines[i])] {
				return fmt.Errorf("%q, which is in no set or came twice", lines[i])
			}
			delete(want, string(lines[i]))
		}
		return nil
	})
}

func sumRead(conn *harness.Conn) error {
	words := sumNames("stream", sumStreams, "XREAD", "STREAMS")
	want := fmt.Appendf(nil, "*%d\r\n", sumStreams)
	for i := range sumStreams {
		words = append(words, "0")
		want = appendBulk(append(want, "*2\r\n"...), []byte(sumName("stream", i)))
		want = fmt.Appendf(want, "*%d\r\n", sumEntries)
		for e := range sumEntries {
			want = appendBulk(append(want, "*2\r\n"...), fmt.Appendf(nil, "%d-1", e+1))
			want = appendBulk(append(want, "*2\r\n$1\r\nf\r\n"...), sumBytes(i+e, 200))
		}
	}
	return sumDo(conn, harness.Command(words...), 1, func(_ int, got []byte) error { return wantReply(got, want) })
}

func sumHashAll(conn *harness.Conn) error {
	var requests []byte
	for i := range sumHashes {
		requests = append(requests, harness.Command("HGETALL", sumName("hash", i))...)
	}
	return sumDo(conn, requests, sumHashes, func(i int, got []byte) error {
		lines := bytes.SplitN(got, []byte("\r\n"), 2)
		if head := fmt.Sprintf("*%d", 2*sumFields); string(lines[0]) != head {
			return fmt.Errorf("%q, want %q", lines[0], head)
		}
		size := 0
		for f := range sumFields {
			pair := appendBulk(appendBulk(nil, fmt.Appendf(nil, "field:%d", f)), sumBytes(i+f, 100))
			if size += len(pair); f%100 == 0 && !bytes.Contains(lines[1], pair) {
				return fmt.Errorf("field %d is missing", f)
			}
		}
		if len(lines[1]) != size {
			return fmt.Errorf("%d bytes, want %d", len(lines[1]), size)
		}
		return nil
	})
}

// others are clients that write and read small values, each its own.
type others struct {
	t     *testing.T
	wg    sync.WaitGroup
	quit  chan struct{}
	ended chan struct{} // a token for a command that has ended, now and then

	mu   sync.Mutex
	n    int
	took [2][]time.Duration // of writes, of reads
	errs []error
}

const othersEach = 8 // per proxy

func startOthers(t *testing.T, addrs []string) *others {
	o := &others{t: t, quit: make(chan struct{}), ended: make(chan struct{}, 1)}
	t.Cleanup(func() { o.stop() })
	for p, addr := range addrs {
		for i := range othersEach {
			conn := harness.Dial(t, addr)
			o.wg.Go(func() { o.run(conn, fmt.Sprintf("other:%d:%d", p, i)) })
		}
	}
	return o
}

// run is one client. It sets and gets by turns, with a pause in between.
func (o *others) run(conn *harness.Conn, key string) {
	pace := time.NewTicker(4 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-o.quit:
			return
		case <-pace.C:
		}
		value := fmt.Sprint(n / 2)
		words, want := []string{"SET", key, value}, "+OK\r\n"
		if n%2 == 1 {
			words, want = []string{"GET", key}, string(appendBulk(nil, []byte(value)))
		}
		began := time.Now()
		got, err := conn.Do(words...)
		if err == nil && string(got) != want {
			err = fmt.Errorf("%q, want %q", got, want)
		}
		o.note(n%2, time.Since(began), err)
	}
}

func (o *others) note(kind int, d time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	o.took[kind] = append(o.took[kind], d)
	if err != nil {
		o.errs = append(o.errs, err)
	}
	select {
	case o.ended <- struct{}{}:
	default:
	}
}

// await waits until n more commands have ended.
func (o *others) await(n int) {
	o.t.Helper()
	for until := o.count() + n; o.count() < until; {
		select {
		case <-o.ended:
		case <-time.After(harness.Patience):
			o.t.Fatal("the other clients have come to a stop")
		}
	}
}

func (o *others) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

// phase describes what has ended since it was last called.
func (o *others) phase() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := ""
	for kind, took := range o.took {
		o.took[kind] = nil
		if len(took) == 0 {
			continue
		}
		slices.Sort(took)
		at := func(q float64) time.Duration {
			return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond)
		}
		out += fmt.Sprintf("%d %s p50 %s p99 %s max %s; ", len(took), []string{"SET", "GET"}[kind], at(0.5), at(0.99), at(1))
	}
	return fmt.Sprintf("%serrors so far %d", out, len(o.errs))
}

// stop ends the clients and returns what went wrong, if anything did.
func (o *others) stop() []error {
	select {
	case <-o.quit:
	default:
		close(o.quit)
	}
	o.wg.Wait()
	return o.errs[:min(len(o.errs), 5)]
}
