package proposer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	caspaxos "synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/proxy/nodetest"
	"synod/proxy/router"
)

// idle returns deliveries to node 0 that all wait.
func idle(t *testing.T, most int64) *deliveries {
	s := new(deliveries)
	s.init(most)
	end := make(chan struct{})
	t.Cleanup(s.close)
	t.Cleanup(func() { close(end) })
	for range deliveriesEach {
		busy, _ := s.scheduler.Admit(0, &delivery{}, 0, nil)
		s.scheduler.Start(busy, func() { <-end })
	}
	return s
}

// change makes an Accept of which the id and the ballot are n.
func change(kind register.ChangeKind, key string, n uint64) *message.Request {
	return &message.Request{ID: n, Kind: message.KindAccept, Register: register.ID{Key: key},
		Ballot: ballot.Ballot{Time: ballot.MakeTime(int64(n), 0)}, Change: register.Change{Kind: kind}}
}

// put adds a request of so many bytes and tells what was to be expected.
func (s *deliveries) put(t *testing.T, r *message.Request, bytes int, taken bool, want ...uint64) {
	t.Helper()
	gone, ok := s.admit(&delivery{id: r.ID, large: &largeRequest{request: r, bytes: bytes}}, func(d *delivery) { <-d.ctx.Done() })
	if ok != taken || !slices.Equal(gone, want) {
		t.Errorf("request %d: taken %v, instead of %d; want %v, instead of %d", r.ID, ok, gone, taken, want)
	}
}

// wants looks at what is open, and at its bytes.
func (s *deliveries) wants(t *testing.T, bytes int64, ids ...uint64) {
	t.Helper()
	var got []uint64
	for id := range s.open {
		got = append(got, id.id)
	}
	slices.Sort(got)
	if _, held := s.scheduler.Open(); !slices.Equal(got, ids) || held != bytes {
		t.Errorf("%d are open, %d bytes are held; want %d and %d bytes", got, held, ids, bytes)
	}
	if n := s.count.Load(); int(n) != len(ids) {
		t.Errorf("%d requests are shown", n)
	}
}

// A full change comes in the place of what waits of the same register, and of that
// alone.
func TestAFullChangeSupersedesWhatWaits(t *testing.T) {
	s := idle(t, math.MaxInt64)
	s.put(t, change(register.Full, "k", 1), 10, true)
	s.put(t, change(register.Full, "other", 2), 20, true)
	s.put(t, change(register.Delta, "k", 3), 30, true) // it needs the first
	s.wants(t, 60, 1, 2, 3)
	s.put(t, change(register.Full, "k", 5), 50, true, 1, 3)
	s.wants(t, 70, 2, 5)
	s.put(t, change(register.Full, "k", 4), 40, true) // a repair to an earlier round
	s.wants(t, 110, 2, 4, 5)
	if gone := s.supersede(0, change(register.Delta, "k", 6)); gone != nil {
		t.Errorf("a small delta superseded %d", gone)
	}
	if gone := s.supersede(0, change(register.Full, "k", 7)); !slices.Equal(gone, []uint64{5, 4}) {
		t.Errorf("a small full change superseded %d", gone)
	}
	s.wants(t, 20, 2)
}

// What is on its way already is sent to its end: the node would be left with a part.
func TestWhatIsOnItsWayIsNotSuperseded(t *testing.T) {
	s := new(deliveries)
	s.init(math.MaxInt64)
	t.Cleanup(s.close)
	s.put(t, change(register.Full, "k", 1), 10, true)
	one := s.open[deliveryID{0, 1}]
	s.put(t, change(register.Full, "k", 2), 10, true)
	if one.ctx.Err() != nil || s.open[deliveryID{0, 1}] != one {
		t.Error("it was given up")
	}
	s.release(one) // from here on it takes no room
	s.wants(t, 10, 1, 2)
	s.answered(0, []*message.Reply{{ID: 1}})
	if context.Cause(one.ctx) != errAnswered || one.large != nil {
		t.Error("it goes on behind its answer")
	}
	s.wants(t, 10, 2)
}

