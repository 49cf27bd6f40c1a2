package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/tables"
)

// crashHere ends the process as it is: what was not synced, of the changelog and
// of Pebble, may be gone.
func (r *rig) crashHere(rnd *rand.Rand, fs *vfs.MemFS) {
	r.t.Helper()
	log := make(map[string][]byte)
	dir := filepath.Join(r.opts.Dir, datadir.LogDir)
	for _, s := range append(logFiles(r.t, r.opts.Dir), changelog.Segment{Path: filepath.Join(r.opts.Dir, changelog.PositionFile)}) {
		b, err := os.ReadFile(s.Path)
		if err != nil {
			r.t.Fatal(err)
		}
		log[s.Path] = b
	}
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd})
	if err := r.e.Abort(); err != nil {
		r.t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		r.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	for path, b := range log {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	r.opts.FS = clone
	if err := r.open(); err != nil {
		r.t.Fatal(err)
	}
}

// TestStagingCrashes crashes after every step in a large state's life, at each
// with random parts of what was not synced, and wants the state as the changelog
// has it, and no row that is not its.
func TestStagingCrashes(t *testing.T) {
	type life struct {
		r     *rig
		q     *message.Request
		s     *Staging
		whole register.View // what is certain
	}
	id := key(0, "k")
	c := large(register.SortedSet, 1200, "staged")
	delta := register.Change{Kind: register.Delta, Header: register.Header{Type: register.SortedSet, Aux: []byte("delta")}, Ops: []register.Op{
		{Kind: register.Remove, Key: ranked(3)}, {Kind: register.Remove, Key: ranked(1100)}, {Key: ranked(4), Value: []byte("x")}, {Key: ranked(1 << 20)}}}
	apply := func(l *life, c register.Change) {
		l.r.accept(id, c)
		l.r.sync()
		l.whole = l.whole.Apply(c)
	}
	steps := []struct {
		name string
		do   func(*life)
	}{
		{"base", func(l *life) { apply(l, large(register.SortedSet, 2000, "base")); l.r.settle() }},
		{"begun", func(l *life) { l.q, l.s = l.r.staged(id, c) }},
		{"half", func(l *life) { must(l.r.t, l.s.Add(c.Ops[:1000])) }},
		{"added", func(l *life) { must(l.r.t, l.s.Add(c.Ops[1000:])) }},
		{"ingested", func(l *life) { must(l.r.t, l.s.Ingest()) }},
		{"voted", func(l *life) { l.r.vote(l.q, l.s) }},
		{"synced", func(l *life) { l.r.sync(); l.whole = register.Nothing().Apply(c) }},
		{"changed", func(l *life) { apply(l, delta) }},
		{"applied", func(l *life) { l.r.settle() }},
		{"flushed", func(l *life) { must(l.r.t, l.r.e.db.Flush()) }},
		{"changed again", func(l *life) {
			apply(l, register.Change{Kind: register.Delta, Header: delta.Header, Ops: delta.Ops[1:2]})
		}},
		{"replaced", func(l *life) { apply(l, set("small")) }},
		{"wiped", func(l *life) { l.r.settle() }},
		{"wiped for good", func(l *life) { must(l.r.t, l.r.e.db.Flush()) }},
	}
	for last := range steps {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(steps[last].name, " ", seed), func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, uint64(last)))
				o := testOptions(t)
				fs := vfs.NewCrashableMem()
				o.FS = fs
				l := &life{r: newRig(t, o), whole: register.Nothing()}
				for _, step := range steps[:last+1] {
					if step.do(l); seed == 2 && step.name != "voted" && step.name != "base" {
						must(t, l.r.e.db.Flush()) // Pebble does by itself
					}
				}
				l.r.crashHere(rnd, fs)
				if seed == 1 { // and once more, with what the start has done
					l.r.crashHere(rnd, l.r.opts.FS.(*vfs.MemFS))
				}
				l.r.wantWhole(id, l.whole)
				l.r.wantRows(id, l.whole)
				l.r.acceptStaged(id, c)
				l.r.wantWhole(id, register.Nothing().Apply(c))
				l.r.wantRows(id, register.Nothing().Apply(c))
			})
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestIngestCrashes crashes at every operation on the file system while a state
// is staged and ingested: nothing of it is there afterwards, or, if that is what
// the disk has and the vote was logged, all of it.
func TestIngestCrashes(t *testing.T) {
	o := testOptions(t)
	fs := vfs.NewCrashableMem()
	rnd := rand.New(rand.NewPCG(1, 1))
	var mu sync.Mutex
	var clones []*vfs.MemFS
	recording := false
	o.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if recording {
			clones = append(clones, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd}))
		}
		return nil
	}))
	r := newRig(t, o)
	k := key(0, "k")
	old := register.Nothing().Apply(large(register.List, 2500, "old"))
	r.accept(k, old.Full())
	r.settle()
	must(t, r.e.db.Flush())
	mu.Lock()
	recording = true
	mu.Unlock()
	r.ingested(k, large(register.List, 1300, "new"))
	mu.Lock()
	recording = false
	mu.Unlock()
	if len(clones) < 15 {
		t.Fatalf("only %d operations", len(clones))
	}
	for i, clone := range clones {
		must(t, r.e.Abort())
		r.opts.FS = clone
		if err := r.open(); err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		r.wantWhole(k, old)
		r.wantRows(k, old)
	}
}

