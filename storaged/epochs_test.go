package storaged

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"synod/meta/placement"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

// TestMadeUpEpoch: a peer that names an epoch which no placement has keeps
// nobody else's requests from being answered, in this life of the node and the
// next.
func TestMadeUpEpoch(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	n := prepareNode(t)
	n.cfg.Log = zap.New(core)
	n.start()
	n.create()
	c := n.dial()
	c.set("k", "v1")
	const madeUp = 1 << 63
	accept := c.setRequest("k", "made up")
	for _, q := range []*message.Request{
		readRequest("k"), accept,
		{Kind: message.KindPrepare, Register: key("k"), Ballot: n.ballot()},
		{Kind: message.KindPrepare, Register: key("other"), Ballot: n.ballot()},
	} {
		q.Epoch = madeUp
		if r := c.do(q); r.Outcome != message.Busy {
			t.Errorf("request of kind %d: outcome %d", q.Kind, r.Outcome)
		}
	}
	n.epoch = madeUp
	if r := c.flush(0); r.Outcome != message.Busy {
		t.Errorf("flush: outcome %d", r.Outcome)
	}
	if r := c.list(listing.Request{Last: partition.Slots - 1, Limit: 10}); r.Outcome != message.Busy {
		t.Errorf("list: outcome %d", r.Outcome)
	}
	n.epoch = 1
	check := func(value, next string) {
		t.Helper()
		if got := c.get("k"); got != value {
			t.Errorf("got %q, want %q", got, value)
		}
		c.set("k", next)
		c.set("other", next)
	}
	check("v1", "v2")
	waitFor(t, "a line about it", func() bool { return logs.FilterField(zap.Uint64("epoch", madeUp)).Len() == 1 })
	n.restart(n.kill)
	waitFor(t, "the promises of the last life to end", func() bool { return n.d.ready() == nil })
	c = n.dial()
	check("v2", "v3")
	if got := n.d.engine.Epochs(); len(got) != 1 || got[0].Epoch != n.epoch {
		t.Errorf("epochs taken: %+v", got)
	}
}

// TestEpochsOfEarlierVersion: what such a version took from a message does not
// count.
func TestEpochsOfEarlierVersion(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	n := prepareNode(t)
	n.cfg.Log = zap.New(core)
	n.start()
	n.create()
	n.dial().set("k", "v")
	slot := key("k").Slot
	logEpoch(t, n, durable.EpochTaken{First: slot, Last: slot, Epoch: 1 << 40, Met: true})
	for range 2 {
		n.restart(n.kill)
		if got := n.dial().get("k"); got != "v" {
			t.Errorf("got %q", got)
		}
		if logs.FilterField(zap.Uint64("epoch", 1<<40)).Len() == 0 {
			t.Error("the node does not say so")
		}
		logs.TakeAll()
	}
}

