#!/usr/bin/env bash
# A yamux stream whose connection is lost ends with io.EOF, like one that the peer
# has closed.
#
# Library:   github.com/hashicorp/yamux v0.1.2, with its default configuration
# Input:     a peer that sends half of what it has to send, and then loses its
#            connection: TCP resets it, as when the peer's process is killed.
# Behaviour: Read returns what has come and then io.EOF, so io.ReadAll and io.Copy
#            return half a message without an error. A bare TCP connection reports
#            "connection reset by peer". The session knows this error, too, but
#            tells it only to who calls AcceptStream.
# Surprise:  for an io.Reader EOF is a graceful end.
# Go by:     messages on a stream carry their length or an end mark; why a session
#            ended is asked by AcceptStream.
# Seen:
#   TCP:                 50000 bytes, error: connection reset by peer
#   yamux:               50000 bytes, error: <nil>
#   yamux, AcceptStream: connection reset by peer
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod

cat >main.go <<'EOF'
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"syscall"

	"github.com/hashicorp/yamux"
)

const half = 50000

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// connected returns both ends of a TCP connection.
func connected() (here, there *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	must(err)
	s, err := l.Accept()
	must(err)
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// reset has TCP reset a connection.
func reset(c *net.TCPConn) {
	must(c.SetLinger(0))
	must(c.Close())
}

func quiet() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard
	return c
}

// receive reads half of a message, has its sender vanish, and reads on.
func receive(r io.Reader, sender *net.TCPConn) (int, error) {
	_, err := io.ReadFull(r, make([]byte, half))
	must(err)
	reset(sender)
	rest, err := io.ReadAll(r)
	return half + len(rest), err
}

func cause(err error) error {
	if errors.Is(err, syscall.ECONNRESET) {
		return syscall.ECONNRESET
	}
	return err
}

func main() {
	here, there := connected()
	_, err := there.Write(make([]byte, half))
	must(err)
	n, err := receive(here, there)
	fmt.Printf("TCP:                 %d bytes, error: %v\n", n, cause(err))
	holds := errors.Is(err, syscall.ECONNRESET)

	here, there = connected()
	server, err := yamux.Server(there, quiet())
	must(err)
	client, err := yamux.Client(here, quiet())
	must(err)
	stream, err := client.OpenStream()
	must(err)
	sender, err := server.AcceptStream()
	must(err)
	_, err = sender.Write(make([]byte, half))
	must(err)
	n, err = receive(stream, there)
	fmt.Printf("yamux:               %d bytes, error: %v\n", n, cause(err))
	holds = holds && n == half && err == nil
	_, err = client.AcceptStream()
	fmt.Printf("yamux, AcceptStream: %v\n", cause(err))
	if !holds || !errors.Is(err, syscall.ECONNRESET) {
		log.Fatal("the behaviour is another one")
	}
}
EOF
go mod init finding 2>/dev/null
go get github.com/hashicorp/yamux@v0.1.2 2>/dev/null
go run .
