package engine

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// The position file is written before anybody hears of a sync, and synced soon
// after, also if nothing follows.
func TestPositionFile(t *testing.T) {
	o := testOptions(t)
	disk := RealDisk()
	var syncs atomic.Int64
	disk.Sync = func(f *os.File) error {
		if filepath.Base(f.Name()) == positionName+".tmp" || filepath.Base(f.Name()) == positionName {
			syncs.Add(1)
		}
		return RealDisk().Sync(f)
	}
	o.Disk = &disk
	r := newRig(t, o)
	for range 3 {
		r.accept(key(0, "k"), set("v"))
		r.sync()
		slots, err := readPosition(o.Dir, r.e.identity.number())
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
	disk := RealDisk()
	var fail atomic.Pointer[error]
	disk.Write = func(f *os.File, b []byte, off int64) error {
		if err := fail.Load(); err != nil && filepath.Base(f.Name()) == positionName+".tmp" {
			return *err
		}
		return RealDisk().Write(f, b, off)
	}
	o.Disk = &disk
	r := newRig(t, o)
	set1(&fail, error(syscall.ENOSPC))
	r.accept(key(0, "k"), set("v"))
	r.sync()
	set1(&fail, error(syscall.EIO))
	r.accept(key(0, "k"), set("w"))
	if err := r.e.WaitSynced(r.e.changes.appended()); !errors.Is(err, ErrClosed) {
		t.Errorf("wait: %v", err)
	}
	waitFor(t, "the fatal error", func() bool { return r.fatal.Load() != nil })
}
