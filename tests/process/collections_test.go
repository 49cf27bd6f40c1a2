package process

import (
	"slices"
	"testing"

	"synod/tests/harness"
)

const (
	stateSent = `synod_proposer_events_total{event="state_sent"}`
	staleBase = `synod_node_requests_total{kind="accept",outcome="stale_base"}`
	acked     = `synod_node_requests_total{kind="accept",outcome="acked"}`
	sessions  = "synod_node_sessions"
)

// A node is killed, and later frozen, while two proxies write the same
// collections, and comes back while they continue. Every acknowledged write
// must be present exactly once, whichever nodes are asked.
func TestCollectionsWhileANodeIsAway(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := write(t, false, 8, 50_000, c.Addrs()...)
	w.each(20)
	away := c.Nodes[0]
	w.gaps.phase("killing " + away.ID)
	away.Kill()
	w.each(30)
	w.gaps.phase("starting " + away.ID)
	away.Start()
	away.AwaitReady(t)
	w.each(30)
	w.gaps.phase("freezing " + away.ID)
	away.Freeze()
	w.each(30)
	w.gaps.phase("thawing " + away.ID)
	away.Thaw()
	w.each(30)
	w.finish()
	w.checkAll(c)
}

// A node that was away receives large collections while they are written: about
// once each, not with every write. Then it replaces a missing node.
func TestCollectionsCatchUp(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := write(t, true, 8, 50_000, c.Addrs()...)
	w.each(50)
	away, other := c.Nodes[0], c.Nodes[1]
	before, writes := harness.Total(t, c.Proxies, stateSent), w.answers.Load()
	w.gaps.phase("killing " + away.ID)
	away.Kill()
	w.each(100)
	w.gaps.phase("starting " + away.ID)
	away.Start()
	harness.Await(t, away.ID+" to be connected", func() bool {
		return away.Ready() && away.Metric(t, sessions) == float64(len(c.Proxies))
	})
	harness.Await(t, away.ID+" to have caught up", func() bool {
		stale, votes := away.Metric(t, staleBase), away.Metric(t, acked)
		w.each(10)
		return away.Metric(t, staleBase) == stale && away.Metric(t, acked) > votes
	})
	sent, among := harness.Total(t, c.Proxies, stateSent)-before, w.answers.Load()-writes
	t.Logf("%v states were sent among %d writes of %d collections", sent, among, len(w.all))
	if limit := float64(5 * len(w.all)); sent > limit {
		t.Errorf("more than %v states were sent", limit)
	}
	w.gaps.phase("freezing " + other.ID)
	other.Freeze()
	w.each(30)
	w.finish()
	w.check(c.Addrs()[1])
}

// All processes are killed at the same moment while collections are written.
// All acknowledged writes survive.
func TestCollectionsAllKilled(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := write(t, false, 8, 5_000, c.Addrs()...)
	for range 2 {
		w.each(30)
		w.gaps.phase("killing all")
		members := slices.Concat(c.Nodes, c.Proxies)
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
	}
	w.each(30)
	w.finish()
	w.checkAll(c)
}
