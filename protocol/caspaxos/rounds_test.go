package caspaxos_test

import (
	"strconv"
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/counters"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
)

var chunk = []byte{0, 0, 0, 0}

// set, get and incr are the operations that these tests run.
type set struct{ value string }

func (set) Needs() register.Projection { return register.Projection{} }
func (set) ReadOnly() bool             { return false }
func (set) Blind() bool                { return true }
func (o set) Execute(register.View, int64) operation.Effect {
	return operation.Effect{Result: "OK", Change: put(register.Full, o.value, 0)}
}

type setEx struct {
	value  string
	expiry int64
}

func (setEx) Needs() register.Projection { return register.Projection{} }
func (setEx) ReadOnly() bool             { return false }
func (setEx) Blind() bool                { return true }
func (o setEx) Execute(register.View, int64) operation.Effect {
	return operation.Effect{Result: "OK", Change: put(register.Full, o.value, o.expiry)}
}

type get struct{}

func (get) Needs() register.Projection { return register.Projection{Keys: [][]byte{chunk}} }
func (get) ReadOnly() bool             { return true }
func (get) Blind() bool                { return false }
func (get) Execute(v register.View, _ int64) operation.Effect {
	b, _ := v.Get(chunk)
	return operation.Effect{Result: string(b)}
}

type incr struct{}

func (incr) Needs() register.Projection { return register.Projection{Keys: [][]byte{chunk}} }
func (incr) ReadOnly() bool             { return false }
func (incr) Blind() bool                { return false }
func (incr) Execute(v register.View, _ int64) operation.Effect {
	b, _ := v.Get(chunk)
	n, _ := strconv.Atoi(string(b))
	s := strconv.Itoa(n + 1)
	return operation.Effect{Result: s, Change: put(register.Delta, s, v.Header.Expiry)}
}

func put(kind register.ChangeKind, value string, expiry int64) register.Change {
	return register.Change{Kind: kind,
		Header: register.Header{Type: register.String, Size: uint64(len(value)), Expiry: expiry},
		Ops:    []register.Op{{Kind: register.Put, Key: chunk, Value: []byte(value)}}}
}

// cluster is three acceptors and one proposer on a network that delivers
// everything at once and syncs at once, unless a test says otherwise.
type cluster struct {
	t      *testing.T
	now    instant.Now
	config *quorum.Config
	nodes  []*node
	p      *proposer.Proposer
	stats  counters.Stats
	down   map[quorum.NodeID]bool
	// unnoticed: the proposer has not noticed yet who is down.
	unnoticed bool
	outage    *operation.Outage
	silent    quorum.Set // members that it has noticed to be silent
}

type node struct {
	node  *acceptor.Node
	acc   *acceptor.Acceptor
	store *memstore.Store
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, down: make(map[quorum.NodeID]bool)}
	c.now = instant.Now{Wall: 1_700_000_000_000, Mono: 1}
	c.config = quorum.NewConfig(1, []quorum.NodeID{0, 1, 2}, nil)
	for range 3 {
		n := &node{store: memstore.New()}
		n.store.Small = 1 << 30 // members that lag are sent states, unless a test is of ways
		n.node = acceptor.NewNode(limits.Default(), partition.Slots, durable.NodeState{}, 0)
		n.node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 1, Member: true}})
		n.acc = acceptor.New(n.node, n.store, 0, 1, c.now)
		c.nodes = append(c.nodes, n)
	}
	clock := ballot.NewClock(7, func() int64 { return c.now.Wall })
	c.p = proposer.New(proposer.Options{Clock: clock, Env: c, Limits: limits.Default(), Due: layout.Due,
		Timing: timing(), Stats: &c.stats, Cached: 100, CachedBytes: 1 << 20})
	return c
}

// timing sends a state to whoever is behind at once, unlike the default.
func timing() limits.Timing {
	t := limits.DefaultTiming()
	t.Lag = 0
	return t
}

