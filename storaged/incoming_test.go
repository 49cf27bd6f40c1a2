package storaged

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/transfer"
	"synod/protocol/wire"
)

// hashOf returns an Accept that makes a hash of n elements.
func (c *client) hashOf(k string, n int) *message.Request {
	q := c.setRequest(k, "")
	q.Epoch = c.n.epoch
	q.Change.Header = register.Header{Type: register.Hash, Size: uint64(n)}
	q.Change.Ops = nil
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range n {
		q.Change.Ops = append(q.Change.Ops, register.Op{Key: fmt.Appendf(nil, "%08d", i), Value: value})
	}
	return q
}

// cut returns the chunks of an Accept, and where its answer will be.
func (c *client) cut(q *message.Request, size int) ([]*wire.Chunk, chan *answer) {
	id, ch := c.next()
	var out []*wire.Chunk
	for rest := q.Change.Ops; ; {
		n := wire.Cut(rest, size)
		out = append(out, &wire.Chunk{ID: id, Number: uint32(len(out)), Ops: rest[:n]})
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	out[0].Accept = q
	out[len(out)-1].Last = true
	return out, ch
}

func (c *client) sendChunks(ps ...*wire.Chunk) {
	c.t.Helper()
	for _, p := range ps {
		if err := c.s.Send(rpc.Bulk, wire.AppendChunk(nil, p)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// sendUntilEnd is sendChunks, for chunks at one of which the node ends the session,
// perhaps before the last is sent.
func (c *client) sendUntilEnd(ps ...*wire.Chunk) {
	c.t.Helper()
	for _, p := range ps {
		err := c.s.Send(rpc.Bulk, wire.AppendChunk(nil, p))
		if errors.Is(err, rpc.ErrClosed) {
			return
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// doChunks sends an Accept in chunks and waits for its answer.
func (c *client) doChunks(q *message.Request) *message.Reply {
	c.t.Helper()
	ps, ch := c.cut(q, 1<<20)
	c.sendChunks(ps...)
	return c.await(ch).reply
}

// wantHash reads a large hash, whole.
func (n *testNode) wantHash(k string, elements int) {
	n.t.Helper()
	r := n.reader()
	q := readRequest(k)
	q.ID, q.Epoch, q.WantLarge = 1, n.epoch, true
	if err := r.s.Send(rpc.Votes, wire.AppendRequest(nil, q)); err != nil {
		n.t.Fatal(err)
	}
	var views []register.View
	for more := true; more; {
		p := r.part()
		views, more = append(views, p.View), p.More
	}
	if got := len(register.Join(views...).Elements()); got != elements {
		n.t.Fatalf("%s has %d elements, want %d", k, got, elements)
	}
	r.s.Close()
}

// idle waits until no large state is coming in, and wants no file of one.
func (n *testNode) idle() {
	n.t.Helper()
	waitFor(n.t, "the end of all stagings", func() bool { return n.d.incoming.len() == 0 })
	if left := n.stagedFiles(); len(left) > 0 {
		n.t.Fatalf("files are left: %v", left)
	}
}

func (n *testNode) stagedFiles() []os.DirEntry {
	n.t.Helper()
	files, err := os.ReadDir(filepath.Join(n.cfg.DataDir, "stage"))
	if err != nil {
		n.t.Fatal(err)
	}
	return files
}

// A state that came in chunks is there, also if the node ends right after it
// said so.
func TestChunks(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	const elements = 8000
	if r := c.doChunks(c.hashOf("k", elements)); r.Outcome != message.Acked {
		t.Fatalf("outcome %d", r.Outcome)
	}
	n.restart(n.kill)
	n.wantHash("k", elements)
	n.restart(func() { n.d.Close(n.context()) })
	n.wantHash("k", elements)
	c = n.dial()
	one := c.hashOf("one", 1) // needs no chunks, but may come so
	if r := c.doChunks(one); r.Outcome != message.Acked {
		t.Fatalf("outcome %d", r.Outcome)
	}
	if r := c.doChunks(one); r.Outcome != message.Acked { // delivered twice
		t.Fatalf("outcome %d", r.Outcome)
	}
	n.idle()
}

// What cannot be voted for is answered at its first chunk, and the others are
// let go by.
func TestChunksOfALostRound(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	late, gone, ahead := c.hashOf("k", 3000), c.hashOf("k", 3000), c.hashOf("k", 3000)
	c.set("k", "v")
	gone.Epoch = 0
	ahead.Ballot.Time = ballot.MakeTime(time.Now().Add(time.Hour).UnixMilli(), 0)
	for _, test := range []struct {
		q    *message.Request
		want message.Outcome
	}{{late, message.Nacked}, {gone, message.WrongEpoch}, {ahead, message.ClockAhead}} {
		ps, ch := c.cut(test.q, 1<<20)
		c.sendChunks(ps[0])
		if r := c.await(ch).reply; r.Outcome != test.want {
			t.Errorf("outcome %d, want %d", r.Outcome, test.want)
		}
		c.sendChunks(ps[1:]...)
	}
	// A promise in between is found out by the vote.
	ps, ch := c.cut(c.hashOf("k", 3000), 1<<20)
	c.sendChunks(ps[0])
	waitFor(t, "the staging", func() bool { return n.d.incoming.len() == 1 })
	if r := c.do(&message.Request{Kind: message.KindPrepare, Register: key("k"), Ballot: n.ballot()}); r.Outcome != message.Promised {
		t.Fatalf("prepare: %+v", r)
	}
	c.sendChunks(ps[1:]...)
	if r := c.await(ch).reply; r.Outcome != message.Nacked {
		t.Errorf("outcome %d", r.Outcome)
	}
	n.idle()
	if got := c.get("k"); got != "v" {
		t.Errorf("read %q", got)
	}
}

// Chunks that make no sense end their session, and nothing is voted for.
func TestSenselessChunks(t *testing.T) {
	n := startNode(t)
	for name, send := range map[string]func(*client, []*wire.Chunk){
		"left out": func(c *client, ps []*wire.Chunk) { c.sendChunks(ps[0], ps[2]) },
		"doubled":  func(c *client, ps []*wire.Chunk) { c.sendChunks(ps[0], ps[1], ps[1]) },
		"anew":     func(c *client, ps []*wire.Chunk) { c.sendChunks(ps[0], ps[0]) },
		"swapped": func(c *client, ps []*wire.Chunk) {
			ps[1].Ops, ps[2].Ops = ps[2].Ops, ps[1].Ops
			c.sendUntilEnd(ps...)
		},
		"empty":           func(c *client, ps []*wire.Chunk) { c.sendChunks(ps[0], &wire.Chunk{ID: ps[0].ID, Number: 1}) },
		"empty and first": func(c *client, ps []*wire.Chunk) { ps[0].Ops = nil; c.sendChunks(ps[0]) },
		"of too much": func(c *client, ps []*wire.Chunk) {
			for i := range ps[1].Ops[:2] {
				ps[1].Ops[i].Value = make([]byte, message.ChunkBytes)
			}
			c.sendChunks(ps[:2]...)
		},
		"of nothing": func(c *client, ps []*wire.Chunk) {
			ps[0].Accept.Change.Header = register.Header{}
			c.sendUntilEnd(ps...)
		},
		"as votes": func(c *client, ps []*wire.Chunk) {
			if err := c.s.Send(rpc.Votes, wire.AppendChunk(nil, ps[0])); err != nil {
				t.Fatal(err)
			}
		},
	} {
		c := n.dial()
		ps, _ := c.cut(c.hashOf("k", 100), 30<<10)
		send(c, ps)
		select {
		case <-c.s.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the session goes on", name)
		}
		c.sendUntilEnd(ps...) // a client that has not heard of it yet
		n.idle()
	}
	if r := n.dial().do(readRequest("k")); !r.Accepted.IsZero() {
		t.Errorf("voted for %v", r.Accepted)
	}
}

// Too many states at a time are refused, and those before go on.
func TestTooManyStagings(t *testing.T) {
	n := startNode(t)
	type begun struct {
		c  *client
		ps []*wire.Chunk
		ch chan *answer
	}
	var all []begun
	begin := func(c *client) begun {
		b := begun{c: c}
		b.ps, b.ch = c.cut(c.hashOf(fmt.Sprint("k", len(all)), 100), 30<<10)
		c.sendChunks(b.ps[0])
		return b
	}
	refused := func(b begun) {
		t.Helper()
		if r := b.c.await(b.ch).reply; r.Outcome != message.Busy {
			t.Fatalf("outcome %d", r.Outcome)
		}
		b.c.sendChunks(b.ps[1:]...)
	}
	for range (incomingLimits.Open - incomingLimits.Reserved) / incomingLimits.OpenEach {
		c := n.dial()
		for range incomingLimits.OpenEach {
			all = append(all, begin(c))
		}
		refused(begin(c))
	}
	for range incomingLimits.Reserved { // one for each of other sessions
		c := n.dial()
		all = append(all, begin(c))
		refused(begin(c))
	}
	refused(begin(n.dial()))
	if got := n.d.incoming.len(); got != incomingLimits.Open {
		t.Errorf("%d stagings", got)
	}
	for _, b := range all {
		b.c.sendChunks(b.ps[1:]...)
		if r := b.c.await(b.ch).reply; r.Outcome != message.Acked {
			t.Errorf("outcome %d", r.Outcome)
		}
	}
	n.idle()
}

// A state of which nothing more comes is let go, and so are those of a session
// that has ended.
func TestStagingsEnd(t *testing.T) {
	n := startNode(t)
	c := n.dial()
	ps, ch := c.cut(c.hashOf("k", 3000), 1<<20)
	c.sendChunks(ps[:2]...)
	waitFor(t, "the staging", func() bool { return n.d.incoming.len() == 1 })
	n.d.endLate(n.d.monotonic())
	if n.d.incoming.len() != 1 {
		t.Error("it was not late")
	}
	waitFor(t, "its end", func() bool { // it may be at work still
		n.d.endLate(n.d.monotonic() + 2*transfer.Patience)
		return n.d.incoming.len() == 0
	})
	if r := c.await(ch).reply; r.Outcome != message.Busy {
		t.Errorf("outcome %d", r.Outcome)
	}
	n.idle()
	c.sendChunks(ps[2:]...)
	ps, _ = c.cut(c.hashOf("k", 3000), 1<<20)
	c.sendChunks(ps[:2]...)
	waitFor(t, "the staging", func() bool { return n.d.incoming.len() == 1 })
	c.s.Close()
	n.idle()
	if r := n.dial().do(readRequest("k")); !r.Accepted.IsZero() {
		t.Errorf("voted for %v", r.Accepted)
	}
}

// A node without room refuses large states, and goes on.
func TestChunksWithoutRoom(t *testing.T) {
	n := prepareNode(t)
	g := new(gatedDisk)
	n.cfg.disk = g.disk()
	n.cfg.MinFreeBytes = 1 << 20
	n.start()
	n.create()
	c := n.dial()
	ps, ch := c.cut(c.hashOf("k", 3000), 1<<20)
	c.sendChunks(ps[0])
	waitFor(t, "the staging", func() bool { return n.d.incoming.len() == 1 })
	g.free.Store(0)
	waitFor(t, "the node to notice", func() bool { return n.d.engine.Ready() != nil })
	c.sendChunks(ps[1:]...)
	if r := c.await(ch).reply; r.Outcome != message.DiskFull {
		t.Errorf("outcome %d", r.Outcome)
	}
	n.idle()
	g.free.Store(1 << 40)
	waitFor(t, "the node to notice", func() bool { return n.d.engine.Ready() == nil })
	if r := c.doChunks(c.hashOf("k", 3000)); r.Outcome != message.Acked {
		t.Errorf("outcome %d", r.Outcome)
	}
	n.wantHash("k", 3000)
}
