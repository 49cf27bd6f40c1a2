package caspaxos_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// disorder has acceptors get the Accepts of several proposers in any order, some
// twice, some never, those that are behind get what they missed, late and also by
// mistake, and checks after each step that equal ballots stand for equal states
// and that lineages are true and, above their cuts, whole.
type disorder struct {
	t      *testing.T
	rng    *rand.Rand
	now    instant.Now
	limits limits.Limits
	nodes  []*node
	// What is so, by ballot.
	known   map[ballot.Ballot]fact
	ballots []ballot.Ballot
	last    uint16
	queue   []addressed

	led, flushes int
}

type fact struct {
	base  ballot.Ballot
	blind bool
	view  register.View
	req   *message.Request // nil for a flush
}

type addressed struct {
	to  int
	req *message.Request
}

var disordered = register.ID{Slot: 1, Key: "\x00k"}

func newDisorder(t *testing.T, seed uint64) *disorder {
	d := &disorder{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: instant.Now{Wall: 1_700_000_000_000, Mono: 1},
		limits: limits.Default(), known: map[ballot.Ballot]fact{{}: {view: register.Nothing()}}}
	d.limits.Entries = []int{0, 4, 8}[d.rng.IntN(3)]
	for range 3 {
		d.nodes = append(d.nodes, d.start(memstore.New()))
	}
	return d
}

// start starts a node on what its disk has.
func (d *disorder) start(store *memstore.Store) *node {
	n := &node{store: store, node: acceptor.NewNode(d.limits, partition.Slots, durable.NodeState{}, 0)}
	n.node.Publish(durable.NodeState{Ceiling: ballot.MakeTime(d.now.Wall+100000, 0)})
	n.node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 1, Member: true}})
	n.acc = acceptor.New(n.node, n.store, 0, 1, d.now)
	for i, e := range n.store.Log() {
		if err := n.acc.Redo(&e, uint64(i+1)); err != nil {
			d.t.Fatal(err)
		}
	}
	return n
}

func (d *disorder) next() ballot.Ballot {
	d.last++
	return ballot.Ballot{Time: ballot.MakeTime(d.now.Wall, d.last), Proposer: ballot.ProposerID(1 + d.rng.IntN(3))}
}

// lineage is that of a ballot as a proposer may know it.
func (d *disorder) lineage(b ballot.Ballot) *history.Lineage {
	l := new(history.Lineage)
	for n := 0; !b.IsZero(); n++ {
		if n == 5 {
			l.TruncatedThrough = b
			break
		}
		l.Insert(history.Entry{Ballot: b, Parent: d.known[b].base, Blind: d.known[b].blind})
		if d.known[b].blind {
			break
		}
		b = d.known[b].base
	}
	return l
}

// propose makes an Accept on one of the last states and sends it.
func (d *disorder) propose() {
	base := ballot.Ballot{}
	if len(d.ballots) > 0 {
		base = d.ballots[max(0, len(d.ballots)-1-d.rng.IntN(1+d.rng.IntN(4)))]
	}
	v, b := d.known[base].view, d.next()
	q := &message.Request{Kind: message.KindAccept, Register: disordered, Epoch: 1, Ballot: b, Base: base, Prepared: true}
	q.Change.Kind = register.Delta
	if !v.Header.Exists() || d.rng.IntN(40) == 0 {
		q.Change.Kind, q.History = register.Full, d.lineage(base)
	} else if d.rng.IntN(6) == 0 {
		q.Change.Kind = register.None
	}
	if q.Change.Kind != register.None {
		q.Change.Header = register.Header{Type: register.Hash, Size: uint64(d.last)}
		for range 1 + d.rng.IntN(3)*d.rng.IntN(8) {
			q.Change.Ops = append(q.Change.Ops, register.Op{Kind: register.OpKind(d.rng.IntN(3)), Key: []byte{'a' + byte(d.rng.IntN(8))},
				Offset: uint32(d.rng.IntN(6)), Value: fmt.Append(nil, d.last)})
		}
	}
	d.known[b] = fact{base: base, view: v.Apply(q.Change), req: q}
	d.ballots = append(d.ballots, b)
	for to := range d.nodes {
		for range []int{0, 1, 1, 1, 2}[d.rng.IntN(5)] {
			d.queue = append(d.queue, addressed{to, q})
		}
	}
}

