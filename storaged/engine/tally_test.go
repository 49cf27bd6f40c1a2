package engine

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
	"synod/storaged/rules"
	"synod/storaged/tally"
)

// tallyLife is a random life of some registers whose tallies are compared with
// what a look at each register finds.
type tallyLife struct {
	*rig
	rnd   *rand.Rand
	ids   []register.ID
	trace []string
	wrong string // the first difference

	driving atomic.Bool // somebody waits for the lanes
}

const tallyKeys = 40

func newTallyLife(t *testing.T, seed uint64, omit rules.Set) *tallyLife {
	l := &tallyLife{rnd: rand.New(rand.NewPCG(seed, 7))}
	for i := range tallyKeys {
		l.ids = append(l.ids, key(byte(i%3), fmt.Sprint("k", i)))
	}
	o := testOptions(t)
	o.Lanes, o.applyStep = 1+l.rnd.IntN(2), 1+l.rnd.IntN(4)
	o.CacheBytes = int64(1+l.rnd.IntN(20)) << 10 // registers are evicted
	o.FS = vfs.NewCrashableMem()
	o.omit = omit
	o.Sweep = func(int, durable.FlushVote) bool { return false } // the test does, not the keeper
	o.Wake = func(lane int) {
		if l.driving.Load() {
			go l.e.Lanes()[lane].runPosted()
		}
	}
	l.rig = &rig{t: t, opts: o, clock: instant.Now{Wall: 1_000_000_000, Mono: 1}}
	must(t, l.rig.open())
	t.Cleanup(func() { l.e.Abort() })
	return l
}

func (l *tallyLife) say(format string, a ...any) {
	l.trace = append(l.trace, fmt.Sprintf(format, a...))
}

func (l *tallyLife) any() register.ID { return l.ids[l.rnd.IntN(len(l.ids))] }

func (l *tallyLife) step() {
	switch n := l.rnd.IntN(40); {
	case n < 14:
		l.write(l.any())
	case n < 18:
		k := l.any()
		l.say("delete %q", k.Key)
		_, err := l.tryAccept(k, register.Delete())
		must(l.t, err)
	case n < 21:
		l.promise(l.any())
	case n < 24:
		l.flushSome()
	case n < 25:
		l.sweep()
	case n < 27:
		l.stage(l.any())
	case n < 31:
		l.say("maintain")
		l.sync()
		l.clock.Mono += instant.Mono(applyAfter) * 2
		l.maintain()
	case n < 32:
		l.say("flush the memtable")
		must(l.t, l.e.db.Flush())
	case n < 33:
		l.say("settle")
		l.settle()
	case n < 35:
		l.restart()
	case n < 38:
		if l.wrong == "" {
			l.listAll()
		}
	default:
		l.read(l.any(), register.Projection{})
	}
}

// listAll compares pages with what reads find. Lanes do what they are asked to,
// and bring nothing to the disk meanwhile.
func (l *tallyLife) listAll() {
	for db := range byte(3) {
		want := make(map[string]ballot.Ballot)
		for _, k := range l.ids {
			if got := l.read(k, register.Projection{}); k.Key[0] == db && got.View.Header.Exists() {
				want[k.Key] = got.Accepted
			}
		}
		q := listing.Request{Last: partition.Slots - 1, Space: db, Limit: 1 + l.rnd.IntN(20)}
		for done := false; !done; {
			page := l.page(&q)
			for _, e := range page.Entries {
				if want[e.Register.Key] != e.Accepted {
					l.wrong = fmt.Sprintf("%q is listed at %v, want %v", e.Register.Key, e.Accepted, want[e.Register.Key])
					return
				}
				delete(want, e.Register.Key)
			}
			q.First, q.From, done = page.NextSlot, page.NextHash, page.Done
		}
		for k := range want {
			l.wrong = fmt.Sprintf("%q is not listed", k)
			return
		}
	}
}

func (r *rig) page(q *listing.Request) listing.Reply {
	r.t.Helper()
	type answer struct {
		page listing.Reply
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		page, err := r.e.List(q)
		done <- answer{page, err}
	}()
	for {
		select {
		case a := <-done:
			must(r.t, a.err)
			return a.page
		default:
			for _, l := range r.e.Lanes() {
				l.runPosted()
			}
		}
	}
}

