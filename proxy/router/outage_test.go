package router

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/proxy/nodetest"
)

// look looks at the groups as the health check does, at a time of its own.
func (r *Router) look(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.survey(r.table.Load(), int64(now))
}

// idle returns a router on a snapshot that does not look at its groups by itself.
func idle(t *testing.T, snap *store.Snapshot) *Router {
	r := newRouter(Config{Cluster: nodetest.Cluster, Name: "p", Log: zap.NewNop()}, nil)
	t.Cleanup(r.Close)
	r.Update(snap)
	return r
}

func TestOutageOfOneGroup(t *testing.T) {
	alive, snap := nodetest.Start(t, "n1", "n2", "n3")
	table, err := placement.Plan([]string{"n1", "n2", "n3", "n4", "n5", "n6"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	snap.Table = table
	for _, dead := range []string{"n4", "n5", "n6"} {
		snap.Nodes = append(snap.Nodes, store.Node{ID: dead, Addr: "127.0.0.1:1"})
	}
	r := idle(t, snap)
	here, there := table.Ranges[0].First, table.Ranges[3].First // n1 to n3, n4 to n6
	for all := r.Config(here); r.Reachable(all) != all.All(); {
		<-time.After(time.Millisecond)
	}
	r.look(time.Duration(r.now()))
	start := r.since(there)
	r.look(start + outageAfter - 1)
	if o := r.Outage(there); o != nil {
		t.Errorf("an outage before its time: %v", o)
	}
	r.look(start + outageAfter)
	if o := r.Outage(there); o == nil || o.Reason != "group g4 has no quorum, n4, n5, n6 of its 3 nodes do not answer" {
		t.Errorf("the dead group: %v", o)
	}
	if o := r.Outage(here); o != nil || r.Outages() != 3 {
		t.Errorf("the group that lives: %v, %d outages", o, r.Outages())
	}
	// One of two that are gone comes back: the outage ends with the connection.
	alive[0].Stop()
	alive[1].Stop()
	for all := r.Config(here); r.Reachable(all).Len() != 1; {
		<-time.After(time.Millisecond)
	}
	r.look(time.Duration(r.now()))
	r.look(time.Duration(r.now()) + outageAfter)
	if r.Outage(here) == nil || r.Outages() != 6 {
		t.Fatal("two of three nodes are gone, and there is no outage")
	}
	alive[0].Restart(t)
	for r.Outage(here) != nil {
		<-time.After(time.Millisecond)
	}
}

// A node that owes an answer and does not even say that it lives counts as gone;
// one that only does not answer, as its disk is slow, does not.
func TestSilentNodes(t *testing.T) {
	_, snap := nodetest.Start(t, "n1", "n2", "n3")
	r := idle(t, snap)
	all := r.Config(0)
	for r.Reachable(all) != all.All() {
		<-time.After(time.Millisecond)
	}
	for _, n := range (*r.nodes.Load())[:2] {
		n.silent.Store(true)
	}
	now := time.Duration(r.now())
	r.look(now)
	r.look(now + outageAfter)
	if r.since(0) == 0 || r.Outage(0) != nil {
		t.Error("nothing was heard of two nodes for a second: without is zero, or it was known before it began")
	}
	r.look(now + 2*outageAfter)
	if r.Outage(0) == nil {
		t.Fatal("nothing was heard of two nodes for a second, and there is no outage")
	}
	heard := func() bool {
		for _, n := range (*r.nodes.Load())[:2] {
			if !n.heardSince(int64(now)) {
				return false
			}
		}
		return true
	}
	for !heard() { // both have been asked for a sign of life
		<-time.After(time.Millisecond)
	}
	r.look(time.Duration(r.now()))
	if o := r.Outage(0); o != nil {
		t.Errorf("all nodes live: %v", o)
	}
}

// since returns when the slot's group lost its quorum.
func (r *Router) since(slot uint16) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.table.Load().bySlot[slot].without)
}
