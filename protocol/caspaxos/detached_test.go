package caspaxos_test

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// begin submits a read of all of k, which is large, has its first part arrive
// and returns the others, with who sent them.
func (c *cluster) begin() (cmd *proposer.Command, done *bool, rest []message.Reply, from quorum.NodeID) {
	c.t.Helper()
	cmd, done = c.submit("k", every{})
	for sent := c.p.Take(); len(sent) > 0 && rest == nil; sent = c.p.Take() {
		for _, s := range sent {
			if s.Request.WantLarge {
				rest, from = c.parted(s, 1), s.To
			} else {
				c.deliver(s)
			}
		}
	}
	if len(rest) < 3 {
		c.t.Fatalf("the state came in %d parts", len(rest))
	}
	c.p.Deliver(c.now, from, &rest[0])
	return cmd, done, rest[1:], from
}

func (c *cluster) finish(rest []message.Reply, from quorum.NodeID) {
	for i := range rest {
		c.p.Deliver(c.now, from, &rest[i])
	}
}

// TestReadAside: while a large state is on its way to a read, other commands on
// the same register go on, and the read shows the state as it was.
func TestReadAside(t *testing.T) {
	c := newCluster(t)
	c.large()
	first, firstDone, firstRest, from := c.begin()
	c.want("k", note{"more"}, "OK")
	second, secondDone, secondRest, _ := c.begin()
	c.want("k", note{"and more"}, "OK")
	if got := c.do("k", get{}); len(got) != 100<<10 {
		t.Errorf("%.100s", got)
	}
	if *firstDone || *secondDone {
		t.Fatal("a read is done before its state is there")
	}
	c.finish(secondRest, from)
	c.finish(firstRest, from)
	if !*firstDone || first.Err != nil || first.Result != 6 || !*secondDone || second.Err != nil || second.Result != 7 {
		t.Errorf("%v %v, %v %v; want the 6 and the 7 elements of then", first.Result, first.Err, second.Result, second.Err)
	}
	if n := c.stats.Detached.Load(); n != 2 {
		t.Errorf("%d reads stepped aside, want 2", n)
	}
	third, thirdDone, rest, from := c.begin()
	if c.finish(rest, from); !*thirdDone || third.Result != 8 {
		t.Errorf("afterwards: %v", third.Result)
	}
	if n := c.p.Pending(); n != 0 {
		t.Errorf("%d commands pending", n)
	}
}

// TestReadAsideBeforeWrites has a read of a large state wait in front of writes:
// they need not wait for it once it is known to be large.
func TestReadAsideBeforeWrites(t *testing.T) {
	c := newCluster(t)
	c.large()
	busy, busyDone := c.submit("k", note{"busy"})
	cmd, done := c.submit("k", every{})
	write, writeDone := c.submit("k", note{"behind"})
	var rest []message.Reply
	var from quorum.NodeID
	for range 100 {
		for _, s := range c.p.Take() {
			if !s.Request.WantLarge {
				c.deliver(s)
				continue
			}
			parts := c.parted(s, 1)
			c.p.Deliver(c.now, s.To, &parts[0])
			rest, from = parts[1:], s.To
		}
	}
	if !*busyDone || busy.Err != nil || !*writeDone || write.Err != nil || *done {
		t.Fatalf("writes done: %v %v, the read: %v", *busyDone, *writeDone, *done)
	}
	if c.finish(rest, from); !*done || cmd.Result != 7 {
		t.Errorf("%v elements, %v; want the 7 before the write", cmd.Result, cmd.Err)
	}
}

// TestReadAsideIsBounded: further reads hold up what is behind them.
func TestReadAsideIsBounded(t *testing.T) {
	c := newCluster(t)
	c.large()
	var dones []*bool
	var rests [][]message.Reply
	for range 4 {
		_, done, rest, _ := c.begin()
		dones, rests = append(dones, done), append(rests, rest)
	}
	_, _, rest, from := c.begin()
	_, noted := c.submit("k", note{"late"})
	for range 100 {
		for _, s := range c.p.Take() {
			c.deliver(s)
		}
	}
	if *noted {
		t.Fatal("a fifth read stepped aside")
	}
	c.finish(rest, from)
	c.run(noted)
	for i := range rests {
		c.finish(rests[i], from)
		if !*dones[i] {
			t.Errorf("read %d is not done", i)
		}
	}
}

