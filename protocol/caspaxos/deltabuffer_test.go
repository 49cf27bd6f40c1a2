package caspaxos_test

import (
	"testing"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// late is node 2, which is brought what it lacks after what follows on it.
type late struct {
	*cluster
	epoch uint64
}

func (l *late) at(i uint16) ballot.Ballot {
	if i == 0 {
		return ballot.Ballot{}
	}
	return ballot.Ballot{Time: ballot.MakeTime(1_700_000_000_000, i), Proposer: 1}
}

// accept delivers a delta on base, or with base zero a whole state.
func (l *late) accept(ballot, base, next uint16) (reply message.Reply) {
	l.t.Helper()
	kind := register.Delta
	if base == 0 {
		kind = register.Full
	}
	req := message.Request{Kind: message.KindAccept, Register: register.ID{Slot: 1, Key: "\x00k"}, Epoch: l.epoch,
		Ballot: l.at(ballot), Base: l.at(base), Piggyback: l.at(next), Prepared: true, Change: put(kind, "v", 0)}
	if _, err := l.nodes[2].acc.Step(l.now, &req, &reply); err != nil {
		l.t.Fatal(err)
	}
	return reply
}

func (l *late) wantAccepted(ballot uint16) {
	l.t.Helper()
	rec, _ := l.nodes[2].store.Load(register.ID{Slot: 1, Key: "\x00k"})
	if rec == nil || rec.Accepted != l.at(ballot) {
		l.t.Fatalf("accepted: %+v, want %d", rec, ballot)
	}
}

// TestStashedAcceptIsCheckedAgain: an Accept that waited for its base is handled
// as one that arrives when the base is there (§3), whatever has happened
// meanwhile.
func TestStashedAcceptIsCheckedAgain(t *testing.T) {
	cases := map[string]func(*late){
		"nothing": func(l *late) {
			l.accept(1, 0, 0)
			l.wantAccepted(3)
			if l.accept(3, 1, 5).Granted != true {
				t.Error("a doubled Accept that is current is granted what it asks for")
			}
		},
		"a promise above it": func(l *late) {
			if !l.accept(1, 0, 5).Granted {
				t.Fatal("not granted")
			}
			l.wantAccepted(1)
			if got := l.accept(3, 1, 0); got.Outcome != message.Nacked || !got.Never {
				t.Errorf("delivered once more: %+v", got)
			}
			l.accept(5, 1, 0)
			l.wantAccepted(5)
		},
		"its own promise": func(l *late) {
			if !l.accept(1, 0, 3).Granted {
				t.Fatal("not granted")
			}
			l.wantAccepted(3)
		},
		"a newer epoch": func(l *late) {
			l.epoch = 2
			l.nodes[2].node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 2, Member: true}})
			l.accept(1, 0, 0)
			l.wantAccepted(1)
		},
		"a clock that was set back": func(l *late) {
			l.advance(-time.Second)
			l.accept(1, 0, 0)
			if rec, _ := l.nodes[2].store.Load(register.ID{Slot: 1, Key: "\x00k"}); rec != nil {
				t.Errorf("accepted %v", rec.Accepted)
			}
		},
		"a flush": func(l *late) {
			reply, err := l.nodes[2].acc.Flush(l.now, &message.FlushRequest{Ballot: l.at(4), Epoch: 1, Last: 9})
			if err != nil || reply.Outcome != message.Acked {
				t.Fatal(reply.Outcome, err)
			}
			if got := l.accept(1, 0, 0); got.Outcome != message.Nacked {
				t.Fatalf("below the flush: %v", got.Outcome)
			}
			l.accept(5, 0, 0)
			l.wantAccepted(5)
			if got := l.accept(3, 1, 0); got.Outcome != message.Nacked || !got.Never {
				t.Errorf("delivered once more: %+v", got)
			}
		},
		"a restart": func(l *late) {
			n := l.nodes[2]
			n.store = n.store.Crash(n.store.Appended())
			n.acc = acceptor.New(n.node, n.store, 0, 1, l.now)
			l.accept(1, 0, 0)
			l.wantAccepted(1)
		},
	}
	for name, then := range cases {
		t.Run(name, func(t *testing.T) {
			l := &late{cluster: newCluster(t), epoch: 1}
			l.nodes[2].acc.Step(l.now, &message.Request{Kind: message.KindPrepare, Epoch: 1, Ballot: l.at(9),
				Register: register.ID{Slot: 1, Key: "\x00other"}}, new(message.Reply)) // moves the ceiling
			l.tickNodes()
			if got := l.accept(3, 1, 7).Outcome; got != message.StaleBase {
				t.Fatalf("before its base: %v", got)
			}
			then(l)
		})
	}
}

// TestStaleIsNotNever has two nodes refuse an attempt for good, and the third
// say that it is behind. It votes when it has its base, and carries the attempt
// into the quorum of the retry, which must know it again.
func TestStaleIsNotNever(t *testing.T) {
	c := newCluster(t)
	c.want("n", incr{}, "1")
	c.down[2] = true
	c.want("n", incr{}, "2") // leaves a carried promise
	c.down[2] = false
	c.advance(time.Millisecond)
	n := register.ID{Slot: 1, Key: "n"}
	other := ballot.NewClock(8, func() int64 { return c.now.Wall }).Next()
	for _, refuses := range c.nodes[:2] {
		var reply message.Reply
		if _, err := refuses.acc.Step(c.now, &message.Request{Kind: message.KindPrepare, Epoch: 1, Ballot: other,
			Register: n}, &reply); err != nil || reply.Outcome != message.Promised {
			t.Fatal(reply.Outcome, err)
		}
	}
	cmd, done := c.submit("n", incr{})
	for _, s := range c.p.Take() {
		c.deliver(s)
	}
	rec, _ := c.nodes[0].store.Load(n)
	var reply message.Reply
	if _, err := c.nodes[2].acc.Step(c.now, &message.Request{Kind: message.KindAccept, Epoch: 1, Register: n, Ballot: rec.Accepted,
		Prepared: true, Change: c.nodes[0].store.View("n").Full(), History: &rec.Lineage}, &reply); err != nil {
		t.Fatal(err)
	}
	if c.nodes[2].acc.CaughtUp == 0 {
		t.Fatalf("node 2 has not voted: %v", reply.Outcome)
	}
	c.down[0] = true
	c.run(done)
	if cmd.Err != nil || cmd.Result != "3" {
		t.Fatal(cmd.Result, cmd.Err)
	}
	c.want("n", get{}, "3")
}

// TestStashCostsNothingWhileBehind: while a member waits for a state, each write
// is kept for later, and does not try all those before it again.
func TestStashCostsNothingWhileBehind(t *testing.T) {
	l := &late{cluster: newCluster(t), epoch: 1}
	next := uint16(10)
	stale := func() {
		next++
		if got := l.accept(next, next-1, 0); got.Outcome != message.StaleBase {
			t.Fatal(got.Outcome)
		}
	}
	few := testing.AllocsPerRun(1, stale)
	for range 1000 {
		stale()
	}
	// The chain that might lead to its base is looked for once, and is bounded.
	if many := testing.AllocsPerRun(100, stale); many > few+20 {
		t.Errorf("%.0f allocations for a write behind 1000 others, %.0f for the first", many, few)
	}
	l.accept(10, 0, 0)
	l.wantAccepted(next)
}
