package changelog

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"synod/storaged/disk"
)

// roomConfig returns what a log on an empty directory needs.
func roomConfig(t *testing.T) Config {
	dir := filepath.Join(t.TempDir(), "log") // the position file lies beside it
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir: dir, Store: 1, SegmentBytes: LeastSegment, MaxUnsynced: 1 << 20, Disk: disk.Real(), Log: zap.NewNop(),
		OnSync:   func(Synced) {},
		Fatal:    func(err error) { t.Error(err) },
		DiskFull: func() bool { return false },
	}
}

// begin opens a log and returns once its goroutines wait.
func begin(t *testing.T, cfg Config) *Log {
	t.Helper()
	found, err := Recover(cfg, 1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := New(cfg, found)
	if err := l.Begin(); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return l
}

// A log that found no room for its first segment accepts appends as soon as the
// segment is there, also if that is at the flusher's first attempt.
func TestRoomAtTheSecondAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := roomConfig(t)
		allocate, failed := cfg.Disk.Allocate, false
		cfg.Disk.Allocate = func(f *os.File, n int64) error {
			if !failed && strings.HasSuffix(f.Name(), unfinished) {
				failed = true
				return syscall.ENOSPC
			}
			return allocate(f, n)
		}
		l := begin(t, cfg)
		defer l.Close()
		if !failed || l.Full() {
			t.Errorf("failed: %v, full: %v", failed, l.Full())
		}
		pos, err := l.Append([]byte("entry"))
		if err != nil {
			t.Fatal(err)
		}
		l.Kick()
		if !l.Wait(pos) {
			t.Error("not durable")
		}
	})
}

// As long as a write finds no room, each failure is reported, and what that frees
// is used.
func TestEachFailureIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := roomConfig(t)
		write, full, reports := cfg.Disk.Write, false, 0
		cfg.Disk.Write = func(f *os.File, b []byte, off int64) error {
			if full {
				return syscall.ENOSPC
			}
			return write(f, b, off)
		}
		cfg.DiskFull = func() bool {
			reports++
			full = reports < 5
			return !full
		}
		l := begin(t, cfg)
		defer l.Close()
		full = true
		pos, err := l.Append([]byte("entry"))
		if err != nil {
			t.Fatal(err)
		}
		l.Kick()
		time.Sleep(10 * fullRetry)
		synctest.Wait()
		if reports != 5 || l.Full() || l.Durable() != pos {
			t.Errorf("%d reports, full: %v, durable up to %d, want %d", reports, l.Full(), l.Durable(), pos)
		}
	})
}
