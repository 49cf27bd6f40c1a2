package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/layout"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// lifetime is a random life of a few registers, whole states of which are known.
type lifetime struct {
	*rig
	rnd      *rand.Rand
	ids      []register.ID
	whole    []register.View
	open     []lifeStaging
	sweeping atomic.Bool // the test drives lanes by what wakes them
	trace    []string
}

type lifeStaging struct {
	of int
	q  *message.Request
	s  *Staging
	c  register.Change
}

var lifeKinds = []register.Type{register.List, register.SortedSet, register.Hash}

// TestStagingLives compares random stagings, votes, deltas, deletes, flushes,
// sweeps, crashes and restarts with what the registers should hold, and counts
// the rows and markers that are left after each restart.
func TestStagingLives(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLifetime(t, seed)
			for range 60 {
				l.step()
				if f := l.fatal.Load(); f != nil {
					t.Fatal(*f)
				}
			}
			for _, o := range l.open {
				o.s.Discard()
			}
			l.open = nil
			l.check()
		})
	}
}

func newLifetime(t *testing.T, seed uint64) *lifetime {
	l := &lifetime{rnd: rand.New(rand.NewPCG(seed, 99)), ids: []register.ID{key(0, "k"), key(0, "kk"), key(0, "other")}}
	o := testOptions(t)
	o.Lanes, o.applyStep = 1+l.rnd.IntN(2), 1+l.rnd.IntN(2)
	o.FS = vfs.NewCrashableMem()
	o.Sweep = func(int, durable.FlushVote) bool { return false } // the test does, not the keeper
	o.Wake = func(lane int) {
		if l.sweeping.Load() {
			go l.e.Lanes()[lane].runPosted()
		}
	}
	l.rig = &rig{t: t, opts: o, clock: instant.Now{Wall: 1_000_000_000, Mono: 1}}
	must(t, l.rig.open())
	t.Cleanup(func() {
		if t.Failed() {
			for _, s := range l.trace {
				t.Log(s)
			}
		}
		l.e.Abort()
	})
	l.whole = slices.Repeat([]register.View{register.Nothing()}, len(l.ids))
	return l
}

func (l *lifetime) say(format string, a ...any) { l.trace = append(l.trace, fmt.Sprintf(format, a...)) }

func (l *lifetime) step() {
	i := l.rnd.IntN(len(l.ids))
	switch n := l.rnd.IntN(20); {
	case n < 4:
		l.begin(i)
	case n < 8:
		l.end()
	case n < 11:
		l.delta(i)
	case n < 14:
		l.full(i)
	case n == 14:
		l.flushAll()
	case n == 15:
		l.sweep()
	case n == 16:
		l.sync()
		l.clock.Mono += instant.Mono(applyAfter) * 2
		l.maintain()
	case n == 17:
		must(l.t, l.e.db.Flush())
	case n == 18:
		l.settle()
	default:
		l.restart()
	}
}

// begin stages a state, now and then with the ballot of another staging, or of a
// time to come.
func (l *lifetime) begin(i int) {
	c := large(lifeKinds[l.rnd.IntN(3)], l.rnd.IntN(900), fmt.Sprint("s", len(l.trace)))
	q := &message.Request{ID: 1, Kind: message.KindAccept, Register: l.ids[i], Epoch: testEpoch, Ballot: l.ballot(), Change: register.Change{Kind: register.Full, Header: c.Header}}
	if l.rnd.IntN(3) == 0 {
		q.Ballot.Time = ballot.MakeTime(l.clock.Wall+int64(l.rnd.IntN(20)), 1)
	}
	if len(l.open) > 0 && l.rnd.IntN(3) == 0 {
		other := l.open[l.rnd.IntN(len(l.open))]
		*q = *other.q
		q.Change = register.Change{Kind: register.Full, Header: other.c.Header}
		c, i = other.c, other.of
	}
	var reply message.Reply
	votes, err := l.accs[l.lane(q.Register)].CanAccept(l.clock, q, &reply)
	must(l.t, err)
	if !votes {
		return
	}
	s, err := l.e.Stage(q.Register, q.Ballot, c.Header, false)
	must(l.t, err)
	must(l.t, s.Add(c.Ops))
	if l.rnd.IntN(3) > 0 {
		must(l.t, s.Ingest())
	}
	l.say("stage %d %v, %d ops, ingested %v", i, s.incarnation, len(c.Ops), s.ingested)
	l.open = append(l.open, lifeStaging{i, q, s, c})
}

