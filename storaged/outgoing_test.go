package storaged

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/transfer"
	"synod/protocol/wire"
)

// reader is a client that takes replies in parts, as slowly as it likes.
type reader struct {
	*client
	hold  sync.Mutex // held: nothing large is taken
	parts chan *message.Reply
}

func (n *testNode) reader() *reader {
	n.t.Helper()
	r := &reader{parts: make(chan *message.Reply, 1<<12)}
	s, err := rpc.Dial(n.context(), n.d.Addr(), rpc.Options{
		Cluster: cluster, Secrets: n.d.knownSecrets, Kind: rpc.Proxy, Name: "reader", Claim: claimOf(2), Expect: n.cfg.ID, Log: zap.NewNop(),
		Handle: func(_ *rpc.Session, class rpc.Class, payload []byte) {
			if class == rpc.Bulk {
				r.hold.Lock()
				defer r.hold.Unlock()
			}
			b := wire.NewBatch(payload)
			for b.Next() {
				if b.Kind() == wire.KindMark {
					continue
				}
				reply, err := b.Reply()
				if err != nil {
					n.t.Error(err)
					return
				}
				if reply.HasState && class != rpc.Bulk {
					n.t.Errorf("part %d came as %s", reply.Chunk, class)
				}
				r.parts <- reply
			}
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	r.client = &client{t: n.t, n: n, s: s, pending: make(map[uint64]chan *answer)}
	n.t.Cleanup(func() { s.Close(); <-s.Done() })
	return r
}

func (r *reader) part() *message.Reply {
	r.t.Helper()
	select {
	case p := <-r.parts:
		return p
	case <-time.After(20 * time.Second):
		r.t.Fatal("no part came")
	case <-r.s.Done():
		r.t.Fatalf("session ended: %v", r.s.Err())
	}
	return nil
}

const largeElements = 24_000

// large writes a hash of some 24 MB.
func (c *client) large(k string) register.View {
	c.t.Helper()
	q := c.setRequest(k, "")
	q.Change.Header = register.Header{Type: register.Hash, Size: largeElements}
	q.Change.Ops = nil
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range largeElements {
		q.Change.Ops = append(q.Change.Ops, register.Op{Kind: register.Put, Key: fmt.Appendf(nil, "%08d", i), Value: value})
	}
	if r := c.do(q); r.Outcome != message.Acked {
		c.t.Fatalf("outcome %d", r.Outcome)
	}
	return register.Nothing().Apply(q.Change)
}

func largeRequest(k string) *message.Request {
	q := readRequest(k)
	q.WantLarge = true
	return q
}

// A large state comes in parts, as it was when it was asked for, while its lane
// goes on.
func TestLargeStatesComeInParts(t *testing.T) {
	n := startNode(t)
	c, r := n.dial(), n.reader()
	want := c.large("k")
	r.hold.Lock()
	r.send(largeRequest("k"))
	l := n.d.lanes[partition.Lane(key("k").Key, uint32(len(n.d.lanes)))]
	waitFor(t, "the reader to have all that it is given unasked", func() bool {
		n.d.sessMu.Lock()
		defer n.d.sessMu.Unlock()
		most := 0
		for s := range n.d.sessions {
			most = max(most, s.Backlog(rpc.Bulk))
		}
		if most > transfer.Backlog+2*message.ChunkBytes {
			t.Fatalf("%d bytes wait in a session", most)
		}
		return most > transfer.Backlog
	})
	c.set("k", "another") // the same lane
	if got := l.depth.Load(); got > 1 {
		t.Errorf("%d requests wait for the lane", got)
	}
	r.hold.Unlock()
	var views []register.View
	for more := true; more; {
		p := r.part()
		if p.Outcome != message.ReadOK || !p.HasState || int(p.Chunk) != len(views) {
			t.Fatalf("part %d: number %d, outcome %d", len(views), p.Chunk, p.Outcome)
		}
		if p.View.Bytes() > message.ChunkBytes+4096 {
			t.Fatalf("a part of %d bytes", p.View.Bytes())
		}
		views, more = append(views, p.View), p.More
	}
	got := register.Join(views...)
	if !got.Whole() || len(got.Elements()) != len(want.Elements()) || got.Header.Size != largeElements {
		t.Errorf("%d elements in %d parts, want %d", len(got.Elements()), len(views), len(want.Elements()))
	}
	if last := got.Elements()[largeElements-1]; string(last.Key) != fmt.Sprintf("%08d", largeElements-1) || len(last.Value) != 1000 {
		t.Errorf("the last element is %q", last.Key)
	}
}

// More large states than may wait are refused, and those that wait are dropped
// with their session or the node.
func TestStreamsAreBounded(t *testing.T) {
	for _, how := range []string{"session", "close", "kill"} {
		t.Run(how, func(t *testing.T) {
			n := startNode(t)
			c, r := n.dial(), n.reader()
			c.large("k")
			r.hold.Lock()
			var qs []*message.Request
			for range outgoingLimits.Open + 1 {
				qs = append(qs, largeRequest("k"))
			}
			r.send(qs...)
			if p := r.part(); p.Outcome != message.Busy {
				t.Errorf("outcome %d of the first reply, want one to be refused", p.Outcome)
			}
			c.set("k", "v")
			switch how {
			case "session":
				r.s.Close()
				r.hold.Unlock()
				waitFor(t, "the streams to end", func() bool {
					open, _ := n.d.outgoing.Open()
					return open == 0
				})
			case "close":
				if err := n.d.Close(n.context()); err != nil {
					t.Error(err)
				}
				r.hold.Unlock()
			case "kill":
				n.kill()
				r.hold.Unlock()
			}
			<-r.s.Done()
		})
	}
}

// Sessions that take nothing hold up their own large states, not those of others.
func TestSlowReadersDelayNobody(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	c.large("k")
	slow := n.reader()
	slow.hold.Lock()
	defer slow.hold.Unlock()
	for range 2 * outgoingLimits.Running {
		slow.send(largeRequest("k"))
	}
	c.set("another", "v") // they have all been taken
	fast := n.reader()
	fast.send(largeRequest("k"))
	for more := true; more; {
		p := fast.part()
		if p.Outcome != message.ReadOK {
			t.Fatalf("outcome %d", p.Outcome)
		}
		more = p.More
	}
	if err := slow.s.Err(); err != nil {
		t.Errorf("only when the slow reader had been given up: %v", err)
	}
}
