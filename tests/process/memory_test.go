package process

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"synod/tests/harness"
)

// The limits of these tests' processes, in bytes.
const (
	proxyLimit = 1 << 30
	nodeLimit  = 768 << 20
)

// limited starts a cluster whose processes have memory limits, with the maximum
// time limit for commands.
func limited(t *testing.T) *harness.Cluster {
	t.Helper()
	return bounded(t, nil, "--command-timeout", "5m")
}

// bounded starts a cluster whose processes have memory limits, with extra flags
// for nodes and for all processes.
func bounded(t *testing.T, nodeFlags []string, flags ...string) *harness.Cluster {
	t.Helper()
	return harness.StartCluster(t, boundedSize(1, nodeFlags, flags...))
}

func boundedSize(proxies int, nodeFlags []string, flags ...string) harness.Size {
	return harness.Size{Nodes: 3, Proxies: proxies,
		NodeFlags:  slices.Concat([]string{"--memory-limit", fmt.Sprint(nodeLimit)}, nodeFlags, flags),
		ProxyFlags: slices.Concat([]string{"--memory-limit", fmt.Sprint(proxyLimit)}, flags)}
}

// wantBounded checks that no process has ever exceeded its limit by more than a
// quarter.
func wantBounded(t *testing.T, c *harness.Cluster) {
	t.Helper()
	for limit, members := range map[int64][]*harness.Member{proxyLimit: c.Proxies, nodeLimit: c.Nodes} {
		for _, m := range members {
			peak := memoryOf(t, m.PID(), "VmHWM")
			t.Logf("%s took %d MiB, its limit is %d", m.ID, peak>>20, limit>>20)
			if peak > limit+limit/4 {
				t.Errorf("%s took %d MiB, its limit is %d", m.ID, peak>>20, limit>>20)
			}
		}
	}
}

// stream is a connection that does not store what it transfers.
type stream struct {
	net.Conn
	in *bufio.Reader
}

func openStream(t *testing.T, addr string) *stream {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &stream{conn, bufio.NewReaderSize(conn, 1<<20)}
}

// put sends a command whose last argument is n bytes made of a seed.
func (s *stream) put(n int64, seed byte, words ...string) (err error) {
	head := fmt.Appendf(nil, "*%d\r\n", len(words)+1)
	for _, w := range words {
		head = fmt.Appendf(head, "$%d\r\n%s\r\n", len(w), w)
	}
	head = fmt.Appendf(head, "$%d\r\n", n)
	if _, err = s.Write(head); err == nil {
		_, err = io.CopyN(s.Conn, rand.NewChaCha8([32]byte{seed}), n)
	}
	if err == nil {
		_, err = s.Write([]byte("\r\n"))
	}
	return err
}

// head reads the first line of a reply.
func (s *stream) head() (string, error) {
	line, err := s.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// sum reads a bulk string and returns the digest of its bytes.
func (s *stream) sum() (digest string, err error) {
	head, err := s.head()
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(head, "$"), 10, 64)
	if err != nil {
		return "", fmt.Errorf("%.100q instead of a bulk string", head)
	}
	h := sha256.New()
	if _, err := io.CopyN(h, s.in, n); err != nil {
		return "", err
	}
	_, err = s.in.Discard(2)
	return fmt.Sprintf("%d bytes %x", n, h.Sum(nil)), err
}

// sumOf is the digest of what put sends.
func sumOf(n int64, seed byte) string {
	h := sha256.New()
	_, _ = io.CopyN(h, rand.NewChaCha8([32]byte{seed}), n) // neither fails
	return fmt.Sprintf("%d bytes %x", n, h.Sum(nil))
}

func (s *stream) want(t *testing.T, what, want string) {
	t.Helper()
	if got, err := s.head(); err != nil || got != want {
		t.Fatalf("%s: %.100q %v, want %q", what, got, err, want)
	}
}