// TestListDoesNotWaitForPebble: a page shows what only the changelog has.
func TestListDoesNotWaitForPebble(t *testing.T) {
	r := newRig(t, testOptions(t))
	for i := range 10 {
		r.accept(key(0, fmt.Sprint("k", i)), set("v"))
	}
	if page := r.page(&listing.Request{Last: partition.Slots - 1, Limit: 100}); len(page.Entries) != 10 || !page.Done {
		t.Errorf("%+v", page)
	}
	if n := r.e.Stats().Batches; n != 0 {
		t.Errorf("%d batches were made for it", n)
	}
}

// TestPagesEndInTime: a page that has no more time ends with what it has, and
// goes on from the beginning.
func TestPagesEndInTime(t *testing.T) {
	o := testOptions(t)
	o.pageTime = 1
	r := newRig(t, o)
	for i := range 300 {
		r.accept(key(0, fmt.Sprint("k", i)), set("v"))
		if i == 150 {
			r.settle()
		}
	}
	if got := r.list(0, 5000); len(got) != 300 {
		t.Errorf("%d listed", len(got))
	}
	if page := r.page(&listing.Request{Last: partition.Slots - 1, Limit: 5000}); page.Done {
		t.Error("all on one page")
	}
}

// write makes a register live, or leaves it so: with an expiry or none.
func (l *tallyLife) write(k register.ID) {
	c := set(fmt.Sprint("v", l.rnd.IntN(1000)))
	if l.rnd.IntN(3) == 0 {
		c.Header.Expiry = 1 + l.rnd.Int64N(1_000_000)
	}
	l.say("write %q, expiry %d", k.Key, c.Header.Expiry)
	_, err := l.tryAccept(k, c)
	must(l.t, err)
}

// promise promises a ballot of a time to come, which a flush has to spare.
func (l *tallyLife) promise(k register.ID) {
	b := l.ballot()
	b.Time = ballot.MakeTime(l.clock.Wall+int64(l.rnd.IntN(3)), 1)
	var reply message.Reply
	_, err := l.accs[l.lane(k)].Step(l.clock, &message.Request{Kind: message.KindPrepare, Register: k, Epoch: testEpoch, Ballot: b}, &reply)
	must(l.t, err)
	l.say("promise %q %v: %d", k.Key, b, reply.Outcome)
	if reply.Outcome == message.Promised && l.rnd.IntN(2) == 0 {
		c := set("of the future")
		q := &message.Request{Kind: message.KindAccept, Register: k, Epoch: testEpoch, Ballot: b, Prepared: true, Change: c}
		_, err := l.accs[l.lane(k)].Step(l.clock, q, &reply)
		must(l.t, err)
	}
	node := l.e.NodeState()
	if want := ballot.MakeTime(l.clock.Wall+1000, 0); node.Ceiling < want {
		node.Ceiling = want
		l.node.Publish(node)
	}
}

func (l *tallyLife) flushSome() {
	q := &message.FlushRequest{Ballot: l.ballot(), Epoch: testEpoch, Last: partition.Slots - 1, Space: byte(l.rnd.IntN(3))}
	if l.rnd.IntN(2) == 0 {
		q.First = uint16(l.rnd.IntN(40))
		q.Last = q.First + uint16(l.rnd.IntN(40))
	}
	if l.rnd.IntN(2) == 0 { // lower than what was promised lately
		q.Ballot.Time = ballot.MakeTime(l.clock.Wall-int64(l.rnd.IntN(4)), 0)
		q.Ballot.Proposer = 3
	}
	for i, a := range l.accs {
		reply, err := a.Flush(l.clock, q)
		must(l.t, err)
		l.say("flush db %d, slots %d to %d at %v, lane %d: %d, %d refused", q.Space, q.First, q.Last, q.Ballot, i, reply.Outcome, len(reply.Refused))
	}
}

// sweep deletes what flushes cover.
func (l *tallyLife) sweep() {
	l.say("sweep")
	l.settle()
	l.driving.Store(true)
	for _, f := range l.e.flushes.InForce() {
		must(l.t, l.e.sweepOne(f))
	}
	l.driving.Store(false)
	for i, a := range l.accs {
		for _, f := range l.e.Lanes()[i].Flushes() {
			a.Sweep(instant.Now{Wall: l.clock.Wall + 1<<40}, f.Vote)
		}
	}
	l.settle()
}

