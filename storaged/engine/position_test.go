package engine

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"synod/storaged/changelog"
	"synod/storaged/disk"
)

// The position file is written before anybody hears of a sync, and synced soon
// after, also if nothing follows.
func TestPositionFile(t *testing.T) {
	o := testOptions(t)
	failing := disk.Real()
	var syncs atomic.Int64
	failing.Sync = func(f *os.File) error {
		if filepath.Base(f.Name()) == changelog.PositionFile+".tmp" || filepath.Base(f.Name()) == changelog.PositionFile {
			syncs.Add(1)
		}
		return disk.Real().Sync(f)
	}
	o.Disk = &failing
	r := newRig(t, o)
	for range 3 {
		r.accept(key(0, "k"), set("v"))
		r.sync()
		slots, err := changelog.ReadPosition(o.Dir, r.e.identity.Number())
		must(t, err)
		if got, want := max(slots[0], slots[1]), r.e.Synced(); got < want {
			t.Fatalf("the file says %d, durable is %d", got, want)
		}
	}
	waitFor(t, "the sync", func() bool { return syncs.Load() > 0 })
	r.reopen((*Engine).Close)
	if got := r.e.Recovered(); got != 3 {
		t.Errorf("%d entries were recovered", got)
	}
}

// A full disk takes nothing from what the position file says; another error at
// it ends the store.
func TestPositionFileCannotBeWritten(t *testing.T) {
	o := testOptions(t)
	failing := disk.Real()
	var fail atomic.Pointer[error]
	failing.Write = func(f *os.File, b []byte, off int64) error {
		if err := fail.Load(); err != nil && filepath.Base(f.Name()) == changelog.PositionFile+".tmp" {
			return *err
		}
		return disk.Real().Write(f, b, off)
	}
	o.Disk = &failing
	r := newRig(t, o)
	set1(&fail, error(syscall.ENOSPC))
	r.accept(key(0, "k"), set("v"))
	r.sync()
	set1(&fail, error(syscall.EIO))
	r.accept(key(0, "k"), set("w"))
	if err := r.e.WaitSynced(r.e.changes.Appended()); !errors.Is(err, changelog.ErrClosed) {
		t.Errorf("wait: %v", err)
	}
	waitFor(t, "the fatal error", func() bool { return r.fatal.Load() != nil })
}