func (c *cluster) Config(uint16) *quorum.Config { return c.config }
func (c *cluster) Prefer(cfg *quorum.Config, _ uint16) []int {
	return []int{0, 1, 2, 3, 4}[:len(cfg.Nodes())]
}
func (c *cluster) Reachable(cfg *quorum.Config) quorum.Set {
	if c.unnoticed {
		return cfg.All()
	}
	var s quorum.Set
	for i, id := range cfg.Nodes() {
		if !c.down[id] {
			s = s.With(i)
		}
	}
	return s
}
func (c *cluster) Outage(uint16) *operation.Outage         { return c.outage }
func (c *cluster) Answering(cfg *quorum.Config) quorum.Set { return c.Reachable(cfg) &^ c.silent }
func (c *cluster) Missing(*quorum.Config) quorum.Set       { return c.silent }
func (c *cluster) Random(n int64) int64                    { return n / 2 }
func (c *cluster) advance(d time.Duration) {
	c.now.Wall += d.Milliseconds()
	c.now.Mono += instant.Mono(d)
}

// run delivers until nothing is under way, letting time pass when needed.
func (c *cluster) run(done *bool) {
	for range 10000 {
		sent := c.p.Take()
		if len(sent) == 0 {
			if *done {
				return
			}
			c.tickNodes()
			c.advance(time.Millisecond)
			c.p.Tick(c.now)
			continue
		}
		for _, s := range sent {
			if c.down[s.To] {
				c.p.Deliver(c.now, s.To, &message.Reply{ID: s.Request.ID, Outcome: message.Unreachable})
				continue
			}
			c.step(s)
		}
	}
	c.t.Fatal("no end")
}

// step has a node answer a request, and reports whether it did at once.
func (c *cluster) step(s message.Sent) bool {
	c.t.Helper()
	var reply message.Reply
	answered, err := c.nodes[s.To].acc.Step(c.now, s.Request, &reply)
	switch {
	case err != nil:
		c.t.Fatal(err)
	case answered && reply.Transfer == nil:
		c.p.Deliver(c.now, s.To, &reply)
	case answered:
		_ = reply.Chunks(message.ChunkBytes, func(part *message.Reply) error { // memory does not fail
			one := *part
			c.p.Deliver(c.now, s.To, &one)
			return nil
		})
	}
	return answered
}

func (c *cluster) tickNodes() {
	for i, n := range c.nodes {
		if s, due := n.node.Due(c.now, n.acc.Rotate(c.now)); due {
			n.node.Publish(s)
			n.acc.Forget()
		}
		n.acc.Resume(c.now, func(_ *message.Request, r *message.Reply, _ error) {
			c.p.Deliver(c.now, quorum.NodeID(i), r)
		})
	}
}

func (c *cluster) do(key string, op operation.Operation) string {
	c.t.Helper()
	var done bool
	cmd := &proposer.Command{Register: register.ID{Slot: 1, Key: key}, Op: op, Started: c.now.Mono,
		Done: func(*proposer.Command) { done = true }}
	c.p.Submit(c.now, cmd)
	c.run(&done)
	if cmd.Err != nil {
		return cmd.Err.Error()
	}
	return cmd.Result.(string)
}

func (c *cluster) want(key string, op operation.Operation, want string) {
	c.t.Helper()
	if got := c.do(key, op); got != want {
		c.t.Fatalf("%T%v on %q: got %q, want %q", op, op, key, got, want)
	}
}

func TestRoundsByKind(t *testing.T) {
	c := newCluster(t)
	c.want("a", get{}, "")
	c.want("a", set{"x"}, "OK")
	c.want("a", get{}, "x")
	if r, b := c.stats.Reads.Load(), c.stats.Blind.Load(); r != 2 || b != 1 {
		t.Fatalf("%d one-trip reads and %d blind writes, want 2 and 1", r, b)
	}
	for i := range 5 {
		c.want("n", incr{}, strconv.Itoa(i+1))
	}
	if two, one := c.stats.TwoTrip.Load(), c.stats.Piggybacked.Load(); two != 1 || one != 4 {
		t.Fatalf("%d rounds of two trips and %d carried, want 1 and 4", two, one)
	}
}

