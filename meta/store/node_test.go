package store_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"synod/meta/site"
	"synod/meta/store"
	"synod/meta/store/storetest"
	"synod/protocol/caspaxos/identity"
)

// starts returns n1 as its directory has been started by these ids, and holds
// entries up to a position.
func starts(position uint64, ids ...uint64) store.NodeInfo {
	n := node("n1")
	n.Past = identity.Past{Recovered: position}
	for i, id := range ids {
		n.Past.Lives = append(n.Past.Lives, identity.Life{Number: uint64(i + 1), ID: id})
	}
	n.Synced = func() uint64 { return position }
	return n
}

// away is another place for the directory.
var away = site.Site{Boot: "second", Device: 1, Inode: 2000, Made: 3000}

// leave ends a registration as a node does that ends in order.
func leave(t *testing.T, r *store.Registration, position uint64) {
	t.Helper()
	if err := errors.Join(r.Close(testContext(t)), r.Left(testContext(t), position)); err != nil {
		t.Fatal(err)
	}
}

// TestOlderDirectoryIsRefused: etcd knows the last start and how far it had come.
func TestOlderDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	s := open(t, e, "c")
	leave(t, register(t, s, starts(70, 11, 12, 13)), 100)
	for name, test := range map[string]struct {
		info store.NodeInfo
		want error
	}{
		"a copy from before the last start":          {starts(100, 11, 12), identity.ErrRolledBack},
		"one that has been started again since":      {starts(100, 11, 12, 99), identity.ErrForked},
		"again and again":                            {starts(200, 11, 12, 99, 100, 101), identity.ErrForked},
		"a copy from the last start":                 {starts(99, 11, 12, 13, 14), identity.ErrRolledBack},
		"data without lives":                         {starts(100, 1), identity.ErrRolledBack},
		"an empty directory under the same identity": {starts(0, 1), identity.ErrRolledBack},
	} {
		if _, err := s.RegisterNode(testContext(t), test.info); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	leave(t, register(t, s, starts(100, 11, 12, 13, 14)), 100)
	leave(t, register(t, s, starts(100, 11, 12, 13, 14, 15, 16)), 100)
}

// TestCopyOfARunningNodeIsRefused: a copy elsewhere waits to see whether the node
// runs, and is refused then. The one that runs does not notice.
func TestCopyOfARunningNodeIsRefused(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	real := register(t, open(t, e, "c"), starts(100, 11))
	copied := starts(100, 11, 12)
	copied.Site = away
	if _, err := open(t, e, "c").RegisterNode(testContext(t), copied); !errors.Is(err, store.ErrRunning) {
		t.Errorf("a copy beside the running one: %v", err)
	}
	select {
	case err := <-real.Lost():
		t.Error(err)
	default:
	}
	// Where the node is, its next start takes over at once: the last one has died.
	next := register(t, open(t, e, "c"), starts(100, 11, 13))
	lost(t, real, store.ErrSuperseded)
	leave(t, next, 120)
	if _, err := open(t, e, "c").RegisterNode(testContext(t), copied); !errors.Is(err, identity.ErrForked) {
		t.Errorf("a copy of the directory's last but one start: %v", err)
	}
}