func (d *disorder) flush() {
	f := d.next()
	d.known[f] = fact{blind: true, view: register.Nothing()}
	for _, n := range d.nodes {
		if d.rng.IntN(3) == 0 {
			continue
		}
		reply, err := n.acc.Flush(d.now, &message.FlushRequest{Ballot: f, Epoch: 1, Last: 9})
		if err == nil && reply.Outcome == message.Acked && len(reply.Refused) == 0 && d.ballots[len(d.ballots)-1] != f {
			d.flushes++
			d.ballots = append(d.ballots, f)
		}
	}
}

func (d *disorder) step(to int, q *message.Request) (reply message.Reply) {
	if _, err := d.nodes[to].acc.Step(d.now, q, &reply); err != nil {
		d.t.Fatal(err)
	}
	d.check(d.nodes[to])
	return reply
}

func (d *disorder) check(n *node) {
	d.t.Helper()
	rec, _ := n.store.Load(disordered)
	if rec == nil {
		return
	}
	got, want := n.store.View(disordered.Key), d.known[rec.Accepted].view
	if got.Header.Size != want.Header.Size || !slices.EqualFunc(got.Elements(), want.Elements(), func(a, b register.Element) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
	}) {
		d.t.Fatalf("at %v: %v, want %v", rec.Accepted, got, want)
	}
	for _, e := range rec.Lineage.Entries {
		if k := d.known[e.Ballot]; k.base != e.Parent || k.blind != e.Blind {
			d.t.Fatalf("false lineage: %+v", e)
		}
	}
	for at := rec.Accepted; !at.IsZero() && rec.Lineage.TruncatedThrough.Less(at); {
		e, ok := rec.Lineage.Find(at)
		if !ok {
			d.t.Fatalf("gap at %v below %v, cut at %v", at, rec.Accepted, rec.Lineage.TruncatedThrough)
		}
		if e.Blind {
			break
		}
		at = e.Parent
	}
}

// deliver delivers one of the next messages, and to who is behind perhaps what
// leads to where it should be.
func (d *disorder) deliver() {
	at := d.rng.IntN(min(len(d.queue), 6))
	m := d.queue[at]
	d.queue = slices.Delete(d.queue, at, at+1)
	reply := d.step(m.to, m.req)
	if reply.Outcome != message.StaleBase {
		return
	}
	b := m.req.Ballot
	if last := d.ballots[len(d.ballots)-1]; d.rng.IntN(3) == 0 && d.known[last].req != nil {
		b = last
	}
	again := *d.known[b].req
	led := d.step((m.to+1+d.rng.IntN(2))%3, &message.Request{Kind: message.KindRead, Register: disordered, Epoch: 1,
		Since: append([]ballot.Ballot{reply.Accepted}, reply.UndoTargets...), Ballot: b})
	switch {
	case led.Outcome == message.DeltasOK:
		d.led++
		again.On, again.Change, again.History = led.DeltaRange.On, led.DeltaRange.Change, &led.DeltaRange.Lineage
		d.queue = append(d.queue, addressed{m.to, &again}, addressed{d.rng.IntN(3), &again})
		if d.rng.IntN(2) == 0 {
			d.step(m.to, &again)
		}
	case d.rng.IntN(10) == 0:
		again.Change, again.History = d.known[b].view.Full(), d.lineage(d.known[b].base)
		d.queue = append(d.queue, addressed{m.to, &again})
	}
}

// TestDisorder runs acceptors in disorder.
func TestDisorder(t *testing.T) {
	led, flushes, joined := 0, 0, 0
	for seed := range uint64(500) {
		d := newDisorder(t, seed)
		for range 120 {
			switch n := d.rng.IntN(96); {
			case n < 32 || len(d.queue) == 0:
				d.propose()
			case n == 32:
				i := d.rng.IntN(3)
				d.nodes[i] = d.start(d.nodes[i].store.Crash(uint64(d.rng.IntN(1 + int(d.nodes[i].store.Appended())))))
				d.check(d.nodes[i])
			case n == 33:
				d.flush()
			default:
				d.deliver()
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		led, flushes = led+d.led, flushes+d.flushes
		for _, n := range d.nodes {
			joined += int(n.acc.Joined)
		}
	}
	if led == 0 || flushes == 0 || joined == 0 {
		t.Errorf("%d ways, %d flushes, %d deltas joined; want some of each", led, flushes, joined)
	}
}
