package sim

import (
	"slices"
	"testing"
	"time"

	"synod/protocol/caspaxos/limits"
)

// work runs the clients of a world to their end, without faults but for what
// the caller has set up, and returns how long operations took, in order.
func (w *World) work(t *testing.T) []time.Duration {
	t.Helper()
	busy := 0
	for i := range w.Clients {
		busy++
		w.client(i, func() { busy-- })
	}
	for w.failure == "" && busy > 0 && w.now < Instant(time.Minute) {
		w.runUntil(w.now + Instant(time.Millisecond))
	}
	if w.failure != "" {
		t.Error(w.failure)
	}
	var took []time.Duration
	answered := 0
	for _, r := range w.records {
		if r.known {
			answered++
		}
		took = append(took, r.took)
	}
	if answered < w.Ops*99/100 {
		t.Errorf("%d of %d operations were answered", answered, w.Ops)
	}
	slices.Sort(took)
	return took
}

// production is a quiet profile at the timing of production.
func production() Profile {
	p := Base()
	p.Skew = 0
	p.Limits, p.Timing, p.Silence = limits.Default(), limits.DefaultTiming(), 50*time.Millisecond
	return p
}

// TestContention runs hot registers through several proxies and says what that
// costs. Nobody may wait for a time limit that is there for lost messages.
func TestContention(t *testing.T) {
	for _, c := range []struct {
		name             string
		proxies, clients int
		mix              [kinds]int
	}{
		{"one proxy INCR", 1, 8, [kinds]int{Incr: 1}},
		{"two proxies INCR", 2, 8, [kinds]int{Incr: 1}},
		{"four proxies INCR", 4, 16, [kinds]int{Incr: 1}},
		{"four proxies mixed", 4, 16, [kinds]int{Incr: 1, Get: 2, Set: 1, SetNX: 1, Del: 1}},
		{"four proxies SET", 4, 16, [kinds]int{Set: 1}},
		{"four proxies SET GET", 4, 16, [kinds]int{Set: 1, Get: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := production()
			p.Proxies, p.Clients, p.Mix = c.proxies, c.clients, c.mix
			p.Ops, p.Think = 2000, 0
			w := New(p, 1)
			w.populate()
			took := w.work(t)
			s := &w.Stats
			t.Logf("p50 %v p99 %v max %v; reads %d blind %d carried %d two-trip %d repair %d in doubt %d Nacks %d",
				took[len(took)/2], took[len(took)*99/100], took[len(took)-1], s.Reads.Load(), s.Blind.Load(),
				s.Piggybacked.Load(), s.TwoTrip.Load(), s.Repair.Load(), s.InDoubt.Load(), s.Nacks.Load())
			if longest := took[len(took)-1]; longest >= p.Timing.Accept {
				t.Errorf("an operation took %v although no message was lost", longest)
			}
		})
	}
}

// TestSilentNode has one node silent for good, unnoticed: the others serve at
// once, or after the time in which a read is hedged (§11 L4).
func TestSilentNode(t *testing.T) {
	for _, acceptors := range []int{3, 5} {
		for silent := range acceptors {
			p := production()
			p.Acceptors, p.Proxies, p.Regs, p.Ops = acceptors, 1, 3, 500
			w := New(p, uint64(silent))
			w.populate()
			w.cut[[2]int{0, silent}] = true
			took := w.work(t)
			if longest := took[len(took)-1]; longest > 5*p.Timing.Hedge {
				t.Errorf("with x%d of %d silent an operation took %v", silent, acceptors, longest)
			}
		}
	}
}
