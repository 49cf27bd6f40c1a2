package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/disk"
)

func logFiles(t testing.TB, dir string) []changelog.Segment {
	t.Helper()
	segments, err := changelog.Segments(filepath.Join(dir, datadir.LogDir))
	if err != nil {
		t.Fatal(err)
	}
	return segments
}

// TestCrashAtEveryByte cuts the changelog at every byte behind what was
// acknowledged, with Pebble as it was when nothing of it had been flushed, and
// wants every acknowledged vote, and of the others each whole or not at all, in
// order.
func TestCrashAtEveryByte(t *testing.T) {
	o := testOptions(t)
	r := newRig(t, o)
	const acked, more = 5, 4
	for i := range acked {
		r.accept(key(0, fmt.Sprint("k", i)), set("acked"))
	}
	r.sync()
	path := logFiles(t, o.Dir)[0].Path
	from := r.e.changes.End()
	witness := filepath.Join(t.TempDir(), changelog.PositionFile)
	copyFile(t, filepath.Join(o.Dir, changelog.PositionFile), witness)
	for i := range more {
		r.accept(key(0, fmt.Sprint("k", i)), set(strings.Repeat("x", 10+i)))
	}
	r.sync()
	to := r.e.changes.End()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	survived := map[int]bool{}
	for cut := from; cut <= to; cut++ {
		// What was not synced is gone, or was never written.
		for i, rest := range [][]byte{nil, make([]byte, 100)} {
			crashed := o
			crashed.Dir, crashed.FS = filepath.Join(t.TempDir(), "n"), vfs.NewMem()
			if err := os.MkdirAll(filepath.Join(crashed.Dir, datadir.LogDir), 0o755); err != nil {
				t.Fatal(err)
			}
			copyFile(t, filepath.Join(o.Dir, datadir.IdentityFile), filepath.Join(crashed.Dir, datadir.IdentityFile))
			copyFile(t, witness, filepath.Join(crashed.Dir, changelog.PositionFile))
			torn := append(append([]byte(nil), raw[:cut]...), rest...)
			if err := os.WriteFile(filepath.Join(crashed.Dir, datadir.LogDir, filepath.Base(path)), torn, 0o644); err != nil {
				t.Fatal(err)
			}
			n := checkRecovered(t, crashed, acked)
			survived[n] = true
			if (cut+int64(i))%41 == 0 {
				if got := checkCrashed(t, crashed, acked, more); got != n {
					t.Fatalf("%d entries were recovered, %d are there", n, got)
				}
			}
		}
	}
	if len(survived) != more+1 {
		t.Errorf("the cuts left %d different numbers of votes, want %d", len(survived), more+1)
	}
}