// end discards a staging, or has it voted on.
func (l *lifetime) end() {
	if len(l.open) == 0 {
		return
	}
	n := l.rnd.IntN(len(l.open))
	o := l.open[n]
	l.open = slices.Delete(l.open, n, n+1)
	if l.rnd.IntN(4) == 0 {
		l.say("discard %d %v", o.of, o.s.incarnation)
		o.s.Discard()
		return
	}
	if !o.s.ingested {
		must(l.t, o.s.Ingest())
	}
	reply, held := l.vote(o.q, o.s)
	l.say("vote %d %v: outcome %d, held %v", o.of, o.s.incarnation, reply.Outcome, held)
	if held {
		l.whole[o.of] = register.Nothing().Apply(o.c)
	}
}

func (l *lifetime) delta(i int) {
	elements := l.whole[i].Elements()
	if len(elements) == 0 {
		return
	}
	d := register.Change{Kind: register.Delta, Header: l.whole[i].Header}
	for range 1 + l.rnd.IntN(20) {
		k, value := elements[l.rnd.IntN(len(elements))].Key, fmt.Append(nil, len(l.trace))
		switch l.rnd.IntN(3) {
		case 0:
			d.Ops = append(d.Ops, register.Op{Kind: register.Remove, Key: k})
		case 1:
			d.Ops = append(d.Ops, register.Op{Key: k, Value: value})
		default:
			d.Ops = append(d.Ops, register.Op{Key: ranked(l.rnd.IntN(3000)), Value: value})
		}
	}
	l.change(i, d)
}

func (l *lifetime) full(i int) {
	l.change(i, []register.Change{set("small"), register.Delete(), large(lifeKinds[l.rnd.IntN(3)], 900+l.rnd.IntN(900), "o")}[l.rnd.IntN(3)])
}

func (l *lifetime) change(i int, c register.Change) {
	reply, err := l.tryAccept(l.ids[i], c)
	must(l.t, err)
	l.say("change %d, kind %d, %d ops: outcome %d", i, c.Kind, len(c.Ops), reply.Outcome)
	if reply.Outcome == message.Acked {
		l.whole[i] = l.whole[i].Apply(c)
	}
}

func (l *lifetime) accepted(i int) ballot.Ballot {
	return l.read(l.ids[i], register.Projection{}).Accepted
}

func (l *lifetime) flushAll() {
	q := &message.FlushRequest{Ballot: l.ballot(), Epoch: testEpoch, Last: partition.Slots - 1}
	for _, a := range l.accs {
		reply, err := a.Flush(l.clock, q)
		must(l.t, err)
		l.say("flush: outcome %d, %d refused", reply.Outcome, len(reply.Refused))
	}
	for i, id := range l.ids {
		if l.accepted(i).AtMost(q.Ballot) && !l.read(id, register.Projection{}).View.Header.Exists() {
			l.whole[i] = register.Nothing()
		}
	}
}

func (l *lifetime) sweep() {
	l.settle()
	l.sweeping.Store(true)
	for _, f := range l.e.flushes.Unswept() {
		must(l.t, l.e.sweepOne(f))
		l.e.flushes.MarkSwept(f)
	}
	l.sweeping.Store(false)
	l.settle()
	l.say("swept")
}

func (l *lifetime) restart() {
	l.sync()
	switch l.rnd.IntN(4) {
	case 0:
		l.say("closed")
		l.reopen((*Engine).Close)
	case 1:
		l.say("aborted")
		l.reopen((*Engine).Abort)
	default:
		l.say("crash")
		l.crashHere(l.rnd, l.opts.FS.(*vfs.MemFS))
	}
	l.open = nil
	l.check()
}

// check compares all registers, and what rows and markers there are when no
// staging is open.
func (l *lifetime) check() {
	l.t.Helper()
	for i, id := range l.ids {
		l.read(id, register.Projection{}) // has a flush cover it
		l.wantWhole(id, l.whole[i])
	}
	l.settle()
	want := 0
	for i, id := range l.ids {
		lane := l.e.Lanes()[l.lane(id)]
		rec, err := lane.Load(id)
		must(l.t, err)
		if rec == nil {
			continue
		}
		want++
		if lane.entry(rec).Rows {
			want += len(l.whole[i].Elements())
			if _, counted := layout.Counted(l.whole[i].Header.Type); counted {
				want += (&collection{rig: l.rig, id: id, kind: l.whole[i].Header.Type, whole: l.whole[i]}).buckets()
			}
		}
	}
	if got := l.registerRows(); got != want {
		l.t.Fatalf("%d rows, want %d", got, want)
	}
	if got := l.markers(); len(got) != 0 {
		l.t.Fatalf("%d markers are left", len(got))
	}
}