// TestReadAsideFails has the node that sends the state go away. If others still
// have the state, one of them sends it; if nothing was written through this proxy
// the read starts over; otherwise what was written may be a command of the same
// connection that was to come after it.
func TestReadAsideFails(t *testing.T) {
	b := func(c *cluster) *cluster { other := c.beside(); other.now = c.now; return other }
	for name, test := range map[string]struct {
		meanwhile func(*cluster)
		want      any
		err       error
	}{
		"nothing written":     {func(*cluster) {}, 6, nil},
		"another proxy wrote": {func(c *cluster) { b(c).want("k", note{"theirs"}, "OK") }, 7, nil},
		"written":             {func(c *cluster) { c.want("k", note{"ours"}, "OK") }, nil, operation.ErrContention},
		"a large read failed behind it": {func(c *cluster) {
			_, _, _, from := c.begin()
			c.want("k", note{"ours"}, "OK")
			_ = from
		}, nil, operation.ErrContention},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.large()
			cmd, done, _, from := c.begin()
			test.meanwhile(c)
			c.down[from] = true
			c.p.Disconnected(c.now, from)
			c.run(done)
			if !errors.Is(cmd.Err, test.err) || cmd.Result != test.want {
				t.Errorf("%v, %v; want %v, %v", cmd.Result, cmd.Err, test.want, test.err)
			}
			c.down[from] = false
			c.advance(time.Second)
			c.want("k", note{"on"}, "OK")
			if n := c.p.Pending(); n != 0 {
				t.Errorf("%d commands pending", n)
			}
		})
	}
}

// TestReadAsideTooLate has the rest of a state never come.
func TestReadAsideTooLate(t *testing.T) {
	c := newCluster(t)
	c.large()
	cmd, done, _, _ := c.begin()
	c.want("k", note{"more"}, "OK")
	for range 20 {
		c.advance(500 * time.Millisecond)
		c.p.Tick(c.now)
		c.p.Take()
	}
	if !*done || cmd.Err == nil {
		t.Errorf("done %v, %v", *done, cmd.Err)
	}
	if got := c.do("k", get{}); len(got) != 100<<10 {
		t.Errorf("%.100s", got)
	}
}

// timed makes k a large hash of which one element is past its time at that time.
type timed struct{ at int64 }

func (timed) Needs() register.Projection { return register.Projection{} }
func (timed) ReadOnly() bool             { return false }
func (timed) Blind() bool                { return true }
func (o timed) Execute(register.View, int64) operation.Effect {
	h := register.Header{Type: register.Hash, Size: 7, Aux: binary.BigEndian.AppendUint64(nil, uint64(o.at))}
	c := register.Change{Kind: register.Full, Header: h, Ops: []register.Op{{Key: []byte("old")}}}
	for _, key := range []string{"p", "q", "r", "s", "t", "u"} {
		c.Ops = append(c.Ops, register.Op{Key: []byte(key), Value: make([]byte, 100<<10)})
	}
	return operation.Effect{Result: "OK", Change: c}
}

// live counts the elements, and takes the one away that is past its time.
type live struct{ every }

func (live) Execute(v register.View, now int64) operation.Effect {
	e := operation.Effect{Result: len(v.Elements())}
	if _, is := v.Get([]byte("old")); is && layout.Due(v.Header) <= now {
		h := register.Header{Type: register.Hash, Size: v.Header.Size - 1}
		e.Result, e.Change = len(v.Elements())-1, register.Change{Kind: register.Delta, Header: h,
			Ops: []register.Op{{Kind: register.Remove, Key: []byte("old")}}}
	}
	return e
}

