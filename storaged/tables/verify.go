package tables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"synod/storaged/datadir"
	"synod/storaged/rules"
)

// Pebble's blocks have checksums, and it checks that its tables exist with the
// size that its manifest knows. It does not notice two things. One is a table in
// the place of another, which shows rows that are not there and hides those that
// are. The other is a manifest whose tail cannot be read: for Pebble it ends there.
// Pebble is then back at an earlier state, which is consistent (either the changelog
// has what is missing, or the store does not open), and deletes the tables that
// this state does not have.

// ErrTable says that a table of Pebble's is damaged.
var ErrTable = errors.New("a table of the store is damaged")

// tableReaders is how many tables are checked in parallel.
const tableReaders = 8

// checkTables makes sure that each table has the keys that Pebble's manifest
// says it has. Pebble is opened only afterwards: its compactions panic on damaged
// tables.
func checkTables(cfg Config, opts *pebble.Options) (err error) {
	if cfg.Omit.Omits(rules.Tables) {
		return nil
	}
	dir := filepath.Join(cfg.Dir, datadir.PebbleDir)
	there, err := pebble.Peek(dir, opts.FS)
	if errors.Is(err, os.ErrNotExist) || err == nil && !there.Exists {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	reading := opts.Clone()
	reading.ReadOnly = true
	db, err := pebble.Open(dir, reading)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	levels, err := db.SSTables()
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	due := make(chan *pebble.SSTableInfo)
	found := make([]error, tableReaders)
	var readers sync.WaitGroup
	for i := range found {
		readers.Go(func() {
			for t := range due {
				if err := checkTable(cfg, t, opts); err != nil {
					found[i] = err
				}
			}
		})
	}
	for _, level := range levels {
		for i := range level {
			if !level[i].Virtual {
				due <- &level[i]
			}
		}
	}
	close(due)
	readers.Wait()
	return errors.Join(found...)
}

func checkTable(cfg Config, t *pebble.SSTableInfo, opts *pebble.Options) error {
	path := filepath.Join(cfg.Dir, datadir.PebbleDir, fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum)))
	f, err := cfg.FS.Open(path)
	if err != nil {
		return fmt.Errorf("check table: %w", err)
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return fmt.Errorf("check table: %w", errors.Join(err, f.Close()))
	}
	r, err := sstable.NewReader(context.Background(), readable, opts.MakeReaderOptions()) // takes the file over
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrTable, path, err)
	}
	defer r.Close()
	keys, err := tableEnds(r)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrTable, path, err)
	}
	for _, k := range keys {
		if bytes.Compare(k, t.Smallest.UserKey) < 0 || bytes.Compare(k, t.Largest.UserKey) > 0 {
			return fmt.Errorf("%w: %s holds rows of another", ErrTable, path)
		}
	}
	return nil
}

// tableEnds returns the first and the last key of a table, and those of its
// deleted ranges.
func tableEnds(r *sstable.Reader) (keys [][]byte, err error) {
	rows, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return nil, err
	}
	if kv := rows.First(); kv != nil {
		keys = append(keys, bytes.Clone(kv.K.UserKey))
		if kv = rows.Last(); kv != nil {
			keys = append(keys, bytes.Clone(kv.K.UserKey))
		}
	}
	if err := errors.Join(rows.Error(), rows.Close()); err != nil {
		return nil, err
	}
	deleted, err := r.NewRawRangeDelIter(context.Background(), sstable.FragmentIterTransforms{}, sstable.ReadEnv{})
	if err != nil || deleted == nil {
		return keys, err
	}
	defer deleted.Close()
	first, err := deleted.First()
	if err != nil || first == nil {
		return keys, err
	}
	keys = append(keys, bytes.Clone(first.Start))
	last, err := deleted.Last()
	if err != nil || last == nil {
		return keys, err
	}
	return append(keys, bytes.Clone(last.End)), nil
}

// leftovers is Pebble's file system. Tables and manifests that Pebble no longer
// needs stay until the store is known to have everything of its last life: they may
// be all that is left of it.
type leftovers struct {
	vfs.FS
	mu       sync.Mutex
	released bool
	due      []string
	made     map[string]struct{} // made in this life, so not part of the last one
}

// Create makes a file.
func (l *leftovers) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	l.mu.Lock()
	if !l.released {
		if l.made == nil {
			l.made = make(map[string]struct{})
		}
		l.made[path] = struct{}{}
	}
	l.mu.Unlock()
	return l.FS.Create(path, category)
}

// Remove removes a file, now or on release.
func (l *leftovers) Remove(path string) error {
	l.mu.Lock()
	_, made := l.made[path]
	if name := l.PathBase(path); !l.released && !made && (strings.HasSuffix(name, ".sst") || strings.HasPrefix(name, "MANIFEST")) {
		l.due = append(l.due, path)
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	return l.FS.Remove(path)
}

// Unwrap returns the file system behind.
func (l *leftovers) Unwrap() vfs.FS { return l.FS }

// release removes the files that are due. From now on, files are removed at once.
func (l *leftovers) release() error {
	l.mu.Lock()
	due := l.due
	l.released, l.due, l.made = true, nil, nil
	l.mu.Unlock()
	for _, path := range due {
		if err := l.FS.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove files that the store no longer needs: %w", err)
		}
	}
	return nil
}
