package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/register"
	"synod/storaged/datadir"
)

func TestSetSurvivesRestart(t *testing.T) {
	for _, how := range []struct {
		name string
		f    func(*Engine) error
	}{{"close", (*Engine).Close}, {"crash", (*Engine).Abort}} {
		t.Run(how.name, func(t *testing.T) {
			r := newRig(t, testOptions(t))
			for i := range 100 {
				r.accept(key(0, fmt.Sprint("k", i)), set(fmt.Sprint("v", i)))
			}
			r.sync()
			r.maintain()
			r.reopen(how.f)
			for i := range 100 {
				r.wantString(key(0, fmt.Sprint("k", i)), fmt.Sprint("v", i))
			}
			if got := r.read(key(0, "none"), register.Projection{}); !got.Accepted.IsZero() {
				t.Errorf("a register never written is at %v", got.Accepted)
			}
		})
	}
}

// model is what the registers should hold.
type model map[register.ID]*modelState

type modelState struct {
	accepted ballot.Ballot
	header   register.Header
	elems    map[string]string
}

func (m model) apply(k register.ID, b ballot.Ballot, c register.Change) {
	s := m[k]
	if s == nil {
		s = &modelState{elems: map[string]string{}}
		m[k] = s
	}
	s.accepted = b
	if c.Kind == register.None {
		return
	}
	if c.Kind == register.Full {
		s.elems = map[string]string{}
	}
	s.header = c.Header
	for _, op := range c.Ops {
		old, ok := s.elems[string(op.Key)]
		var was []byte
		if ok {
			was = []byte(old)
		}
		if v, exists := register.ApplyOp(was, op); exists {
			s.elems[string(op.Key)] = string(v)
		} else {
			delete(s.elems, string(op.Key))
		}
	}
}

func (m model) check(r *rig) {
	r.t.Helper()
	for k, s := range m {
		got := r.read(k, register.Projection{All: true})
		if got.Accepted != s.accepted {
			r.t.Fatalf("%q is at %v, want %v", k.Key, got.Accepted, s.accepted)
		}
		if h := got.View.Header; h.Type != s.header.Type || h.Size != s.header.Size || h.Expiry != s.header.Expiry || !bytes.Equal(h.Aux, s.header.Aux) {
			r.t.Fatalf("%q has header %+v, want %+v", k.Key, h, s.header)
		}
		if n := len(got.View.Elements()); n != len(s.elems) {
			r.t.Fatalf("%q has %d elements, want %d", k.Key, n, len(s.elems))
		}
		var before []byte
		for i, el := range got.View.Elements() {
			if want, ok := s.elems[string(el.Key)]; !ok || want != string(el.Value) {
				r.t.Fatalf("%q element %q: %d bytes, want %d (%v)", k.Key, el.Key, len(el.Value), len(want), ok)
			}
			if i > 0 && bytes.Compare(before, el.Key) >= 0 {
				r.t.Fatalf("%q: elements out of order", k.Key)
			}
			before = el.Key
		}
		m.checkParts(r, k, s)
	}
}

// checkParts asks for some elements and ranges.
func (m model) checkParts(r *rig, k register.ID, s *modelState) {
	r.t.Helper()
	p := register.Projection{
		Keys:   [][]byte{[]byte("e07"), []byte("e03"), []byte("nope"), []byte("e03")},
		Ranges: []register.Range{{From: []byte("e02"), To: []byte("e05")}, {From: []byte("e30")}},
	}
	v := r.read(k, p).View
	if !v.Covers(p) {
		r.t.Fatalf("%q: view does not cover what was asked for", k.Key)
	}
	for key, want := range s.elems {
		asked := key == "e07" || key == "e03" || (key >= "e02" && key < "e05") || key >= "e30"
		if got, ok := v.Get([]byte(key)); asked && (!ok || string(got) != want) {
			r.t.Fatalf("%q element %q: got %d bytes (%v), want %d", k.Key, key, len(got), ok, len(want))
		}
	}
	for _, el := range v.Elements() {
		if want, ok := s.elems[string(el.Key)]; !ok || want != string(el.Value) {
			r.t.Fatalf("%q has element %q, which it should not", k.Key, el.Key)
		}
	}
}

