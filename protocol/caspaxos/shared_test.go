package caspaxos_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos"
)

// beside returns another proxy of the same cluster.
func (c *cluster) beside() *cluster {
	other := &cluster{t: c.t, now: c.now, config: c.config, nodes: c.nodes, down: c.down}
	clock := caspaxos.NewClock(9, func() int64 { return other.now.Wall })
	other.p = caspaxos.New(caspaxos.Options{Clock: clock, Env: other, Limits: caspaxos.DefaultLimits(),
		Timing: timing(), Stats: &other.stats, Cached: 100, CachedBytes: 1 << 20})
	return other
}

// TestPromiseOvertaken has a proxy come back to a promise that it was given
// before another one wrote more often than the nodes' lists are long. Its attempt
// had no chance, and that is known.
func TestPromiseOvertaken(t *testing.T) {
	for name, down := range map[string]bool{"all up": false, "one down": true} {
		t.Run(name, func(t *testing.T) {
			a := newCluster(t)
			b := a.beside()
			n := 0
			next := func() string { n++; return strconv.Itoa(n) }
			for range 3 {
				a.want("k", incr{}, next())
				a.down[2] = down
				b.now = a.now
				for range 3 * caspaxos.MaxEntries {
					b.want("k", incr{}, next())
					b.advance(500 * time.Microsecond) // no round is faster
				}
				a.now = b.now
				a.want("k", incr{}, next())
				a.down[2] = false
			}
			if got := a.stats.Uncertain.Load(); got != 0 {
				t.Errorf("%d uncertain", got)
			}
		})
	}
}

// TestRefusedDeltaIsPartOfTheNext has a node refuse a delta on a large state,
// since another proxy was about to write, and that one's delta then build on it:
// the node has seen both, and needs nobody to send it the state.
func TestRefusedDeltaIsPartOfTheNext(t *testing.T) {
	a := newCluster(t)
	a.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	a.want("k", note{"a"}, "OK")
	b := a.beside()

	one, oneDone := a.submit("k", note{"one"})
	var late []caspaxos.Sent
	for _, s := range a.p.Take() { // Accepts, under a carried promise
		if s.To == 2 {
			late = append(late, s)
		} else {
			a.deliver(s)
		}
	}
	if !*oneDone || len(late) != 1 {
		t.Fatalf("done %v, %d late; want it chosen by two", *oneDone, len(late))
	}
	b.now = a.now
	two, twoDone := b.submit("k", note{"two"})
	for _, s := range b.p.Take() { // Prepares
		b.deliver(s)
	}
	a.deliver(late[0])
	b.run(twoDone)
	a.run(oneDone)
	if one.Err != nil || two.Err != nil {
		t.Fatal(one.Err, two.Err)
	}
	for _, s := range append(a.p.Take(), b.p.Take()...) {
		a.deliver(s)
	}
	for i, n := range a.nodes {
		if v := n.store.View("k"); len(v.Elements()) != 4 {
			t.Errorf("node %d has %d elements, want all 4", i, len(v.Elements()))
		}
	}
	if n := a.nodes[2].acc.Joined; n != 1 {
		t.Errorf("node 2 voted for %d deltas with what it had refused before, want 1", n)
	}
	if n := a.stats.Pulls.Load() + b.stats.Pulls.Load(); n != 0 {
		t.Errorf("%d states were sent", n)
	}
}
