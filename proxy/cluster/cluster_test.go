package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	caspaxos "synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/keyspace"
	"synod/proxy/nodetest"
	"synod/proxy/proposer"
	"synod/proxy/router"
	"synod/proxy/txn"
)

// openOn makes a Cluster over nodes that are there already, without etcd.
func openOn(t testing.TB, snap *store.Snapshot, id ballot.ProposerID, limits limits.Limits) *Cluster {
	return openAt(t, snap, id, limits, func() int64 { return time.Now().UnixMilli() })
}

// openAt is openOn for a proxy with a clock of its own.
func openAt(t testing.TB, snap *store.Snapshot, id ballot.ProposerID, lim limits.Limits, wall func() int64) *Cluster {
	clock := ballot.NewClock(id, wall)
	pool := proposer.New(proposer.Config{Clock: clock, Limits: lim, Timing: limits.DefaultTiming(), Lanes: 2})
	var lanes []router.Lane
	for _, l := range pool.Lanes() {
		lanes = append(lanes, l)
	}
	c := &Cluster{Pool: pool, log: zap.NewNop(), limits: lim, clock: clock}
	c.router = router.New(router.Config{Cluster: nodetest.Cluster, Name: "p", Log: zap.NewNop()}, lanes)
	c.snapshots = txn.Snapshots{Registers: pool, Limits: lim}
	c.Keys = &keyspace.Keyspace{Nodes: c.router, Registers: pool, Clock: clock, Limits: lim, Wall: wall}
	pool.Start(c.router)
	c.router.Update(snap)
	_, c.cancel = context.WithCancel(context.Background())
	t.Cleanup(c.Close)
	return c
}

// command makes a command on database 0 out of a client's words.
func (c *Cluster) command(t testing.TB, words ...string) *caspaxos.Command {
	t.Helper()
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	spec, failure := command.Resolve(args)
	if failure != nil {
		t.Fatalf("%q: %s", words, failure.Str)
	}
	op, failure := spec.Key(args)
	if failure != nil {
		t.Fatalf("%q: %s", words, failure.Str)
	}
	return &caspaxos.Command{Register: register.ID{Slot: placement.Slot(args[1]), Key: "\x00" + words[1]},
		Op: op, Started: c.Now()}
}

// do runs a command and returns its reply as RESP2, or its error.
func (c *Cluster) do(t testing.TB, words ...string) string {
	t.Helper()
	cmd := c.command(t, words...)
	done := make(chan struct{})
	cmd.Done = func(*caspaxos.Command) { close(done) }
	c.Submit([]*caspaxos.Command{cmd})
	<-done
	if cmd.Err != nil {
		return cmd.Err.Error()
	}
	return string(cmd.Result.(*resp.Value).AppendTo(nil, 2))
}

func (c *Cluster) want(t testing.TB, want string, words ...string) {
	t.Helper()
	if got := c.do(t, words...); got != want {
		t.Fatalf("%q: got %q, want %q", words, got, want)
	}
}

func TestCommandsOverSockets(t *testing.T) {
	_, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	c.want(t, "$-1\r\n", "get", "k")
	c.want(t, "+OK\r\n", "set", "k", "v")
	c.want(t, "$1\r\nv\r\n", "get", "k")
	for i := range 100 {
		c.want(t, fmt.Sprintf(":%d\r\n", i+1), "incr", "n")
	}
	if c.Stats().Piggybacked.Load() < 50 {
		t.Errorf("%d of 99 repeated INCRs took one round trip", c.Stats().Piggybacked.Load())
	}
	big := string(make([]byte, 1<<20))
	c.want(t, "+OK\r\n", "set", "big", big)
	c.want(t, fmt.Sprintf(":%d\r\n", len(big)+3), "append", "big", "end")
	c.want(t, "$5\r\n\x00\x00end\r\n", "getrange", "big", "-5", "-1")
	c.want(t, fmt.Sprintf("$%d\r\n%send\r\n", len(big)+3, big), "get", "big")
}

