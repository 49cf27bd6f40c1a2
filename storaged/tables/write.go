package tables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

const (
	StageDir = "stage"
	// tableBytes bounds a table, so that what its writer keeps in memory until it
	// is finished (filter, index) stays small.
	tableBytes = 16 << 20
	// tableSync is how much of a table is written before the disk is told to
	// start writing it back, so that the sync at the end has little left to do.
	tableSync = 512 << 10

	stageCategory vfs.DiskWriteCategory = "stage"
)

// Writer writes rows in their order into files that Pebble can take in.
type Writer struct {
	store  *DB
	prefix []byte // of all rows
	row    []byte // one being made

	w     *sstable.Writer // nil: none is open
	file  *tableFile      // that w writes
	size  int             // of its rows
	bytes int64           // of all rows
	paths []string        // of all files
}

// Put writes one row.
func (t *Writer) Put(key, value []byte) error {
	if t.w != nil && t.size >= tableBytes {
		if err := t.Close(); err != nil {
			return err
		}
	}
	if t.w == nil {
		if err := t.open(); err != nil {
			return err
		}
	}
	t.row = append(append(t.row[:0], t.prefix...), key...)
	t.size += len(t.row) + len(value)
	t.bytes += int64(len(t.row) + len(value))
	if err := t.w.Set(t.row, value); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (t *Writer) open() error {
	path := filepath.Join(StagePath(t.store.cfg.Dir), fmt.Sprintf("%d.sst", t.store.files.Add(1)))
	f, err := t.store.cfg.FS.Create(path, stageCategory)
	if err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: tableSync, NoSyncOnClose: true})
	t.file = &tableFile{Writable: objstorageprovider.NewFileWritable(f)}
	t.w, t.size = sstable.NewWriter(t.file, t.store.options), 0
	t.paths = append(t.paths, path)
	return nil
}

// Close finishes the open file and syncs it.
func (t *Writer) Close() error {
	w := t.w
	t.w = nil
	if w == nil {
		return nil
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Abandon removes the files that are there still.
func (t *Writer) Abandon() {
	if t.w != nil {
		t.file.unwanted.Store(true)
		_ = t.w.Close()
		t.w = nil
	}
	fs := t.store.cfg.FS
	for _, path := range t.paths {
		if _, err := fs.Stat(path); err != nil {
			continue // Pebble has taken it
		}
		if err := fs.Remove(path); err != nil {
			t.store.cfg.Log.Warn("cannot remove a staged file; a restart does", zap.Error(err))
		}
	}
	t.paths = nil
}

// tableFile is the file of a table. Once it is unwanted, writes to it fail, so
// that nobody waits for the disk because of it.
type tableFile struct {
	objstorage.Writable
	unwanted atomic.Bool
}

var errUnwanted = errors.New("the table is not wanted any more")

func (f *tableFile) Write(b []byte) error {
	if f.unwanted.Load() {
		return errUnwanted
	}
	return f.Writable.Write(b)
}

// StagePath is where tables are written that Pebble is to ingest.
func StagePath(dir string) string { return filepath.Join(dir, StageDir) }

// MakeStageDir makes the directory for tables that are written beside Pebble.
func (d *DB) MakeStageDir() error {
	if err := d.cfg.FS.MkdirAll(StagePath(d.cfg.Dir), 0o755); err != nil {
		return fmt.Errorf("staging directory: %w", err)
	}
	return nil
}

// NewWriter writes tables with rows that begin with prefix.
func (d *DB) NewWriter(prefix []byte) Writer { return Writer{store: d, prefix: prefix} }

// Written returns the bytes of all rows.
func (t *Writer) Written() int64 { return t.bytes }

// Paths returns the files.
func (t *Writer) Paths() []string { return t.paths }

// ClearStageDir removes the staged files that the last life left.
// It is done before Pebble is opened, which needs space, and waits for it.
func ClearStageDir(fs vfs.FS, dataDir string) error {
	dir := StagePath(dataDir)
	left, err := fs.List(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("staging directory: %w", err)
	}
	for _, name := range left {
		if err := fs.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("staging directory: %w", err)
		}
	}
	return nil
}
