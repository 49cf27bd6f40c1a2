package proxytest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for something that should happen soon.
const Patience = 20 * time.Second

// Client is a raw connection to a server. Its methods end the test on failure.
type Client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// Dial connects to a server. The connection is closed when the test ends.
func Dial(t testing.TB, addr net.Addr) *Client {
	t.Helper()
	conn, err := net.DialTimeout(addr.Network(), addr.String(), Patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(Patience))
	t.Cleanup(func() { conn.Close() })
	return &Client{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

// Send sends a text unchanged.
func (c *Client) Send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// Expect reads exactly len(want) bytes and compares them to want.
func (c *Client) Expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

// Do sends inline commands and checks their replies.
func (c *Client) Do(commands, want string) {
	c.t.Helper()
	c.Send(commands + "\r\n")
	c.Expect(want)
}

// Line reads one line.
func (c *Client) Line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read: %v after %q", err, line)
	}
	return line
}

// Bulk reads one bulk or verbatim string.
func (c *Client) Bulk() string {
	c.t.Helper()
	var n int
	line := c.Line()
	if _, err := fmt.Sscanf(line[1:], "%d", &n); err != nil {
		c.t.Fatalf("not a bulk string: %q", line)
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, body); err != nil {
		c.t.Fatal(err)
	}
	return string(body[:n])
}

// Closed checks that the server closes the connection, and returns the bytes
// sent before that.
func (c *Client) Closed() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection is still open; it brought %q", rest)
	}
	return string(rest)
}

// Eventually waits until the condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(Patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// Array encodes a command as an array of bulk strings.
func Array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}
