package server

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/zap"

	"synod/proxy/proxytest"
)

// BenchmarkSession measures one connection over loopback with a backend in
// memory: the client's share, the kernel's and the backend's included.
func BenchmarkSession(b *testing.B) {
	for _, c := range []struct {
		name, request, reply string
		depth                int
	}{
		{"GET/1", proxytest.Array("GET", "key"), "$64\r\n" + strings.Repeat("v", 64) + "\r\n", 1},
		{"SET/1", proxytest.Array("SET", "key", strings.Repeat("v", 64)), "+OK\r\n", 1},
		{"GET/16", proxytest.Array("GET", "key"), "$64\r\n" + strings.Repeat("v", 64) + "\r\n", 16},
		{"SET/16", proxytest.Array("SET", "key", strings.Repeat("v", 64)), "+OK\r\n", 16},
	} {
		b.Run(c.name, func(b *testing.B) {
			conn := benchServer(b)
			request := []byte(strings.Repeat(c.request, c.depth))
			reply := make([]byte, len(c.reply)*c.depth)
			b.ReportAllocs()
			for i := 0; i < b.N; i += c.depth {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(conn, reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchServer starts a server that holds a value under "key" and connects.
func benchServer(b *testing.B) net.Conn {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := New(ln, Options{Backend: proxytest.New(), Log: zap.NewNop()})
	conn, err := net.Dial("tcp", srv.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		conn.Close()
		if err := srv.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	set := proxytest.Array("SET", "key", strings.Repeat("v", 64))
	if _, err := io.WriteString(conn, set); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len("+OK\r\n"))); err != nil {
		b.Fatal(err)
	}
	return conn
}
