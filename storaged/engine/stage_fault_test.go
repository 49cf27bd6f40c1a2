package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/disk"
	"synod/storaged/tables"
)

// faults is a file system of which some operations fail, or are counted, while it
// is on.
type faults struct {
	on    atomic.Bool
	count atomic.Int64
	met   chan struct{} // has something when there was one
}

func (f *faults) over(fs vfs.FS, err error, those func(errorfs.Op) bool) vfs.FS {
	f.met = make(chan struct{}, 1)
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !f.on.Load() || !those(op) {
			return nil
		}
		f.count.Add(1)
		notify(f.met)
		if err == nil {
			return nil
		}
		return &os.PathError{Op: "test", Path: op.Path, Err: err}
	}))
}

func in(dir string, kind errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool { return op.Kind == kind && filepath.Base(filepath.Dir(op.Path)) == dir }
}

// What was voted for cannot be discarded, nor can a staging be used once it is
// complete.
func TestHeldStagingStays(t *testing.T) {
	r := newRig(t, testOptions(t))
	k, c := key(0, "k"), large(register.SortedSet, 2000, "v")
	q, s := r.ingested(k, c)
	if err := s.Add(nil); !errors.Is(err, errStaged) {
		t.Errorf("a further element: %v", err)
	}
	if _, held := r.vote(q, s); !held {
		t.Fatal("not held")
	}
	s.Discard()
	if err := s.Ingest(); !errors.Is(err, errStaged) {
		t.Errorf("ingested again: %v", err)
	}
	whole := register.Nothing().Apply(c)
	r.wantWhole(k, whole)
	r.wantRows(k, whole)
	r.reopen((*Engine).Abort)
	r.wantWhole(k, whole)
}

// An ingest may wait until Pebble has flushed what it overlaps, which a full disk
// does not allow. Close gives up on it.
func TestCloseGivesUpOnAnIngest(t *testing.T) {
	o := testOptions(t)
	var full faults
	o.closeLimit = 200 * time.Millisecond
	o.FS = full.over(vfs.NewMem(), syscall.ENOSPC, in(datadir.PebbleDir, errorfs.OpCreate))
	r := newRig(t, o)
	k, late := key(0, "k"), large(register.List, 1000, "late")
	r.accept(k, large(register.List, 3000, "old"))
	r.settle()
	must(t, r.e.db.Flush())
	_, other := r.ingested(key(0, "other"), late)
	_, s := r.staged(k, late)
	must(t, s.Add(late.Ops))
	must(t, s.Seal())
	r.accept(k, set("higher"))
	r.settle() // deletes all below, the staging's rows included
	full.on.Store(true)
	defer full.on.Store(false)
	ingested := make(chan error, 1)
	go func() { ingested <- s.Ingest() }()
	<-full.met // Pebble tries to flush
	r.accept(key(0, "more"), set("v"))
	if err := r.e.Close(); !errors.Is(err, errLate) {
		t.Errorf("closed: %v", err)
	}
	if err := <-ingested; !errors.Is(err, changelog.ErrClosed) {
		t.Errorf("ingested: %v", err)
	}
	s.Discard()
	other.Discard() // does not wait either
}

// An error of Pebble's before its manifest has changed refuses a large state, and
// nothing else.
func TestIngestFailsForAMoment(t *testing.T) {
	o := testOptions(t)
	var many faults
	o.FS = many.over(vfs.NewMem(), syscall.EMFILE, in(tables.StageDir, errorfs.OpOpen))
	r := newRig(t, o)
	k, c := key(0, "k"), large(register.List, 2000, "v")
	_, s := r.staged(k, c)
	must(t, s.Add(c.Ops))
	many.on.Store(true)
	if err := s.Ingest(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("ingested: %v", err)
	}
	many.on.Store(false)
	s.Discard()
	if f := r.fatal.Load(); f != nil {
		t.Fatalf("the store ended: %v", *f)
	}
	r.wantRows(k, register.Nothing())
	r.acceptStaged(k, c)
	r.wantRows(k, register.Nothing().Apply(c))
}

