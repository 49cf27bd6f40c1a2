package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"synod/meta/placement"
	"synod/meta/site"
	"synod/meta/store"
	"synod/meta/store/storetest"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds every wait of these tests.
const limit = 30 * time.Second

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, e *storetest.Etcd, cluster string) *store.Store {
	t.Helper()
	return openLog(t, e.Endpoint, cluster, zap.NewNop())
}

func openLog(t *testing.T, endpoint, cluster string, log *zap.Logger) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{Endpoints: []string{endpoint}, Cluster: cluster, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func node(id string) store.NodeInfo {
	return store.NodeInfo{ID: id, Addr: id + ":7101", Admin: id + ":8101", StoreID: "disk-of-" + id, Version: "test",
		Past: identity.Past{Lives: []identity.Life{{Number: 1, ID: 11}}}, Site: home, Synced: func() uint64 { return 0 }}
}

// home is where the nodes of these tests are.
var home = site.Site{Boot: "first", Device: 1, Inode: 2, Made: 3}

func register(t *testing.T, s *store.Store, info store.NodeInfo) *store.Registration {
	t.Helper()
	r, err := s.RegisterNode(testContext(t), info)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// initialise makes a cluster of nodes n1 to n3 and returns their registrations.
func initialise(t *testing.T, s *store.Store) []*store.Registration {
	t.Helper()
	var regs []*store.Registration
	for i := range 3 {
		regs = append(regs, register(t, s, node(fmt.Sprintf("n%d", i+1))))
	}
	if err := s.Init(testContext(t), plan(t)); err != nil {
		t.Fatal(err)
	}
	return regs
}

func plan(t *testing.T) *placement.Table {
	t.Helper()
	table, err := placement.Plan([]string{"n1", "n2", "n3"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// until receives snapshots until one is good.
func until(t *testing.T, snaps <-chan *store.Snapshot, what string, good func(*store.Snapshot) bool) *store.Snapshot {
	t.Helper()
	deadline := time.After(limit)
	var last *store.Snapshot
	for {
		select {
		case snap, ok := <-snaps:
			if !ok {
				t.Fatalf("watch ended before %s", what)
			}
			if good(snap) {
				return snap
			}
			last = snap
		case <-deadline:
			t.Fatalf("no snapshot with %s; the last was %+v", what, last)
		}
	}
}

func up(id string) func(*store.Snapshot) bool {
	return func(s *store.Snapshot) bool { n := s.Node(id); return n != nil && n.Up }
}

func down(id string) func(*store.Snapshot) bool {
	return func(s *store.Snapshot) bool { n := s.Node(id); return n != nil && !n.Up && !n.Since.IsZero() }
}

func lost(t *testing.T, r *store.Registration, want error) {
	t.Helper()
	select {
	case err := <-r.Lost():
		if !errors.Is(err, want) {
			t.Errorf("lost with %v, want %v", err, want)
		}
	case <-time.After(limit):
		t.Errorf("the registration was not lost")
	}
}

func TestInitNeedsItsNodesAndIsDoneOnce(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	s := open(t, e, "one")
	ctx := testContext(t)
	register(t, s, node("n1"))
	err := s.Init(ctx, plan(t))
	if !errors.Is(err, store.ErrNotRegistered) || !strings.Contains(err.Error(), "n2, n3") {
		t.Fatalf("init without two nodes: %v", err)
	}
	register(t, s, node("n2"))
	register(t, s, node("n3"))

	// Of several that try at the same time, one succeeds.
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = open(t, e, "one").Init(ctx, plan(t)) })
	}
	wg.Wait()
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else if !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d of %d succeeded", succeeded, len(errs))
	}
	snap, err := s.Get(ctx)
	if err != nil || snap.ClusterID == "" || !slices.Equal(snap.Table.Nodes(), []string{"n1", "n2", "n3"}) {
		t.Errorf("%+v, %v", snap, err)
	}
}

func TestSeveralClustersInOneEtcd(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	a, b := open(t, e, "a"), open(t, e, "a-b")
	initialise(t, a)
	other := node("n1")
	other.StoreID = "another disk"
	register(t, b, other)
	ctx := testContext(t)
	snap, err := b.Get(ctx)
	if err != nil || snap.Table != nil || snap.ClusterID != "" || len(snap.Nodes) != 1 {
		t.Errorf("cluster a-b shows %+v, %v", snap, err)
	}
	for range 2 {
		for _, s := range []*store.Store{a, b} {
			if _, err := s.NextProposerID(ctx, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if id, err := b.NextProposerID(ctx, 0); err != nil || id != 3 {
		t.Errorf("proposer id %d, %v", id, err)
	}
}

func TestProposerIDsAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	var mu sync.Mutex
	var ids []ballot.ProposerID
	var wg sync.WaitGroup
	for range 4 {
		s := open(t, e, "c")
		wg.Go(func() {
			for range 10 {
				id, err := s.NextProposerID(ctx, 0)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != 40 || ids[0] != 1 {
		t.Errorf("%d different ids: %v", n, ids)
	}
}

func TestNameBelongsToOneDirectory(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	s := open(t, e, "c")
	first := register(t, s, node("n1"))

	thief := node("n1")
	thief.StoreID = "empty disk"
	if _, err := open(t, e, "c").RegisterNode(ctx, thief); !errors.Is(err, store.ErrNodeTaken) {
		t.Errorf("second data directory under the same id: %v", err)
	}
	// The same data directory started again: the later start holds the record.
	second := register(t, open(t, e, "c"), node("n1"))
	lost(t, first, store.ErrSuperseded)
	if err := second.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, err := open(t, e, "c").RegisterNode(ctx, thief); !errors.Is(err, store.ErrNodeTaken) {
		t.Errorf("second data directory while the first is down: %v", err)
	}
}

func TestNodeOfAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	s := open(t, e, "c")
	initialise(t, s)
	foreign := node("n4")
	foreign.ClusterID = store.NewID()
	if _, err := open(t, e, "c").RegisterNode(ctx, foreign); !errors.Is(err, store.ErrOtherCluster) {
		t.Errorf("data directory of another cluster: %v", err)
	}
	if _, err := open(t, e, "new").RegisterNode(ctx, foreign); !errors.Is(err, store.ErrOtherCluster) {
		t.Errorf("data directory of a cluster that etcd does not know: %v", err)
	}
	snap, err := s.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mine := node("n4")
	mine.ClusterID = snap.ClusterID
	register(t, open(t, e, "c"), mine)
}

func TestRegistrationsComeAndGo(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	s := open(t, e, "c")
	snaps := open(t, e, "c").Watch(ctx)
	before := time.Now()
	reg := register(t, s, node("n1"))
	snap := until(t, snaps, "n1 up", up("n1"))
	if n := snap.Node("n1"); n.Addr != "n1:7101" || n.Admin != "n1:8101" || n.Version != "test" || n.Since.Before(before.Add(-time.Second)) {
		t.Errorf("%+v", n)
	}
	if err := reg.Close(ctx); err != nil {
		t.Error(err)
	}
	until(t, snaps, "n1 down", down("n1"))
	register(t, s, node("n1"))
	until(t, snaps, "n1 up again", up("n1"))

	id, err := s.NextProposerID(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := s.RegisterProxy(ctx, store.ProxyInfo{ProposerID: id, Name: "p1", Addr: "p1:6379", Admin: "p1:8201"})
	if err != nil {
		t.Fatal(err)
	}
	snap = until(t, snaps, "a proxy", func(s *store.Snapshot) bool { return len(s.Proxies) == 1 })
	if p := snap.Proxies[0]; p.ProposerID != id || p.Name != "p1" || p.Addr != "p1:6379" || p.Since.IsZero() {
		t.Errorf("%+v", p)
	}
	if err := proxy.Close(ctx); err != nil {
		t.Error(err)
	}
	until(t, snaps, "no proxy", func(s *store.Snapshot) bool { return len(s.Proxies) == 0 })
}

func TestDeadNodeIsSeenDown(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	dead, err := store.Open(store.Config{Endpoints: []string{e.Endpoint}, Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	register(t, dead, node("n1"))
	snaps := open(t, e, "c").Watch(ctx)
	until(t, snaps, "n1 up", up("n1"))
	died := time.Now()
	if err := dead.Close(); err != nil { // nobody signs off
		t.Fatal(err)
	}
	snap := until(t, snaps, "n1 down", down("n1"))
	if since := snap.Node("n1").Since; since.Before(died) || since.After(time.Now()) {
		t.Errorf("down since %v, died %v", since, died)
	}
}

func TestRegistrationsOutliveARestartOfEtcd(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	core, logs := observer.New(zapcore.InfoLevel)
	s := openLog(t, e.Endpoint, "c", zap.New(core))
	snaps := open(t, e, "c").Watch(ctx)
	regs := initialise(t, s)
	until(t, snaps, "the table", func(s *store.Snapshot) bool { return s.Table != nil })
	if logs.Len() != 0 {
		t.Errorf("not quiet: %v", logs.All())
	}

	e.Kill()
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	if _, err := s.Get(short); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("get without etcd: %v", err)
	}
	cancel()
	got := make(chan ballot.ProposerID, 1)
	go func() {
		id, err := s.NextProposerID(ctx, 0)
		if err != nil {
			t.Error(err)
		}
		got <- id
	}()
	waitForLog(t, logs, "waiting for etcd")
	e.Start()
	if id := <-got; id != 1 {
		t.Errorf("proposer id %d", id)
	}
	waitForLog(t, logs, "etcd answers again")

	// What happens afterwards is seen by a watch that was open before.
	register(t, s, node("n4"))
	until(t, snaps, "n4 up, and the others", func(s *store.Snapshot) bool {
		return up("n1")(s) && up("n2")(s) && up("n3")(s) && up("n4")(s) && s.Table != nil
	})
	for _, r := range regs {
		select {
		case err := <-r.Lost():
			t.Error(err)
		default:
		}
	}
}

// The lease is taken away, as after an outage longer than its time.
func TestLostLeaseIsTakenAnew(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	register(t, open(t, e, "c"), node("n1"))
	snaps := open(t, e, "c").Watch(ctx)
	first := until(t, snaps, "n1 up", up("n1"))
	c := e.Client()
	got, err := c.Get(ctx, "/synod/c/alive/nodes/n1")
	if err != nil || len(got.Kvs) != 1 || got.Kvs[0].Lease == 0 {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := c.Revoke(ctx, clientv3.LeaseID(got.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	until(t, snaps, "n1 up again", func(s *store.Snapshot) bool {
		return up("n1")(s) && s.Node("n1").Since.After(first.Node("n1").Since)
	})
}

func TestWatchResumesAfterCompaction(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	wire := storetest.NewForwarder(t, e.Endpoint)
	core, logs := observer.New(zapcore.DebugLevel)
	snaps := openLog(t, wire.Endpoint, "c", zap.New(core)).Watch(ctx)
	s := open(t, e, "c")
	register(t, s, node("n1"))
	until(t, snaps, "n1", up("n1"))

	// While the watch is cut off, what it misses is compacted away.
	wire.Cut()
	register(t, s, node("n2"))
	c := e.Client()
	resp, err := c.Put(ctx, "/other", "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compact(ctx, resp.Header.Revision); err != nil {
		t.Fatal(err)
	}
	wire.Mend()
	until(t, snaps, "n1 and n2", func(s *store.Snapshot) bool { return up("n1")(s) && up("n2")(s) })
	waitForLog(t, logs, "watch of etcd broke")
	register(t, s, node("n3"))
	until(t, snaps, "n3", up("n3"))
}

func TestWaitsForEtcdAndTable(t *testing.T) {
	t.Parallel()
	e := storetest.Prepare(t)
	ctx := testContext(t)
	core, logs := observer.New(zapcore.InfoLevel)
	s := openLog(t, e.Endpoint, "c", zap.New(core))
	got := make(chan *store.Snapshot, 1)
	go func() {
		snap, err := s.WaitTable(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- snap
	}()
	waitForLog(t, logs, "waiting for etcd")
	e.Start()
	waitForLog(t, logs, "waiting for the cluster to be initialised")
	initialise(t, open(t, e, "c"))
	if snap := <-got; snap == nil || snap.Table == nil {
		t.Errorf("%+v", snap)
	}
	// The table is there: nobody is told that it is waited for.
	core, logs = observer.New(zapcore.InfoLevel)
	if _, err := openLog(t, e.Endpoint, "c", zap.New(core)).WaitTable(ctx); err != nil || logs.Len() != 0 {
		t.Errorf("%v, %v", err, logs.All())
	}
}

// Another cluster, or none, under the same name does not replace what is known.
func TestWatchKeepsItsCluster(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	core, logs := observer.New(zapcore.ErrorLevel)
	s := openLog(t, e.Endpoint, "c", zap.New(core))
	regs := initialise(t, s)
	snaps := s.Watch(ctx)
	until(t, snaps, "the table", func(s *store.Snapshot) bool { return s.Table != nil })
	if _, err := e.Client().Delete(ctx, "/synod/c/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	for _, r := range regs {
		lost(t, r, store.ErrOtherCluster)
	}
	waitForLog(t, logs, "going on with what was known")
	select {
	case snap := <-snaps:
		if snap.Table == nil {
			t.Errorf("the table was taken away: %+v", snap)
		}
	default:
	}
}

func TestOpenRefusesBadEndpointsAndNames(t *testing.T) {
	for _, cfg := range []store.Config{
		{Cluster: "c"},
		{Cluster: "a/b", Endpoints: []string{"http://127.0.0.1:2379"}},
		{Cluster: "c", Endpoints: []string{"127.0.0.1:2379"}},
		{Cluster: "c", Endpoints: []string{"ftp://127.0.0.1:2379"}},
	} {
		if s, err := store.Open(cfg); err == nil {
			t.Errorf("%+v: %v", cfg, s.Close())
		}
	}
}

func TestCloseEndsWaits(t *testing.T) {
	s, err := store.Open(store.Config{Endpoints: []string{"http://127.0.0.1:1"}, Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	snaps := s.Watch(context.Background())
	go func() { _, err := s.Get(context.Background()); waiting <- err }()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, store.ErrClosed) {
		t.Errorf("get of a closed store: %v", err)
	}
	if snap, ok := <-snaps; ok {
		t.Errorf("%+v", snap)
	}
	if _, ok := <-s.Watch(context.Background()); ok {
		t.Error("watch of a closed store")
	}
}

func waitForLog(t *testing.T, logs *observer.ObservedLogs, text string) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		for _, l := range logs.All() {
			if strings.Contains(l.Message, text) {
				return
			}
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("no log line %q in %v", text, logs.All())
		}
	}
}
