// Package router brings requests to the storage nodes that hold a slot, and
// their replies back.
//
// It keeps the placement table as configurations for the proposers, one connection
// to each node, and the health of each node: whether it is connected, and whether it
// has been silent for too long to be asked first. It guarantees that each request is
// answered, or its node reported to every lane as disconnected, and that no caller
// ever waits for a slow node.
package router

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/protocol/budget"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/rpc"
)

// Lane takes what nodes send to one lane of proposers. Its methods are called
// from the connections' goroutines and must not block.
type Lane interface {
	// Replies takes replies of one node. The slice is the lane's.
	Replies(from quorum.NodeID, replies []*message.Reply)
	// Disconnected tells that the connection to a node has ended: requests that it had
	// not answered will not be answered.
	Disconnected(node quorum.NodeID)
}

// Config is what a Router needs.
type Config struct {
	Cluster string
	Name    string        // this proxy's, for the nodes' logs
	Memory  *budget.Share // for what nodes send; nil: without a limit
	Claim   identity.Claim
	// Refused, if not nil, is called when a node does not admit the claim, with the
	// highest proposer id that the node has seen. It must not block.
	Refused func(identity.Claim, ballot.ProposerID)
	Log     *zap.Logger
}

// Router is safe for concurrent use.
type Router struct {
	cfg   Config
	lanes []Lane
	start time.Time

	traffic rpc.Traffic
	secrets atomic.Pointer[[]rpc.Secret]
	table   atomic.Pointer[table]
	nodes   atomic.Pointer[[]*node] // by NodeID; grows only
	claim   atomic.Pointer[identity.Claim]
	working atomic.Bool // a quorum has admitted the claim, and ballots are made

	mu     sync.Mutex // changes of table and nodes
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	calls calls
}

// table is the placement as the proposers see it.
type table struct {
	source *placement.Table
	bySlot [partition.Slots]*group
	groups []*group
}

// group is one configuration and its slots. Two ranges of the same nodes under
// different epochs are two groups.
type group struct {
	cfg     *quorum.Config
	name    string // for users
	ranges  []SlotRange
	without int64 // since when it has been without a quorum, on the router's clock, zero if it has one; under r.mu
	outage  atomic.Pointer[operation.Outage]
	orders  atomic.Pointer[[][]int] // by slot modulo members: whom a read asks, in order
}

// SlotRange is a run of slots under one configuration.
type SlotRange struct {
	First, Last uint16
	Config      *quorum.Config
}

// New returns a router that passes replies to the lanes: the reply to request id goes
// to lane id modulo their number. It has no placement before Update.
func New(cfg Config, lanes []Lane) *Router {
	r := newRouter(cfg, lanes)
	r.wg.Go(r.watchHealth)
	return r
}

