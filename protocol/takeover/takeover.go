// Package takeover waits for what a process that has just died still holds: the
// kernel frees the memory of a large one before it closes its ports and files,
// which takes seconds, and whoever restarts it does not wait for that.
package takeover

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"go.uber.org/zap"
)

const (
	// Patience is how long a resource is waited for. One that a living process
	// holds is then reported as taken.
	Patience = 10 * time.Second
	// again is the time between attempts.
	again = 50 * time.Millisecond
)

// Retry calls take until it succeeds, fails with an error other than held, or
// Patience or ctx ends, and returns its last result. It logs once that it waits
// for what.
func Retry[T any](ctx context.Context, log *zap.Logger, what string, held error, take func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	tick := time.NewTicker(again)
	defer tick.Stop()
	for waiting := false; ; waiting = true {
		got, err := take()
		if err == nil || !errors.Is(err, held) {
			return got, err
		}
		if !waiting {
			log.Warn("waiting for "+what+", which another process holds", zap.Error(err), zap.Duration("at_most", Patience))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return got, err
		}
	}
}

// Listen listens on a TCP address as soon as it is free.
func Listen(ctx context.Context, log *zap.Logger, addr string) (net.Listener, error) {
	return Retry(ctx, log, "address "+addr, syscall.EADDRINUSE, func() (net.Listener, error) { return net.Listen("tcp", addr) })
}
