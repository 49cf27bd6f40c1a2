package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// dialEvery is how long a connection attempt may hang before another is started
	// in parallel, dialPatience how long until it is given up. When packets are lost,
	// TCP repeats its SYN after 1, 3 and 7 s: too seldom to notice soon that a peer
	// is back.
	dialEvery    = 100 * time.Millisecond
	dialPatience = time.Second
)

// ErrUnreached: there is no connection to the peer, it was not asked anything.
var ErrUnreached = errors.New("cannot connect")

// Dial connects to the server at a TCP address. It gives up after some seconds.
func Dial(ctx context.Context, addr string, o Options) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	c, err := connect(ctx, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	})
	if err != nil {
		return nil, fmt.Errorf("rpc: dial: %w: %w", ErrUnreached, err)
	}
	return Client(ctx, c, o)
}

// connect starts attempts, more of them while earlier ones hang. It returns the
// result of the first that ends, or an error when ctx ends.
func connect(ctx context.Context, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	type outcome struct {
		conn    net.Conn
		err     error
		expired bool
	}
	ctx, cancel := context.WithCancel(ctx)
	outcomes := make(chan outcome)
	open := 0
	attempt := func() {
		open++
		go func() {
			ctx, cancel := context.WithTimeout(ctx, dialPatience)
			defer cancel()
			c, err := dial(ctx)
			outcomes <- outcome{c, err, err != nil && ctx.Err() != nil}
		}()
	}
	again := time.NewTicker(dialEvery)
	defer again.Stop()
	attempt()
	for {
		select {
		case <-again.C:
			attempt()
		case first := <-outcomes:
			open--
			if first.expired && ctx.Err() == nil {
				continue // those behind it go on
			}
			cancel()
			for ; open > 0; open-- {
				if late := <-outcomes; late.conn != nil {
					late.conn.Close()
				}
			}
			return first.conn, first.err
		}
	}
}