// TestMovedDirectoryIsAcceptedWhenLeftInOrder: a copy is accepted where the node has left in order what it
// holds, or on the operator's word.
func TestMovedDirectoryIsAcceptedWhenLeftInOrder(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	s := open(t, e, "c")
	dead, err := store.Open(store.Config{Endpoints: []string{e.Endpoint}, Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	register(t, dead, starts(100, 11))
	if err := dead.Close(); err != nil { // nobody signs off
		t.Fatal(err)
	}
	moved := starts(100, 11, 12)
	moved.Site = away
	_, err = s.RegisterNode(testContext(t), moved) // when the lease has run out
	if !errors.Is(err, store.ErrMoved) || !strings.Contains(err.Error(), "--moved") {
		t.Errorf("a copy of a directory that was not left: %v", err)
	}
	rebooted := starts(100, 11, 12)
	rebooted.Site.Boot, rebooted.Site.Device = "second", 7
	r := register(t, s, rebooted) // the same files
	if err := r.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
	moved = starts(100, 11, 12, 13)
	moved.Site, moved.Moved = away, true
	leave(t, register(t, s, moved), 150)
	back := starts(150, 11, 12, 13, 14)
	leave(t, register(t, s, back), 150)
}

// TestMarkIsReportedWhileTheNodeRuns: how far the node has come is reported while it runs.
func TestMarkIsReportedWhileTheNodeRuns(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	s := open(t, e, "c")
	n, positions := starts(5, 11), make(chan uint64, 100)
	last := uint64(5)
	n.Synced = func() uint64 {
		select {
		case last = <-positions:
		default:
		}
		return last
	}
	r := register(t, s, n)
	positions <- 50
	waitForKey(t, e, "/synod/c/marks/n1", `"position":50`)
	r.Close(testContext(t))
	if _, err := s.RegisterNode(testContext(t), starts(49, 11, 12)); !errors.Is(err, identity.ErrRolledBack) {
		t.Errorf("a directory that lacks what was reported: %v", err)
	}
}

// waitForKey waits until a key's value contains a text.
func waitForKey(t *testing.T, e *storetest.Etcd, key, text string) {
	t.Helper()
	ctx, c := testContext(t), e.Client()
	for watch := c.Watch(ctx, key); ; {
		got, err := c.Get(ctx, key)
		if err != nil {
			t.Fatalf("%s does not come to contain %q: %v", key, text, err)
		}
		if len(got.Kvs) > 0 && strings.Contains(string(got.Kvs[0].Value), text) {
			return
		}
		<-watch
	}
}

// TestNodesComeBackToARestoredEtcd: nodes and watches that were there before an etcd was restored
// from an older backup come back by themselves, although it knows an earlier start
// of the node, and has to come a long way to the revision that it had.
func TestNodesComeBackToARestoredEtcd(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	s := open(t, e, "c")
	regs := initialise(t, s)
	if err := regs[0].Close(ctx); err != nil {
		t.Fatal(err)
	}
	n1 := register(t, s, starts(0, 11, 12))
	e.Backup()
	second := register(t, open(t, e, "c"), starts(0, 11, 12, 13))
	lost(t, n1, store.ErrSuperseded)
	snaps := open(t, e, "c").Watch(ctx)
	until(t, snaps, "n1 up", up("n1"))
	for range 20 {
		if _, err := s.NextProposerID(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	core, logs := observer.New(zapcore.WarnLevel)
	watched := openLog(t, e.Endpoint, "c", zap.New(core)).Watch(ctx)
	until(t, watched, "n1 up", up("n1"))
	e.Restore()
	waitForLog(t, logs, "restored from a backup")
	if id, err := s.NextProposerID(ctx, 20); err != nil || id != 21 {
		t.Errorf("proposer id %d, %v", id, err)
	}
	waitForKey(t, e, "/synod/c/marks/n1", `"start":3`)
	register(t, open(t, e, "c"), node("n4"))
	until(t, watched, "n1 and n4 up", func(s *store.Snapshot) bool { return up("n1")(s) && up("n4")(s) })
	until(t, snaps, "n1 and n4 up", func(s *store.Snapshot) bool { return up("n1")(s) && up("n4")(s) })
	select {
	case err := <-second.Lost():
		t.Error(err)
	default:
	}
}

// TestSecondProxyOfAnIDIsRefused: an id that etcd gives out again is noticed by the
// proxy that comes second.
func TestSecondProxyOfAnIDIsRefused(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	s := open(t, e, "c")
	info := store.ProxyInfo{ProposerID: 5, Name: "p1"}
	first, err := s.RegisterProxy(testContext(t), info)
	if err != nil {
		t.Fatal(err)
	}
	info.Name = "p2"
	if _, err := open(t, e, "c").RegisterProxy(testContext(t), info); !errors.Is(err, store.ErrProposerListed) {
		t.Errorf("a second proxy under the id: %v", err)
	}
	if err := first.Close(testContext(t)); err != nil {
		t.Error(err)
	}
}

// TestSavedPlacementIsNotReplacedByAnOlderOne: what was saved is what is restored, and a store that trusts
// it follows neither another cluster nor an older placement.
func TestSavedPlacementIsNotReplacedByAnOlderOne(t *testing.T) {
	t.Parallel()
	e := storetest.Start(t)
	ctx := testContext(t)
	s := open(t, e, "c")
	initialise(t, s)
	snap, err := s.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	newer := *snap
	newer.Table = plan(t)
	newer.Table.Ranges[0].Epoch = 9
	b, err := s.Save(&newer)
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, e, "c")
	restored, err := other.Restore(b)
	if err != nil || restored.ClusterID != snap.ClusterID || len(restored.Nodes) != 3 || restored.Nodes[0].Addr != "n1:7101" ||
		restored.Table.Ranges[0].Epoch != 9 || !reflect.DeepEqual(restored.Secrets, snap.Secrets) {
		t.Fatalf("%+v, %v", restored, err)
	}
	if got, err := other.Get(ctx); err != nil || got.Table.Ranges[0].Epoch != 9 {
		t.Errorf("%+v, %v", got, err)
	}
	foreign := newer
	foreign.ClusterID = store.NewID()
	if b, err = s.Save(&foreign); err != nil {
		t.Fatal(err)
	}
	third := open(t, e, "c")
	if _, err := third.Restore(b); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Get(ctx); !errors.Is(err, store.ErrOtherCluster) {
		t.Errorf("another cluster than the one trusted: %v", err)
	}
	for _, bad := range []string{"", "{}", string(b[:len(b)/2])} {
		if _, err := s.Restore([]byte(bad)); err == nil {
			t.Errorf("restored from %q", bad)
		}
	}
	if same := plan(t); same.Older(snap.Table) || !snap.Table.Older(newer.Table) || newer.Table.Older(snap.Table) {
		t.Error("which table is older")
	}
}
