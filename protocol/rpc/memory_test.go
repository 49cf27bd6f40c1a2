package rpc

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"synod/protocol/budget"
)

// Four sessions send at the same time what only one of them has room for. None
// takes memory before it is free, and all is taken in the end.
func TestFramesShareMemory(t *testing.T) {
	const size = 2 << 20
	payload := pattern(size)
	b := budget.New(size + size/2)
	var mu sync.Mutex
	came := 0
	o := echoOptions()
	o.Memory = b.Share(b.Limit())
	all := make(chan struct{})
	count := func() {
		if came++; came == 8 {
			close(all)
		}
	}
	o.Refused = func(*Session, Class, []byte) {
		mu.Lock()
		defer mu.Unlock()
		t.Error("a payload was refused that only had to wait")
		count()
	}
	o.Handle = func(_ *Session, _ Class, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		if !bytes.Equal(p, payload) {
			t.Error("another payload came than was sent")
		}
		count()
	}
	addr, v := serveTCP(t, o)
	defer v.Close()
	for range 4 {
		s := dial(t, addr, newSink(0).options(Proxy, "p"))
		for range 2 {
			if err := s.SendShared(Bulk, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-all
	if _, peak := b.Used(); peak > b.Limit() {
		t.Errorf("%d of %d bytes were taken", peak, b.Limit())
	}
}

// What is larger than the memory there is, or waits for too long, is skipped; who
// sent it is told, and what comes behind it is taken.
func TestFrameWithoutMemoryIsSkipped(t *testing.T) {
	for name, size := range map[string]int{"too large": 3 << 20, "waits too long": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				share := budget.New(2 << 20).Share(2 << 20)
				share.Force(2 << 20)
				heads, got := make(chan []byte, 1), make(chan []byte, 1)
				o := echoOptions()
				o.Memory = share
				o.Refused = func(_ *Session, _ Class, head []byte) { heads <- head }
				o.Handle = func(_ *Session, _ Class, p []byte) { got <- p }
				s, stop := pipe(t, newSink(0).options(Proxy, "p1"), o)
				defer stop()
				large := pattern(size)
				if err := s.SendShared(Bulk, large); err != nil {
					t.Fatal(err)
				}
				if err := s.Send(Bulk, []byte("small")); err != nil {
					t.Fatal(err)
				}
				if head := <-heads; !bytes.Equal(head, large[:headBytes]) {
					t.Errorf("the refused payload begins with %d other bytes", len(head))
				}
				if p := <-got; string(p) != "small" {
					t.Errorf("behind it came %q", p)
				}
			})
		})
	}
}

// Votes are never skipped: what is not free is taken all the same, after a while.
func TestVotesAreNotSkipped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		share := budget.New(1 << 20).Share(1 << 20)
		share.Force(1 << 20)
		got := make(chan []byte, 1)
		o := echoOptions()
		o.Memory = share
		o.Refused = func(*Session, Class, []byte) { t.Error("votes were skipped") }
		o.Handle = func(_ *Session, _ Class, p []byte) { got <- p }
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), o)
		defer stop()
		if err := s.Send(Votes, pattern(budget.Large)); err != nil {
			t.Fatal(err)
		}
		if p := <-got; len(p) != budget.Large {
			t.Errorf("%d bytes came", len(p))
		}
	})
}

// Votes do not wait for as long as a command may take: what fills the memory may be
// replies that a slow client does not take, or a value that waits for more than there
// is, and clients of others wait for the votes.
func TestVotesWaitBriefly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		share := budget.New(1 << 20).Share(1 << 20)
		share.Force(1 << 20)
		got := make(chan []byte, 3)
		o := echoOptions()
		o.Memory, o.Refused = share, func(*Session, Class, []byte) {}
		o.Handle = func(_ *Session, _ Class, p []byte) { got <- p }
		s, stop := pipe(t, newSink(0).options(Proxy, "p1"), o)
		defer stop()
		began := time.Now()
		for range cap(got) {
			if err := s.Send(Votes, pattern(budget.Large)); err != nil {
				t.Fatal(err)
			}
		}
		for range cap(got) {
			<-got
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%d payloads of votes took %v", cap(got), took)
		}
	})
}

// A peer that announces a large payload and sends nothing of it does not hold its
// memory for ever.
func TestAnnouncedPayloadMustCome(t *testing.T) {
	share := budget.New(1 << 30).Share(1 << 30)
	f := newFrameReader(Bulk, &silent{begin: frame(make([]byte, 1<<20))[:frameHeader]})
	f.memory, f.ctx = share, t.Context()
	var within []time.Duration
	f.limit = func(d time.Duration) { within = append(within, d) }
	if _, err := f.next(); err == nil {
		t.Error("nothing came, and that is no error")
	}
	if len(within) == 0 || within[0] != memorySilence {
		t.Errorf("the wait was bounded by %v", within)
	}
}

// silent has a beginning, and then fails as a connection does that is silent for
// too long.
type silent struct{ begin []byte }

func (s *silent) Read(p []byte) (int, error) {
	n := copy(p, s.begin)
	if s.begin = s.begin[n:]; n == 0 {
		return 0, ErrSilent
	}
	return n, nil
}
