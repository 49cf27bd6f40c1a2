package storaged

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/meta/store/storetest"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/storaged/disk"
	"synod/storaged/engine"
)

const cluster = "test"

// testNode is a node of a cluster of its own, which it alone holds.
type testNode struct {
	t     testing.TB
	etcd  *storetest.Etcd
	cfg   Config
	d     *Daemon
	epoch uint64
	clock atomic.Int64
}

// prepareNode returns a node that is not yet started, in a cluster that knows
// nothing yet.
func prepareNode(t testing.TB) *testNode {
	t.Helper()
	if p, ok := t.(interface{ Parallel() }); ok { // most of the time goes by waiting for etcd
		p.Parallel()
	}
	etcd := storetest.Start(t)
	st, err := store.Open(store.Config{Endpoints: []string{etcd.Endpoint}, Cluster: cluster, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &testNode{t: t, etcd: etcd, epoch: 1, cfg: Config{
		ID: "n1", Cluster: cluster, ListenAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", DataDir: t.TempDir(),
		Store: st, Limits: limits.Default(), Log: zap.NewNop(), CacheBytes: 8 << 20, Lanes: 3,
	}}
}

func startNode(t testing.TB) *testNode {
	t.Helper()
	n := prepareNode(t)
	n.start()
	n.create()
	return n
}

func (n *testNode) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	n.t.Cleanup(cancel)
	return ctx
}

func (n *testNode) start() {
	n.t.Helper()
	d, err := Start(n.context(), n.cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	n.d = d
	n.t.Cleanup(func() { n.kill() })
}

func (n *testNode) create() {
	n.t.Helper()
	table, err := placement.Plan([]string{n.cfg.ID}, 1)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.cfg.Store.Init(n.context(), table); err != nil {
		n.t.Fatal(err)
	}
	n.serving()
}

func (n *testNode) serving() {
	n.t.Helper()
	waitFor(n.t, "the placement", func() bool {
		outcome, _ := n.d.node.Serves(0, partition.Slots-1, n.epoch)
		return outcome == message.ReadOK
	})
}

// kill ends the node as a crash would.
func (n *testNode) kill() {
	n.d.once.Do(func() {
		n.d.registrationKill()
		n.d.closeErr = n.d.shut((*engine.Engine).Abort)
	})
}

// registrationKill signs off, lest the next start of the test waits for a lease.
func (d *Daemon) registrationKill() {
	if r := d.registration.Load(); r != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Close(ctx)
	}
}

func (n *testNode) restart(how func()) {
	n.t.Helper()
	how()
	n.start()
	n.serving()
}

// ballot returns a ballot near the present, above those before.
func (n *testNode) ballot() ballot.Ballot {
	for {
		now := int64(ballot.MakeTime(time.Now().UnixMilli(), 0))
		last := n.clock.Load()
		if next := max(now, last+1); n.clock.CompareAndSwap(last, next) {
			return ballot.Ballot{Time: ballot.Time(next), Proposer: 1}
		}
	}
}

// client is a proxy as a node sees it.
type client struct {
	t testing.TB
	s *rpc.Session
	n *testNode

	mu      sync.Mutex
	id      uint64
	pending map[uint64]chan *answer
}

// answer is one of the kinds of replies, and the class that it came in.
type answer struct {
	class rpc.Class
	reply *message.Reply
	flush *message.FlushReply
	list  *listing.Reply
	tally *listing.TallyReply
}

func (n *testNode) dial() *client {
	n.t.Helper()
	c := &client{t: n.t, n: n, pending: make(map[uint64]chan *answer)}
	s, err := rpc.Dial(n.context(), n.d.Addr(), rpc.Options{
		Cluster: cluster, Secrets: n.d.knownSecrets, Kind: rpc.Proxy, Name: "p1", Claim: claimOf(1), Expect: n.cfg.ID, Log: zap.NewNop(), Handle: c.handle,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	c.s = s
	n.t.Cleanup(func() { s.Close(); <-s.Done() })
	return c
}

// claimOf claims a proposer id.
func claimOf(id ballot.ProposerID) func() identity.Claim {
	return func() identity.Claim { return identity.Claim{Proposer: id, Start: 1} }
}

func (c *client) handle(_ *rpc.Session, class rpc.Class, payload []byte) {
	b := wire.NewBatch(payload)
	for b.Next() {
		a := &answer{class: class}
		var id uint64
		var err error
		switch b.Kind() {
		case wire.KindReply:
			if a.reply, err = b.Reply(); err == nil {
				id = a.reply.ID
			}
		case wire.KindFlushReply:
			if a.flush, err = b.FlushReply(); err == nil {
				id = a.flush.ID
			}
		case wire.KindListReply:
			if a.list, err = b.ListReply(); err == nil {
				id = a.list.ID
			}
		case wire.KindTallyReply:
			if a.tally, err = b.TallyReply(); err == nil {
				id = a.tally.ID
			}
		}
		if err != nil {
			c.t.Error(err)
			return
		}
		c.mu.Lock()
		ch := c.pending[id]
		delete(c.pending, id)
		c.mu.Unlock()
		if ch != nil {
			ch <- a
		}
	}
}

func (c *client) next() (uint64, chan *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id++
	ch := make(chan *answer, 1)
	c.pending[c.id] = ch
	return c.id, ch
}

// send sends requests in one frame.
func (c *client) send(qs ...*message.Request) []chan *answer {
	c.t.Helper()
	var b []byte
	var out []chan *answer
	size := 0
	for _, q := range qs {
		var ch chan *answer
		q.ID, ch = c.next()
		if q.Epoch == 0 {
			q.Epoch = c.n.epoch
		}
		out = append(out, ch)
		b = wire.AppendRequest(b, q)
		size += q.Change.Bytes()
	}
	class := rpc.Votes
	if size > 1<<20 {
		class = rpc.Bulk
	}
	if err := c.s.Send(class, b); err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *client) await(ch chan *answer) *answer {
	c.t.Helper()
	select {
	case a := <-ch:
		return a
	case <-time.After(10 * time.Second):
		c.t.Fatal("no answer")
	case <-c.s.Done():
		c.t.Fatalf("session ended: %v", c.s.Err())
	}
	return nil
}

func (c *client) do(q *message.Request) *message.Reply {
	c.t.Helper()
	return c.await(c.send(q)[0]).reply
}

func key(s string) register.ID {
	return register.ID{Slot: placement.Slot([]byte(s)), Key: "\x00" + s}
}

func (c *client) setRequest(k, value string) *message.Request {
	return &message.Request{Kind: message.KindAccept, Register: key(k), Ballot: c.n.ballot(), Change: register.Change{
		Kind: register.Full, Header: register.Header{Type: register.String, Size: uint64(len(value))},
		Ops: []register.Op{{Kind: register.Put, Key: []byte{0}, Value: []byte(value)}},
	}}
}

func (c *client) set(k, value string) {
	c.t.Helper()
	if r := c.do(c.setRequest(k, value)); r.Outcome != message.Acked {
		c.t.Fatalf("set %s: outcome %d", k, r.Outcome)
	}
}

func readRequest(k string) *message.Request {
	return &message.Request{Kind: message.KindRead, Register: key(k), WantState: true, WantHistory: true, Projection: register.Projection{All: true}}
}

func (c *client) get(k string) string {
	c.t.Helper()
	r := c.do(readRequest(k))
	if r.Outcome != message.ReadOK || !r.HasState {
		c.t.Fatalf("get %s: outcome %d", k, r.Outcome)
	}
	v, _ := r.View.Get([]byte{0})
	return string(v)
}

// gatedDisk is a disk whose syncs wait while the gate is shut, and whose other
// functions fail when told to.
type gatedDisk struct {
	gate  sync.RWMutex
	write atomic.Pointer[error]
	sync  atomic.Pointer[error]
	free  atomic.Int64
}

func (g *gatedDisk) disk() *disk.Disk {
	d := disk.Real()
	g.free.Store(1 << 40)
	realSync, realWrite := d.Sync, d.Write
	d.Sync = func(f *os.File) error {
		g.gate.RLock()
		defer g.gate.RUnlock()
		if err := g.sync.Load(); err != nil {
			return *err
		}
		return realSync(f)
	}
	d.Write = func(f *os.File, b []byte, off int64) error {
		if err := g.write.Load(); err != nil {
			return *err
		}
		return realWrite(f, b, off)
	}
	d.Free = func(string) (int64, error) { return g.free.Load(), nil }
	return &d
}

func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

func freePort(t testing.TB) (string, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), l
}
