package caspaxos_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// beside returns another proxy of the same cluster.
func (c *cluster) beside() *cluster {
	other := &cluster{t: c.t, now: c.now, config: c.config, nodes: c.nodes, down: c.down}
	clock := ballot.NewClock(9, func() int64 { return other.now.Wall })
	other.p = proposer.New(proposer.Options{Clock: clock, Env: other, Limits: limits.Default(), Due: layout.Due,
		Timing: timing(), Stats: &other.stats, Cached: 100, CachedBytes: 1 << 20})
	return other
}

// TestPromiseOvertaken has a proxy come back to a promise that it was given
// before another one wrote more often than the nodes' lists are long. Its attempt
// had no chance, and that is known.
func TestPromiseOvertaken(t *testing.T) {
	for name, down := range map[string]bool{"all up": false, "one down": true} {
		t.Run(name, func(t *testing.T) {
			a := newCluster(t)
			b := a.beside()
			n := 0
			next := func() string { n++; return strconv.Itoa(n) }
			for range 3 {
				a.want("k", incr{}, next())
				a.down[2] = down
				b.now = a.now
				for range 3 * history.MaxEntries {
					b.want("k", incr{}, next())
					b.advance(500 * time.Microsecond) // no round is faster
				}
				a.now = b.now
				a.want("k", incr{}, next())
				a.down[2] = false
			}
			if got := a.stats.Uncertain.Load(); got != 0 {
				t.Errorf("%d uncertain", got)
			}
		})
	}
}

// TestRefusedDeltaIsPartOfTheNext has a node refuse a delta on a large state,
// since another proxy was about to write, and that one's delta then build on it:
// the node has seen both, and needs nobody to send it the state.
func TestRefusedDeltaIsPartOfTheNext(t *testing.T) {
	a := newCluster(t)
	a.want("k", set{strings.Repeat("v", 20<<10)}, "OK")
	a.want("k", note{"a"}, "OK")
	b := a.beside()

	one, oneDone := a.submit("k", note{"one"})
	var late []message.Sent
	for _, s := range a.p.Take() { // Accepts, under a carried promise
		if s.To == 2 {
			late = append(late, s)
		} else {
			a.deliver(s)
		}
	}
	if !*oneDone || len(late) != 1 {
		t.Fatalf("done %v, %d late; want it chosen by two", *oneDone, len(late))
	}
	b.now = a.now
	two, twoDone := b.submit("k", note{"two"})
	for _, s := range b.p.Take() { // Prepares
		b.deliver(s)
	}
	a.deliver(late[0])
	b.run(twoDone)
	a.run(oneDone)
	if one.Err != nil || two.Err != nil {
		t.Fatal(one.Err, two.Err)
	}
	for _, s := range append(a.p.Take(), b.p.Take()...) {
		a.deliver(s)
	}
	for i, n := range a.nodes {
		if v := n.store.View("k"); len(v.Elements()) != 4 {
			t.Errorf("node %d has %d elements, want all 4", i, len(v.Elements()))
		}
	}
	if n := a.nodes[2].acc.Joined; n != 1 {
		t.Errorf("node 2 voted for %d deltas with what it had refused before, want 1", n)
	}
	if n := a.stats.Snapshots.Load() + b.stats.Snapshots.Load(); n != 0 {
		t.Errorf("%d states were sent", n)
	}
}

// TestAttemptOfLongAgo has an attempt reach one node, or two of which one is down
// later, and its proxy come back to it when another one has written many times
// more than lists are long where only one proxy writes. What became of it is known
// all the same.
func TestAttemptOfLongAgo(t *testing.T) {
	for name, reached := range map[string][]quorum.NodeID{"nobody": nil, "one": {0}, "two": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			a := newCluster(t)
			b := a.beside()
			a.want("k", incr{}, "1")
			b.now = a.now
			b.want("k", incr{}, "2")
			a.now = b.now
			a.want("k", incr{}, "3")
			a.advance(100 * time.Millisecond)
			cmd, done := a.submit("k", incr{})
			for sent := a.p.Take(); len(sent) > 0; sent = a.p.Take() {
				for _, s := range sent {
					if s.Request.Kind != message.KindAccept {
						a.step(s)
					} else if slices.Contains(reached, s.To) {
						var reply message.Reply // lost
						if _, err := a.nodes[s.To].acc.Step(a.now, s.Request, &reply); err != nil || reply.Outcome != message.Acked {
							t.Fatal(reply.Outcome, err)
						}
					}
				}
			}
			took := 0
			if len(reached) == 2 {
				took = 1
			}
			b.now = a.now
			b.advance(time.Millisecond)
			b.down[1] = len(reached) == 1
			for i := range history.MaxContended - 20 {
				if got := b.do("k", incr{}); got != strconv.Itoa(4+took+i) {
					if i > 0 || len(reached) != 1 {
						t.Fatalf("%d: got %s", i, got)
					}
					took = 1 // carried on
				}
				b.advance(500 * time.Microsecond)
			}
			a.now = b.now
			a.run(done)
			want := strconv.Itoa(4 + history.MaxContended - 20)
			if took == 1 {
				want = "4"
			}
			if cmd.Err != nil || cmd.Result != want {
				t.Errorf("%v, %v; want %s", cmd.Result, cmd.Err, want)
			}
		})
	}
}