func newRouter(cfg Config, lanes []Lane) *Router {
	r := &Router{cfg: cfg, lanes: lanes, start: time.Now()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.nodes.Store(new([]*node))
	r.table.Store(new(table))
	r.claim.Store(&cfg.Claim)
	r.secrets.Store(new([]rpc.Secret))
	r.calls.init()
	return r
}

// Close ends all connections and waits for their goroutines.
func (r *Router) Close() {
	r.cancel()
	r.wg.Wait()
}

// Follow keeps the router up to date from a watch until its channel closes.
func (r *Router) Follow(snaps <-chan *store.Snapshot) {
	for s := range snaps {
		r.Update(s)
	}
}

// Update takes a snapshot of the cluster. Unchanged configurations keep their
// identity, so that rounds under way continue.
func (r *Router) Update(s *store.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(s.Secrets) > 0 {
		r.secrets.Store(&s.Secrets)
	}
	for i := range s.Nodes {
		r.nodeNamed(s.Nodes[i].ID).locate(s.Nodes[i].Addr)
	}
	if s.Table == nil {
		return
	}
	old := r.table.Load()
	if old.source == s.Table {
		return
	}
	t := r.build(s, old)
	r.reorder(t)
	r.table.Store(t)
}

func (r *Router) build(s *store.Snapshot, old *table) *table {
	t := &table{source: s.Table}
	for i := range s.Table.Ranges {
		rng := &s.Table.Ranges[i]
		g := r.reuse(t, old, rng, s.Table)
		g.ranges = append(g.ranges, SlotRange{First: rng.First, Last: rng.Last, Config: g.cfg})
		for slot := int(rng.First); slot <= int(rng.Last); slot++ {
			t.bySlot[slot] = g
		}
	}
	return t
}

// reuse finds or makes the group of a range: one of this table with the same
// configuration, else a new one that keeps the old table's configuration if equal.
func (r *Router) reuse(t, old *table, rng *placement.Range, p *placement.Table) *group {
	cfg := r.config(rng, p)
	for _, g := range t.groups {
		if sameConfig(g.cfg, cfg) {
			return g
		}
	}
	g := &group{cfg: cfg, name: rng.Group}
	if rng.State == placement.Joint {
		g.name += " and " + rng.Next
	}
	for _, o := range old.groups {
		if sameConfig(o.cfg, cfg) {
			g.cfg, g.without = o.cfg, o.without
			g.outage.Store(o.outage.Load())
		}
	}
	t.groups = append(t.groups, g)
	return g
}

func (r *Router) config(rng *placement.Range, p *placement.Table) *quorum.Config {
	ids := func(group string) (out []quorum.NodeID) {
		for _, name := range p.Members(group) {
			out = append(out, r.nodeNamed(name).id)
		}
		return out
	}
	var next []quorum.NodeID
	if rng.State == placement.Joint {
		next = ids(rng.Next)
	}
	return quorum.NewConfig(rng.Epoch, ids(rng.Group), next)
}

func sameConfig(a, b *quorum.Config) bool {
	return a.Epoch == b.Epoch && sameNodes(a.Members, b.Members) && sameNodes(a.Next, b.Next)
}

func sameNodes(a, b []quorum.NodeID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// nodeNamed returns the node of that name, creating it if needed. r.mu is held.
func (r *Router) nodeNamed(name string) *node {
	nodes := *r.nodes.Load()
	for _, n := range nodes {
		if n.name == name {
			return n
		}
	}
	n := newNode(r, quorum.NodeID(len(nodes)), name)
	grown := append(append([]*node(nil), nodes...), n)
	r.nodes.Store(&grown)
	r.wg.Go(n.run)
	return n
}

func (r *Router) node(id quorum.NodeID) *node { return (*r.nodes.Load())[id] }

// Config returns who holds a slot, nil if no placement is known.
func (r *Router) Config(slot uint16) *quorum.Config {
	if g := r.table.Load().bySlot[slot%partition.Slots]; g != nil {
		return g.cfg
	}
	return nil
}

// Ranges returns the slot ranges of the whole table, in no order.
func (r *Router) Ranges() []SlotRange {
	var out []SlotRange
	for _, g := range r.table.Load().groups {
		out = append(out, g.ranges...)
	}
	return out
}

// Prefer returns the order in which a read of the slot asks the members. The first
// differs by slot, to spread the load; silent and unconnected members come last.
func (r *Router) Prefer(cfg *quorum.Config, slot uint16) []int {
	if g := r.table.Load().bySlot[slot%partition.Slots]; g != nil && g.cfg == cfg {
		orders := *g.orders.Load()
		return orders[int(slot)%len(orders)]
	}
	order := make([]int, len(cfg.Nodes()))
	for i := range order {
		order[i] = i
	}
	return order
}

// Reachable returns the connected members: these have admitted the proxy's proposer
// id. No round begins without a quorum of them, so no ballot is sent before a quorum
// has admitted the id (PROTOCOL §1).
func (r *Router) Reachable(cfg *quorum.Config) quorum.Set {
	claim := r.claim.Load()
	s := r.those(cfg, func(n *node) bool { return n.session.Load() != nil && n.admitted.Load() == claim })
	if !cfg.IsQuorum(s) {
		return s
	}
	if !r.working.Load() {
		r.working.Store(true)
	}
	// Either Renew has replaced the claim already, or it will see working. Renew may
	// also have come first if another lane set working, for this claim or a later one.
	if r.claim.Load() != claim {
		return 0
	}
	return s
}

// Answering returns the connected members that have not fallen silent.
func (r *Router) Answering(cfg *quorum.Config) quorum.Set { return r.those(cfg, (*node).answers) }

// Missing returns the members that are not connected or have not answered for long.
func (r *Router) Missing(cfg *quorum.Config) quorum.Set { return r.those(cfg, (*node).isMissing) }

// those returns the members for which a condition holds.
func (r *Router) those(cfg *quorum.Config, is func(*node) bool) (s quorum.Set) {
	nodes := *r.nodes.Load()
	for i, id := range cfg.Nodes() {
		if is(nodes[id]) {
			s = s.With(i)
		}
	}
	return s
}

// Renew replaces the claim, and calls swap while no round is under way and none can
// begin. If a quorum has already admitted the old claim, ballots may have been made
// with it: then Renew does nothing and returns false.
func (r *Router) Renew(claim identity.Claim, swap func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.claim.Swap(new(identity.Claim)) // which nobody admits
	if r.working.Load() {
		r.claim.Store(old)
		return false
	}
	swap()
	r.claim.Store(&claim)
	for _, n := range *r.nodes.Load() {
		if s := n.session.Load(); s != nil {
			s.Close()
		}
	}
	return true
}

// Ready reports whether a quorum of every group is connected.
func (r *Router) Ready() bool {
	t := r.table.Load()
	for _, g := range t.groups {
		if !g.cfg.IsQuorum(r.Reachable(g.cfg)) {
			return false
		}
	}
	return len(t.groups) > 0
}

// reorder recomputes the order in which reads ask the nodes. r.mu is held.
func (r *Router) reorder(t *table) {
	nodes := *r.nodes.Load()
	for _, g := range t.groups {
		members := g.cfg.Nodes()
		orders := make([][]int, len(members))
		for first := range members {
			var quick, slow, gone []int
			for k := range members {
				i := (first + k) % len(members)
				switch n := nodes[members[i]]; {
				case n.session.Load() == nil:
					gone = append(gone, i)
				case n.silent.Load():
					slow = append(slow, i)
				default:
					quick = append(quick, i)
				}
			}
			orders[first] = append(append(quick, slow...), gone...)
		}
		g.orders.Store(&orders)
	}
}

// Send sends a payload of encoded requests to a node. It does not block. False
// means that nothing was or will be sent. A payload of the bulk class is not
// copied and must not be modified any more.
func (r *Router) Send(to quorum.NodeID, class rpc.Class, payload []byte) bool {
	n := r.node(to)
	s := n.session.Load()
	if s == nil {
		return false
	}
	send := s.Send
	if class == rpc.Bulk {
		send = s.SendShared
	}
	if send(class, payload) != nil {
		return false
	}
	n.asked(r.now())
	return true
}

func (r *Router) now() int64 { return int64(time.Since(r.start)) }
