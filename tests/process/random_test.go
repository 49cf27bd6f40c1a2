package process

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"synod/tests/harness"
)

var (
	faults    = flag.Int("faults", 8, "how many random faults TestRandomFaults brings about")
	faultSeed = flag.Uint64("fault-seed", 0, "their seed; 0 takes one from the clock")
)

// Random members are killed and frozen, several at a time, some of them while
// others are recovering.
func TestRandomFaults(t *testing.T) {
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-fault-seed %d -faults %d", seed, *faults)
	random := rand.New(rand.NewPCG(seed, 0))
	flags := []string{"--command-timeout", "2s"}
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 3, NodeFlags: flags, ProxyFlags: flags})
	members := slices.Concat(c.Nodes, c.Proxies)
	w := run(t, 12, c.Addrs()...)
	w.progress(enough)
	for range *faults {
		f := newFault(random, members)
		w.gaps.phase(f.name())
		f.begin()
		switch nodes, proxies := f.left(c); {
		case proxies == 0: // nobody is told anything
		case nodes > len(c.Nodes)/2:
			w.progress(int64(20 + random.IntN(enough)))
		default:
			w.idle(random.IntN(50))
		}
		f.end()
		if random.IntN(3) > 0 { // otherwise the next fault hits recovering members
			w.gaps.phase("after " + f.name())
			w.progress(int64(random.IntN(enough)))
		}
		w.round.Add(1)
	}
	w.gaps.phase("rest")
	c.AwaitServing()
	w.progress(enough)
	w.check(c.Proxies[0].Addr)
}

// idle waits until n more commands have ended, with any outcome.
func (w *workload) idle(n int) {
	w.t.Helper()
	ended := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.lost[done] + w.lost[notDone] + w.lost[unknown]
	}
	goal := ended() + n
	harness.Await(w.t, "commands to end", func() bool { return ended() >= goal })
}

// fault is members that are killed or frozen at the same moment.
type fault struct {
	kill    bool
	members []*harness.Member
}

func newFault(random *rand.Rand, members []*harness.Member) fault {
	f := fault{kill: random.IntN(2) == 0}
	n := 1
	switch random.IntN(8) {
	case 0:
		n = len(members)
	case 1, 2:
		n = 2
	case 3:
		n = 3
	}
	for _, i := range random.Perm(len(members))[:n] {
		f.members = append(f.members, members[i])
	}
	return f
}

func (f fault) name() string {
	what := "freezing"
	if f.kill {
		what = "killing"
	}
	for _, m := range f.members {
		what += " " + m.ID
	}
	return what
}

func (f fault) begin() {
	for _, m := range f.members {
		m.Freeze()
	}
	for _, m := range f.members {
		if f.kill {
			m.Kill()
		}
	}
}

func (f fault) end() {
	for _, m := range f.members {
		if f.kill {
			m.Start()
		} else {
			m.Thaw()
		}
	}
}

// left tells how many nodes and proxies the fault leaves alone.
func (f fault) left(c *harness.Cluster) (nodes, proxies int) {
	nodes, proxies = len(c.Nodes), len(c.Proxies)
	for _, m := range f.members {
		if slices.Contains(c.Nodes, m) {
			nodes--
		} else {
			proxies--
		}
	}
	return nodes, proxies
}
