// Package budget bounds the memory that a process takes for what others send
// it: requests, states, replies. Who is about to take much acquires it first,
// and waits, or is refused, when it does not fit.
//
// A Budget is divided into shares, which overlap: a share's most is what its
// holders may take together while the others leave enough. Small buffers are
// not worth a look at a budget; what is left of the process's limit is for
// them, for the rest of the program and for garbage.
//
// What Make allocates is given back by the garbage collector, when nothing
// refers to it any more: neither the code that it passes through, nor the state
// that keeps a part of it, has to know of the budget, and what counts is what
// is really taken. Somebody who waits has the collector look at once.
package budget

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Large is the size in bytes from which a buffer is acquired.
const Large = 64 << 10

var (
	// ErrTooLarge: it would not fit even if nobody else held anything.
	ErrTooLarge = errors.New("larger than the memory there is for it")
	// ErrNoRoom: others held too much for too long.
	ErrNoRoom = errors.New("no memory is free")
)

// Budget is a number of bytes that shares divide.
type Budget struct {
	limit int64

	mu         sync.Mutex
	used, peak int64
	waits      []*waiter // oldest first
	collecting bool
	collected  int64 // bytes given back by the collector
}

// Share is a part of a budget. A nil Share is without a limit.
type Share struct {
	of   *Budget
	most int64

	used             int64 // guarded by of.mu, as what follows
	waited, refusals uint64
}

// waiter waits for n bytes of a share.
type waiter struct {
	share   *Share
	n       int64
	granted chan struct{}
}

// New returns a budget of so many bytes.
func New(limit int64) *Budget { return &Budget{limit: limit} }

// Limit returns the size of the budget in bytes.
func (b *Budget) Limit() int64 { return b.limit }

// Share returns a new share of the budget, of most bytes.
func (b *Budget) Share(most int64) *Share { return &Share{of: b, most: min(most, b.limit)} }

// Used returns how many bytes are taken, and were at most.
func (b *Budget) Used() (now, peak int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.peak
}

// Waiting reports whether somebody waits.
func (b *Budget) Waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waits) > 0
}

// Most returns the size of the share in bytes.
func (s *Share) Most() int64 { return s.most }

// Budget returns what the share is a part of.
func (s *Share) Budget() *Budget { return s.of }

// Stats returns the bytes that the share's holders have now, how often somebody
// had to wait, and how often he got nothing.
func (s *Share) Stats() (used int64, waited, refusals uint64) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.used, s.waited, s.refusals
}

// Try takes n bytes if they are free and nobody waits for them.
func (s *Share) Try(n int64) bool {
	if s == nil {
		return true
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if len(s.of.waits) > 0 || !s.fits(n) {
		return false
	}
	s.take(n)
	return true
}

// Acquire takes n bytes, when they are free. It returns ErrTooLarge at once, or
// ErrNoRoom when ctx has ended.
func (s *Share) Acquire(ctx context.Context, n int64) error {
	if s.Try(n) {
		return nil
	}
	w, err := s.enqueue(n)
	if err != nil {
		return err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		collects := s.of.collect()
		timer := time.NewTimer(pause)
		select {
		case <-w.granted:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return s.of.forget(w, context.Cause(ctx))
		case <-timer.C:
			if collects > 0 {
				pause = time.Millisecond
			}
		}
	}
}

// Force takes n bytes, whether they are free or not.
func (s *Share) Force(n int64) {
	if s == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.take(n)
}

// Release gives n bytes back.
func (s *Share) Release(n int64) {
	if s == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.used -= n
	s.of.used -= n
	s.of.grant()
}

// Make acquires a buffer of n bytes, which the garbage collector gives back.
func (s *Share) Make(ctx context.Context, n int) ([]byte, error) {
	if err := s.Acquire(ctx, int64(n)); err != nil {
		return nil, err
	}
	return s.Allocate(n, int64(n)), nil
}

// TryMake is Make without waiting; nil: there is no room.
func (s *Share) TryMake(n int) []byte {
	if !s.Try(int64(n)) {
		return nil
	}
	return s.Allocate(n, int64(n))
}

// Allocate returns a buffer of n bytes, for which the caller has acquired weight.
// The garbage collector gives that back.
func (s *Share) Allocate(n int, weight int64) []byte {
	b := make([]byte, n)
	if s != nil && n > 0 {
		runtime.AddCleanup(&b[0], s.gone, weight)
	}
	return b
}

// gone is called when a buffer has been collected.
func (s *Share) gone(n int64) {
	s.of.mu.Lock()
	s.of.collected += n
	s.of.mu.Unlock()
	s.Release(n)
}

func (s *Share) fits(n int64) bool {
	return s.used+n <= s.most && s.of.used+n <= s.of.limit
}

func (s *Share) take(n int64) {
	s.used += n
	s.of.used += n
	s.of.peak = max(s.of.peak, s.of.used)
}

func (s *Share) enqueue(n int64) (*waiter, error) {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > s.most {
		s.refusals++
		return nil, fmt.Errorf("%d bytes: %w (%d)", n, ErrTooLarge, s.most)
	}
	s.waited++
	w := &waiter{share: s, n: n, granted: make(chan struct{})}
	b.waits = append(b.waits, w)
	b.grant()
	return w, nil
}

// grant gives those that wait what they can have: in their order, but nobody
// waits for what only another share lacks. mu is held.
func (b *Budget) grant() {
	var full []*Share
	kept := b.waits[:0]
	for i, w := range b.waits {
		switch {
		case slices.Contains(full, w.share):
		case w.share.fits(w.n):
			w.share.take(w.n)
			close(w.granted)
			continue
		case b.used+w.n > b.limit: // those behind would keep it from ever having its turn
			kept = append(kept, b.waits[i:]...)
			clear(b.waits[len(kept):])
			b.waits = kept
			return
		default:
			full = append(full, w.share)
		}
		kept = append(kept, w)
	}
	clear(b.waits[len(kept):])
	b.waits = kept
}

// forget ends a wait that has come to nothing, unless it just has come to
// something.
func (b *Budget) forget(w *waiter, cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waits, w)
	if i < 0 {
		return nil
	}
	b.waits = slices.Delete(b.waits, i, i+1)
	w.share.refusals++
	b.grant()
	return fmt.Errorf("%d bytes: %w: %w", w.n, ErrNoRoom, cause)
}

// collect has the garbage collector run, unless it does already, and returns
// how many bytes have been given back meanwhile.
func (b *Budget) collect() int64 {
	b.mu.Lock()
	before := b.collected
	if b.collecting {
		b.mu.Unlock()
		return 0
	}
	b.collecting = true
	b.mu.Unlock()
	runtime.GC()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.collecting = false
	return b.collected - before
}
