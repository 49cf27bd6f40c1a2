#!/usr/bin/env bash
# go-redis goes on answering "connection refused", without dialing, for up to a
# second after the server is back.
#
# Library:   github.com/redis/go-redis/v9 v9.23.0, with default options
# Input:     a server (miniredis v2.40.0) that is stopped, while clients go on
#            sending PING, and started again on the same port.
# Behaviour: once as many dials have failed as the pool has places, the pool dials
#            no more. It returns the last dial's error at once, and a goroutine of
#            its own tries again once a second; what it finds counts. Commands fail
#            meanwhile though everybody else can connect, the retries of
#            Options.MaxRetries, which take about 100 ms together, included.
# Surprise:  the error names a dial, with its address, that nobody has made since
#            the server is back. No option turns this off.
# Go by:     whoever restarts a server counts as refused only what is refused later
#            than two seconds after it is back.
# Seen:
#   server is back, others can connect to it
#   8 commands in 844ms failed with "dial tcp …: connect: connection refused", dials made for them: 0
#   then PING is answered
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod

cat >main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	redis.SetLogger(silent{})
	ctx := context.Background()
	server := miniredis.NewMiniRedis()
	must(server.Start())
	var dials atomic.Int64
	options := &redis.Options{Addr: server.Addr()}
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	client := redis.NewClient(options)
	must(client.Ping(ctx).Err())

	server.Close()
	var callers sync.WaitGroup
	for range 2 * client.Options().PoolSize { // fill the pool with failed dials
		callers.Go(func() { client.Ping(ctx) })
	}
	callers.Wait()
	// The pool's own attempt is the only one now. The server comes back after one.
	for before := dials.Load(); dials.Load() == before; {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	must(server.Restart())
	start, before := time.Now(), dials.Load()
	conn, err := net.Dial("tcp", options.Addr)
	must(err)
	must(conn.Close())
	fmt.Println("server is back, others can connect to it")

	failed, made, last, refusing := 0, int64(0), error(nil), time.Duration(0)
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			break
		}
		failed, last, refusing = failed+1, err, time.Since(start)
		made = dials.Load() - before
		if refusing > time.Minute {
			log.Fatal("the client never comes back")
		}
	}
	fmt.Printf("%d commands in %v failed with %q, dials made for them: %d\n", failed, refusing.Round(time.Millisecond), last, made)
	fmt.Println("then PING is answered")
	// The last one may have waited while the pool's own attempt went through.
	if failed < 2 || refusing < 400*time.Millisecond || made > 1 {
		log.Fatal("the behaviour is another one")
	}
}
EOF
go mod init finding 2>/dev/null
go get github.com/redis/go-redis/v9@v9.23.0 github.com/alicebob/miniredis/v2@v2.40.0 2>/dev/null
go run .
