package storaged

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/storaged/datadir"
)

func TestRounds(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	r := c.do(readRequest("k"))
	if r.Outcome != message.ReadOK || !r.Accepted.IsZero() || r.View.Header.Exists() || r.History == nil {
		t.Errorf("read of nothing: %+v", r)
	}
	b := n.ballot()
	r = c.do(&message.Request{Kind: message.KindPrepare, Register: key("k"), Ballot: b, WantState: true})
	if r.Outcome != message.Promised {
		t.Fatalf("prepare: %+v", r)
	}
	low := b
	low.Time -= 10
	if r = c.do(&message.Request{Kind: message.KindPrepare, Register: key("k"), Ballot: low}); r.Outcome != message.Nacked || r.Promise != b {
		t.Errorf("lower prepare: %+v", r)
	}
	q := c.setRequest("k", "v")
	q.Ballot, q.Prepared, q.Piggyback = b, true, n.ballot()
	if r = c.do(q); r.Outcome != message.Acked || !r.Granted {
		t.Errorf("accept: %+v", r)
	}
	if got := c.get("k"); got != "v" {
		t.Errorf("read %q", got)
	}
	delta := &message.Request{Kind: message.KindAccept, Register: key("k"), Ballot: n.ballot(), Prepared: true, Base: low, Change: register.Change{Kind: register.Delta}}
	if r = c.do(delta); r.Outcome != message.StaleBase || r.Accepted != b {
		t.Errorf("delta on another base: %+v", r)
	}
	far := &message.Request{Kind: message.KindPrepare, Register: key("k"), Ballot: ballot.Ballot{Time: ballot.MakeTime(time.Now().Add(time.Hour).UnixMilli(), 0), Proposer: 9}}
	if r = c.do(far); r.Outcome != message.ClockAhead || r.Promise.IsZero() {
		t.Errorf("a clock hours ahead: %+v", r)
	}
	if r = c.do(&message.Request{Kind: message.KindRead, Register: key("k"), Epoch: 7}); r.Outcome != message.Busy {
		t.Errorf("newer epoch: %+v", r)
	}
	// An epoch that a message names and no placement shows changes nothing.
	if r = c.do(readRequest("k")); r.Outcome != message.ReadOK || r.Accepted != b {
		t.Errorf("the present epoch, after one that was made up: %+v", r)
	}
}

func TestManyInOneFrame(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	for round := range 3 {
		var qs []*message.Request
		for i := range 3000 {
			qs = append(qs, c.setRequest(fmt.Sprint("k", i), fmt.Sprint(round, i)))
		}
		for _, ch := range c.send(qs...) {
			if r := c.await(ch).reply; r.Outcome != message.Acked {
				t.Fatalf("outcome %d", r.Outcome)
			}
		}
	}
	var qs []*message.Request
	for i := range 3000 {
		qs = append(qs, readRequest(fmt.Sprint("k", i)))
	}
	for i, ch := range c.send(qs...) {
		if v, _ := c.await(ch).reply.View.Get([]byte{0}); string(v) != fmt.Sprint(2, i) {
			t.Fatalf("k%d holds %q", i, v)
		}
	}
}

func TestLargeStatesGoAsBulk(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	big := strings.Repeat("x", 5<<20)
	c.set("big", big)
	if r := c.do(readRequest("big")); r.HasState || r.Accepted.IsZero() {
		t.Errorf("a large state came along with the ballots: %+v", r.Outcome)
	}
	ask := readRequest("big")
	ask.WantLarge = true
	a := c.await(c.send(ask)[0])
	if v, _ := a.reply.View.Get([]byte{0}); string(v) != big || a.class != rpc.Bulk {
		t.Errorf("%d bytes in class %v", len(v), a.class)
	}
}

func TestAckedSurvivesKill(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	for round := range 3 {
		var qs []*message.Request
		for i := range 500 {
			qs = append(qs, c.setRequest(fmt.Sprint("k", i), fmt.Sprint(round, i)))
		}
		for _, ch := range c.send(qs...) {
			c.await(ch)
		}
		promised := n.ballot()
		c.do(&message.Request{Kind: message.KindPrepare, Register: key("promised"), Ballot: promised})
		n.restart(n.kill)
		c = n.dial()
		for i := range 500 {
			if got := c.get(fmt.Sprint("k", i)); got != fmt.Sprint(round, i) {
				t.Fatalf("k%d holds %q", i, got)
			}
		}
		q := c.setRequest("promised", "x") // below the promise of the last life
		q.Ballot = promised
		q.Ballot.Time--
		if r := c.do(q); r.Outcome != message.Nacked {
			t.Fatalf("a promise of the last life is broken: %+v", r)
		}
		// The floor is the ceiling now, up to a second ahead.
		waitFor(t, "the floor to pass", func() bool { return c.do(c.setRequest("later", "x")).Outcome == message.Acked })
	}
}

