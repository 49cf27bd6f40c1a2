package sim

import (
	"slices"
	"testing"
	"time"

	"synod/protocol/caspaxos"
)

// TestContention runs hot registers through several proxies, without faults, at
// the timing of production, and says what that costs. Nobody may wait for a
// time limit that is there for lost messages.
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
			p := Base()
			p.Proxies, p.Clients, p.Mix = c.proxies, c.clients, c.mix
			p.Ops, p.Think = 3000, 0
			p.Skew = 0
			p.Limits = caspaxos.DefaultLimits()
			p.Timing = caspaxos.DefaultTiming()
			w := New(p, 1)
			w.populate()
			w.harm()
			busy := 0
			for i := range w.Clients {
				busy++
				w.client(i, func() { busy-- })
			}
			start := w.now
			for w.failure == "" && busy > 0 && w.now < Instant(time.Minute) {
				w.runUntil(w.now + Instant(time.Millisecond))
			}
			var took []time.Duration
			outcomes := map[string]int{}
			for _, r := range w.records {
				if r.err != nil {
					outcomes[r.err.Error()]++
				} else {
					outcomes["ok"]++
				}
				took = append(took, r.took)
			}
			slices.Sort(took)
			s := &w.Stats
			t.Logf("%v in %v: p50 %v p99 %v max %v; reads %d blind %d carried %d twotrip %d repair %d doubt %d nacks %d",
				outcomes, time.Duration(w.now-start), took[len(took)/2], took[len(took)*99/100], took[len(took)-1],
				s.Reads.Load(), s.Blind.Load(), s.Carried.Load(), s.TwoTrip.Load(), s.Repair.Load(), s.InDoubt.Load(), s.Nacks.Load())
			if w.failure != "" {
				t.Error(w.failure)
			}
			if longest := took[len(took)-1]; longest >= p.Timing.Accept {
				t.Errorf("an operation took %v although no message was lost", longest)
			}
			if n := outcomes["ok"]; n < p.Ops*99/100 {
				t.Errorf("%d of %d operations were answered", n, p.Ops)
			}
		})
	}
}