// Whoever lost the rows that the changelog refers to does not go on.
func TestMissingStagedRows(t *testing.T) {
	o := testOptions(t)
	r := newRig(t, o)
	k := key(0, "k")
	q, s := r.ingested(k, large(register.List, 2000, "v"))
	r.vote(q, s)
	r.sync()
	must(t, r.e.Abort())
	r.opts.FS = vfs.NewMem()
	if err := r.open(); !errors.Is(err, changelog.ErrCorrupt) {
		t.Fatalf("opened with %v", err)
	}
}

// An ingest that overlaps what a memtable has is durable all the same.
func TestIngestOverMemtable(t *testing.T) {
	r := newRig(t, testOptions(t))
	k := key(0, "k")
	old := large(register.List, 3000, "old")
	r.accept(k, old)
	r.settle()
	q, s := r.staged(k, large(register.List, 1000, "late"))
	must(t, s.Add(large(register.List, 1000, "late").Ops))
	r.accept(k, set("higher"))
	r.accept(k, large(register.List, 3100, "last"))
	r.settle() // the deletion of all rows below covers the staging's
	must(t, s.Ingest())
	if markers := r.markers(); len(markers) != 1 {
		t.Fatalf("%d markers", len(markers))
	}
	must(t, r.e.db.Flush())
	if n := r.e.db.Metrics().Flush.AsIngestCount; n > 0 {
		t.Error("the ingest waited for a flush in memory, where a crash would have lost it")
	}
	if reply, held := r.vote(q, s); reply.Outcome != message.Nacked || held {
		t.Fatalf("%+v, held %v", reply, held)
	}
	r.wantRows(k, register.Nothing().Apply(large(register.List, 3100, "last")))
}

// A disk that is full, or fails to write, refuses a large state and keeps the
// rest.
func TestStagingOnAFullDisk(t *testing.T) {
	inDir := func(dir string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool {
			return slices.Contains(kinds, op.Kind) && filepath.Base(filepath.Dir(op.Path)) == dir
		}
	}
	for i, fails := range []func(errorfs.Op) bool{
		inDir(tables.StageDir, errorfs.OpCreate), inDir(tables.StageDir, errorfs.OpFileWrite),
		inDir(tables.StageDir, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo),
		// Where a file cannot be linked it is copied.
		func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpLink || inDir(datadir.PebbleDir, errorfs.OpCreate)(op)
		},
	} {
		o := testOptions(t)
		var mu sync.Mutex
		full := false
		o.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if full && fails(op) {
				return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
			}
			return nil
		}))
		set := func(is bool) {
			mu.Lock()
			defer mu.Unlock()
			full = is
		}
		r := newRig(t, o)
		k, c := key(0, "k"), large(register.List, 2000, "v")
		_, s := r.staged(k, c)
		set(true)
		err := s.Add(c.Ops)
		if err == nil {
			err = s.Ingest()
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("case %d: %v", i, err)
		}
		s.Discard()
		set(false)
		r.wantRows(k, register.Nothing())
		r.acceptStaged(k, c)
		r.wantRows(k, register.Nothing().Apply(c))
		if f := r.fatal.Load(); f != nil {
			t.Errorf("case %d: the store ended: %v", i, *f)
		}
	}
}
