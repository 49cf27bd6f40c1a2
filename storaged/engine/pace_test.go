package engine

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// While there is no room for Pebble's files it tries again, but not all the
// time, says so once, and goes on when there is.
func TestBackgroundWorkIsPaced(t *testing.T) {
	var full atomic.Bool
	var attempts atomic.Int64
	core, logs := observer.New(zapcore.InfoLevel)
	o := testOptions(t)
	o.Log = zap.New(core)
	o.FS = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") && full.Load() {
			attempts.Add(1)
			return syscall.ENOSPC
		}
		return nil
	}))
	r := newRig(t, o)
	full.Store(true)
	if err := r.e.db.Set([]byte("zkey"), []byte("value"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	flushed, err := r.e.db.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	const tries = 5 // with pauses of 20, 40, 80 and 160 ms between
	for deadline := time.Now().Add(20 * time.Second); attempts.Load() < tries; {
		if time.Now().After(deadline) {
			t.Fatal("it is not retried")
		}
		<-time.After(time.Millisecond)
	}
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("%d attempts within %v", attempts.Load(), took)
	}
	full.Store(false)
	select {
	case <-flushed:
	case <-time.After(20 * time.Second):
		t.Fatal("the flush does not end")
	}
	if n := logs.FilterMessageSnippet("background work fails").Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
	if n := logs.FilterMessageSnippet("background work succeeds again").Len(); n != 1 {
		t.Errorf("it is said %d times that work goes on", n)
	}
}
