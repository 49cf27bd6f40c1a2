package process

import (
	"testing"

	"synod/tests/harness"
)

// usual is the cluster that most tests use.
var usual = harness.Size{Nodes: 3, Proxies: 2}

// Nodes and proxies are killed, frozen and restarted under load. A quorum keeps
// answering (L4), acknowledged writes survive (L5), and every command takes
// effect once (L1, L3).
func TestKillAndFreeze(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := run(t, 12, c.Addrs()...)
	w.progress(enough)

	for i, n := range c.Nodes {
		w.gaps.phase("killing node " + n.ID)
		n.Kill()
		w.progress(enough)
		w.gaps.phase("starting node " + n.ID)
		n.Start()
		n.AwaitReady(t)
		w.progress(enough)

		other := c.Nodes[(i+1)%len(c.Nodes)]
		w.gaps.phase("freezing node " + other.ID)
		other.Freeze()
		w.progress(enough)
		w.gaps.phase("thawing node " + other.ID)
		other.Thaw()
		w.progress(enough)
	}
	for i, p := range c.Proxies {
		w.gaps.phase("killing proxy " + p.ID)
		p.Kill()
		w.progress(enough)
		p.Start()
		harness.AwaitServing(t, p.Process, p.Addr)
		w.progress(enough)

		other := c.Proxies[(i+1)%len(c.Proxies)]
		w.gaps.phase("freezing proxy " + other.ID)
		other.Freeze()
		w.progress(enough)
		other.Thaw()
		w.progress(enough)
	}
	w.gaps.phase("rest")
	w.progress(enough)
	w.check(c.Proxies[0].Addr)
}

// All nodes are killed at the same moment under load, twice; the second time
// together with the proxies. All acknowledged writes survive (L5).
func TestAllNodesKilled(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := run(t, 12, c.Addrs()...)
	w.progress(enough)
	for _, members := range [][]*harness.Member{c.Nodes, append(append([]*harness.Member{}, c.Nodes...), c.Proxies...)} {
		w.gaps.phase("killing all")
		for _, m := range members {
			m.Freeze() // so that they stop at the same moment
		}
		for _, m := range members {
			m.Kill()
		}
		for _, m := range members {
			m.Start()
		}
		c.AwaitServing()
		w.progress(enough)
	}
	w.check(c.Proxies[1].Addr)
}

// While a majority is frozen, nothing is acknowledged and no client waits
// longer than the limit. Afterwards everything continues.
func TestMajorityFrozen(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 2,
		NodeFlags: []string{"--command-timeout", "2s"}, ProxyFlags: []string{"--command-timeout", "2s"}})
	w := run(t, 12, c.Addrs()...)
	w.progress(enough)
	w.gaps.phase("a majority is frozen")
	c.Nodes[0].Freeze()
	c.Nodes[1].Freeze()
	refused := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.lost[notDone] + w.lost[unknown]
	}
	before := refused()
	// Each client gets at least one error, within the limit plus some slack.
	harness.Await(t, "every client to be told", func() bool { return refused() >= before+12 })
	answers := w.answers.Load()
	before = refused()
	harness.Await(t, "every client to be told again", func() bool { return refused() >= before+12 })
	if now := w.answers.Load(); now != answers {
		t.Errorf("%d commands were acknowledged without a quorum", now-answers)
	}
	w.gaps.phase("the majority is back")
	c.Nodes[0].Thaw()
	c.Nodes[1].Thaw()
	w.progress(enough)
	w.check(c.Proxies[0].Addr)
}

// With five nodes and three replicas, keys belong to different groups. Two
// nodes are killed, the second after the first has come back.
func TestSeveralGroups(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 5, Proxies: 2})
	if n := len(statusOf(t, c).Groups); n < 2 {
		t.Errorf("%d groups", n)
	}
	w := run(t, 8, c.Addrs()...)
	for _, n := range []*harness.Member{c.Nodes[0], c.Nodes[3]} {
		w.progress(enough)
		w.gaps.phase("killing node " + n.ID)
		n.Kill()
		w.progress(enough)
		n.Start()
		n.AwaitReady(t)
		w.progress(enough)
	}
	w.check(c.Proxies[0].Addr)
}

// synod, the whole cluster in one process, is killed under load. All
// acknowledged writes survive.
func TestLocalKilled(t *testing.T) {
	l := harness.StartLocal(t, 2)
	w := run(t, 8, l.Addrs...)
	for range 3 {
		w.progress(enough)
		w.gaps.phase("killing synod")
		l.Kill()
		l.Start()
		w.progress(enough)
		w.gaps.phase("rest")
	}
	w.check(l.Addrs[1])
	l.Terminate()
	if status := l.Wait(); status != 0 {
		t.Errorf("exit status %d after SIGTERM", status)
	}
}

// etcd is not on the data path: commands continue while it is down for longer
// than leases last.
func TestEtcdDown(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	w.gaps.phase("etcd is down")
	c.Etcd.Kill()
	c.Nodes[0].AwaitOutput("waiting for etcd")
	w.progress(enough)
	c.Nodes[1].Kill()
	w.progress(enough)
	w.gaps.phase("etcd is back")
	c.Etcd.Start()
	c.Nodes[1].Start()
	c.Nodes[1].AwaitReady(t)
	w.progress(enough)
	w.check(c.Proxies[0].Addr)
}