// A store that Pebble has ended, as its manifest is in doubt, leaves the files of
// a staging to its next start, which has none of it.
func TestIngestInDoubt(t *testing.T) {
	o := testOptions(t)
	var doubt faults
	o.FS = doubt.over(vfs.NewMem(), syscall.EIO, func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpFileWrite && strings.HasPrefix(filepath.Base(op.Path), "MANIFEST")
	})
	r := newRig(t, o)
	k, c := key(0, "k"), large(register.List, 2000, "v")
	_, s := r.staged(k, c)
	must(t, s.Add(c.Ops))
	doubt.on.Store(true)
	if err := s.Ingest(); err == nil || r.fatal.Load() == nil {
		t.Fatalf("ingested: %v, and the store goes on", err)
	}
	doubt.on.Store(false)
	s.Discard()
	if err := r.e.Abort(); err != nil {
		t.Log(err) // of Pebble, in doubt
	}
	r.fatal.Store(nil)
	must(t, r.open())
	r.wantRows(k, register.Nothing())
}

// Files of a staging that have filled the disk do not keep the store from
// starting: they go before anything takes room.
func TestStagedFilesThatFillTheDisk(t *testing.T) {
	o := testOptions(t)
	mem := vfs.NewMem()
	o.FS = mem
	r := newRig(t, o)
	k, c := key(0, "k"), large(register.List, 2000, "v")
	r.accept(k, set("v"))
	r.sync()
	_, s := r.staged(k, c)
	must(t, s.Add(c.Ops))
	must(t, r.e.Abort())
	left := 0
	r.opts.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if in(datadir.PebbleDir, errorfs.OpCreate)(op) {
			files, err := mem.List(tables.StagePath(r.opts.Dir))
			must(t, err)
			left = max(left, len(files))
		}
		return nil
	}))
	must(t, r.open())
	if left > 0 {
		t.Errorf("%d staged files were there when Pebble was opened", left)
	}
	r.wantString(k, "v")
}

// What is staged counts against the disk's room before anybody looks at the disk
// again.
func TestStagedBytesTakeRoom(t *testing.T) {
	o := testOptions(t)
	disk := disk.Real()
	var looked atomic.Bool
	disk.Free = func(string) (int64, error) {
		if looked.Swap(true) {
			return 0, errors.New("nobody looks")
		}
		return 2 << 20, nil
	}
	o.Disk, o.MinFreeBytes = &disk, 1<<20
	r := newRig(t, o)
	_, s := r.staged(key(0, "k"), set(""))
	big := make([]byte, 600<<10)
	must(t, s.Add([]register.Op{{Key: label(1), Value: big}}))
	must(t, s.Add([]register.Op{{Key: label(2), Value: big}}))
	if err := s.Add([]register.Op{{Key: label(3), Value: big}}); !errors.Is(err, changelog.ErrNoSpace) {
		t.Errorf("a further chunk: %v", err)
	}
	s.Discard()
}

// Nobody waits for the disk because of what is discarded.
func TestDiscardSyncsNothing(t *testing.T) {
	o := testOptions(t)
	var synced faults
	o.FS = synced.over(vfs.NewMem(), nil, func(op errorfs.Op) bool {
		return in(tables.StageDir, errorfs.OpFileSync)(op) || in(tables.StageDir, errorfs.OpFileSyncData)(op)
	})
	r := newRig(t, o)
	k, c := key(0, "k"), large(register.List, 20_000, "v")
	_, s := r.staged(k, c)
	must(t, s.Add(c.Ops))
	synced.on.Store(true)
	s.Discard()
	if n := synced.count.Load(); n > 0 {
		t.Errorf("%d syncs", n)
	}
	synced.on.Store(false)
	r.wantRows(k, register.Nothing())
}
