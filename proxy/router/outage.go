package router

import (
	"fmt"
	"strings"
	"time"

	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/partition"
)

const (
	// outageAfter is how long a group must be without a quorum of present nodes before
	// commands on its slots fail at once.
	outageAfter = time.Second
	// absence is how long a node may owe an answer before it counts as gone and not just
	// late. It counts as gone for an outage only if it has not even sent a sign of life.
	absence = 250 * time.Millisecond
)

// Outage returns why no command on a slot can be done at present: its group has been
// without a quorum for a while. Otherwise it returns nil.
func (r *Router) Outage(slot uint16) *operation.Outage {
	if g := r.table.Load().bySlot[slot%partition.Slots]; g != nil {
		return g.outage.Load()
	}
	return nil
}

// Outages returns the number of groups with an outage.
func (r *Router) Outages() (n int) {
	for _, g := range r.table.Load().groups {
		if g.outage.Load() != nil {
			n++
		}
	}
	return n
}

// survey notices when outages of groups begin and end. r.mu is held.
func (r *Router) survey(t *table, now int64) {
	nodes := *r.nodes.Load()
	for _, g := range t.groups {
		var answering, present quorum.Set
		for i, id := range g.cfg.Nodes() {
			switch n := nodes[id]; {
			case n.session.Load() == nil:
			case !n.silent.Load():
				answering, present = answering.With(i), present.With(i)
			case n.heardSince(now - int64(absence)):
				present = present.With(i)
			}
		}
		if !g.cfg.IsQuorum(answering) {
			for _, id := range g.cfg.Nodes() {
				nodes[id].probe() // nothing else is sent to them during an outage
			}
		}
		g.judge(nodes, present, now)
	}
}

// judge begins or ends the group's outage.
func (g *group) judge(nodes []*node, present quorum.Set, now int64) {
	switch {
	case g.cfg.IsQuorum(present):
		g.without = 0
		g.outage.Store(nil)
	case g.without == 0:
		g.without = now
	case now-g.without < int64(outageAfter):
	default:
		why := g.describe(nodes, present)
		if old := g.outage.Load(); old == nil || old.Reason != why {
			g.outage.Store(&operation.Outage{Reason: why})
		}
	}
}

// describe tells users which nodes are missing.
func (g *group) describe(nodes []*node, present quorum.Set) string {
	var missing []string
	for i, id := range g.cfg.Nodes() {
		if !present.Has(i) {
			missing = append(missing, nodes[id].name)
		}
	}
	return fmt.Sprintf("group %s has no quorum, %s of its %d nodes do not answer",
		g.name, strings.Join(missing, ", "), len(g.cfg.Nodes()))
}

// heardSince reports whether the node has sent anything after a time on the router's
// clock.
func (n *node) heardSince(at int64) bool {
	s := n.session.Load()
	return s != nil && int64(s.LastHeard().Sub(n.router.start)) > at
}

// probe asks a silent node for a sign of life, unless a probe is under way.
// r.mu is held.
func (n *node) probe() {
	s := n.session.Load()
	if s == nil || !n.silent.Load() || n.router.ctx.Err() != nil || !n.probing.CompareAndSwap(false, true) {
		return
	}
	n.router.wg.Go(func() {
		s.Probe()
		n.probing.Store(false)
	})
}
