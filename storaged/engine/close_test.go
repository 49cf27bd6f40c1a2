package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/storaged/datadir"
)

// TestCloseWithoutDisk: a store whose files have gone cannot be brought to the
// disk, however often Pebble tries. Close gives up and says so.
func TestCloseWithoutDisk(t *testing.T) {
	o := testOptions(t)
	o.FS, o.closeLimit = vfs.Default, 100*time.Millisecond
	r := newRig(t, o)
	r.accept(key(0, "k"), set("v"))
	r.sync()
	if err := os.RemoveAll(filepath.Join(o.Dir, datadir.PebbleDir)); err != nil {
		t.Fatal(err)
	}
	if err := r.e.Close(); !errors.Is(err, errLate) {
		t.Errorf("Close: %v", err)
	}
}