// A node is kept so many bytes and one request more, of whatever size; what is
// refused drops nothing.
func TestBytesForANodeAreBounded(t *testing.T) {
	s := idle(t, 100)
	s.put(t, change(register.Full, "a", 1), 99, true)
	s.put(t, change(register.Full, "b", 2), 1<<30, true)
	s.put(t, change(register.Full, "c", 3), 1, false)
	s.put(t, change(register.Full, "a", 4), 1, false)
	s.wants(t, 99+1<<30, 1, 2)
	s.put(t, change(register.Full, "b", 5), 1, true, 2)
	s.put(t, change(register.Full, "c", 6), 1, false) // it is full to the byte
	s.put(t, change(register.Full, "a", 7), 1, true, 1)
	s.wants(t, 2, 5, 7)
}

// assign is a blind write of some size.
type assign int

func (assign) Needs() register.Projection { return register.Projection{} }
func (assign) ReadOnly() bool             { return false }
func (assign) Blind() bool                { return true }
func (size assign) Execute(register.View, int64) operation.Effect {
	return operation.Effect{Change: register.Change{Kind: register.Full,
		Header: register.Header{Type: register.String, Size: uint64(size)},
		Ops:    []register.Op{{Kind: register.Put, Key: make([]byte, 4), Value: make([]byte, size)}}}}
}

// set runs an assign.
func (p *Pool) set(t *testing.T, key string, size int) {
	t.Helper()
	done := make(chan error, 1)
	p.Submit([]*caspaxos.Command{{Register: register.ID{Key: key}, Op: assign(size), Started: p.Now(),
		Done: func(c *caspaxos.Command) { done <- c.Err }}})
	if err := <-done; err != nil {
		t.Fatalf("%d bytes for %q: %v; small ones may still be written", size, key, err)
	}
}

// A node that takes requests and answers none is no hindrance to large writes on
// the others, nor is much kept for it that nobody waits for.
func TestLargeWritesBesideADeafNode(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1", "n2", "n3")
	lim := limits.Default()
	lim.Command *= 4 // this is no test of time
	p := New(Config{Clock: ballot.NewClock(1, func() int64 { return time.Now().UnixMilli() }),
		Limits: lim, Timing: limits.DefaultTiming(), Lanes: 1})
	const size, most = 2 << 20, 5 << 20
	p.deliveries.init(most)
	net := router.New(router.Config{Cluster: nodetest.Cluster, Name: "p", Log: zap.NewNop()}, []router.Lane{p.lanes[0]})
	p.Start(net)
	net.Update(snap)
	t.Cleanup(func() { net.Close(); p.Close() })
	for all := net.Config(0); net.Reachable(all) != all.All(); {
		<-time.After(time.Millisecond)
	}
	nodes[0].Deafen(true)
	deaf := net.Config(0).Nodes()[0]
	held := func() int { return int(p.deliveries.scheduler.OpenWith(deaf)) }
	for i := range deliveriesEach + 1 {
		p.set(t, fmt.Sprint(i), size)
	}
	for held() >= 2*size { // the last one waits, the others for their answers
		<-time.After(time.Millisecond)
	}
	for range 10 {
		p.set(t, "k", size)
	}
	if n := held(); n >= 3*size {
		t.Errorf("%d bytes are kept for the node, of values of %d that have been overwritten", n, size)
	}
	p.set(t, "k", 1)
	if n := held(); n >= 2*size {
		t.Errorf("%d bytes are kept for the node after a short value has come in the place of all of %d", n, size)
	}
	for i := range 20 {
		p.set(t, fmt.Sprint("more", i), size)
	}
	if n := held(); n >= most+2*size {
		t.Errorf("%d bytes are kept for the node", n)
	}
}

// The metrics are what they are declared as.
func TestMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(New(Config{Lanes: 1})))
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}
