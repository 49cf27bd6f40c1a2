package command

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// server is a real Redis, used as the reference.
type server struct {
	t      testing.TB
	socket string
}

// startRedis starts a Redis 7.0, or skips the test if none is installed.
func startRedis(t testing.TB) *server {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil || !bytes.Contains(version, []byte("v=7.0.")) {
		t.Skipf("redis-server is not 7.0: %s", version)
	}
	dir := t.TempDir()
	s := &server{t: t, socket: filepath.Join(dir, "s")}
	cmd := exec.Command(path, "--port", "0", "--unixsocket", s.socket, "--save", "", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return s
}

// peer is a connection to a Redis.
type peer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// dial connects with the protocol version to a database.
func (s *server) dial(version, db int) *peer {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", s.socket)
		if err == nil {
			s.t.Cleanup(func() { _ = conn.Close() })
			p := &peer{t: s.t, conn: conn, in: bufio.NewReader(conn)}
			p.text("HELLO", strconv.Itoa(version))
			p.text("SELECT", strconv.Itoa(db))
			return p
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server does not answer: %v", err)
		}
	}
}

// do sends a command and returns the raw reply.
func (p *peer) do(args ...[]byte) []byte {
	p.t.Helper()
	out := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := p.conn.Write(out); err != nil {
		p.t.Fatal(err)
	}
	reply, err := readReply(p.in)
	if err != nil {
		p.t.Fatalf("%.200q: %v", args, err)
	}
	return reply
}

func (p *peer) text(args ...string) []byte {
	var b [][]byte
	for _, a := range args {
		b = append(b, []byte(a))
	}
	return p.do(b...)
}

// readReply reads the bytes of one reply.
func readReply(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	switch line[0] {
	case '$', '=':
		if n >= 0 {
			body := make([]byte, n+2)
			if _, err := io.ReadFull(in, body); err != nil {
				return nil, err
			}
			line = append(line, body...)
		}
	case '*', '~', '%', '>':
		if line[0] == '%' {
			n *= 2
		}
		for range n {
			elem, err := readReply(in)
			if err != nil {
				return nil, err
			}
			line = append(line, elem...)
		}
	}
	return line, nil
}

// newer lists commands in the table that are newer than 7.0.
var newer = map[string]bool{
	"client|setinfo": true, "client|no-touch": true, "zrank": true, "zrevrank": true,
	"hexpire": true, "hpexpire": true, "hexpireat": true, "hpexpireat": true, "hpersist": true,
	"httl": true, "hpttl": true, "hexpiretime": true, "hpexpiretime": true,
}

func TestTableIsRedis(t *testing.T) {
	s := startRedis(t)
	two, three := s.dial(2, 0), s.dial(3, 0)
	walk(All(), func(spec *Spec) {
		if newer[spec.FullName] || spec.FullName == "client" {
			return // compared by subcommand
		}
		for _, sub := range []string{"INFO", "DOCS"} {
			args := [][]byte{[]byte("COMMAND"), []byte(sub), []byte(spec.FullName)}
			mine := newMachine(t).do(args...)
			for version, p := range map[int]*peer{2: two, 3: three} {
				want, got := sorted(spec, p.do(args...)), sorted(spec, mine.AppendTo(nil, version))
				if got != want {
					t.Errorf("%s, RESP%d:\n got %q\nwant %q", args, version, got, want)
				}
			}
		}
	})
}

// sorted makes the replies about containers comparable, whose subcommands have
// no order.
func sorted(spec *Spec, reply []byte) string {
	if len(spec.Subcommands) == 0 {
		return string(reply)
	}
	counts := map[byte]int{}
	for _, b := range reply {
		counts[b]++
	}
	return fmt.Sprint(len(reply), counts)
}

func TestHelpIsRedis(t *testing.T) {
	p := startRedis(t).dial(3, 0)
	for _, container := range []string{"COMMAND", "OBJECT", "CONFIG"} {
		got := newMachine(t).text(container, "help").AppendTo(nil, 3)
		if want := p.text(container, "help"); !bytes.Equal(got, want) {
			t.Errorf("%s HELP:\n got %q\nwant %q", container, got, want)
		}
	}
}