// TestHistoryIsShort: a Prepare that has no use for more gets as many entries as
// lists have where one proxy writes, as if there were no others.
func TestHistoryIsShort(t *testing.T) {
	a := newCluster(t)
	b := a.beside()
	a.want("k", incr{}, "1")
	b.now = a.now
	for i := range 3 * history.MaxEntries {
		b.want("k", incr{}, strconv.Itoa(2+i))
		b.advance(time.Millisecond)
	}
	rec, _ := a.nodes[0].store.Load(register.ID{Slot: 1, Key: "k"})
	if n := len(rec.Lineage.Entries); n != 1+3*history.MaxEntries {
		t.Fatalf("%d entries kept", n)
	}
	clock := ballot.NewClock(11, func() int64 { return b.now.Wall + 20 })
	for _, oldest := range []int{-1, 0, 10, len(rec.Lineage.Entries) - 10} {
		q := message.Request{Kind: message.KindPrepare, Register: rec.Register, Epoch: 1, Ballot: clock.Next(), WantHistory: true}
		want := history.MaxEntries
		if oldest >= 0 {
			q.Oldest = rec.Lineage.Entries[oldest].Ballot
			want = max(want, len(rec.Lineage.Entries)-oldest)
		}
		var reply message.Reply
		if _, err := a.nodes[0].acc.Step(b.now, &q, &reply); err != nil || reply.Outcome != message.Promised {
			t.Fatal(reply.Outcome, err)
		}
		h := reply.History
		if len(h.Lineage.Entries) != want || len(h.Votes) != want {
			t.Errorf("from %d: %d entries and %d votes, want %d", oldest, len(h.Lineage.Entries), len(h.Votes), want)
		}
		if first := h.Lineage.Entries[0].Ballot; want < len(rec.Lineage.Entries) &&
			h.Lineage.TruncatedThrough != rec.Lineage.Entries[len(rec.Lineage.Entries)-want-1].Ballot || !h.Lineage.TruncatedThrough.Less(first) {
			t.Errorf("from %d: cut at %v, first entry %v", oldest, h.Lineage.TruncatedThrough, first)
		}
	}
}

type getset struct{ value string }

func (getset) Needs() register.Projection { return register.Projection{Keys: [][]byte{chunk}} }
func (getset) ReadOnly() bool             { return false }
func (getset) Blind() bool                { return false }
func (o getset) Execute(v register.View, _ int64) operation.Effect {
	b, _ := v.Get(chunk)
	return operation.Effect{Result: string(b), Change: put(register.Full, o.value, 0)}
}

// TestAttemptOfLongAgoFull is TestAttemptOfLongAgo for changes that replace the whole
// state and bring their lineage along: that is shorter than what the nodes keep,
// which must not make them forget the rest.
func TestAttemptOfLongAgoFull(t *testing.T) {
	for name, reached := range map[string][]quorum.NodeID{"nobody": nil, "one": {0}, "two": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			a := newCluster(t)
			b := a.beside()
			a.want("k", getset{"1"}, "")
			b.now = a.now
			b.want("k", getset{"2"}, "1")
			a.now = b.now
			a.want("k", getset{"3"}, "2")
			a.advance(100 * time.Millisecond)
			cmd, done := a.submit("k", getset{"mine"})
			for sent := a.p.Take(); len(sent) > 0; sent = a.p.Take() {
				for _, s := range sent {
					if s.Request.Kind != message.KindAccept {
						a.step(s)
					} else if slices.Contains(reached, s.To) {
						var reply message.Reply // lost
						if _, err := a.nodes[s.To].acc.Step(a.now, s.Request, &reply); err != nil || reply.Outcome != message.Acked {
							t.Fatal(reply.Outcome, err)
						}
					}
				}
			}
			b.now = a.now
			b.advance(time.Millisecond)
			b.down[1] = len(reached) == 1
			last, seen := "3", false
			for i := range history.MaxContended - 20 {
				next := strconv.Itoa(4 + i)
				got := b.do("k", getset{next})
				if got == "mine" {
					seen = true
				} else if got != last {
					t.Fatalf("%d: got %s, want %s", i, got, last)
				}
				last = next
				b.advance(500 * time.Microsecond)
			}
			a.now = b.now
			a.run(done)
			want := last
			if seen {
				want = "3"
			}
			if cmd.Err != nil || cmd.Result != want {
				t.Errorf("%v, %v; want %s", cmd.Result, cmd.Err, want)
			}
		})
	}
}