// TestExactlyOnceWhileNodesComeAndGo counts with several clients on two proxies
// while one node after the other falls away, deaf or disconnected.
func TestExactlyOnceWhileNodesComeAndGo(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	proxies := []*Cluster{openOn(t, snap, 1, limits.Default()), openOn(t, snap, 2, limits.Default())}
	var acked, unknown atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				cmd := proxies[i%2].command(t, "incr", "n")
				done := make(chan struct{})
				cmd.Done = func(*caspaxos.Command) { close(done) }
				proxies[i%2].Submit([]*caspaxos.Command{cmd})
				<-done
				switch {
				case cmd.Err == nil:
					acked.Add(1)
				case errors.Is(cmd.Err, operation.ErrUncertain):
					unknown.Add(1)
				}
			}
		})
	}
	for round := range 3 {
		n := nodes[round]
		progress(t, &acked)
		n.Deafen(true)
		progress(t, &acked)
		n.Deafen(false)
		n.Stop()
		progress(t, &acked)
		n.Restart(t)
	}
	close(stop)
	clients.Wait()
	var total int64
	if _, err := fmt.Sscanf(proxies[0].do(t, "incrby", "n", "0"), ":%d", &total); err != nil {
		t.Fatal(err)
	}
	if a, u := acked.Load(), unknown.Load(); total < a || total > a+u {
		t.Fatalf("%d INCRs acknowledged, %d unknown, but the counter stands at %d", a, u, total)
	}
}

// progress waits until a hundred more commands are acknowledged.
func progress(t *testing.T, acked *atomic.Int64) {
	goal := acked.Load() + 100
	await(t, "commands to be acknowledged", func() bool { return acked.Load() >= goal })
}

func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func TestScanSeesWhatAQuorumHolds(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	want := map[string]bool{}
	for i := range 500 {
		key := fmt.Sprintf("key:%d", i)
		c.want(t, "+OK\r\n", "set", key, "v")
		want[key] = true
	}
	for i := 0; i < 100; i += 2 {
		key := fmt.Sprintf("key:%d", i)
		c.want(t, "$1\r\nv\r\n", "getdel", key)
		delete(want, key)
	}
	for i := range 100 {
		key := fmt.Sprintf("key:%d", i)
		// The last node may hear of a write long after it was answered.
		await(t, "all nodes to have "+key, func() bool {
			for _, n := range nodes {
				if n.View("\x00"+key).Header.Exists() != want[key] {
					return false
				}
			}
			return true
		})
		nodes[i%3].Forget("\x00" + key) // a replica that lags
	}
	for _, count := range []int{1, 10, 1000} {
		got := map[string]bool{}
		var cursor uint64
		for {
			next, keys, err := c.Scan(context.Background(), 0, cursor, nil, count, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				got[string(k)] = true
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
		for k := range want {
			if !got[k] {
				t.Errorf("COUNT %d: %s is missing", count, k)
			}
		}
		if len(got) != len(want) {
			t.Errorf("COUNT %d: %d keys, want %d", count, len(got), len(want))
		}
	}
	if n, err := c.Keys.Size(context.Background(), 0); err != nil || n != int64(len(want)) {
		t.Errorf("size %d, %v; want %d", n, err, len(want))
	}
	key, ok, err := c.RandomKey(context.Background(), 0)
	if err != nil || !ok || !want[string(key)] {
		t.Errorf("random key %q %v %v", key, ok, err)
	}
}

func TestFlush(t *testing.T) {
	_, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	for i := range 100 {
		c.want(t, "+OK\r\n", "set", fmt.Sprint("a", i), "v")
		c.want(t, fmt.Sprintf(":%d\r\n", i+1), "incr", "n") // leaves promises behind
	}
	if err := c.Keys.Flush(context.Background(), 0, 15); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Keys.Size(context.Background(), 0); err != nil || n != 0 {
		t.Fatalf("%d keys after a flush, %v", n, err)
	}
	if key, ok, err := c.RandomKey(context.Background(), 0); ok || err != nil {
		t.Fatalf("random key %q of nothing, %v", key, err)
	}
	c.want(t, "$-1\r\n", "get", "a1")
	c.want(t, ":1\r\n", "incr", "n")
	c.want(t, ":1\r\n", "incr", "a1")
	c.want(t, ":1\r\n", "incr", "") // "*" is all keys, although no glob matches this one
	if keys, err := c.KeysMatching(context.Background(), 0, []byte("*")); err != nil || len(keys) != 3 {
		t.Fatalf("keys %q, %v; want 3", keys, err)
	}
	c.want(t, "$1\r\n1\r\n", "getdel", "")
	if n, _ := c.Keys.Size(context.Background(), 0); n != 2 {
		t.Fatalf("%d keys, want 2", n)
	}
}

// TestSnapshot moves a token between two keys' values, never both or neither,
// and reads both at once.
func TestSnapshot(t *testing.T) {
	_, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	c.want(t, "+OK\r\n", "set", "a", "0")
	c.want(t, "+OK\r\n", "set", "b", "0")
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			// a is always as far as b, or one ahead.
			c.do(t, "set", "a", fmt.Sprintf("%09d", i))
			c.do(t, "set", "b", fmt.Sprintf("%09d", i))
		}
	})
	for i := range 300 {
		cmds := []*caspaxos.Command{c.command(t, "get", "b"), c.command(t, "get", "a")}
		cmds[1].Started = cmds[0].Started
		done := make(chan struct{})
		if i%2 == 0 {
			c.Snapshot(cmds, nil, func([]*caspaxos.Command) { close(done) })
		} else { // a is asked for because of b
			more := cmds[1]
			c.Snapshot(cmds[:1], func(cmds []*caspaxos.Command) []*caspaxos.Command {
				if len(cmds) == 1 {
					return []*caspaxos.Command{more}
				}
				return nil
			}, func([]*caspaxos.Command) { close(done) })
		}
		<-done
		if cmds[0].Err != nil {
			continue // contention is an answer
		}
		b, a := string(cmds[0].Result.(*resp.Value).Str), string(cmds[1].Result.(*resp.Value).Str)
		na, errA := strconv.Atoi(a)
		nb, errB := strconv.Atoi(b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if na != nb && na != nb+1 {
			t.Errorf("a is at %d and b at %d", na, nb)
		}
	}
	close(stop)
	writer.Wait()
}

