package harness

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// Replies are returned byte for byte, one by one; what is no reply is an error.
func TestReply(t *testing.T) {
	for _, replies := range [][]string{
		{"+OK\r\n", "-ERR no\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(1\r\n"},
		{"$0\r\n\r\n", "$4\r\na\r\nb\r\n", "=5\r\ntxt:x\r\n", "*0\r\n", "%0\r\n"},
		{"*2\r\n*1\r\n:1\r\n%1\r\n+k\r\n~2\r\n:1\r\n$1\r\nx\r\n", ">1\r\n+x\r\n"},
		{"+" + strings.Repeat("x", 200_000) + "\r\n", "$200000\r\n" + strings.Repeat("y", 200_000) + "\r\n"},
	} {
		c := said(t, strings.Join(replies, ""))
		for _, want := range replies {
			if got, err := c.Reply(); err != nil || string(got) != want {
				t.Errorf("got %.50q, %v; want %.50q", got, err, want)
			}
		}
		if _, err := c.Reply(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	}
	for _, bad := range []string{"x\r\n", "\r\n", "+OK\n", "$x\r\n", "$-2\r\n", "$1\r\nabc", "*1\r\n?\r\n"} {
		if got, err := said(t, bad+"......").Reply(); !errors.Is(err, errShape) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

// said returns a connection on which a server has said something and left.
func said(t *testing.T, text string) *Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := Dial(t, l.Addr().String())
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(server, strings.NewReader(text))
		_ = server.Close()
	}()
	return c
}

func TestCommand(t *testing.T) {
	if got := Command("SET", "", "a b"); !bytes.Equal(got, []byte("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na b\r\n")) {
		t.Errorf("%q", got)
	}
}
