package sim

import (
	"testing"
	"time"

	"synod/protocol/operation"
)

// TestSilentNodeContended freezes or kills one of three nodes while clients of
// several proxies write the same registers. The outcome of every write is
// determined by the other two nodes, or by the frozen one when it is back: no
// client is left without an answer.
func TestSilentNodeContended(t *testing.T) {
	for _, c := range []struct {
		name          string
		proxies, regs int
		mix           [kinds]int
		dies          bool
	}{
		{"frozen, SET", 2, 1, [kinds]int{Set: 1}, false},
		{"frozen, SET of four", 2, 4, [kinds]int{Set: 1}, false},
		{"frozen, mixed", 3, 2, [kinds]int{Set: 4, Get: 2, Incr: 2, Append: 1, SetNX: 1, Del: 1}, false},
		{"dead, SET", 2, 1, [kinds]int{Set: 1}, true},
		{"dead, SET of four", 2, 4, [kinds]int{Set: 1}, true},
		{"dead, mixed", 3, 2, [kinds]int{Set: 4, Get: 2, Incr: 2, Append: 1, SetNX: 1, Del: 1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var longest time.Duration
			uncertain, refused, ops, parked := 0, 0, 0, uint64(0)
			for seed := range uint64(20) {
				p := production()
				p.Proxies, p.Regs, p.Clients, p.Mix = c.proxies, c.regs, 16, c.mix
				p.Ops, p.Think = 3000, 0
				w := New(p, seed)
				w.populate()
				silent := w.nodes[w.rng.IntN(3)]
				w.after(200*time.Millisecond, func() {
					if c.dies {
						w.die(silent)
						return
					}
					silent.freeze()
					w.after(time.Second, silent.thaw)
				})
				took := w.work(t)
				longest = max(longest, took[len(took)-1])
				parked += w.Stats.Parked.Load()
				for _, r := range w.records {
					ops++
					if r.none {
						refused++
					} else if r.err == operation.ErrUncertain {
						uncertain++
					}
				}
			}
			t.Logf("%d operations: %d uncertain, %d refused, %d parked, the longest took %v", ops, uncertain, refused, parked, longest)
			if uncertain > 0 {
				t.Errorf("%d of %d operations are uncertain", uncertain, ops)
			}
		})
	}
}

// die ends a node for good, and every proxy notices that its connection is gone.
func (w *World) die(n *node) {
	n.crash(0)
	for _, p := range w.proxies {
		p.down = p.down.With(p.cfg.Index(n.id))
		p.p.Disconnected(p.clock.now(), n.id)
		p.pump()
	}
}