func TestCloseAnswersWhatArrived(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	var qs []*message.Request
	for i := range 1000 {
		qs = append(qs, c.setRequest(fmt.Sprint("k", i), "v"))
	}
	chans := c.send(qs...)
	c.await(chans[0]) // it has arrived, as a whole
	if err := n.d.Close(n.context()); err != nil {
		t.Fatal(err)
	}
	<-c.s.Done()
	for i, ch := range chans[1:] {
		select {
		case <-ch:
		default:
			t.Fatalf("request %d was not answered", i)
		}
	}
	n.restart(func() {})
	c = n.dial()
	if got := c.get("k999"); got != "v" {
		t.Errorf("holds %q", got)
	}
}

// No reply leaves before the changelog is synced past what it shows (§2).
func TestDurabilityRule(t *testing.T) {
	n := prepareNode(t)
	var g gatedDisk
	n.cfg.disk = g.disk()
	n.start()
	n.create()
	c := n.dial()
	c.set("k", "old")
	g.gate.Lock()
	waiting := c.send(c.setRequest("k", "new"), readRequest("k"), &message.Request{Kind: message.KindAccept, Register: key("k"), Ballot: ballot.Ballot{Time: 1, Proposer: 1}, Change: register.Delete()})
	if r := c.do(readRequest("other")); r.Outcome != message.ReadOK {
		t.Errorf("a read that shows nothing unsynced: %+v", r)
	}
	for i, ch := range waiting {
		select {
		case a := <-ch:
			t.Errorf("reply %d left before the sync: %+v", i, a.reply)
		default:
		}
	}
	g.gate.Unlock()
	want := []message.Outcome{message.Acked, message.ReadOK, message.Nacked}
	for i, ch := range waiting {
		if r := c.await(ch).reply; r.Outcome != want[i] {
			t.Errorf("reply %d: %+v", i, r)
		}
	}
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestFullDisk(t *testing.T) {
	n := prepareNode(t)
	var g gatedDisk
	n.cfg.disk = g.disk()
	core, logs := observer.New(zap.InfoLevel)
	n.cfg.Log = zap.New(core)
	n.start()
	n.create()
	c := n.dial()
	c.set("k", "before")
	ready := "http://" + n.d.AdminAddr() + "/readyz"
	if code, _ := get(t, ready); code != http.StatusOK {
		t.Errorf("readyz: %d", code)
	}
	full := error(syscall.ENOSPC)
	g.write.Store(&full)
	caught := c.send(c.setRequest("caught", "v")) // by the full disk, unanswered until there is room
	waitFor(t, "writes to be refused", func() bool { return n.d.engine.Ready() != nil })
	if r := c.do(c.setRequest("k", "refused")); r.Outcome != message.DiskFull {
		t.Errorf("write on a full disk: %+v", r)
	}
	if got := c.get("k"); got != "before" {
		t.Errorf("read on a full disk: %q", got)
	}
	if code, body := get(t, ready); code != http.StatusServiceUnavailable || !strings.Contains(body, "no space") {
		t.Errorf("readyz: %d %s", code, body)
	}
	g.write.Store(nil)
	if r := c.await(caught[0]).reply; r.Outcome != message.Acked {
		t.Errorf("the write that met the full disk: %+v", r)
	}
	waitFor(t, "writes to be accepted", func() bool { return n.d.engine.Ready() == nil })
	c.set("k", "after")
	if code, _ := get(t, ready); code != http.StatusOK {
		t.Errorf("readyz: %d", code)
	}
	if n := logs.FilterMessageSnippet("disk is full").Len(); n != 1 {
		t.Errorf("%d lines about the full disk, want 1", n)
	}
}

func TestFailedSyncEndsTheNode(t *testing.T) {
	n := prepareNode(t)
	var g gatedDisk
	n.cfg.disk = g.disk()
	n.start()
	n.create()
	c := n.dial()
	c.set("k", "v")
	broken := error(syscall.EIO)
	g.sync.Store(&broken)
	ch := c.send(c.setRequest("k", "lost"))[0]
	select {
	case err := <-n.d.Err():
		if !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a failed sync went unnoticed")
	}
	select {
	case a := <-ch:
		t.Errorf("acknowledged after a failed sync: %+v", a.reply)
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.d.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Garbage disturbs nobody but its sender.
func TestGarbage(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	c.set("k", "v")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		raw, err := net.Dial("tcp", n.d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1+rnd.IntN(5000))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		_, _ = raw.Write(b) // the node may hang up meanwhile
		raw.Close()
	}
	for _, payload := range [][]byte{
		{0}, {1, 200, 1}, {1, 3, 1, 2, 3}, {99, 0}, bytes.Repeat([]byte{0xff}, 100),
		wire.AppendReply(nil, &message.Reply{ID: 1, Outcome: message.Acked}),
	} {
		bad := n.dial()
		if err := bad.s.Send(rpc.Votes, payload); err != nil {
			t.Fatal(err)
		}
		select {
		case <-bad.s.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("a session goes on after %x", payload)
		}
	}
	if got := c.get("k"); got != "v" {
		t.Errorf("holds %q", got)
	}
}

func TestFullQueueIsBusy(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	hold, held := make(chan struct{}), make(chan struct{})
	l := n.d.lanes[partition.Lane(key("k").Key, uint32(len(n.d.lanes)))]
	l.push([]item{{do: func() { close(held); <-hold }}}, 0)
	<-held
	var chans []chan *answer
	for range queueItems/1000 + 2 {
		var qs []*message.Request
		for range 1000 {
			qs = append(qs, readRequest("k"))
		}
		chans = append(chans, c.send(qs...)...)
	}
	if r := c.await(chans[len(chans)-1]).reply; r.Outcome != message.Busy {
		t.Errorf("outcome %d with a full queue", r.Outcome)
	}
	close(hold)
	if r := c.await(chans[0]).reply; r.Outcome != message.ReadOK {
		t.Errorf("outcome %d", r.Outcome)
	}
}

func (c *client) list(q listing.Request) *listing.Reply {
	c.t.Helper()
	var ch chan *answer
	q.ID, ch = c.next()
	q.Epoch = c.n.epoch
	if err := c.s.Send(rpc.Control, wire.AppendListRequest(nil, &q)); err != nil {
		c.t.Fatal(err)
	}
	return c.await(ch).list
}

func (c *client) flush(space byte) *message.FlushReply {
	c.t.Helper()
	id, ch := c.next()
	q := message.FlushRequest{ID: id, Ballot: c.n.ballot(), Epoch: c.n.epoch, Last: partition.Slots - 1, Space: space}
	if err := c.s.Send(rpc.Control, wire.AppendFlushRequest(nil, &q)); err != nil {
		c.t.Fatal(err)
	}
	return c.await(ch).flush
}

func TestListAndFlush(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	var want []string
	for i := range 200 {
		k := fmt.Sprint("k", i)
		c.set(k, "v")
		want = append(want, k)
	}
	all := listing.Request{Last: partition.Slots - 1, Limit: 1000}
	names := func(r *listing.Reply) []string {
		var out []string
		for _, e := range r.Entries {
			out = append(out, e.Register.Key[1:])
		}
		slices.Sort(out)
		return out
	}
	slices.Sort(want)
	if r := c.list(all); r.Outcome != message.ReadOK || !r.Done || !slices.Equal(names(r), want) {
		t.Fatalf("outcome %d, done %v, %d listed", r.Outcome, r.Done, len(r.Entries))
	}
	promised := n.ballot()
	promised.Time = promised.Time.Add(200 * time.Millisecond)
	if r := c.do(&message.Request{Kind: message.KindPrepare, Register: key("k7"), Ballot: promised}); r.Outcome != message.Promised {
		t.Fatal(r.Outcome)
	}
	f := c.flush(0)
	if f.Outcome != message.Acked || f.Incomplete || len(f.Refused) != 1 || f.Refused[0] != key("k7") {
		t.Fatalf("flush: %+v", f)
	}
	for range 2 {
		if r := c.list(all); !slices.Equal(names(r), []string{"k7"}) {
			t.Fatalf("%d listed after a flush", len(r.Entries))
		}
		if got := c.get("k8"); got != "" {
			t.Errorf("k8 holds %q", got)
		}
		n.restart(n.kill)
		c = n.dial()
	}
	n.epoch = 5
	if r := c.list(all); r.Outcome == message.ReadOK {
		t.Errorf("listed under an epoch that the node does not know")
	}
}

func TestExpiredAreListed(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	for i := range 20 {
		q := c.setRequest(fmt.Sprint("k", i), "v")
		q.Change.Header.Expiry = time.Now().UnixMilli() + int64(i%2)*3600_000
		if r := c.do(q); r.Outcome != message.Acked {
			t.Fatal(r.Outcome)
		}
	}
	waitFor(t, "the expired registers", func() bool {
		r := c.list(listing.Request{Last: partition.Slots - 1, Limit: 100, Expired: true})
		return r.Outcome == message.ReadOK && r.Done && len(r.Entries) == 10
	})
}

// TestExpiredAreListedToOne: while one proxy deletes what is expired, others are
// not told; once it has gone, they are.
func TestExpiredAreListedToOne(t *testing.T) {
	n := startNode(t)
	one, other := n.dial(), n.dial()
	q := listing.Request{Last: partition.Slots - 1, Limit: 100, Expired: true}
	before := one.list(q)
	one.set("k", "v")
	if r := one.list(q); r.Outcome != message.ReadOK || r.Votes != before.Votes+1 {
		t.Errorf("outcome %d, %d votes after %d", r.Outcome, r.Votes, before.Votes)
	}
	if r := other.list(q); r.Outcome != message.Busy {
		t.Errorf("another proxy: outcome %d", r.Outcome)
	}
	one.s.Close()
	waitFor(t, "its turn to end", func() bool { return other.list(q).Outcome == message.ReadOK })
}

func TestTally(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	tally := func() *listing.TallyReply {
		id, ch := c.next()
		q := listing.TallyRequest{ID: id, Epoch: n.epoch, Databases: 1, Spans: []partition.SlotSpan{{Last: partition.Slots - 1}}}
		if err := c.s.Send(rpc.Control, wire.AppendTallyRequest(nil, &q)); err != nil {
			t.Fatal(err)
		}
		return c.await(ch).tally
	}
	for i := range 100 {
		c.set(fmt.Sprint("k", i), "v")
	}
	for range 2 {
		if r := tally(); r.Outcome != message.ReadOK || len(r.Tallies) != 1 || r.Tallies[0].Keys != 100 {
			t.Errorf("%+v", r)
		}
		n.restart(n.kill)
		c = n.dial()
	}
	n.epoch = 5
	if r := tally(); r.Outcome == message.ReadOK {
		t.Error("told under an epoch that the node does not know")
	}
}

func TestAdmin(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	c.set("k", "v")
	base := "http://" + n.d.AdminAddr()
	for _, path := range []string{"/healthz", "/readyz", "/debug/pprof/"} {
		if code, _ := get(t, base+path); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := get(t, base+"/nothing"); code != http.StatusNotFound {
		t.Errorf("unknown path: %d", code)
	}
	_, body := get(t, base+"/metrics")
	for _, want := range []string{
		`synod_node_requests_total{kind="accept",outcome="acked"} 1`, "synod_node_sync_seconds_count", "synod_node_batch_requests_sum",
		"synod_node_cache_bytes", "synod_node_disk_free_bytes", `synod_node_lane_queue{lane="0"} 0`, "synod_node_promises", "synod_node_ready 1",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// An idle node, and one that only answers reads, writes nothing.
func TestReadsWriteNothing(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	before := n.d.engine.Stats().Position
	for range 100 {
		c.get("k")
	}
	if after := n.d.engine.Stats().Position; after != before {
		t.Errorf("%d entries written by reads", after-before)
	}
}

func TestStartIsRefused(t *testing.T) {
	n := startNode(t)
	start := func(change func(*Config)) error {
		cfg := n.cfg
		change(&cfg)
		// What is taken is waited for; the test does not.
		ctx, cancel := context.WithTimeout(n.context(), time.Second)
		defer cancel()
		d, err := Start(ctx, cfg)
		if err == nil {
			d.Close(n.context())
		}
		return err
	}
	if err := start(func(*Config) {}); !errors.Is(err, datadir.ErrInUse) {
		t.Errorf("data directory in use: %v", err)
	}
	addr, l := freePort(t)
	defer l.Close()
	if err := start(func(c *Config) { c.ListenAddr = addr; c.DataDir = t.TempDir() }); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("taken port: %v", err)
	}
	if err := start(func(c *Config) { c.AdminAddr = addr; c.DataDir = t.TempDir() }); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("taken admin port: %v", err)
	}
	n.kill()
	if err := start(func(c *Config) { c.Cluster = "other" }); !errors.Is(err, datadir.ErrForeign) {
		t.Errorf("data of another cluster: %v", err)
	}
}

// Promises are forgotten once the floor is raised, so memory stays bounded.
func TestPromisesAreForgotten(t *testing.T) {
	n := prepareNode(t)
	n.cfg.Limits.Command = 50 * time.Millisecond
	n.start()
	n.create()
	c := n.dial()
	last := n.ballot()
	for i := range 100 {
		last = n.ballot()
		c.do(&message.Request{Kind: message.KindPrepare, Register: key(fmt.Sprint("k", i)), Ballot: last})
	}
	waitFor(t, "promises to be forgotten", func() bool {
		sum := int64(0)
		for _, l := range n.d.lanes {
			l.push([]item{{do: func() {}}}, 0)
			sum += l.held.Load()
		}
		return sum == 0
	})
	if floor := n.d.node.State().Floor; floor.Less(last) {
		t.Errorf("floor %v below a forgotten promise %v", floor, last)
	}
}
