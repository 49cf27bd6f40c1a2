package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/content"
)

// neighbours are registers of two databases in one store, which change their
// types, expire, are flushed and come back.
type neighbours struct {
	*rig
	rnd *rand.Rand
	all []*collection

	pending stagings // large states that are yet to be voted for
}

// change changes one register, possibly its type, in place or anew.
func (n *neighbours) change(step int) {
	n.t.Helper()
	c := n.all[n.rnd.IntN(len(n.all))]
	if n.rnd.IntN(12) == 0 {
		c.kind = []register.Type{register.List, register.SortedSet, register.Hash, register.String}[n.rnd.IntN(4)]
	}
	change := c.change(step)
	if f := c.whole.Full(); len(f.Ops) > 0 && change.Kind == register.Delta && n.rnd.IntN(12) == 0 {
		f.Header.Type = c.kind
		f.Ops = append(f.Ops[n.rnd.IntN(len(f.Ops)):], change.Ops...)
		change = f
	}
	if change.Header.Exists() {
		change.Header.Expiry = int64(n.rnd.IntN(4))
	}
	c.applyStaged(change)
}

// stage begins or ends the staging of a state.
func (n *neighbours) stage() {
	n.t.Helper()
	switch n.rnd.IntN(8) {
	case 0:
		n.pending.begin(n.rnd, n.all[n.rnd.IntN(len(n.all))], []register.Type{register.List, register.SortedSet, register.Hash}[n.rnd.IntN(3)])
	case 1:
		if len(n.pending.open) > 0 {
			n.pending.end(n.rnd, n.all)
		}
	}
}

// flush empties one of the databases.
func (n *neighbours) flush() {
	n.t.Helper()
	db := byte(1 + n.rnd.IntN(2))
	n.rig.flush(db)
	for _, c := range n.all {
		if c.id.Key[0] == db {
			c.whole = register.Nothing()
		}
	}
}

// check compares all registers with what they should hold.
func (n *neighbours) check() {
	n.t.Helper()
	for _, c := range n.all {
		n.read(c.id, register.Projection{}) // notices that it is covered
		c.check(2)
	}
}

// checkRows compares the rows on disk, one by one, with what there should be.
func (n *neighbours) checkRows() {
	n.t.Helper()
	n.check()
	n.pending.drop()
	for n.settle(); n.sweeping(); {
		n.settle()
	}
	want := 0
	for _, c := range n.all {
		l, rec := c.record()
		if rec == nil {
			continue
		}
		want++
		if rec.Header.Expiry != 0 {
			want++
		}
		if e := l.entry(rec); e.Rows {
			want += len(c.whole.Elements())
			if _, counted := layout.Counted(rec.Header.Type); counted {
				want += c.buckets()
			}
		}
	}
	markers := len(n.markers())
	for _, o := range n.pending.open {
		if o.s.ingested {
			markers--
			want += len(o.c.Ops)
			if span, counted := layout.Counted(o.c.Header.Type); counted {
				ranked, _ := register.Nothing().Apply(o.c).Count(span)
				want += max(1, (int(ranked)+content.BucketFull-1)/content.BucketFull)
			}
		}
	}
	if got := n.registerRows(); got != want {
		n.t.Fatalf("%d rows, want %d", got, want)
	}
	if markers != 0 {
		n.t.Fatalf("%d markers too many", markers)
	}
}

func (n *neighbours) sweeping() bool {
	for _, l := range n.e.Lanes() {
		if len(l.swept) > 0 {
			return true
		}
	}
	return false
}

// TestNeighbours: whatever happens to registers, in memory and on the disk, all
// that is theirs is there, and nothing that no longer is, nor anything less of
// the others.
func TestNeighbours(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 9))
			o := testOptions(t)
			o.FS, o.CacheBytes, o.applyStep = vfs.NewCrashableMem(), 3<<(10+rnd.IntN(12)), 1+rnd.IntN(4)
			n := &neighbours{rig: newRig(t, o), rnd: rnd}
			n.pending.rig = n.rig
			for i := range 4 {
				n.all = append(n.all, &collection{
					rig: n.rig, rnd: rnd, id: key(byte(1+i%2), fmt.Sprint("k", i/2)), kind: register.List,
					whole: register.Nothing(), head: 1 << 40, next: 1 << 40,
				})
			}
			for step := range 150 {
				for range 1 + rnd.IntN(3) {
					n.change(step)
				}
				if rnd.IntN(20) == 0 {
					n.flush()
				}
				n.stage()
				before := n.e
				if n.all[0].upset(); before != n.e {
					n.pending.open = nil // the last life's
				}
				n.check()
				if step%50 == 49 {
					n.checkRows()
				}
			}
		})
	}
}
