// Package tables is Pebble as the storage uses it: without a log of its own, with
// tables that are checked before it opens, with background work that is paced when
// it fails, and with tables that are written beside it to be ingested.
//
// Its writes are durable only once they are flushed: the engine keeps the
// changelog until then.
package tables

import (
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"synod/storaged/datadir"
	"synod/storaged/rules"
)

const (
	memtableBytes = 16 << 20
	memtables     = 4 // writes stall beyond
	bloomBits     = 10
)

// OutsideHeap is the memory in bytes that Pebble takes beside Go's heap, which Go
// does not count: memtables and the block cache.
func OutsideHeap(cacheBytes int64) int64 { return blockCache(cacheBytes) }

// blockCache is the size of Pebble's cache, from which it also takes the
// memory of its memtables.
func blockCache(cacheBytes int64) int64 {
	return memtables*memtableBytes + max(8<<20, cacheBytes/4)
}

// Config is what a store of tables needs. All of it is required.
type Config struct {
	Dir             string // the node's data directory
	FS              vfs.FS
	CacheBytes      int64 // of the node, a share of which is for blocks
	Log             *zap.Logger
	Omit            rules.Set
	Full            func() bool     // a write has failed for lack of space; whether to retry
	AdmitCompaction func(int) error // whether a compaction may write so many bytes more
	Stop            <-chan struct{} // ends the wait for space
	Fail            func(error)     // Pebble cannot go on
}

// DB is Pebble, without a log of its own, and the tables that are written
// beside it.
type DB struct {
	*pebble.DB
	cfg       Config
	leftovers *leftovers
	options   sstable.WriterOptions // of tables written beside Pebble
	files     atomic.Uint64         // the number of the last of them
}

// Release removes what Pebble was done with while it opened: the store is known
// to be whole.
func (d *DB) Release() error { return d.leftovers.release() }

// Open opens Pebble, after it has checked its tables.
func Open(cfg Config) (*DB, error) {
	d := &DB{cfg: cfg, leftovers: &leftovers{FS: cfg.FS}}
	log := pebbleLog{log: cfg.Log, fail: cfg.Fail}
	cache := pebble.NewCache(blockCache(cfg.CacheBytes))
	defer cache.Unref()
	pace := &pace{FS: d.leftovers, log: cfg.Log, full: cfg.Full, spare: cfg.AdmitCompaction, stop: cfg.Stop}
	opts := &pebble.Options{
		FS:                          pace,
		Cache:                       cache,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memtableBytes,
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       4,
		MaxOpenFiles:                1000,
		Logger:                      log,
		EventListener:               new(pebble.EventListener),
	}
	pace.listen(opts.EventListener)
	opts.EventListener.DataCorruption = func(i pebble.DataCorruptionInfo) {
		cfg.Fail(fmt.Errorf("%w: %s: %w", ErrTable, i.Path, i.Details))
	}
	// Most writes ask first whether the register exists: a filter answers for the
	// many that do not.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	// An ingest that overlaps a memtable would queue behind it, and be lost with it
	// in a crash, since there is no log. So it waits for the flush.
	opts.Experimental.DisableIngestAsFlushable = func() bool { return true }
	opts.EnsureDefaults()
	d.options = opts.MakeWriterOptions(len(opts.Levels)-1, opts.FormatMajorVersion.MaxTableFormat())
	err := checkTables(cfg, opts)
	if err != nil {
		return nil, err
	}
	if d.DB, err = pebble.Open(filepath.Join(cfg.Dir, datadir.PebbleDir), opts); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return d, nil
}

// pebbleLog logs what Pebble reports. After a fatal error, the state on disk is
// unknown: it ends the store.
type pebbleLog struct {
	log  *zap.Logger
	fail func(error)
}

func (l pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("store: " + fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	l.fail(fmt.Errorf("store: "+format, args...))
}
