package engine

import (
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

const (
	memtableBytes = 16 << 20
	memtables     = 4 // writes stall beyond
	bloomBits     = 10
)

// OutsideHeap is the memory in bytes that Pebble takes beside Go's heap, which Go
// does not count: memtables and the block cache.
func OutsideHeap(cacheBytes int64) int64 { return blockCache(cacheBytes) }

// blockCache is the size of Pebble's cache, off which it takes its memtables'
// memory.
func blockCache(cacheBytes int64) int64 {
	return memtables*memtableBytes + max(8<<20, cacheBytes/4)
}

// openPebble opens Pebble without a log of its own.
func openPebble(e *Engine) (*pebble.DB, error) {
	log := pebbleLog{e}
	cache := pebble.NewCache(blockCache(e.opts.CacheBytes))
	defer cache.Unref()
	e.leftovers = &leftovers{FS: e.opts.FS}
	pace := &pace{FS: e.leftovers, log: e.opts.Log, full: e.diskFull, spare: e.spares, stop: e.stop}
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
		e.fail(fmt.Errorf("%w: %s: %w", errTable, i.Path, i.Details))
	}
	// Most writes ask first whether the register is there: a filter answers
	// for the many that are not.
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	// An ingest that overlaps a memtable would queue up behind it, and be lost
	// with it in a crash: there is no log. So it waits for the flush.
	opts.Experimental.DisableIngestAsFlushable = func() bool { return true }
	opts.EnsureDefaults()
	e.tableOptions = opts.MakeWriterOptions(len(opts.Levels)-1, opts.FormatMajorVersion.MaxTableFormat())
	if err := e.checkTables(opts); err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(e.opts.Dir, pebbleDir), opts)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return db, nil
}

// pebbleLog passes on what Pebble says. Its fatal errors leave the state on
// disk unknown: they end the store.
type pebbleLog struct{ e *Engine }

func (l pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.e.opts.Log.Error("store: " + fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	l.e.fail(fmt.Errorf("store: "+format, args...))
}
