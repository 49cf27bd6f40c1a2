package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"synod/tests/harness"
)

// waits tells how long clients waited for the answer of one command.
type waits struct {
	mu      sync.Mutex
	longest time.Duration
	late    int // that took 100 ms or longer
}

func (w *waits) took(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, d)
	if d >= 100*time.Millisecond {
		w.late++
	}
}

// setters starts clients that set a few registers, and now and then read one.
func setters(t *testing.T, clients, keys int, addrs []string) (*workload, *waits) {
	w, slow := newWorkload(t), new(waits)
	for i := range clients {
		w.clients.Go(func() {
			c := open(addrs[i%len(addrs)])
			defer func() { _ = c.Close() }()
			random := rand.New(rand.NewPCG(uint64(i), 3))
			for n := 0; w.stop.Err() == nil; n++ {
				key := fmt.Sprintf("register:%d", random.IntN(keys))
				began := time.Now()
				var o outcome
				var err error
				if n%16 == 15 {
					o, err = w.read(c, i, key)
				} else {
					o, err = w.write(c, i, n, key)
				}
				slow.took(time.Since(began))
				w.count(o, err)
			}
		})
	}
	return w, slow
}

// checkZones stops the workload and looks at what its clients saw.
func (w *workload) checkZones(slow *waits) {
	w.t.Helper()
	w.finish()
	w.t.Logf("the longest wait was %v; %d waited for 100 ms or longer", slow.longest.Round(100*time.Microsecond), slow.late)
	for key, events := range w.registers {
		if err := checkZones(events); err != nil {
			w.t.Errorf("%s is not linearizable: %v", key, err)
		}
	}
}

// One node is killed, or is frozen and thawed, while clients of two proxies
// write the same keys. The outcome of each write is determined from the other
// two nodes.
func TestSilentNodeTwoProxies(t *testing.T) {
	const some = 8000
	t.Run("killed", func(t *testing.T) {
		c := harness.StartCluster(t, usual)
		w, slow := setters(t, 64, 100, c.Addrs())
		w.progress(some)
		c.Nodes[0].Kill()
		w.progress(2 * some)
		c.Nodes[0].Start()
		c.Nodes[0].AwaitReady(t)
		w.progress(some)
		w.checkZones(slow)
		settled(t, w)
	})
	t.Run("frozen", func(t *testing.T) {
		c := harness.StartCluster(t, usual)
		w, slow := setters(t, 64, 1, c.Addrs())
		w.progress(some)
		c.Nodes[0].Freeze()
		w.progress(4 * some)
		c.Nodes[0].Thaw()
		w.progress(some)
		w.checkZones(slow)
		settled(t, w)
	})
}

func settled(t *testing.T, w *workload) {
	t.Helper()
	if n := w.lost[unknown]; n > 0 {
		t.Errorf("the outcome of %d commands is unknown, although a quorum was up all the time", n)
	}
}

// A proxy pauses while others write and read the same keys many times. When it
// continues, it determines the outcome of its pending commands.
func TestProxyStandsStill(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 3})
	w, slow := newWorkload(t), new(waits)
	for i := range 24 {
		w.clients.Go(func() {
			c := open(c.Addrs()[i%3])
			defer func() { _ = c.Close() }()
			for n := 0; w.stop.Err() == nil; n++ {
				began := time.Now()
				o, err := classify(c.Do(context.Background(), "GETSET", "key", fmt.Sprint(i, ".", n)).Err())
				slow.took(time.Since(began))
				w.count(o, err)
			}
		})
	}
	w.progress(enough)
	for i := range 12 {
		p := c.Proxies[i%3]
		p.Freeze()
		w.progress(1500)
		p.Thaw()
		w.progress(enough)
	}
	w.checkZones(slow)
	if n := w.lost[unknown]; n > 0 {
		t.Errorf("the outcome of %d commands is unknown, although all nodes were up", n)
	}
}
