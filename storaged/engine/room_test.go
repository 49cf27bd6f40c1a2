package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/disk"
)

// quota is a disk of a limited size: the files below a directory take its room.
type quota struct {
	vfs.FS
	dir  string
	most atomic.Int64
}

func (q *quota) used() (n int64) {
	_ = filepath.WalkDir(q.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

func (q *quota) free() int64 { return max(0, q.most.Load()-q.used()) }

func (q *quota) takes(n int64) error {
	if n > q.free() {
		return &os.PathError{Op: "write", Path: q.dir, Err: syscall.ENOSPC}
	}
	return nil
}

func (q *quota) disk() *disk.Disk {
	d := disk.Real()
	real := d
	grows := func(f *os.File, to int64) error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return q.takes(max(0, to-info.Size()))
	}
	d.Write = func(f *os.File, b []byte, off int64) error {
		return errors.Join(grows(f, off+int64(len(b))), real.Write(f, b, off))
	}
	d.Allocate = func(f *os.File, n int64) error {
		if err := grows(f, n); err != nil {
			return err
		}
		return real.Allocate(f, n)
	}
	d.Free = func(string) (int64, error) { return q.free(), nil }
	return &d
}

func (q *quota) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := q.takes(1); err != nil {
		return nil, err
	}
	f, err := q.FS.Create(name, category)
	return quotaFile{f, q}, err
}

type quotaFile struct {
	vfs.File
	q *quota
}

