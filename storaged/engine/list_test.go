package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
)

// driven is a rig whose lanes are maintained by a goroutine while the test
// waits for the store.
func (r *rig) driven(f func() error) {
	r.t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				r.t.Fatal(err)
			}
			return
		default:
			r.maintain()
		}
	}
}

// list walks all pages.
func (r *rig) list(db byte, limit int) []listing.Entry {
	r.t.Helper()
	var all []listing.Entry
	q := listing.Request{First: 0, Last: partition.Slots - 1, Space: db, Limit: limit}
	for range 10_000 {
		var page listing.Reply
		r.driven(func() (err error) {
			page, err = r.e.List(&q)
			return err
		})
		all = append(all, page.Entries...)
		if page.Done {
			return all
		}
		if page.NextSlot < q.First || (page.NextSlot == q.First && page.NextHash <= q.From && q.From > 0) {
			r.t.Fatalf("the next page begins at %d %d, this one at %d %d", page.NextSlot, page.NextHash, q.First, q.From)
		}
		q.First, q.From = page.NextSlot, page.NextHash
	}
	r.t.Fatal("listing does not end")
	return nil
}

func names(list []listing.Entry) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Register.Key[1:])
	}
	slices.Sort(out)
	return out
}

func TestList(t *testing.T) {
	r := newRig(t, testOptions(t))
	var want []string
	for i := range 300 {
		k := fmt.Sprint("k", i)
		want = append(want, k)
		r.accept(key(1, k), set("v"))
		r.accept(key(2, "other"+k), set("v"))
	}
	big := register.Change{Kind: register.Full, Header: register.Header{Type: register.Hash, Expiry: 77}}
	for i := range 100 {
		big.Ops = append(big.Ops, register.Op{Kind: register.Put, Key: fmt.Append(nil, i), Value: make([]byte, 1000)})
	}
	r.accept(key(1, "big"), big)
	r.accept(key(1, ""), set("empty key"))
	want = append(want, "big", "")
	for i := range 20 {
		r.accept(key(1, fmt.Sprint("k", i)), register.Delete())
	}
	want = want[20:]
	slices.Sort(want)
	for _, limit := range []int{1, 7, 100, 5000} {
		got := r.list(1, limit)
		if !slices.Equal(names(got), want) {
			t.Fatalf("limit %d: %d registers listed, want %d", limit, len(got), len(want))
		}
		ordered := slices.IsSortedFunc(got, func(a, b listing.Entry) int {
			if a.Register.Slot != b.Register.Slot {
				return int(a.Register.Slot) - int(b.Register.Slot)
			}
			return strings.Compare(fmt.Sprintf("%012x", a.Hash), fmt.Sprintf("%012x", b.Hash))
		})
		if !ordered {
			t.Errorf("limit %d: not in order of slot and hash", limit)
		}
		for _, e := range got {
			if e.Register.Key[1:] == "big" && (e.Type != uint8(register.Hash) || e.Expiry != 77 || e.Accepted.IsZero()) {
				t.Errorf("listed %+v", e)
			}
		}
	}
	if got := r.list(3, 10); len(got) != 0 {
		t.Errorf("an empty database lists %d registers", len(got))
	}
}

func (r *rig) flush(db byte) {
	r.t.Helper()
	q := &message.FlushRequest{Ballot: r.ballot(), Epoch: testEpoch, First: 0, Last: partition.Slots - 1, Space: db}
	for i, a := range r.accs {
		reply, err := a.Flush(r.clock, q)
		if err != nil || reply.Outcome != message.Acked {
			r.t.Fatalf("flush of lane %d: %+v, %v", i, reply, err)
		}
	}
}

func (r *rig) registerRows() int {
	r.t.Helper()
	it, err := r.e.db.NewIter(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if it.Key()[0] != rowcodec.PrefixMeta {
			n++
		}
	}
	return n
}

func TestFlush(t *testing.T) {
	for _, how := range []struct {
		name string
		f    func(*Engine) error
	}{{"close", (*Engine).Close}, {"crash", (*Engine).Abort}} {
		t.Run(how.name, func(t *testing.T) {
			o := testOptions(t)
			o.CacheBytes = 32 << 10
			r := newRig(t, o)
			c := set("v")
			c.Header.Expiry = 5
			for i := range 600 {
				r.accept(key(1, fmt.Sprint("k", i)), c)
			}
			r.accept(key(2, "spared"), set("v"))
			r.settle()
			r.flush(1)
			r.accept(key(1, "new"), set("after"))
			check := func(when string) {
				t.Helper()
				if got := names(r.list(1, 100)); !slices.Equal(got, []string{"new"}) {
					t.Fatalf("%s: %d registers listed after a flush", when, len(got))
				}
				if got := r.read(key(1, "k3"), register.Projection{All: true}); got.View.Header.Exists() || got.Accepted.IsZero() {
					t.Fatalf("%s: a flushed register answers %+v", when, got)
				}
				r.wantString(key(1, "new"), "after")
				r.wantString(key(2, "spared"), "v")
			}
			check("at once")
			r.reopen(how.f)
			check("after a restart")
			// A few are tombstones of their own: those that were read meanwhile.
			waitFor(t, "the sweep", func() bool { r.maintain(); return r.registerRows() < 20 })
			r.reopen(how.f)
			check("after the sweep")
		})
	}
}