func TestExpiredKeysGo(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	c := openOn(t, snap, 1, limits.Default())
	ctx, cancel := context.WithCancel(context.Background())
	var reaper sync.WaitGroup
	reaper.Go(func() { c.Keys.Reap(ctx) })
	defer reaper.Wait()
	defer cancel()
	all := c.router.Config(0)
	await(t, "all connections", func() bool { return c.router.Reachable(all) == all.All() })
	c.want(t, "+OK\r\n", "set", "k", "v", "px", "2000")
	exists := func(n *nodetest.Node) bool { return n.View("\x00k").Header.Exists() }
	await(t, "the value to be on all nodes", func() bool { return !slices.ContainsFunc(nodes, func(n *nodetest.Node) bool { return !exists(n) }) })
	await(t, "the expired value to be deleted", func() bool { return !slices.ContainsFunc(nodes, exists) })
	c.want(t, "$-1\r\n", "get", "k")
}

// TestClocksDisagree: a proxy whose clock is hours ahead is not listened to,
// gets nothing done, and says why; others are not disturbed.
func TestClocksDisagree(t *testing.T) {
	_, snap := nodetest.Start(t, "n1", "n2", "n3")
	lim := limits.Default()
	lim.Command = 500 * time.Millisecond
	good := openOn(t, snap, 1, limits.Default())
	good.want(t, "+OK\r\n", "set", "k", "v")
	bad := openAt(t, snap, 2, lim, func() int64 { return time.Now().Add(3 * time.Hour).UnixMilli() })
	core, logs := observer.New(zap.WarnLevel)
	bad.log = zap.New(core)
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { bad.watchClocks(ctx, time.Millisecond) })
	defer watch.Wait()
	defer cancel()
	if got := bad.do(t, "set", "k", "from the future"); got == "+OK\r\n" {
		t.Errorf("a ballot from the future was accepted: %q", got)
	}
	await(t, "the proxy to complain", func() bool { return logs.FilterMessageSnippet("clocks disagree").Len() > 0 })
	good.want(t, "$1\r\nv\r\n", "get", "k")
}