func (s *stream) wantSum(t *testing.T, what, want string) {
	t.Helper()
	if got, err := s.sum(); err != nil || got != want {
		t.Fatalf("%s: got %s, %v; want %s", what, got, err, want)
	}
}

func (s *stream) send(t *testing.T, words ...string) {
	t.Helper()
	if _, err := s.Write(harness.Command(words...)); err != nil {
		t.Fatal(err)
	}
}

// The longest possible string can be written and read within the memory limits.
func TestLargestString(t *testing.T) {
	c := limited(t)
	s := openStream(t, c.Addrs()[0])
	const size = 512 << 20
	if err := s.put(size, 1, "SET", "largest"); err != nil {
		t.Fatal(err)
	}
	s.want(t, "SET", "+OK")
	if !harness.Poll(5*time.Minute, func() bool { return c.Proxies[0].Metric(t, "synod_large_send_bytes") == 0 }) {
		t.Fatal("the last node does not get it")
	}
	s.send(t, "GET", "largest")
	s.wantSum(t, "GET", sumOf(size, 1))
	wantBounded(t, c)
}

// Replies of many elements, larger than any client's buffer may be, arrive whole.
func TestLargeReplies(t *testing.T) {
	c := limited(t)
	s := openStream(t, c.Addrs()[0])
	const parts, size = 34, 8 << 20
	for i := range parts {
		for _, words := range [][]string{{"HSET", "hash", fmt.Sprint("f", i)}, {"RPUSH", "list"}} {
			if err := s.put(size, byte(i), words...); err != nil {
				t.Fatal(err)
			}
			if got, err := s.head(); err != nil || got[0] != ':' {
				t.Fatalf("%s: %q %v", words[0], got, err)
			}
		}
	}
	s.send(t, "LRANGE", "list", "0", "-1")
	s.want(t, "LRANGE", fmt.Sprintf("*%d", parts))
	for i := range parts {
		s.wantSum(t, "LRANGE", sumOf(size, byte(i)))
	}
	s.send(t, "HGETALL", "hash")
	s.want(t, "HGETALL", fmt.Sprintf("*%d", 2*parts))
	for range parts { // in the order of the fields' hashes
		s.want(t, "HGETALL", "$"+fmt.Sprint(len(s.peekField(t))))
		field, err := s.head()
		if err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(field[1:])
		if err != nil {
			t.Fatal(err)
		}
		s.wantSum(t, "HGETALL", sumOf(size, byte(i)))
	}
	if err := s.put(9*size, 99, "SET", "string"); err != nil {
		t.Fatal(err)
	}
	s.want(t, "SET", "+OK")
	s.send(t, "MGET", "string", "string", "nothing", "string", "string")
	s.want(t, "MGET", "*5")
	for i := range 5 {
		if i == 2 {
			s.want(t, "MGET", "$-1")
			continue
		}
		s.wantSum(t, "MGET", sumOf(9*size, 99))
	}
	wantBounded(t, c)
}

// peekField returns the field that comes next.
func (s *stream) peekField(t *testing.T) string {
	t.Helper()
	b, err := s.in.Peek(9)
	if err != nil {
		t.Fatal(err)
	}
	_, field, _ := strings.Cut(string(b), "\r\n")
	field, _, _ = strings.Cut(field, "\r\n")
	return field
}

