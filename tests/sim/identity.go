package sim

import (
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
)

// diskCopy is a copy of what a node's disk held.
type diskCopy struct {
	store  *memstore.Store
	lives  []identity.Life
	claims *identity.Claims
}

// begin starts a new life of the node, unless its disk is older than what
// others have seen of it: then the node is gone for good.
func (n *node) begin() bool {
	n.w.lives++
	n.lives = append(n.lives, identity.Life{Number: uint64(len(n.lives) + 1), ID: n.w.lives})
	past := identity.Past{Lives: n.lives, Recovered: n.store.Synced(), Omit: n.w.Omit}
	if err := past.Check(n.seen, n.store.Synced()); err != nil {
		n.w.trace("%s is gone: %v", n, err)
		n.gone = true
		for _, p := range n.w.proxies {
			if p.up {
				p.p.Disconnected(p.clock.now(), n.id)
				p.pump()
			}
		}
		return false
	}
	if n.claims == nil {
		n.claims = identity.NewClaims(0, nil, n.w.Omit)
	}
	return true
}

// show records that others learn the node's progress, because it sends an
// answer.
func (n *node) show() {
	n.seen = identity.Mark{Life: n.lives[len(n.lives)-1], Position: n.store.Synced()}
}

// rollBack copies the disk of a node, or, once in a run, puts the copy back.
func (w *World) rollBack() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch {
	case !n.up || w.rolledBack:
	case n.copied == nil:
		w.trace("%s's disk is copied at %d", n, n.store.Synced())
		n.copied = &diskCopy{n.store.Crash(n.store.Synced()), slices.Clone(n.lives),
			identity.NewClaims(n.claims.Floor, n.claims.All(), w.Omit)}
	default:
		w.rolledBack = true
		n.crash(0)
		n.store, n.lives, n.claims = n.copied.store, n.copied.lives, n.copied.claims
		n.restart()
	}
}

// restoreEtcd makes etcd give out used proposer ids again, to a proxy that
// starts now.
func (w *World) restoreEtcd() {
	w.lastProposer -= min(w.lastProposer, ballot.ProposerID(1+w.rng.IntN(w.Proxies)))
	w.trace("etcd is restored: the last proposer id is %d", w.lastProposer)
	p := w.proxies[w.rng.IntN(len(w.proxies))]
	if p.up {
		p.crash()
		p.start()
	}
}

// take takes a proposer id from etcd, above another, and claims it.
func (p *proxy) take(above ballot.ProposerID) {
	p.w.lastProposer = max(p.w.lastProposer, above) + 1
	p.w.lastStart++
	p.id = p.w.lastProposer
	p.claim = identity.Claim{Proposer: p.id, Start: p.w.lastStart}
	p.admitted = make(map[quorum.NodeID]bool)
	if p.w.manual != nil {
		p.w.manual.own(p)
	}
}

// admittedBy reports whether a node has admitted the proxy's claim. If it was
// not asked before, it is asked now, as at the beginning of a session.
func (p *proxy) admittedBy(n *node) bool {
	if p.admitted[n.id] {
		return true
	}
	if !n.up || p.w.cut[[2]int{p.index, int(n.id)}] {
		return false
	}
	if !n.claims.Known(p.claim) {
		if n.claims.Refuses(p.claim) {
			p.refused(n)
			return false
		}
		n.claims.Add(p.claim, func(ballot.ProposerID) bool { return false })
	}
	p.admitted[n.id] = true
	return true
}

// meet begins sessions with all nodes, changing the id until all have admitted
// it. A proxy that a node refuses later starts over, and loses its pending
// operations.
func (p *proxy) meet() {
	all := true
	for _, n := range p.w.nodes {
		all = (n.gone || p.admittedBy(n)) && all
	}
	if !all {
		p.w.after(time.Millisecond, p.meet)
	}
}

// refused takes another id soon. A proxy that is already working starts over.
func (p *proxy) refused(n *node) {
	above := n.claims.Highest()
	p.w.trace("%s: %s refuses id %d, the highest is %d", p, n, p.id, above)
	claim := p.claim
	p.later(1, func() {
		switch {
		case p.claim != claim:
		case p.working:
			p.crash()
			p.w.lastProposer = max(p.w.lastProposer, above)
			p.start()
		default:
			p.take(above)
			p.ballot.Renew(p.id)
		}
	})
}

// Reachable implements proposer.Env.
func (p *proxy) Reachable(cfg *quorum.Config) quorum.Set {
	var set quorum.Set
	for i, id := range cfg.Nodes() {
		if n := p.w.nodes[id]; !n.gone && p.admittedBy(n) {
			set = set.With(i)
		}
	}
	if p.w.Omit.Has(rules.ProposerQuorum) {
		return cfg.All() &^ p.down
	}
	if set &^= p.down; cfg.IsQuorum(set) {
		p.working = true
	}
	return set
}