// stage has a large state come in.
func (l *tallyLife) stage(k register.ID) {
	c := large(register.Hash, 300, "s")
	q := &message.Request{ID: 1, Kind: message.KindAccept, Register: k, Epoch: testEpoch, Ballot: l.ballot(), Change: register.Change{Kind: register.Full, Header: c.Header}}
	var reply message.Reply
	votes, err := l.accs[l.lane(k)].CanAccept(l.clock, q, &reply)
	must(l.t, err)
	if !votes {
		return
	}
	l.say("stage %q", k.Key)
	s, err := l.e.Stage(k, q.Ballot, c.Header, false)
	must(l.t, err)
	must(l.t, s.Add(c.Ops))
	must(l.t, s.Ingest())
	q.Change = s.Change()
	_, err = l.accs[l.lane(k)].Step(l.clock, q, &reply)
	must(l.t, err)
	if !l.e.Lanes()[l.lane(k)].Holds(s) {
		s.Discard()
	}
}

// restart crashes, or closes in order, and opens the store again.
func (l *tallyLife) restart() {
	if l.rnd.IntN(4) == 0 {
		l.say("the tallies are lost, as if there had been none")
		must(l.t, l.e.db.DeleteRange(tally.RowTally, rowcodec.AppendAfter(nil, tally.RowTally), pebble.NoSync))
		must(l.t, l.e.db.Flush())
	}
	if l.rnd.IntN(3) == 0 {
		l.say("close")
		must(l.t, l.e.Close())
	} else {
		l.sync()
		clone := l.opts.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: l.rnd})
		l.say("crash")
		must(l.t, l.e.Abort())
		l.opts.FS = clone
	}
	must(l.t, l.rig.open())
}

// check compares tallies, slot by slot, with what reads find.
func (l *tallyLife) check() bool {
	type place struct {
		db   byte
		slot uint16
	}
	want := make(map[place]listing.Tally)
	for _, k := range l.ids {
		h := l.read(k, register.Projection{}).View.Header
		if !h.Exists() {
			continue
		}
		one := listing.Tally{Keys: 1, Digest: partition.Hash(k.Key)}
		if h.Expiry != 0 {
			one.Expiring, one.Expiry = 1, h.Expiry
		}
		p := place{k.Key[0], k.Slot}
		want[p] = want[p].Plus(one)
	}
	q := listing.TallyRequest{Epoch: testEpoch, Databases: partition.AllDatabases}
	for s := range uint16(64) {
		q.Spans = append(q.Spans, partition.SlotSpan{First: s, Last: s})
	}
	reply, err := l.e.Tally(&q)
	must(l.t, err)
	if reply.Outcome == message.Busy {
		return true // counting still
	}
	for _, got := range reply.Tallies {
		p := place{got.Database, got.Span}
		if w := want[p]; !w.Same(got.Tally) || w.Expiring != got.Expiring || max(w.Expiry-got.Expiry, got.Expiry-w.Expiry) > int64(w.Expiring) {
			l.wrong = fmt.Sprintf("slot %d of database %d: %+v, want %+v", p.slot, p.db, got.Tally, w)
			return false
		}
		delete(want, p)
	}
	for p, w := range want {
		l.wrong = fmt.Sprintf("slot %d of database %d: nothing, want %+v", p.slot, p.db, w)
		return false
	}
	return true
}

// live runs a life and reports whether the tallies were right all along.
func (l *tallyLife) live(steps int) bool {
	for range steps {
		l.step()
		if f := l.fatal.Load(); f != nil {
			l.t.Fatal(*f)
		}
		if l.wrong != "" || !l.check() {
			return false
		}
	}
	waitFor(l.t, "the rows to be counted", func() bool {
		l.maintain()
		return l.e.Lanes()[0].tallies.Known() && l.e.Lanes()[len(l.e.Lanes())-1].tallies.Known()
	})
	return l.check()
}

// TestTallyLives compares the tallies, and lists, with the registers in random lives with
// flushes, deletes, expiries, large states, sweeps, crashes and restarts.
func TestTallyLives(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newTallyLife(t, seed, 0)
			if !l.live(150) {
				for _, s := range l.trace {
					t.Log(s)
				}
				t.Fatal(l.wrong)
			}
		})
	}
}
