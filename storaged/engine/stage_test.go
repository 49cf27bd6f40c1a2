package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/message"
	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/content"
	"synod/storaged/rowcodec"
	"synod/storaged/tables"
)

// staged begins an Accept of a full change whose elements come first.
func (r *rig) staged(k register.ID, c register.Change) (*message.Request, *Staging) {
	r.t.Helper()
	q := &message.Request{ID: 1, Kind: message.KindAccept, Register: k, Epoch: testEpoch, Ballot: r.ballot(), Change: register.Change{Kind: register.Full, Header: c.Header}}
	var reply message.Reply
	if votes, err := r.accs[r.lane(k)].CanAccept(r.clock, q, &reply); err != nil || !votes {
		r.t.Fatalf("no vote foreseen: %+v, %v", reply, err)
	}
	s, err := r.e.Stage(k, q.Ballot, c.Header, false)
	if err != nil {
		r.t.Fatal(err)
	}
	return q, s
}

// ingested is staged, with all of it on the disk.
func (r *rig) ingested(k register.ID, c register.Change) (*message.Request, *Staging) {
	r.t.Helper()
	q, s := r.staged(k, c)
	for _, part := range [][]register.Op{c.Ops[:len(c.Ops)/3], c.Ops[len(c.Ops)/3:]} {
		if err := s.Add(part); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := s.Ingest(); err != nil {
		r.t.Fatal(err)
	}
	return q, s
}

// vote has the lane vote for what was staged, and ends it.
func (r *rig) vote(q *message.Request, s *Staging) (reply message.Reply, held bool) {
	r.t.Helper()
	q.Change = s.Change()
	reply = r.step(q)
	if held = r.e.Lanes()[r.lane(q.Register)].Holds(s); !held {
		s.Discard()
	}
	return reply, held
}

func (r *rig) acceptStaged(k register.ID, c register.Change) {
	r.t.Helper()
	if reply, held := r.vote(r.ingested(k, c)); reply.Outcome != message.Acked || !held {
		r.t.Fatalf("accept: outcome %d, held %v", reply.Outcome, held)
	}
}

// large returns a full change of n elements of a type. mark, short lest it be the
// times of a hash's fields, shows in the header.
func large(kind register.Type, n int, mark string) register.Change {
	c := register.Change{Kind: register.Full, Header: register.Header{Type: kind, Size: uint64(n), Aux: []byte(mark)}}
	for i := range n {
		switch kind {
		case register.SortedSet:
			c.Ops = append(c.Ops, register.Op{Key: ranked(i)}, register.Op{Key: append([]byte{'m'}, label(i)...), Value: []byte(mark)})
		default:
			c.Ops = append(c.Ops, register.Op{Key: label(i), Value: fmt.Append(nil, mark, i)})
		}
	}
	register.Sort(c.Ops)
	return c
}

// wantWhole compares a register, whole and by its ranks, and the rows on disk.
func (r *rig) wantWhole(k register.ID, want register.View) {
	r.t.Helper()
	l := r.e.Lanes()[r.lane(k)]
	rec, err := l.Load(k)
	if err != nil {
		r.t.Fatal(err)
	}
	if rec == nil {
		if want.Header.Exists() {
			r.t.Fatal("the register is gone")
		}
		return
	}
	projections := []register.Projection{{All: true}, {Ranges: []register.Range{{Skip: 1000, Limit: 3}}}}
	if span, ok := layout.Counted(want.Header.Type); ok {
		projections = append(projections, register.Projection{
			Ranges: []register.Range{{From: span.From, To: span.To, Skip: 700, Limit: 5}, {From: span.From, To: span.To, Skip: 300, Limit: 2, Reverse: true}},
			Counts: []register.Span{{From: span.From, To: ranked(500)}, span},
		})
	}
	for _, p := range projections {
		v, fits, err := l.Project(rec, p, 1<<30)
		if err != nil || !fits {
			r.t.Fatal(fits, err)
		}
		if !bytes.Equal(v.Header.Aux, want.Header.Aux) {
			r.t.Fatalf("it holds %q, want %q", v.Header.Aux, want.Header.Aux)
		}
		wantPart(r.t, want, v, p)
	}
	if c := (&collection{rig: r, id: k, kind: want.Header.Type, whole: want}); want.Header.Exists() {
		c.checkIndex()
	}
}

// wantRows counts the rows of all registers, one of which there is, and what is
// left of stagings.
func (r *rig) wantRows(k register.ID, want register.View) {
	r.t.Helper()
	r.settle()
	n := 0
	l := r.e.Lanes()[r.lane(k)]
	if rec, err := l.Load(k); err != nil {
		r.t.Fatal(err)
	} else if rec != nil {
		n++
		if e := l.entry(rec); e.Rows {
			n += len(want.Elements())
			if _, counted := layout.Counted(want.Header.Type); counted {
				c := &collection{rig: r, id: k, kind: want.Header.Type, whole: want}
				n += c.buckets()
			}
		}
	}
	if got := r.registerRows(); got != n {
		r.t.Fatalf("%d rows, want %d", got, n)
	}
	if got := len(r.markers()); got != 0 {
		r.t.Fatalf("%d markers are left", got)
	}
	if got, err := r.opts.FS.List(tables.StagePath(r.opts.Dir)); err != nil || len(got) > 0 {
		r.t.Fatalf("files are left: %v, %v", got, err)
	}
}

func (r *rig) markers() (all []rowcodec.Staged) {
	r.t.Helper()
	it, err := r.e.db.NewIter(&pebble.IterOptions{LowerBound: rowcodec.RowStage, UpperBound: rowcodec.AppendAfter(nil, rowcodec.RowStage)})
	if err != nil {
		r.t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		s, err := rowcodec.ParseStageRow(it.Key())
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// A large state that was staged is the state that its ops would have made, in
// memory, on disk and after a restart, and takes further changes as that does.
func TestStagedIsWhatOpsMake(t *testing.T) {
	const n = 3000
	for _, kind := range []register.Type{register.String, register.List, register.Hash, register.Set, register.SortedSet, register.Stream} {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, testOptions(t))
			a, b := key(0, "staged"), key(0, "ops")
			c := large(kind, n, "v")
			r.acceptStaged(a, c)
			r.accept(b, c)
			whole := register.Nothing().Apply(c)
			delta := register.Change{Kind: register.Delta, Header: c.Header, Ops: []register.Op{
				{Kind: register.Remove, Key: c.Ops[n/2].Key}, {Key: ranked(1500), Value: []byte("x")}, {Key: ranked(1 << 30)},
				{Kind: register.Patch, Key: c.Ops[7].Key, Offset: 1, Value: []byte("patch")},
			}}
			for range 2 {
				for _, k := range []register.ID{a, b} {
					r.wantWhole(k, whole)
					r.accept(k, delta)
				}
				whole = whole.Apply(delta)
				r.settle()
				r.reopen((*Engine).Abort)
			}
			r.wantWhole(a, whole)
			r.wantWhole(b, whole)
		})
	}
}