func randomChange(rnd *rand.Rand, m model, k register.ID) register.Change {
	s := m[k]
	header := func() register.Header {
		h := register.Header{Type: register.Hash, Size: rnd.Uint64N(1000)}
		if rnd.IntN(3) == 0 {
			h.Expiry = rnd.Int64N(1e6) + 1
		}
		if rnd.IntN(3) == 0 {
			h.Aux = []byte(fmt.Sprint(rnd.Int()))
		}
		return h
	}
	value := func() []byte { return bytes.Repeat([]byte{byte(rnd.IntN(256))}, rnd.IntN(2000)) }
	n := rnd.IntN(12)
	switch {
	case s == nil || s.header.Type == register.Absent || rnd.IntN(12) == 0:
		if rnd.IntN(4) == 0 {
			return register.Delete()
		}
		c := register.Change{Kind: register.Full, Header: header()}
		for range n {
			c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: fmt.Appendf(nil, "e%02d", rnd.IntN(40)), Value: value()})
		}
		return c
	case rnd.IntN(20) == 0:
		return register.Change{Kind: register.None}
	}
	c := register.Change{Kind: register.Delta, Header: header()}
	for range n {
		op := register.Op{Kind: register.OpKind(rnd.IntN(3)), Key: fmt.Appendf(nil, "e%02d", rnd.IntN(40)), Value: value()}
		switch op.Kind {
		case register.Patch:
			op.Offset = uint32(rnd.IntN(1500))
		case register.Remove:
			op.Value = nil
		}
		c.Ops = append(c.Ops, op)
	}
	return c
}

// crash loses Pebble's memory, and some of what it wrote and did not sync.
func (r *rig) crash(rnd *rand.Rand) {
	r.t.Helper()
	clone := r.opts.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd})
	if err := r.e.Abort(); err != nil {
		r.t.Fatal(err)
	}
	r.opts.FS = clone
	if err := r.open(); err != nil {
		r.t.Fatal(err)
	}
}

// TestReplayEqualsState makes random changes, across the point where content
// becomes rows, and compares with a model: at once, after what went to Pebble
// was forgotten, after crashes and after clean restarts.
func TestReplayEqualsState(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			o := testOptions(t)
			o.FS = vfs.NewCrashableMem()
			if seed >= 2 {
				o.applyStep = 2 // batches that leave some behind
			}
			if seed%2 == 1 {
				o.CacheBytes = 64 << 10 // nearly everything is evicted at once
			}
			r := newRig(t, o)
			m := model{}
			for range 1200 {
				k := key(byte(rnd.IntN(3)), fmt.Sprint("k", rnd.IntN(25)))
				c := randomChange(rnd, m, k)
				r.accept(k, c)
				m.apply(k, ballot.Ballot{Time: ballot.MakeTime(r.clock.Wall, 0), Proposer: 7}, c)
				if rnd.IntN(4) == 0 {
					r.clock.Mono += instant.Mono(applyAfter) / 3
					r.e.Kick()
					r.maintain()
				}
				switch rnd.IntN(150) {
				case 0:
					r.sync()
					r.crash(rnd)
				case 1:
					r.reopen((*Engine).Close)
				case 2:
					r.settle()
				case 3:
					r.settle()
					if err := r.e.checkpoint(r.e.changes.Appended()); err != nil {
						t.Fatal(err)
					}
				case 4:
					m.check(r)
				case 5, 6: // as Pebble does by itself: some changes are there, some not
					r.sync()
					if err := r.e.db.Flush(); err != nil {
						t.Fatal(err)
					}
					r.crash(rnd)
				}
			}
			m.check(r)
			r.settle()
			m.check(r)
			r.reopen((*Engine).Close)
			m.check(r)
		})
	}
}