// Clients request a lot and do not read. Their commands wait, others are
// served, and when they read they get everything.
func TestUnreadReplies(t *testing.T) {
	c := limited(t)
	p := c.Proxies[0]
	const clients, replies, keys, size = 16, 400, 64, 1 << 20
	s := openStream(t, p.Addr)
	sums := make([]string, keys)
	for i := range keys {
		sums[i] = sumOf(size, byte(i))
		if err := s.put(size, byte(i), "SET", fmt.Sprint("k", i)); err != nil {
			t.Fatal(err)
		}
		s.want(t, "SET", "+OK")
	}
	all := make([]*stream, clients)
	for i := range all {
		all[i] = openStream(t, p.Addr)
		for j := range replies {
			all[i].send(t, "GET", fmt.Sprint("k", (i+j)%keys))
		}
	}
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	var wg sync.WaitGroup
	for i, one := range all[:4] {
		wg.Go(func() {
			for j := range replies {
				if got, err := one.sum(); err != nil || got != sums[(i+j)%keys] {
					t.Errorf("client %d, reply %d: %s, %v", i, j, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	w.progress(enough)
	w.check(p.Addr)
	if got := p.Metric(t, "synod_proxy_clients_evicted_total"); got != 0 {
		t.Errorf("%v clients were disconnected", got)
	}
	wantBounded(t, c)
}

// A change that is written to disk as one unit temporarily needs several times
// its size at nodes, and stays within their limit.
func TestLargeChange(t *testing.T) {
	c := limited(t)
	s := openStream(t, c.Addrs()[0])
	const size = 24 << 20
	if err := s.put(1, 0, "SET", "k"); err != nil {
		t.Fatal(err)
	}
	s.want(t, "SET", "+OK")
	for i := range int64(4) {
		if err := s.put(size, byte(i), "APPEND", "k"); err != nil {
			t.Fatal(err)
		}
		s.want(t, "APPEND", fmt.Sprint(":", 1+(i+1)*size))
	}
	wantBounded(t, c)
}

// A proxy that lacks memory for a request or a reply reports that, and changes
// nothing.
func TestMoreThanThereIsMemoryFor(t *testing.T) {
	flags := []string{"--command-timeout", "5m"}
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 2, NodeFlags: flags, ProxyFlags: flags})
	small := c.Proxies[1]
	small.Kill()
	small.Extra = append(small.Extra, "--memory-limit", "128MiB")
	small.Start()
	c.AwaitServing()
	const size = 96 << 20
	s, least := openStream(t, c.Addrs()[0]), openStream(t, small.Addr)
	if err := s.put(size, 1, "SET", "k"); err != nil {
		t.Fatal(err)
	}
	s.want(t, "SET", "+OK")
	if err := least.put(size, 2, "SET", "k"); err != nil {
		t.Fatal(err)
	}
	if got, err := least.head(); err != nil || !strings.HasPrefix(got, "-OOM nothing was done: the request") {
		t.Errorf("SET: %q %v", got, err)
	}
	least.send(t, "GET", "k")
	if got, err := least.head(); err != nil || !strings.HasPrefix(got, "-OOM nothing was done: what the command reads") {
		t.Errorf("GET: %.100q %v", got, err)
	}
	least.send(t, "STRLEN", "k")
	least.want(t, "STRLEN", fmt.Sprint(":", size))
	s.send(t, "GET", "k")
	s.wantSum(t, "GET", sumOf(size, 1))
	if peak := memoryOf(t, small.PID(), "VmHWM"); peak > 160<<20 {
		t.Errorf("the small proxy took %d MiB", peak>>20)
	}
}

// A change of a value for which the nodes lack memory is refused early and has
// no effect. Smaller changes succeed.
func TestChangesThatNodesHaveNoMemoryFor(t *testing.T) {
	c := bounded(t, nil)
	s := openStream(t, c.Addrs()[0])
	length := int64(0)
	for _, n := range []int64{1 << 20, 8 << 20, 200 << 20, 3, 250 << 20, 4 << 20} {
		if err := s.put(n, 1, "APPEND", "grows"); err != nil {
			t.Fatal(err)
		}
		got, err := s.head()
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasPrefix(got, "-OOM nothing was done") && n >= 100<<20:
		case got == fmt.Sprint(":", length+n):
			length += n
		default:
			t.Fatalf("APPEND of %d bytes to %d: %s", n, length, got)
		}
		t.Logf("APPEND of %d bytes: %.60s", n, got)
		s.send(t, "STRLEN", "grows")
		s.want(t, "STRLEN", fmt.Sprint(":", length))
	}
	wantBounded(t, c)
}