// What comes back while the sweep of what it was before is on its way to the
// disk is there as anything new is, in the index of expiries too.
func TestSweptAndBack(t *testing.T) {
	for _, sent := range []bool{false, true} {
		r := newRig(t, testOptions(t))
		id := key(1, "k")
		c := set("v")
		c.Header.Expiry = 5
		r.accept(id, c)
		r.settle()
		r.flush(1)
		r.settle()
		l := r.e.Lanes()[r.lane(id)]
		for _, f := range r.e.flushes.InForce() {
			if int(f.Vote.Part) != l.number {
				continue
			}
			if err := l.sweep(f, []register.ID{id}); err != nil {
				t.Fatal(err)
			}
		}
		if sent && l.sending == nil {
			l.send()
		}
		r.accept(id, c)
		r.settle()
		page, err := r.e.Expired(10, &listing.Request{Last: partition.Slots - 1, Limit: 25, Expired: true})
		if err != nil || len(page.Entries) != 1 {
			t.Errorf("sent %v: %d registers are listed as expired, want one: %v", sent, len(page.Entries), err)
		}
		r.wantString(id, "v")
		if got := r.registerRows(); got != 2 {
			t.Errorf("sent %v: %d rows, want the register's and that of its expiry", sent, got)
		}
	}
}

// A covered register that was read is a change without an entry in the log:
// closing brings it to the disk all the same.
func TestCloseWithCoveredRegisters(t *testing.T) {
	r := newRig(t, testOptions(t))
	r.accept(key(1, "k"), set("v"))
	r.flush(1)
	r.settle()
	r.read(key(1, "k"), register.Projection{})
	for range 2 {
		r.reopen((*Engine).Close)
		if got := r.read(key(1, "k"), register.Projection{}); got.View.Header.Exists() || got.Accepted.IsZero() {
			t.Fatalf("a flushed register answers %+v", got)
		}
	}
}

// A flush of the same range makes an earlier one superfluous, on disk too.
func TestFlushReplacesEarlier(t *testing.T) {
	r := newRig(t, testOptions(t))
	for range 3 {
		r.flush(1)
	}
	r.reopen((*Engine).Close)
	if n := r.e.flushes.Count(); n != len(r.accs) {
		t.Errorf("%d flush votes kept, want one for each of %d lanes", n, len(r.accs))
	}
}

func TestExpired(t *testing.T) {
	r := newRig(t, testOptions(t))
	want := map[string]bool{}
	for i := range 500 {
		c := set("v")
		c.Header.Expiry = int64(1000 + i)
		r.accept(key(1, fmt.Sprint("k", i)), c)
		if i < 300 {
			want[fmt.Sprint("k", i)] = true
		}
	}
	r.accept(key(1, "k0"), set("no expiry")) // the index follows
	r.accept(key(1, "k1"), register.Delete())
	delete(want, "k0")
	delete(want, "k1")
	r.settle()
	got := map[string]bool{}
	q := listing.Request{Last: partition.Slots - 1, Limit: 25, Expired: true}
	for calls := 0; ; calls++ {
		page, err := r.e.Expired(1299, &q)
		if err != nil || len(page.Entries) > 25 || calls > 100 {
			t.Fatalf("call %d: %d found, %v", calls, len(page.Entries), err)
		}
		for _, f := range page.Entries {
			if f.Register != key(1, f.Register.Key[1:]) {
				t.Fatalf("found %+v", f)
			}
			got[f.Register.Key[1:]] = true
			r.accept(f.Register, register.Delete())
		}
		r.settle()
		if page.Done {
			break
		}
		q.First = page.NextSlot
	}
	only, err := r.e.Expired(1e9, &listing.Request{First: 3, Last: 5, Limit: 1000, Expired: true})
	if err != nil || len(only.Entries) == 0 || !only.Done {
		t.Fatalf("expired in three slots: %d, %v", len(only.Entries), err)
	}
	for _, f := range only.Entries {
		if f.Register.Slot < 3 || f.Register.Slot > 5 {
			t.Errorf("slot %d, asked for 3 to 5", f.Register.Slot)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d expired registers found, want %d", len(got), len(want))
	}
	for k := range want {
		if !got[k] {
			t.Errorf("%s is expired and was not found", k)
		}
	}
}