// TestReadAsideOfWhatIsPast: what is past its time when a large state is settled
// is taken away in a round, which the read then goes through; what is so only when
// the rest of the state has come is not, as the read shows the state of then.
func TestReadAsideOfWhatIsPast(t *testing.T) {
	for _, test := range []struct {
		due    time.Duration // from the time of the first part
		aside  uint64
		result int
	}{{0, 0, 6}, {time.Millisecond, 1, 7}} {
		c := newCluster(t)
		c.want("k", timed{c.now.Wall + test.due.Milliseconds()}, "OK")
		cmd, done := c.submit("k", live{})
		for range 100 {
			for _, s := range c.p.Take() {
				if !s.Request.WantLarge {
					c.step(s)
					continue
				}
				parts := c.parted(s, 1)
				c.p.Deliver(c.now, s.To, &parts[0])
				c.advance(time.Second)
				c.finish(parts[1:], s.To)
			}
			c.tickNodes()
		}
		if !*done || cmd.Err != nil || cmd.Result != test.result || c.stats.Detached.Load() != test.aside {
			t.Errorf("due after %v: %v, %v, %d aside; want %d and %d aside", test.due, cmd.Result, cmd.Err, c.stats.Detached.Load(), test.result, test.aside)
		}
	}
}

// TestReadAsideAfterEviction: the register that a read has left is pushed out of the
// cache. What is written then counts, too.
func TestReadAsideAfterEviction(t *testing.T) {
	c := newCluster(t)
	c.large()
	cmd, done, _, from := c.begin()
	for i := range 150 { // Cached: 100
		c.want("x"+strconv.Itoa(i), incr{}, "1")
	}
	c.want("k", note{"later command of the same connection"}, "OK")
	c.down[from] = true
	c.p.Disconnected(c.now, from)
	c.run(done)
	if cmd.Err == nil && cmd.Result != 6 {
		t.Errorf("the read shows %v elements, %v: with the one that was written after it", cmd.Result, cmd.Err)
	}
}

// TestReadsAsideInOrder: a read that left does not look again and show a later state
// than one behind it has shown.
func TestReadsAsideInOrder(t *testing.T) {
	c := newCluster(t)
	c.large()
	first, done, _, from := c.begin()
	second, done2, rest2, from2 := c.begin() // behind it on the same connection
	c.finish(rest2, from2)
	if !*done2 {
		t.Fatal("not done")
	}
	b := c.beside()
	b.now = c.now
	b.want("k", note{"theirs"}, "OK")
	c.now = b.now
	c.down[from] = true
	c.p.Disconnected(c.now, from)
	c.run(done)
	if first.Err == nil && first.Result.(int) > second.Result.(int) {
		t.Errorf("the first of two pipelined reads shows %v elements, the second %v", first.Result, second.Result)
	}
}

// looks reads some, and then everything.
type looks struct{}

func (looks) Needs() (p register.Projection) {
	for _, n := range []string{"a", "b", "c", "d"} {
		p.Keys = append(p.Keys, []byte(n+strings.Repeat("v", 100<<10)))
	}
	return p
}
func (looks) ReadOnly() bool { return true }
func (looks) Blind() bool    { return false }
func (looks) Execute(v register.View, _ int64) operation.Effect {
	all := register.Projection{All: true}
	if !v.Covers(all) {
		return operation.Effect{Need: &all}
	}
	return operation.Effect{Result: len(v.Elements())}
}

// TestReadOfTwoLooksStays: a read that may ask for more when it has what it asked
// for does not step aside: members would have moved on by then.
func TestReadOfTwoLooksStays(t *testing.T) {
	c := newCluster(t)
	c.large()
	cmd, done := c.submit("k", looks{})
	var rest []message.Reply
	var from quorum.NodeID
	for sent := c.p.Take(); len(sent) > 0 && rest == nil; sent = c.p.Take() {
		for _, s := range sent {
			if s.Request.WantLarge {
				rest, from = c.parted(s, 1), s.To
			} else {
				c.deliver(s)
			}
		}
	}
	c.p.Deliver(c.now, from, &rest[0])
	if c.stats.Detached.Load() != 0 {
		t.Fatal("it has left")
	}
	_, noted := c.submit("k", note{"behind it"})
	c.finish(rest[1:], from)
	c.run(done)
	c.run(noted)
	if cmd.Err != nil || cmd.Result != 6 {
		t.Errorf("%v, %v; nothing failed", cmd.Result, cmd.Err)
	}
}
