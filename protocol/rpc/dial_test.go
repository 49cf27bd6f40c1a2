package rpc

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// closing is a connection that tells when it is closed.
type closing struct {
	net.Conn
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// The first attempts' packets vanish; one that is made after the peer is back does
// not wait for them, and what else comes about is closed.
func TestConnectDoesNotWaitForLostPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		const back = 2340 * time.Millisecond
		late := &closing{}
		var attempts atomic.Int32
		dial := func(ctx context.Context) (net.Conn, error) {
			if attempts.Add(1) == 20 {
				<-ctx.Done()
				return late, nil // came about as it was given up
			}
			if time.Since(start) >= back {
				return &closing{}, nil
			}
			<-ctx.Done() // the packets vanish
			return nil, ctx.Err()
		}
		c, err := connect(t.Context(), dial)
		if err != nil || c == nil || c == net.Conn(late) {
			t.Fatalf("got %v, %v", c, err)
		}
		if took := time.Since(start); took < back || took >= back+dialEvery {
			t.Errorf("connected after %v, the peer was back after %v", took, back)
		}
		if !late.closed {
			t.Error("a connection that nobody wants is left open")
		}
	})
}

func TestConnectRefusedEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		start := time.Now()
		_, err := connect(t.Context(), func(context.Context) (net.Conn, error) { return nil, refused })
		if !errors.Is(err, refused) || time.Since(start) != 0 {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = connect(ctx, func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}