func (f quotaFile) Write(b []byte) (int, error) {
	if err := f.q.takes(int64(len(b))); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// smallDisk returns the options of a store on a disk of so many bytes.
func smallDisk(t *testing.T, most int64) (Options, *quota) {
	o := testOptions(t)
	q := &quota{FS: vfs.Default, dir: o.Dir}
	q.most.Store(most)
	o.FS, o.Disk = q, q.disk()
	o.SegmentBytes, o.RetainBytes, o.CheckpointBytes = 256<<10, 1<<20, 512<<10
	o.CacheBytes = 1 << 20
	return o, q
}

// random returns a value that does not compress.
func random(seed uint64, n int) string {
	rnd, b := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return string(b)
}

// fillUp writes values until there is no room for more, and returns how many.
func (r *rig) fillUp() (n int) {
	r.t.Helper()
	for ; n < 1e5; n++ {
		_, err := r.tryAccept(key(0, fmt.Sprint(n)), set(random(uint64(n), 4000)))
		if errors.Is(err, changelog.ErrBacklog) {
			n--
		} else if err != nil {
			must(r.t, ignore(err, changelog.ErrNoSpace))
			return n
		}
		r.sync()
		r.maintain()
	}
	r.t.Fatal("the disk does not fill up")
	return n
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

func (r *rig) await(what string, ready func() bool) {
	r.t.Helper()
	waitFor(r.t, what, func() bool { r.maintain(); return ready() })
}

func (r *rig) wantNothing(k register.ID) {
	r.t.Helper()
	if h := r.read(k, register.Projection{All: true}).View.Header; h.Exists() {
		r.t.Fatalf("%q holds %+v", k.Key, h)
	}
}

func (r *rig) noFailure() {
	r.t.Helper()
	if err := r.fatal.Load(); err != nil {
		r.t.Fatal(*err)
	}
}

// A store fills its disk. It refuses what adds and nothing else, opens again as
// it is, and takes everything when enough was deleted.
func TestSmallDisk(t *testing.T) {
	o, _ := smallDisk(t, 24<<20)
	o.MinFreeBytes = 6 << 20
	r := newRig(t, o)
	n := r.fillUp()
	r.reopen((*Engine).Abort)
	wantFilled := func(i int) {
		t.Helper()
		r.wantString(key(0, fmt.Sprint(i)), random(uint64(i), 4000))
	}
	for i := range n {
		wantFilled(i)
	}
	for i := range n {
		if i%4 == 0 {
			continue
		}
		r.accept(key(0, fmt.Sprint(i)), register.Delete())
		r.sync()
		r.maintain()
	}
	r.await("room", func() bool { return r.e.Ready() == nil })
	for i := range n / 4 {
		r.accept(key(0, fmt.Sprint("again", i)), set(random(uint64(i), 4000)))
		r.sync()
		r.maintain()
	}
	for i := range n {
		if i%4 == 0 {
			wantFilled(i)
		} else {
			r.wantNothing(key(0, fmt.Sprint(i)))
		}
	}
	r.noFailure()
}

// Others have taken all that was left of the disk. What the store had reserved is
// enough to open it, to read, and to delete.
func TestOpenOnAFullDisk(t *testing.T) {
	o, q := smallDisk(t, 24<<20)
	o.MinFreeBytes = 4 << 20
	r := newRig(t, o)
	k := key(0, "k")
	r.accept(k, set("kept"))
	gone := key(1, "gone")
	r.accept(gone, set("deleted"))
	r.sync()
	r.await("the ballast", func() bool { _, err := os.Stat(r.e.space.BallastPath()); return err == nil })
	must(t, r.e.Abort())
	q.most.Store(q.used())
	must(t, r.open())
	if _, err := os.Stat(r.e.space.BallastPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast: %v", err)
	}
	r.wantString(k, "kept")
	r.accept(gone, register.Delete())
	r.sync()
	if _, err := r.tryAccept(key(2, "more"), set("refused")); !errors.Is(err, changelog.ErrNoSpace) {
		t.Errorf("more on a full disk: %v", err)
	}
	if err := r.e.Ready(); !errors.Is(err, changelog.ErrNoSpace) {
		t.Errorf("ready: %v", err)
	}
	q.most.Store(24 << 20)
	r.await("room", func() bool { return r.e.Ready() == nil })
	r.await("the ballast", func() bool { _, err := os.Stat(r.e.space.BallastPath()); return err == nil })
	r.accept(key(2, "more"), set("taken"))
	r.sync()
	r.noFailure()
}

// The changelog opens on a disk that has no room for a segment, and goes on when
// it has.
func TestOpenWithoutRoomForASegment(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk = d.disk()
	r := newRig(t, o)
	k := key(0, "k")
	r.accept(k, set("kept"))
	r.sync()
	must(t, r.e.Abort())
	set1(&d.allocate, error(syscall.ENOSPC))
	must(t, r.open())
	r.wantString(k, "kept")
	if _, err := r.tryAccept(k, register.Delete()); !errors.Is(err, changelog.ErrNoSpace) {
		t.Errorf("a delete without room for it: %v", err)
	}
	d.allocate.Store(nil)
	waitFor(t, "room", func() bool { return r.e.Ready() == nil })
	r.accept(k, register.Delete())
	r.sync()
	r.reopen((*Engine).Abort)
	r.wantNothing(k)
}

// A segment is smaller when there is no room for a whole one.
func TestSegmentsShrink(t *testing.T) {
	o, q := smallDisk(t, 24<<20)
	r := newRig(t, o)
	r.accept(key(0, "k"), set("v"))
	r.sync()
	q.most.Store(q.used() + changelog.LeastSegment + changelog.SegmentHeader)
	for i := range 70 { // more than a segment, less than with the least that follows
		if _, err := r.tryAccept(key(0, fmt.Sprint(i)), set(random(uint64(i), 4000))); err != nil {
			t.Fatal(i, err)
		}
		r.sync()
	}
	if n := r.e.changes.Files(); n < 2 {
		t.Errorf("%d segments", n)
	}
	r.reopen((*Engine).Abort)
	r.wantString(key(0, "66"), random(66, 4000))
}

// Pebble's manifest meets the end of the disk. It waits for room, and the store
// goes on.
func TestManifestWaitsForRoom(t *testing.T) {
	manifest := func(kind errorfs.OpKind) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool {
			return op.Kind == kind && strings.HasPrefix(filepath.Base(op.Path), "MANIFEST")
		}
	}
	for name, those := range map[string]func(errorfs.Op) bool{
		"written": manifest(errorfs.OpFileWrite),
		"made":    manifest(errorfs.OpCreate),
	} {
		t.Run(name, func(t *testing.T) {
			var full faults
			o := testOptions(t)
			o.FS = full.over(vfs.NewMem(), syscall.ENOSPC, those)
			r := newRig(t, o)
			k := key(0, "k")
			r.accept(k, set("v"))
			r.settle()
			full.on.Store(true)
			done := make(chan error, 1)
			if name == "made" {
				must(t, r.e.Close())
				go func() { done <- r.open() }()
			} else {
				go func() { done <- r.e.db.Flush() }()
			}
			<-full.met
			<-full.met // it is tried again
			full.on.Store(false)
			must(t, <-done)
			r.noFailure()
			r.wantString(k, "v")
			r.reopen((*Engine).Abort)
			r.wantString(k, "v")
		})
	}
}

// What a write that fails for want of room needs is taken from what was reserved.
func TestBallast(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk, o.MinFreeBytes = d.disk(), 1<<20
	r := newRig(t, o)
	r.e.checkFree()
	if info, err := os.Stat(r.e.space.BallastPath()); err != nil || info.Size() != 256<<10 {
		t.Fatalf("the ballast: %v, %v", info, err)
	}
	write := r.e.changes.Disk.Write
	r.e.changes.Disk.Write = func(f *os.File, b []byte, off int64) error {
		r.e.checkFree() // as the watcher may before any attempt
		if _, err := os.Stat(r.e.space.BallastPath()); err == nil {
			return &os.PathError{Op: "write", Err: syscall.ENOSPC}
		}
		return write(f, b, off)
	}
	r.accept(key(0, "k"), set("v"))
	r.sync()
	r.noFailure()
}

// While room is short, changelog that no restart needs is given back, though
// nothing can be flushed.
func TestChangelogIsGivenBack(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk, o.MinFreeBytes = d.disk(), 1<<20
	o.SegmentBytes, o.RetainBytes = 64<<10, 1<<30
	r := newRig(t, o)
	for i := range 40 {
		r.accept(key(0, fmt.Sprint(i)), set(random(uint64(i), 4000)))
		r.sync()
	}
	r.settle()
	must(t, r.e.checkpoint(r.e.changes.Appended()))
	if n := r.e.changes.Files(); n < 3 {
		t.Fatalf("%d segments", n)
	}
	d.free.Store(1<<20 + 1)
	r.e.checkFree()
	if r.e.changes.Surplus() {
		t.Errorf("%d segments", r.e.changes.Files())
	}
	if err := r.e.Ready(); err != nil {
		t.Errorf("ready: %v", err)
	}
}

// The store agrees with views on what takes room.
func TestGrows(t *testing.T) {
	r := newRig(t, testOptions(t))
	rnd := rand.New(rand.NewPCG(1, 1))
	k, whole := key(0, "k"), register.Nothing()
	for i := range 2000 {
		c := register.Change{Kind: register.Delta, Header: register.Header{Type: register.Hash, Size: 1}}
		if i%100 == 0 {
			c.Kind = register.Full
			whole = register.Nothing()
		}
		for range rnd.IntN(4) {
			op := register.Op{Kind: register.OpKind(rnd.IntN(3)), Key: label(rnd.IntN(100)), Value: bytes.Repeat([]byte{1}, rnd.IntN(2500))}
			if op.Kind == register.Patch {
				op.Offset = uint32(rnd.IntN(50))
			} else if op.Kind == register.Remove {
				op.Value = nil
			}
			c.Ops = append(c.Ops, op)
		}
		l := r.e.Lanes()[r.lane(k)]
		rec, err := l.Load(k)
		must(t, err)
		got, err := l.Grows(rec, &c)
		must(t, err)
		if want := whole.Grows(c); c.Kind == register.Delta && got != want {
			t.Fatalf("change %d grows: %v, want %v", i, got, want)
		}
		r.accept(k, c)
		whole = whole.Apply(c)
		if i%50 == 0 {
			r.settle()
		}
	}
	if e := r.e.Lanes()[r.lane(k)].cache[k.Key]; e == nil || !e.Rows {
		t.Error("the content never became rows")
	}
}

// What a node votes for, by how much room it has.
func TestRoomLevels(t *testing.T) {
	var d failingDisk
	o := testOptions(t)
	o.Disk, o.MinFreeBytes = d.disk(), 8<<20
	r := newRig(t, o)
	k := key(0, "k")
	r.accept(k, set("some value"))
	for _, c := range []struct {
		free int64
		want diskroom.Room
	}{{1 << 40, diskroom.RoomEnough}, {5 << 20, diskroom.RoomLow}, {1 << 18, diskroom.RoomScarce}, {8 << 20, diskroom.RoomLow}} {
		r.e.space.DropBallast()
		d.free.Store(c.free)
		r.e.checkFree()
		if got := r.e.room(); got != c.want {
			t.Errorf("room with %d bytes: %d, want %d", c.free, got, c.want)
		}
	}
}