// The tables of a large state are many, and each is small.
func TestStagedTables(t *testing.T) {
	r := newRig(t, testOptions(t))
	k := key(0, "k")
	c := register.Change{Kind: register.Full, Header: register.Header{Type: register.String}}
	for i := range 5 << 20 / 1024 * 8 {
		c.Ops = append(c.Ops, register.Op{Key: label(i), Value: bytes.Repeat([]byte{byte(i)}, 1024)})
	}
	q, s := r.ingested(k, c)
	if got := len(s.rows.Paths()); got != 3 {
		t.Errorf("%d tables, want 3", got)
	}
	if r.vote(q, s); r.e.Stats().StagedBytes < 40<<20 {
		t.Errorf("%d bytes staged", r.e.Stats().StagedBytes)
	}
	whole := register.Nothing().Apply(c)
	r.wantWhole(k, whole)
	r.wantRows(k, whole)
}

// Elements out of order, or that are no Puts, are refused and leave nothing.
func TestStagedDisorder(t *testing.T) {
	r := newRig(t, testOptions(t))
	k := key(0, "k")
	for _, bad := range []register.Op{{Key: []byte("b")}, {Key: []byte("a")}, {Kind: register.Patch, Key: []byte("c")}, {Kind: register.Remove, Key: []byte("c")}} {
		_, s := r.staged(k, large(register.Hash, 1, "v"))
		if err := s.Add([]register.Op{{Key: []byte("b")}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Add([]register.Op{bad}); !errors.Is(err, content.ErrDisorder) {
			t.Errorf("%v: %v", bad, err)
		}
		s.Discard()
	}
	r.wantRows(k, register.Nothing())
}

// Of two stagings of one ballot one becomes the content. The other leaves
// nothing, and does not touch the deltas on the first.
func TestTwoStagingsOfOneBallot(t *testing.T) {
	for _, first := range []int{0, 1} {
		r := newRig(t, testOptions(t))
		k, c := key(0, "k"), large(register.SortedSet, 2000, "v")
		q, s := r.ingested(k, c)
		q2 := *q
		s2, err := r.e.Stage(k, q.Ballot, c.Header, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := s2.Add(c.Ops); err != nil {
			t.Fatal(err)
		}
		if first == 1 {
			if err := s2.Ingest(); err != nil {
				t.Fatal(err)
			}
		}
		if _, held := r.vote(q, s); !held {
			t.Fatal("the first is not held")
		}
		delta := register.Change{Kind: register.Delta, Header: c.Header, Ops: []register.Op{{Kind: register.Remove, Key: ranked(3)}, {Key: ranked(5), Value: []byte("new")}}}
		r.accept(k, delta)
		if first == 0 {
			r.settle()
			if err := s2.Ingest(); err != nil {
				t.Fatal(err)
			}
		}
		if reply, held := r.vote(&q2, s2); reply.Outcome != message.Acked || held {
			t.Fatalf("the second: %+v, held %v", reply, held)
		}
		whole := register.Nothing().Apply(c).Apply(delta)
		r.wantWhole(k, whole)
		r.settle()
		r.reopen((*Engine).Abort)
		r.wantWhole(k, whole)
		r.wantRows(k, whole)
	}
}

// What deletes the rows of earlier contents spares those of a staging that is
// yet to be voted for: a delete, a small value, a flush and its sweep.
func TestStagingSurvivesDeletes(t *testing.T) {
	old, c := large(register.List, 2500, "old"), large(register.List, 2500, "new")
	for name, upset := range map[string]func(*rig, register.ID){
		"delete":        func(r *rig, k register.ID) { r.accept(k, register.Delete()) },
		"small":         func(r *rig, k register.ID) { r.accept(k, set("small")) },
		"another large": func(r *rig, k register.ID) { r.accept(k, large(register.Set, 2000, "x")) },
		"another staged": func(r *rig, k register.ID) {
			r.acceptStaged(k, large(register.Set, 2000, "x"))
		},
		"sweep": func(r *rig, k register.ID) {
			r.flush(0)
			r.settle()
			if err := r.e.sweepOne(r.e.flushes.InForce()[0]); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			o.Lanes = 1
			var r *rig
			o.Wake = func(lane int) { go r.e.Lanes()[lane].runPosted() }
			o.Sweep = func(int, durable.FlushVote) bool { return false } // the test does, not the keeper
			r = newRig(t, o)
			k := key(0, "k")
			r.accept(k, old)
			r.settle()
			// The staging's ballot is above that of what comes in between.
			was := r.clock
			r.clock.Wall += 1000
			q, s := r.ingested(k, c)
			r.clock = was
			upset(r, k)
			r.settle()
			if err := r.e.db.Flush(); err != nil {
				t.Fatal(err)
			}
			r.clock.Wall += 2000
			if reply, held := r.vote(q, s); reply.Outcome != message.Acked || !held {
				t.Fatalf("%+v, held %v", reply, held)
			}
			whole := register.Nothing().Apply(c)
			r.wantWhole(k, whole)
			r.wantRows(k, whole)
			r.reopen((*Engine).Close)
			r.wantWhole(k, whole)
		})
	}
}

// A staging that is refused, or whose session has ended, leaves nothing.
func TestStagingIsDiscarded(t *testing.T) {
	r := newRig(t, testOptions(t))
	k, c := key(0, "k"), large(register.List, 2000, "v")
	q, s := r.ingested(k, c)
	r.accept(k, set("later"))
	if reply, held := r.vote(q, s); reply.Outcome != message.Nacked || held {
		t.Fatalf("%+v, held %v", reply, held)
	}
	_, s = r.ingested(k, c)
	s.Discard()
	_, s = r.staged(k, c)
	if err := s.Add(c.Ops); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	r.wantString(k, "later")
	r.wantRows(k, register.Nothing().Apply(set("later")))
}

// stagings makes random stagings of a register that may be voted for later.
type stagings struct {
	*rig
	open []openStaging
}

type openStaging struct {
	q *message.Request
	s *Staging
	c register.Change
}

// begin stages a state above what the register holds, in part or whole.
func (g *stagings) begin(rnd *rand.Rand, c *collection, kind register.Type) {
	g.t.Helper()
	q, s := g.staged(c.id, large(kind, 0, ""))
	state := large(kind, rnd.IntN(900), fmt.Sprint("s", g.clock.Wall%10_000))
	state.Header.Size = 0
	s.change.Header = state.Header
	must(g.t, s.Add(state.Ops))
	if rnd.IntN(4) > 0 {
		must(g.t, s.Ingest())
	}
	g.open = append(g.open, openStaging{q, s, state})
}

// drop ends those that cannot be voted for any more: of their rows, those are
// gone that something else has deleted.
func (g *stagings) drop() {
	g.t.Helper()
	g.open = slices.DeleteFunc(g.open, func(o openStaging) bool {
		var reply message.Reply
		votes, err := g.accs[g.lane(o.q.Register)].CanAccept(g.clock, o.q, &reply)
		must(g.t, err)
		if !votes {
			o.s.Discard()
		}
		return !votes
	})
}

// end has one voted for, or not.
func (g *stagings) end(rnd *rand.Rand, of []*collection) {
	g.t.Helper()
	i := rnd.IntN(len(g.open))
	o := g.open[i]
	g.open = slices.Delete(g.open, i, i+1)
	if !o.s.ingested || rnd.IntN(4) == 0 {
		o.s.Discard()
		return
	}
	reply, held := g.vote(o.q, o.s)
	if held != (reply.Outcome == message.Acked) {
		g.t.Fatalf("%+v, held %v", reply, held)
	}
	for _, c := range of {
		if c.id == o.q.Register && held {
			c.whole, c.kind = register.Nothing().Apply(o.c), o.c.Header.Type
		}
	}
}

// A large value that is overwritten again and again has its room given back: no
// entry of it moves the changelog on.
func TestStagedOverwritesGiveBackRoom(t *testing.T) {
	o := testOptions(t)
	o.CheckpointBytes = 4 << 20
	var r *rig
	o.Wake = func(int) {}
	r = newRig(t, o)
	k := key(0, "k")
	rnd := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 512)
	size := func() int64 { return r.e.Stats().PebbleBytes }
	var first int64
	for i := range 12 {
		c := register.Change{Kind: register.Full, Header: register.Header{Type: register.String, Size: uint64(i)}}
		for j := range 8 << 10 { // 4 MiB
			for b := range value {
				value[b] = byte(rnd.Uint32())
			}
			c.Ops = append(c.Ops, register.Op{Key: label(j), Value: bytes.Clone(value)})
		}
		r.acceptStaged(k, c)
		r.sync()
		r.maintain()
		if first == 0 {
			first = size()
		}
	}
	waitFor(t, "the room to be given back", func() bool {
		r.maintain()
		return size() < 3*first
	})
}