// checkRecovered reads a crashed store's changelog alone, and returns how many
// entries there are besides those acknowledged.
func checkRecovered(t *testing.T, o Options, acked int) int {
	t.Helper()
	id, err := datadir.Identify(o.Dir, datadir.Identity{Cluster: o.Cluster, Node: o.Node}, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := changelog.Config{Dir: filepath.Join(o.Dir, datadir.LogDir), Store: id.Number(), Disk: disk.Real(), Log: zap.NewNop()}
	slots, err := changelog.ReadPosition(o.Dir, id.Number())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	found, err := changelog.Recover(cfg, 1, max(slots[0], slots[1]), func(pos uint64, payload []byte) error {
		n++
		if pos != uint64(n) {
			t.Fatalf("entry %d comes after %d others", pos, n-1)
		}
		_, err := decodePayload(pos, payload)
		return err
	})
	if err != nil || n < acked || found.Next != uint64(n)+1 {
		t.Fatalf("%d entries recovered, %d were acknowledged; next is %d: %v", n, acked, found.Next, err)
	}
	return n - acked
}

func checkCrashed(t *testing.T, o Options, acked, more int) (survived int) {
	t.Helper()
	r := &rig{t: t, opts: o, clock: instant.Now{Wall: 2_000_000_000, Mono: 1}}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	defer r.e.Abort()
	for i := range acked {
		v := r.read(key(0, fmt.Sprint("k", i)), register.Projection{All: true}).View
		got, _ := v.Get([]byte("0"))
		switch {
		case i < more && string(got) == strings.Repeat("x", 10+i):
			if survived != i {
				t.Fatalf("vote %d is there, an earlier one is not", i)
			}
			survived++
		case string(got) != "acked":
			t.Fatalf("register %d holds %q", i, got)
		}
	}
	// The log goes on, and a second crash finds what was added.
	r.accept(key(0, "later"), set("1"))
	r.sync()
	r.reopen((*Engine).Abort)
	r.wantString(key(0, "later"), "1")
	return survived
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What lay behind a torn record must not come back once the log has gone on.
func TestTornTailStaysCut(t *testing.T) {
	o := testOptions(t)
	r := newRig(t, o)
	r.accept(key(0, "a"), set("1"))
	r.sync()
	from := r.e.changes.End()
	witness := filepath.Join(t.TempDir(), changelog.PositionFile)
	copyFile(t, filepath.Join(o.Dir, changelog.PositionFile), witness)
	for _, k := range []string{"b", "c", "d"} { // one sync, as they wait together
		r.accept(key(0, k), set("unacked"))
	}
	r.sync()
	if err := r.e.Abort(); err != nil {
		t.Fatal(err)
	}
	damage(t, logFiles(t, o.Dir)[0].Path, from+changelog.MarkerBytes+changelog.RecordHead+20)
	copyFile(t, witness, filepath.Join(o.Dir, changelog.PositionFile)) // the sync had not ended
	core, logs := observer.New(zap.WarnLevel)
	r.opts.Log = zap.New(core)
	for range 3 {
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"b", "c", "d"} {
			if got := r.read(key(0, k), register.Projection{}); !got.Accepted.IsZero() {
				t.Fatalf("%s is back", k)
			}
		}
		r.accept(key(0, "a"), set("2")) // takes the position of the torn entry
		r.sync()
		if err := r.e.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	if n := logs.FilterMessageSnippet("unfinished write").Len(); n != 1 {
		t.Errorf("%d lines about the torn tail, want 1", n)
	}
}

func damage(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsRefused(t *testing.T) {
	build := func(t *testing.T) (*rig, int64) {
		r := newRig(t, testOptions(t))
		r.accept(key(0, "a"), set("1"))
		r.sync()
		at := r.e.changes.End() - 5
		r.accept(key(0, "b"), set("2")) // its marker vouches for the first
		r.sync()
		return r, at
	}
	open := func(t *testing.T, r *rig) error {
		t.Helper()
		err := r.open()
		if err == nil {
			t.Fatal("damaged changelog was opened")
		}
		return err
	}
	t.Run("acknowledged in the last segment", func(t *testing.T) {
		r, at := build(t)
		r.e.Abort()
		damage(t, logFiles(t, r.opts.Dir)[0].Path, at)
		if err := open(t, r); !errors.Is(err, changelog.ErrCorrupt) {
			t.Error(err)
		}
	})
	t.Run("earlier segment", func(t *testing.T) {
		r, _ := build(t)
		r.reopen((*Engine).Abort) // begins another segment
		r.accept(key(0, "c"), set("3"))
		r.sync()
		r.e.Abort()
		first := logFiles(t, r.opts.Dir)[0]
		damage(t, first.Path, first.Size-3)
		if err := open(t, r); !errors.Is(err, changelog.ErrCorrupt) {
			t.Error(err)
		}
	})
	t.Run("hole", func(t *testing.T) {
		r, _ := build(t)
		for range 2 {
			r.reopen((*Engine).Abort)
			r.accept(key(0, "c"), set("3"))
			r.sync()
		}
		r.e.Abort()
		files := logFiles(t, r.opts.Dir)
		if len(files) != 3 {
			t.Fatalf("%d segments", len(files))
		}
		if err := os.Remove(files[1].Path); err != nil {
			t.Fatal(err)
		}
		if err := open(t, r); !errors.Is(err, changelog.ErrCorrupt) {
			t.Error(err)
		}
	})
	t.Run("beginning", func(t *testing.T) {
		r, _ := build(t)
		r.reopen((*Engine).Abort)
		r.e.Abort()
		if err := os.Remove(logFiles(t, r.opts.Dir)[0].Path); err != nil {
			t.Fatal(err)
		}
		if err := open(t, r); !errors.Is(err, changelog.ErrCorrupt) {
			t.Error(err)
		}
	})
	t.Run("foreign", func(t *testing.T) {
		r, _ := build(t)
		r.e.Abort()
		other := newRig(t, testOptions(t))
		other.e.Abort()
		name := logFiles(t, r.opts.Dir)[0].Path
		copyFile(t, logFiles(t, other.opts.Dir)[0].Path, name)
		if err := open(t, r); !strings.Contains(err.Error(), "belongs to store") {
			t.Error(err)
		}
	})
}

// failingDisk is a disk whose errors the test sets.
type failingDisk struct {
	write, sync, allocate atomic.Pointer[error]
	free                  atomic.Int64
}

func (d *failingDisk) disk() *disk.Disk {
	real := disk.Real()
	d.free.Store(1 << 40)
	get := func(p *atomic.Pointer[error]) error {
		if e := p.Load(); e != nil {
			return *e
		}
		return nil
	}
	return &disk.Disk{
		Write: func(f *os.File, b []byte, off int64) error {
			if err := get(&d.write); err != nil {
				_ = real.Write(f, b[:len(b)/2], off) // some of it gets there
				return err
			}
			return real.Write(f, b, off)
		},
		Sync: func(f *os.File) error {
			if err := get(&d.sync); err != nil {
				return err
			}
			return real.Sync(f)
		},
		Allocate: func(f *os.File, n int64) error {
			if err := get(&d.allocate); err != nil {
				return err
			}
			return real.Allocate(f, n)
		},
		Free: func(string) (int64, error) { return d.free.Load(), nil },
	}
}

func set1(p *atomic.Pointer[error], err error) { p.Store(&err) }

func TestFullDisk(t *testing.T) {
	for _, at := range []string{"write", "allocate"} {
		t.Run(at, func(t *testing.T) {
			var d failingDisk
			o := testOptions(t)
			o.Disk, o.SegmentBytes = d.disk(), 16<<10
			core, logs := observer.New(zap.InfoLevel)
			o.Log = zap.New(core)
			r := newRig(t, o)
			k := key(0, "k")
			r.accept(k, set("before"))
			r.sync()
			full := &os.PathError{Op: "write", Err: syscall.ENOSPC}
			if at == "write" {
				set1(&d.write, full)
			} else {
				set1(&d.allocate, full)
			}
			acked := r.e.Synced()
			big := strings.Repeat("x", 9<<10) // a few of them begin a segment
			waiting := 0
			waitFor(t, "the disk to be full", func() bool {
				if _, err := r.tryAccept(key(0, fmt.Sprint(waiting)), set(big)); err == nil {
					waiting++
				}
				r.e.Kick()
				return r.e.changes.Full()
			})
			if _, err := r.tryAccept(k, set("refused")); !errors.Is(err, changelog.ErrNoSpace) {
				t.Errorf("append on a full disk: %v", err)
			}
			if r.e.Ready() == nil {
				t.Error("ready on a full disk")
			}
			if at == "write" && r.e.Synced() != acked {
				t.Error("a write that failed was acknowledged")
			}
			r.wantString(k, "before") // reads go on
			d.write.Store(nil)
			d.allocate.Store(nil)
			r.sync()
			r.accept(k, set("after"))
			r.sync()
			if n := logs.FilterMessageSnippet("disk is full").Len(); n != 1 {
				t.Errorf("%d lines say that the disk is full, want 1", n)
			}
			if n := logs.FilterMessageSnippet("has room again").Len(); n != 1 {
				t.Errorf("%d lines say that there is room again, want 1", n)
			}
			r.reopen((*Engine).Abort)
			r.wantString(k, "after")
			for i := range waiting {
				r.wantString(key(0, fmt.Sprint(i)), big)
			}
		})
	}
}

func TestCloseWhileDiskIsFull(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk = d.disk()
	r := newRig(t, o)
	r.accept(key(0, "a"), set("1"))
	r.sync()
	set1(&d.write, error(syscall.ENOSPC))
	r.accept(key(0, "b"), set("2"))
	r.e.Kick()
	waitFor(t, "the disk to be full", r.e.changes.Full)
	if err := r.e.Close(); err != nil {
		t.Fatal(err)
	}
	if r.fatal.Load() != nil {
		t.Error("closing was fatal")
	}
	d.write.Store(nil)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	r.wantString(key(0, "a"), "1")
}

func TestNearlyFullDisk(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk, o.MinFreeBytes = d.disk(), 1<<20
	core, logs := observer.New(zap.InfoLevel)
	o.Log = zap.New(core)
	r := newRig(t, o)
	d.free.Store(1 << 19)
	r.e.checkFree()
	r.e.checkFree()
	if _, err := r.tryAccept(key(0, "a"), set("1")); !errors.Is(err, changelog.ErrNoSpace) {
		t.Errorf("vote on a nearly full disk: %v", err)
	}
	if _, err := r.e.AppendNode(durable.NodeState{Ceiling: 1}); err != nil {
		t.Errorf("node state on a nearly full disk: %v", err)
	}
	d.free.Store(1 << 21)
	for range disk.CalmLooks {
		r.e.checkFree()
	}
	r.accept(key(0, "a"), set("1"))
	if n := logs.FilterMessageSnippet("nearly full").Len(); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
}

func TestFailedSyncIsFatal(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk = d.disk()
	r := newRig(t, o)
	r.accept(key(0, "a"), set("1"))
	r.sync()
	acked := r.e.Synced()
	set1(&d.sync, error(syscall.EIO))
	r.accept(key(0, "b"), set("2"))
	if err := r.e.WaitSynced(acked + 1); !errors.Is(err, changelog.ErrClosed) {
		t.Errorf("wait: %v", err)
	}
	waitFor(t, "the fatal error", func() bool { return r.fatal.Load() != nil })
	if err := *r.fatal.Load(); !errors.Is(err, syscall.EIO) {
		t.Errorf("fatal error %v", err)
	}
	d.sync.Store(nil)
	if _, err := r.tryAccept(key(0, "c"), set("3")); err == nil {
		t.Error("a vote after a failed sync")
	}
	if r.e.Synced() != acked || r.e.Ready() == nil {
		t.Error("acknowledged after a failed sync")
	}
}

// Pebble must never show what the changelog may still lose.
func TestPebbleWaitsForTheLog(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	hold := make(chan struct{})
	o.Disk = d.disk()
	real := o.Disk.Sync
	o.Disk.Sync = func(f *os.File) error { <-hold; return real(f) }
	r := newRig(t, o)
	k := key(0, "k")
	r.accept(k, set("unsynced"))
	l := r.e.Lanes()[r.lane(k)]
	r.e.Kick()
	l.want.Store(1)
	l.Maintain(r.clock.Mono)
	if l.sending == nil {
		t.Fatal("no batch was made")
	}
	early := time.After(20 * time.Millisecond) // for the applier to go wrong
	<-early
	if l.applied.Load() != 0 || r.registerRows() != 0 {
		t.Error("applied before the sync")
	}
	close(hold)
	r.sync()
	waitFor(t, "the batch", func() bool { return l.applied.Load() == 1 })
	if r.registerRows() != 1 {
		t.Error("not applied after the sync")
	}
}

func TestBacklogIsBounded(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.MaxUnsynced = 10 << 10
	hold := make(chan struct{})
	o.Disk = d.disk()
	real := o.Disk.Sync
	o.Disk.Sync = func(f *os.File) error { <-hold; return real(f) }
	r := newRig(t, o)
	n := 0
	for {
		_, err := r.tryAccept(key(0, fmt.Sprint(n)), set(string(make([]byte, 1<<10))))
		if errors.Is(err, changelog.ErrBacklog) {
			break
		}
		if n++; err != nil || n > 20 {
			t.Fatalf("%d appended: %v", n, err)
		}
	}
	close(hold)
	r.sync()
	r.accept(key(0, "k"), set("1"))
}

// Segments go when a checkpoint makes them superfluous, and only then.
func TestSegmentsAreReleased(t *testing.T) {
	o := testOptions(t)
	o.SegmentBytes = 8 << 10
	r := newRig(t, o)
	fill := func() {
		for i := range 50 {
			r.accept(key(0, fmt.Sprint(i)), set(string(make([]byte, 1<<10))))
			r.sync()
		}
	}
	fill()
	if n := len(logFiles(t, o.Dir)); n < 5 {
		t.Fatalf("%d segments", n)
	}
	r.settle()
	if n := len(logFiles(t, o.Dir)); n < 5 {
		t.Fatalf("%d segments, though Pebble has not flushed", n)
	}
	if err := r.e.checkpoint(r.e.changes.Appended()); err != nil {
		t.Fatal(err)
	}
	if n := len(logFiles(t, o.Dir)); n > 2 {
		t.Errorf("%d segments after a checkpoint", n)
	}
	r.reopen((*Engine).Abort)
	for i := range 50 {
		r.wantString(key(0, fmt.Sprint(i)), string(make([]byte, 1<<10)))
	}
	r.opts.RetainBytes = 1 << 20
	r.reopen((*Engine).Close)
	fill()
	r.settle()
	before := len(logFiles(t, o.Dir))
	if err := r.e.checkpoint(r.e.changes.Appended()); err != nil {
		t.Fatal(err)
	}
	if after := len(logFiles(t, o.Dir)); after != before {
		t.Errorf("%d of %d segments left, though they were to be kept", after, before)
	}
}

// The keeper makes checkpoints by itself, as the log grows.
func TestRegularCheckpoint(t *testing.T) {
	o := testOptions(t)
	o.SegmentBytes, o.CheckpointBytes = 8<<10, 32<<10
	r := newRig(t, o)
	for i := range 100 {
		r.accept(key(0, fmt.Sprint(i)), set(string(make([]byte, 1<<10))))
		r.sync()
	}
	waitFor(t, "a checkpoint", func() bool {
		r.maintain()
		files, err := filepath.Glob(filepath.Join(o.Dir, datadir.LogDir, "*"+changelog.SegmentSuffix))
		return err == nil && len(files) < 6
	})
}

func TestEntryLargerThanSegment(t *testing.T) {
	o := testOptions(t)
	o.SegmentBytes, o.MaxUnsynced = 16<<10, 8<<10
	r := newRig(t, o)
	big := strings.Repeat("b", 100<<10)
	r.accept(key(0, "small"), set("1"))
	r.sync()
	r.accept(key(0, "big"), set(big))
	r.sync()
	r.accept(key(0, "small"), set("2"))
	r.sync()
	r.reopen((*Engine).Abort)
	r.wantString(key(0, "big"), big)
	r.wantString(key(0, "small"), "2")
}
