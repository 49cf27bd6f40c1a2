package budget

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func holds(t *testing.T, s *Share, want int64) {
	t.Helper()
	if used, _, _ := s.Stats(); used != want {
		t.Errorf("the share holds %d bytes, want %d", used, want)
	}
}

// begins acquires in the background, and reports by the channel how it ends.
func begins(s *Share, ctx context.Context, n int64) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Acquire(ctx, n) }()
	synctest.Wait()
	return done
}

func waits(t *testing.T, who string, done <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Errorf("%s does not wait: %v", who, err)
	default:
	}
}

func TestWhatDoesNotFitWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(100).Share(100)
		if !s.Try(60) || s.Try(60) {
			t.Error("60 of 100 bytes are not taken once")
		}
		large := begins(s, t.Context(), 60)
		waits(t, "the large one", large)
		small := begins(s, t.Context(), 10)
		waits(t, "a small one that came later", small)
		if s.Try(1) {
			t.Error("somebody overtakes those that wait")
		}
		s.Release(60)
		if err := errors.Join(<-large, <-small); err != nil {
			t.Error(err)
		}
		holds(t, s, 70)
	})
}

func TestTooLargeIsRefusedAtOnce(t *testing.T) {
	s := New(100).Share(50)
	if err := s.Acquire(t.Context(), 51); !errors.Is(err, ErrTooLarge) {
		t.Errorf("51 of 50 bytes: %v", err)
	}
	holds(t, s, 0)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100)
		s := b.Share(100)
		s.Force(100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := begins(s, ctx, 80)
		second := begins(s, t.Context(), 30)
		if err := <-first; !errors.Is(err, ErrNoRoom) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ends with %v", err)
		}
		s.Release(30)
		if err := <-second; err != nil {
			t.Error(err)
		}
		if b.Waiting() {
			t.Error("somebody waits still")
		}
	})
}

// Who waits for its own share does not hold up another one; who waits for the
// budget does, or it would never have its turn.
func TestOnlyTheBudgetIsWaitedForInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100)
		one, other := b.Share(60), b.Share(60)
		one.Force(60)
		own := begins(one, t.Context(), 10)
		waits(t, "one without room in its share", own)
		if err := <-begins(other, t.Context(), 30); err != nil {
			t.Error(err)
		}
		whole := begins(other, t.Context(), 25) // 115 of 100
		waits(t, "one without room in the budget", whole)
		one.Release(10) // enough for the first, were it not for the second
		if err := <-own; err != nil {
			t.Error(err)
		}
		small := begins(one, t.Context(), 0)
		waits(t, "the second", whole)
		waits(t, "one that came later", small)
		one.Release(20)
		if err := errors.Join(<-whole, <-small); err != nil {
			t.Error(err)
		}
	})
}

// What nothing refers to is given back without anybody saying so, as soon as
// somebody wants it.
func TestGarbageIsGivenBackWhenWanted(t *testing.T) {
	s := New(10 << 20).Share(10 << 20)
	for range 100 {
		b, err := s.Make(t.Context(), 4<<20)
		if err != nil {
			t.Fatal(err)
		}
		part := b[1<<20 : 1<<20+1]
		held, err := s.Make(t.Context(), 4<<20)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.Make(ctx, 4<<20); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("a third buffer in the room of two: %v", err)
		}
		cancel()
		runtime.KeepAlive(part) // a part keeps the whole
		runtime.KeepAlive(held)
	}
}

func TestNilShareHasNoLimit(t *testing.T) {
	var s *Share
	b, err := s.Make(t.Context(), 1<<20)
	if err != nil || len(b) != 1<<20 || !s.Try(1<<40) || len(s.TryMake(3)) != 3 {
		t.Error("no share has a limit")
	}
	s.Force(1)
	s.Release(1)
}