func TestOneNodeDown(t *testing.T) {
	for down := range quorum.NodeID(3) {
		c := newCluster(t)
		c.down[down] = true
		c.want("n", incr{}, "1")
		c.want("n", set{"7"}, "OK")
		c.want("n", incr{}, "8")
		c.want("n", get{}, "8")
		c.down[down] = false
		c.down[(down+1)%3] = true
		c.want("n", incr{}, "9")
		c.want("n", get{}, "9")
	}
}

func TestNoQuorum(t *testing.T) {
	c := newCluster(t)
	c.down[0], c.down[1] = true, true
	c.want("n", get{}, operation.ErrNoQuorum.Error())
	c.want("n", incr{}, operation.ErrNoQuorum.Error())
	c.want("n", set{"1"}, operation.ErrNoQuorum.Error())
	c.unnoticed = true
	c.want("n", set{"1"}, operation.ErrUncertain.Error())
}

func TestOutage(t *testing.T) {
	c := newCluster(t)
	c.want("n", set{"1"}, "OK")
	c.outage = &operation.Outage{Reason: "n0 and n1 are gone"}
	before := c.now
	c.want("n", get{}, "n0 and n1 are gone")
	c.want("n", incr{}, "n0 and n1 are gone")
	c.want("n", set{"2"}, "n0 and n1 are gone")
	if c.now != before || len(c.p.Take()) != 0 || c.p.Pending() != 0 {
		t.Error("waited for nodes that are gone, or asked them")
	}
	c.outage = nil
	c.want("n", get{}, "1")
}

// TestOutageInDoubt has the nodes go while an Accept is under way: its command is
// in doubt for as long as it may take, what waits behind it is not.
func TestOutageInDoubt(t *testing.T) {
	c := newCluster(t)
	var doubtful, behind *proposer.Command
	submit := func(op operation.Operation) *proposer.Command {
		cmd := &proposer.Command{Register: register.ID{Key: "n"}, Op: op, Started: c.now.Mono, Done: func(*proposer.Command) {}}
		c.p.Submit(c.now, cmd)
		return cmd
	}
	doubtful = submit(set{"1"})
	c.p.Take() // sent, and never to be answered
	behind = submit(incr{})
	c.outage = &operation.Outage{Reason: "gone"}
	late := submit(get{})
	if late.Err != c.outage {
		t.Errorf("a command that came during the outage: %v", late.Err)
	}
	for doubtful.Err == nil && c.now.Mono < doubtful.Started+instant.Mono(10*time.Second) {
		if c.now.Mono > doubtful.Started+instant.Mono(2*time.Second) && behind.Err != c.outage {
			t.Fatalf("what waits behind a command in doubt still waits, or ended with %v", behind.Err)
		}
		c.advance(10 * time.Millisecond)
		c.p.Tick(c.now)
		c.p.Take()
	}
	if doubtful.Err != operation.ErrUncertain || c.now.Mono < doubtful.Started+instant.Mono(5*time.Second) {
		t.Errorf("the command in doubt ended with %v after %v", doubtful.Err, time.Duration(c.now.Mono-doubtful.Started))
	}
}

func TestExpiry(t *testing.T) {
	c := newCluster(t)
	c.want("k", setEx{"v", c.now.Wall + 1000}, "OK")
	c.want("k", get{}, "v")
	c.advance(time.Second)
	c.want("k", get{}, "")
	for i, n := range c.nodes {
		if n.store.View("k").Header.Exists() {
			t.Errorf("node %d still holds the expired value", i)
		}
	}
	c.want("k", incr{}, "1")
}