func TestHistorySurvives(t *testing.T) {
	r := newRig(t, testOptions(t))
	k := key(0, "k")
	for i := range 5 {
		r.accept(k, set(fmt.Sprint(i)))
	}
	before := r.read(k, register.Projection{})
	check := func(how string) {
		t.Helper()
		after := r.read(k, register.Projection{})
		if fmt.Sprint(before.History.Lineage, before.History.Votes) != fmt.Sprint(after.History.Lineage, after.History.Votes) {
			t.Errorf("%s: history %v, want %v", how, after.History, before.History)
		}
		if after.Prepared != before.Prepared || after.Accepted != before.Accepted {
			t.Errorf("%s: accepted %v %v", how, after.Accepted, after.Prepared)
		}
	}
	r.sync()
	r.reopen((*Engine).Abort)
	check("replay")
	r.reopen((*Engine).Close)
	check("disk")
}

// A record read from disk counts as held since the start, or since the newest
// record that was evicted (§7).
func TestSinceOfEvicted(t *testing.T) {
	o := testOptions(t)
	o.Lanes, o.CacheBytes = 1, 4<<10
	r := newRig(t, o)
	old, young := key(0, "old"), key(0, "young")
	r.accept(old, set("1"))
	r.clock.Mono += 1e9
	r.accept(young, set("2"))
	votedAt := r.clock.Mono
	r.settle()
	for i := range 50 {
		r.accept(key(0, fmt.Sprint(i)), set("x"))
		r.settle()
	}
	l := r.e.Lanes()[0]
	if _, there := l.cache[young.Key]; there {
		t.Fatal("nothing was evicted")
	}
	r.clock.Mono += 5e9
	for _, k := range []register.ID{old, young} {
		if held := r.read(k, register.Projection{}).Held; held > 0 && instant.Mono(held) > r.clock.Mono-votedAt {
			t.Errorf("%q: held for %v, though its lane's evicted records are younger", k.Key, held)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	o := testOptions(t)
	o.CacheBytes = 300 << 10
	r := newRig(t, o)
	for i := range 3000 {
		r.accept(key(0, fmt.Sprint(i)), set(string(make([]byte, 500))))
		if i%100 == 0 {
			r.settle()
		}
	}
	r.settle()
	for _, l := range r.e.Lanes() {
		if l.bytes > r.e.laneBytes {
			t.Errorf("lane %d holds %d bytes of %d", l.number, l.bytes, r.e.laneBytes)
		}
		sum := 0
		for _, e := range l.cache {
			sum += e.size
		}
		if sum != l.bytes {
			t.Errorf("lane %d counts %d bytes, its entries have %d", l.number, l.bytes, sum)
		}
	}
	for i := range 3000 {
		r.wantString(key(0, fmt.Sprint(i)), string(make([]byte, 500)))
	}
}

// A hot register costs Pebble one row, not one per write.
func TestHotRegisterIsOneRow(t *testing.T) {
	r := newRig(t, testOptions(t))
	k := key(0, "hot")
	for i := range 2000 {
		r.accept(k, set(fmt.Sprint(i)))
		r.maintain()
	}
	r.settle()
	if n := r.e.db.Metrics().Levels[0].TablesCount; n > 1 {
		t.Errorf("%d tables", n)
	}
	if n := r.e.Lanes()[r.lane(k)].batches.Load(); n > 5 {
		t.Errorf("%d batches for one register", n)
	}
	r.wantString(k, "1999")
}

func TestIdentity(t *testing.T) {
	o := testOptions(t)
	r := newRig(t, o)
	id := r.e.Identity()
	if err := r.e.SetClusterID("c1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(r.opts); !errors.Is(err, datadir.ErrInUse) {
		t.Errorf("second open: %v", err)
	}
	if err := r.e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Options){
		func(o *Options) { o.Cluster = "other" },
		func(o *Options) { o.Node = "n2" },
	} {
		bad := r.opts
		change(&bad)
		if _, err := Open(bad); !errors.Is(err, datadir.ErrForeign) {
			t.Errorf("foreign directory: %v", err)
		}
	}
	r.opts.Lanes = 5 // an old store keeps its own
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if now := r.e.Identity(); now.StoreID != id.StoreID || now.Lanes != 3 || now.ClusterID != "c1" {
		t.Errorf("identity was %+v, is %+v", id, now)
	}
	if err := r.e.SetClusterID("c2"); !errors.Is(err, datadir.ErrForeign) {
		t.Errorf("another cluster id: %v", err)
	}
}

func TestNodeStateAndEpochsSurvive(t *testing.T) {
	for _, how := range []func(*Engine) error{(*Engine).Abort, (*Engine).Close} {
		r := newRig(t, testOptions(t))
		s := durable.NodeState{Ceiling: 5, Floor: ballot.Ballot{Time: 3, Proposer: 1}, PurgedThrough: ballot.Ballot{Time: 2}}
		if _, err := r.e.AppendNode(s); err != nil {
			t.Fatal(err)
		}
		if _, err := r.e.AppendEpoch(durable.EpochTaken{First: 3, Last: 9, Epoch: 4}); err != nil {
			t.Fatal(err)
		}
		r.sync()
		for range 2 { // the second time from the rows
			r.reopen(how)
			if got := r.e.NodeState(); got != s {
				t.Errorf("state %+v, want %+v", got, s)
			}
			if got := r.e.Epochs(); len(got) != 1 || got[0] != (durable.EpochTaken{First: 3, Last: 9, Epoch: 4}) {
				t.Errorf("epochs %v", got)
			}
		}
	}
}

// A lane under pressure is woken as soon as it can send more, not by a timer.
func TestPressedLaneIsWoken(t *testing.T) {
	o := testOptions(t)
	o.Lanes, o.CacheBytes = 1, 8<<20
	woken := make(chan int, 1000)
	o.Wake = func(lane int) { woken <- lane }
	r := newRig(t, o)
	l := r.e.Lanes()[0]
	for i := 0; l.dirtyBytes < 4*r.e.dirtyMax; i++ {
		r.accept(key(0, fmt.Sprint(i)), set(string(make([]byte, 1000))))
	}
	r.sync()
	r.maintain()
	for l.dirtyBytes > r.e.dirtyMax {
		select {
		case <-woken:
			r.maintain()
		case <-time.After(10 * time.Second):
			t.Fatalf("not woken with %d bytes left", l.dirtyBytes)
		}
	}
}

// A value above all bounds passes when nothing else waits.
func TestHugeValue(t *testing.T) {
	o := testOptions(t)
	o.MaxUnsynced = 1 << 10
	r := newRig(t, o)
	c := register.Change{Kind: register.Full, Header: register.Header{Type: register.String}}
	for i := range 3000 {
		c.Ops = append(c.Ops, register.Op{Kind: register.Put, Key: fmt.Appendf(nil, "%06d", i), Value: bytes.Repeat([]byte{byte(i)}, 16<<10)})
	}
	r.accept(key(0, "huge"), c)
	check := func(when string) {
		t.Helper()
		p := register.Projection{Ranges: []register.Range{{From: []byte("000010"), To: []byte("000012")}}}
		if got := r.read(key(0, "huge"), p).View.Elements(); len(got) != 2 || len(got[1].Value) != 16<<10 || got[1].Value[0] != 11 {
			t.Fatalf("%s: %d elements", when, len(got))
		}
	}
	check("in memory")
	r.settle()
	if l := r.e.Lanes()[r.lane(key(0, "huge"))]; l.bytes > 1<<20 {
		t.Errorf("%d bytes in memory of a value in rows", l.bytes)
	}
	check("in rows")
	r.accept(key(0, "huge"), register.Change{Kind: register.Delta, Header: c.Header, Ops: []register.Op{{Kind: register.Patch, Key: []byte("000010"), Value: []byte("patch")}}})
	r.reopen((*Engine).Abort)
	check("replayed")
	v := r.read(key(0, "huge"), register.Projection{Keys: [][]byte{[]byte("000010")}}).View
	if got, _ := v.Get([]byte("000010")); string(got[:7]) != "patch\n\n" {
		t.Errorf("patched chunk begins %q", got[:7])
	}
	r.accept(key(0, "huge"), register.Delete())
	r.settle()
	if n := r.registerRows(); n != 1 {
		t.Errorf("%d rows after a delete, want the tombstone", n)
	}
}
