package storaged

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"synod/protocol/budget"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/rpc"
	"synod/protocol/transfer"
	"synod/protocol/wire"
)

// slow is a client that takes nothing of a class as long as that is held.
type slow struct {
	*client
	hold [3]sync.Mutex
}

func (n *testNode) slow() *slow {
	n.t.Helper()
	r := &slow{client: &client{t: n.t, n: n, pending: make(map[uint64]chan *answer)}}
	s, err := rpc.Dial(n.context(), n.d.Addr(), rpc.Options{
		Cluster: cluster, Secrets: n.d.knownSecrets, Kind: rpc.Proxy, Name: "slow", Claim: claimOf(3), Expect: n.cfg.ID, Log: zap.NewNop(),
		Handle: func(s *rpc.Session, class rpc.Class, payload []byte) {
			r.hold[class].Lock()
			defer r.hold[class].Unlock()
			r.handle(s, class, payload)
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	r.s = s
	n.t.Cleanup(func() { s.Close(); <-s.Done() })
	return r
}

// holdAll holds all classes until the function that it returns is called.
func (r *slow) holdAll() (release func()) {
	for i := range r.hold {
		r.hold[i].Lock()
	}
	return sync.OnceFunc(func() {
		for i := range r.hold {
			r.hold[i].Unlock()
		}
	})
}

// backlog returns how many bytes wait in the node's only session.
func (n *testNode) backlog(class rpc.Class) (bytes int) {
	n.d.sessMu.Lock()
	defer n.d.sessMu.Unlock()
	for s := range n.d.sessions {
		bytes += s.Backlog(class)
	}
	return bytes
}

func (n *testNode) wantNothingDropped() {
	n.t.Helper()
	if got := n.d.dropped.Load(); got != 0 {
		n.t.Errorf("%d frames of replies were dropped", got)
	}
}

// States whose sum is large leave the way free to the votes: the first of them go
// with the bulk traffic, the rest is left out. Who asks for one then gets it as soon
// as there is room.
func TestManyStates(t *testing.T) {
	n := startNode(t)
	r := n.slow()
	value := strings.Repeat("v", 20<<10)
	const keys, rounds = 16, 300
	for i := range keys {
		r.set(fmt.Sprint("k", i), value)
	}
	r.hold[rpc.Bulk].Lock()
	var asked []chan *answer
	for range rounds {
		var qs []*message.Request
		for i := range keys {
			qs = append(qs, readRequest(fmt.Sprint("k", i)))
		}
		asked = append(asked, r.send(qs...)...)
	}
	r.set("other", "v")
	if got := r.get("other"); got != "v" {
		t.Errorf("got %q", got)
	}
	if bytes := n.backlog(rpc.Bulk); bytes > bulkStates+(4<<20) { // each lane may overshoot by a batch
		t.Errorf("%d bytes wait in the session", bytes)
	}
	extra := r.send(largeRequest("k0"))
	r.hold[rpc.Bulk].Unlock()
	whole, without := 0, 0
	for _, ch := range asked {
		switch a := r.await(ch).reply; {
		case a.Outcome != message.ReadOK || a.Accepted.IsZero():
			t.Fatalf("outcome %d", a.Outcome)
		case !a.HasState:
			without++
		default:
			if v, _ := a.View.Get([]byte{0}); string(v) != value {
				t.Fatal("another state")
			}
			whole++
		}
	}
	if whole < 50 || without < 1000 {
		t.Errorf("%d states came along, %d were left out", whole, without)
	}
	a := r.await(extra[0])
	if v, _ := a.reply.View.Get([]byte{0}); string(v) != value {
		t.Errorf("the state that was asked for has %d bytes", len(v))
	}
	n.wantNothingDropped()
}

// From a peer that takes no votes no more requests are taken: these wait with it, and
// everything is answered in the end.
func TestPeerThatTakesNothing(t *testing.T) {
	n := startNode(t)
	r := n.slow()
	r.set("k", strings.Repeat("v", 600))
	release := r.holdAll()
	defer release()
	var asked []chan *answer
	ask := func() {
		var qs []*message.Request
		for range 400 {
			qs = append(qs, readRequest("k"))
		}
		asked = append(asked, r.send(qs...)...)
	}
	lane := n.d.lanes[partition.Lane(key("k").Key, uint32(len(n.d.lanes)))]
	idle := func() bool { return lane.depth.Load() == 0 }
	for n.backlog(rpc.Votes) <= votesBacklog {
		ask()
		waitFor(t, "the lane to take what was sent", idle)
	}
	full := n.backlog(rpc.Votes)
	for range 30 {
		ask()
	}
	n.dial().set("another", "v")    // a session of its own, the same lanes
	const slack = queueItems * 1000 // what had been taken before
	if bytes := n.backlog(rpc.Votes); bytes > full+slack {
		t.Errorf("%d bytes of votes wait, %d before the last requests", bytes, full)
	}
	release()
	for _, ch := range asked {
		// Busy: it all comes to the lane at once then.
		if a := r.await(ch).reply; a.Outcome != message.ReadOK && a.Outcome != message.Busy {
			t.Fatalf("outcome %d", a.Outcome)
		}
	}
	n.wantNothingDropped()
}

// Of a large state that its session does not take for long, the rest is refused. The
// session goes on.
func TestStateThatIsNotTaken(t *testing.T) {
	n := startNode(t)
	r := n.slow()
	r.set("k", "v")
	id, ch := r.next()
	var session *rpc.Session
	n.d.sessMu.Lock()
	for s := range n.d.sessions {
		session = s
	}
	n.d.sessMu.Unlock()
	n.d.outgoingEnded(&outgoing{session: session, reply: message.Reply{ID: id}}, transfer.ErrPatience)
	if a := r.await(ch).reply; a.Outcome != message.Busy {
		t.Errorf("outcome %d", a.Outcome)
	}
	if got := r.get("k"); got != "v" {
		t.Errorf("got %q", got)
	}
}

// Replies that a session has no room for are dropped and counted; it goes on.
func TestRepliesWithoutRoom(t *testing.T) {
	n := startNode(t)
	r := n.slow()
	r.set("k", "v")
	n.d.sessMu.Lock()
	for s := range n.d.sessions {
		n.d.sent(s, rpc.ErrBacklog)
		n.d.sent(s, rpc.ErrClosed)
	}
	n.d.sessMu.Unlock()
	if got := n.d.dropped.Load(); got != 1 {
		t.Errorf("%d frames of replies were dropped, want 1", got)
	}
	r.set("k", "v")
}

// A payload that may have to wait for memory at the proxy, and is skipped if there
// is none, holds one reply: of more than one, only the first would be told so.
func TestLargePayloadsHoldOneReply(t *testing.T) {
	n := startNode(t)
	r := &client{t: t, n: n, pending: make(map[uint64]chan *answer)}
	var crowded atomic.Int64
	s, err := rpc.Dial(n.context(), n.d.Addr(), rpc.Options{
		Cluster: cluster, Secrets: n.d.knownSecrets, Kind: rpc.Proxy, Name: "p", Claim: claimOf(3), Expect: n.cfg.ID, Log: zap.NewNop(),
		Handle: func(s *rpc.Session, class rpc.Class, payload []byte) {
			replies := 0
			for b := wire.NewBatch(payload); b.Next(); replies++ {
			}
			if class == rpc.Bulk && len(payload) >= budget.Large && replies > 1 {
				crowded.Add(1)
			}
			r.handle(s, class, payload)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	t.Cleanup(func() { s.Close(); <-s.Done() })
	var qs []*message.Request
	for i := range 64 {
		r.set(fmt.Sprint("k", i), strings.Repeat("v", 20<<10))
		qs = append(qs, readRequest(fmt.Sprint("k", i)))
	}
	for _, ch := range r.send(qs...) {
		r.await(ch)
	}
	if n := crowded.Load(); n != 0 {
		t.Errorf("%d payloads that have to ask for memory hold several replies", n)
	}
}