// logEpoch logs an epoch and waits until it is durable.
func logEpoch(t *testing.T, n *testNode, e durable.EpochTaken) {
	t.Helper()
	pos, err := n.d.engine.AppendEpoch(e)
	if err == nil {
		err = n.d.engine.WaitSynced(pos)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEtcdIsBehind: an epoch that the placement had once, and has no more,
// stays in force, and the node says why it answers nothing.
func TestEtcdIsBehind(t *testing.T) {
	n := startNode(t)
	logEpoch(t, n, durable.EpochTaken{First: 5, Last: 5, Epoch: 7})
	n.kill()
	n.start()
	waitFor(t, "the node to notice", func() bool {
		err := n.d.ready()
		return err != nil && strings.Contains(err.Error(), "epoch 1 of slot 5")
	})
	c := n.dial()
	k := key(keyIn(5))
	if r := c.do(&message.Request{Kind: message.KindRead, Register: k}); r.Outcome != message.WrongEpoch || r.Epoch != 7 {
		t.Errorf("outcome %d, epoch %d", r.Outcome, r.Epoch)
	}
}

// keyIn returns a key of a slot.
func keyIn(slot uint16) string {
	for i := 0; ; i++ {
		if k := fmt.Sprint("k", i); placement.Slot([]byte(k)) == slot {
			return k
		}
	}
}

// nodeState is all that a peer could have changed.
type nodeState struct {
	Node     durable.NodeState
	Epochs   []durable.EpochTaken
	Position uint64
	Promises int
	Values   []message.Reply
}

func (n *testNode) state(keys ...string) nodeState {
	n.t.Helper()
	s := nodeState{Node: n.d.engine.NodeState(), Epochs: n.d.engine.Epochs(), Position: n.d.engine.Stats().Position}
	c := n.dial()
	for _, k := range keys {
		r := *c.do(readRequest(k))
		r.ID, r.Held = 0, 0
		s.Values = append(s.Values, r)
	}
	c.s.Close()
	<-c.s.Done()
	for _, l := range n.d.lanes {
		promises := make(chan int)
		if !l.push([]item{{do: func() { promises <- l.acceptor.Promises() }}}, 0) {
			n.t.Fatal("the lane takes nothing")
		}
		s.Promises += <-promises
	}
	return s
}

// TestStrangersChangeNothing: who does not know the secret gets no session, and
// the node is afterwards what it was before.
func TestStrangersChangeNothing(t *testing.T) {
	n := startNode(t)
	n.dial().set("k", "v")
	waitFor(t, "the store to be at rest", func() bool { return n.d.engine.Stats().UnsyncedBytes == 0 })
	before := n.state("k", "nothing")
	for i := range 300 {
		s, err := rpc.Dial(n.context(), n.d.Addr(), rpc.Options{
			Cluster: cluster, Kind: rpc.Proxy, Name: fmt.Sprint("stranger", i), Expect: n.cfg.ID, Log: zap.NewNop(),
			Secrets: func() []rpc.Secret { return []rpc.Secret{rpc.Secret("not the secret of the cluster")} },
			Handle:  func(*rpc.Session, rpc.Class, []byte) { t.Error("a stranger was answered") },
		})
		if err == nil {
			_ = s.Send(rpc.Votes, wire.AppendRequest(nil, &message.Request{Kind: message.KindRead, Register: key("k"), Epoch: 1 << 63}))
			t.Fatal("a stranger has a session")
		}
	}
	if after := n.state("k", "nothing"); !reflect.DeepEqual(before, after) {
		t.Errorf("the node was\n%+v, is\n%+v", before, after)
	}
	refused := func() uint64 { return n.d.server.Refused(rpc.RefusedSecret) }
	waitFor(t, "the refusals to be counted", func() bool { return refused() >= 300 }) // after the peer has been told
	if got := refused(); got != 300 {
		t.Errorf("%d refusals", got)
	}
}

// TestPeersOfOtherEpochs: well-formed frames with any epoch but the node's own
// change nothing either.
func TestPeersOfOtherEpochs(t *testing.T) {
	n := startNode(t)
	n.dial().set("k", "v")
	before := n.state("k", "nothing")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		c := n.dial()
		var waits []chan *answer
		for range 20 {
			q := c.setRequest(fmt.Sprint("k", rng.IntN(100)), "fuzz")
			switch rng.IntN(3) {
			case 0:
				*q = message.Request{Kind: message.KindPrepare, Register: q.Register, Ballot: q.Ballot}
			case 1:
				*q = message.Request{Kind: message.KindRead, Register: q.Register, WantState: true}
			}
			q.Epoch = 2 + rng.Uint64N(1<<rng.IntN(63))
			waits = append(waits, c.send(q)...)
		}
		for _, w := range waits {
			if r := c.await(w).reply; r.Outcome != message.Busy {
				t.Fatalf("outcome %d", r.Outcome)
			}
		}
		c.s.Close()
		<-c.s.Done()
	}
	if after := n.state("k", "nothing"); !reflect.DeepEqual(before, after) {
		t.Errorf("the node was\n%+v, is\n%+v", before, after)
	}
	n.restart(n.kill)
	if got := n.dial().get("k"); got != "v" {
		t.Errorf("got %q after a restart", got)
	}
}

// TestLineageFromTheFuture: what came with an Accept would make everything below
// it unknown, for as long as it lies ahead.
func TestLineageFromTheFuture(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	ahead := n.ballot()
	ahead.Time = ahead.Time.Add(1 << 50)
	for name, change := range map[string]func(*message.Request){
		"cut":   func(q *message.Request) { q.History = &history.Lineage{TruncatedThrough: ahead} },
		"entry": func(q *message.Request) { q.History = &history.Lineage{Entries: []history.Entry{{Ballot: ahead}}} },
		"base":  func(q *message.Request) { q.Base = ahead },
	} {
		q := c.setRequest("k", "v")
		q.Prepared = true
		change(q)
		if r := c.do(q); r.Outcome != message.ClockAhead {
			t.Errorf("%s: outcome %d", name, r.Outcome)
		}
	}
	c.set("k", "v")
	if r := c.do(readRequest("k")); r.History == nil || !r.History.Lineage.TruncatedThrough.IsZero() || len(r.History.Lineage.Entries) != 1 {
		t.Errorf("history %+v", r.History)
	}
}

// TestCommandLineIsNotShown: there may be passwords in it.
func TestCommandLineIsNotShown(t *testing.T) {
	n := startNode(t)
	if code, _ := get(t, "http://"+n.d.AdminAddr()+"/debug/pprof/cmdline"); code != 404 {
		t.Errorf("status %d", code)
	}
}
