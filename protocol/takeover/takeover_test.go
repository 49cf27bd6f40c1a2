package takeover

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

var errHeld = errors.New("held")

func TestRetryWaitsForTheOwnerToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		start := time.Now()
		freeAfter := func(d time.Duration) func() (int, error) {
			return func() (int, error) {
				if time.Since(start) < d {
					return 0, errHeld
				}
				return 7, nil
			}
		}
		if got, err := Retry(t.Context(), zap.New(core), "it", errHeld, freeAfter(0)); got != 7 || err != nil || logs.Len() != 0 {
			t.Errorf("free: %d %v, logged %v", got, err, logs.All())
		}
		if got, err := Retry(t.Context(), zap.New(core), "it", errHeld, freeAfter(3*time.Second)); got != 7 || err != nil || logs.Len() != 1 {
			t.Errorf("free after a while: %d %v, logged %v", got, err, logs.All())
		}
		start = time.Now()
		if _, err := Retry(t.Context(), zap.NewNop(), "it", errHeld, freeAfter(time.Hour)); !errors.Is(err, errHeld) || time.Since(start) != Patience {
			t.Errorf("held for good: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, err := Retry(ctx, zap.NewNop(), "it", errHeld, freeAfter(time.Hour)); !errors.Is(err, errHeld) || time.Since(start) != time.Second {
			t.Errorf("asked to end: %v after %v", err, time.Since(start))
		}
		other := errors.New("other")
		start = time.Now()
		if _, err := Retry(t.Context(), zap.NewNop(), "it", errHeld, func() (int, error) { return 0, other }); err != other || time.Since(start) != 0 {
			t.Errorf("another error: %v after %v", err, time.Since(start))
		}
	})
}

// TestListenTakesOverAnAddress takes an address over from whoever listens there and goes.
func TestListenTakesOverAnAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	core, logs := observer.New(zapcore.WarnLevel)
	log := zap.New(core, zap.Hooks(func(zapcore.Entry) error { return l.Close() })) // when it waits
	got, err := Listen(t.Context(), log, addr)
	if err != nil || logs.Len() != 1 {
		t.Fatalf("%v, logged %v", err, logs.All())
	}
	defer got.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listen(ctx, zap.NewNop(), addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("taken: %v", err)
	}
}
