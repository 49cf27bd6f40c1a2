package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/changelog"
)

// rig is a store with its acceptors, driven by the test's goroutine.
type rig struct {
	t     testing.TB
	opts  Options
	e     *Engine
	node  *acceptor.Node
	accs  []*acceptor.Acceptor
	clock instant.Now
	fatal atomic.Pointer[error]
}

const testEpoch = 1

func testOptions(t testing.TB) Options {
	return Options{
		Dir: t.TempDir(), Cluster: "test", Node: "n1", Lanes: 3, FS: vfs.NewMem(),
		Log: zap.NewNop(), CacheBytes: 8 << 20, SegmentBytes: 1 << 20, RetainBytes: 1,
	}
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	r := &rig{t: t, opts: o, clock: instant.Now{Wall: 1_000_000_000, Mono: 1}}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.e.Abort() })
	return r
}

func (r *rig) open() error {
	o := r.opts
	o.Start = r.clock.Mono
	if o.Wake == nil {
		o.Wake = func(int) {}
	}
	if o.Synced == nil {
		o.Synced = func(changelog.Synced) {}
	}
	o.Fatal = func(err error) { r.fatal.CompareAndSwap(nil, &err) }
	e, err := Open(o)
	if err != nil {
		return err
	}
	r.e = e
	r.node = acceptor.NewNode(limits.Default(), partition.Slots, e.NodeState(), 0)
	r.node.SetSlots([]acceptor.SlotRange{{First: 0, Last: partition.Slots - 1, Epoch: testEpoch, Member: true}})
	r.accs = nil
	for i, l := range e.Lanes() {
		a := acceptor.New(r.node, l, uint32(i), uint32(len(e.Lanes())), r.clock)
		for _, f := range l.Flushes() {
			if err := a.RestoreFlush(f.Vote, f.Position); err != nil {
				return err
			}
		}
		r.accs = append(r.accs, a)
	}
	return e.Replay(func(lane int, entry *durable.LogEntry, pos uint64) error {
		return r.accs[lane].Redo(entry, pos)
	})
}

// reopen closes the store in the given way and opens it again.
func (r *rig) reopen(how func(*Engine) error) {
	r.t.Helper()
	if err := how(r.e); err != nil {
		r.t.Fatal(err)
	}
	if err := r.open(); err != nil {
		r.t.Fatal(err)
	}
}

func key(db byte, s string) register.ID {
	return register.ID{Slot: uint16(partition.Hash(s) % 64), Key: string(rune(db)) + s}
}

func (r *rig) lane(k register.ID) int {
	return int(partition.Lane(k.Key, uint32(len(r.accs))))
}

func (r *rig) step(q *message.Request) message.Reply {
	r.t.Helper()
	q.Epoch = testEpoch
	var reply message.Reply
	answered, err := r.accs[r.lane(q.Register)].Step(r.clock, q, &reply)
	if err != nil || !answered {
		r.t.Fatalf("step: answered %v, %v", answered, err)
	}
	return reply
}

func (r *rig) read(k register.ID, p register.Projection) message.Reply {
	r.t.Helper()
	return r.step(&message.Request{Kind: message.KindRead, Register: k, WantState: true, WantHistory: true, Projection: p})
}

// tick moves the clock and returns a ballot.
func (r *rig) ballot() ballot.Ballot {
	r.clock.Wall++
	r.clock.Mono += instant.Mono(time.Millisecond)
	return ballot.Ballot{Time: ballot.MakeTime(r.clock.Wall, 0), Proposer: 7}
}

// accept votes for a change, a delta on what the register holds.
func (r *rig) accept(k register.ID, c register.Change) message.Reply {
	r.t.Helper()
	reply, err := r.tryAccept(k, c)
	if err != nil || reply.Outcome != message.Acked {
		r.t.Fatalf("accept: outcome %d, %v", reply.Outcome, err)
	}
	return reply
}

func (r *rig) tryAccept(k register.ID, c register.Change) (message.Reply, error) {
	q := &message.Request{Kind: message.KindAccept, Register: k, Epoch: testEpoch, Ballot: r.ballot(), Prepared: c.Kind != register.Full, Change: c}
	if c.Kind != register.Full {
		q.Base = r.read(k, register.Projection{}).Accepted
	}
	var reply message.Reply
	_, err := r.accs[r.lane(k)].Step(r.clock, q, &reply)
	if err == nil && reply.Outcome == message.DiskFull {
		err = changelog.ErrNoSpace
	}
	return reply, err
}

// maintain is what a lane's goroutine does after each batch.
func (r *rig) maintain() {
	for _, l := range r.e.Lanes() {
		l.Maintain(r.clock.Mono)
	}
}

// settle brings everything that was appended to Pebble.
func (r *rig) settle() {
	r.t.Helper()
	r.sync()
	for _, l := range r.e.Lanes() {
		if err := l.finish(r.e.changes.Appended()); err != nil {
			r.t.Fatal(err)
		}
		l.Maintain(r.clock.Mono)
	}
}

func (r *rig) sync() {
	r.t.Helper()
	if err := r.e.WaitSynced(r.e.changes.Appended()); err != nil {
		r.t.Fatal(err)
	}
}

func set(value string) register.Change {
	return register.Change{
		Kind: register.Full, Header: register.Header{Type: register.String, Size: uint64(len(value))},
		Ops: []register.Op{{Kind: register.Put, Key: []byte("0"), Value: []byte(value)}},
	}
}

func (r *rig) wantString(k register.ID, want string) {
	r.t.Helper()
	reply := r.read(k, register.Projection{All: true})
	got, ok := reply.View.Get([]byte("0"))
	if !ok || string(got) != want {
		r.t.Fatalf("%q holds %q (%v), want %q", k.Key, got, ok, want)
	}
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
