package engine

import (
	"synod/protocol/caspaxos/diskroom"
)

// Stats is a reading of the store, for metrics.
type Stats struct {
	Hits, Misses uint64 // of the cache
	CacheBytes   int64
	CacheEntries int64
	Batches      uint64 // brought to Pebble

	LogBytes      int64 // ever written
	UnsyncedBytes int
	Position      uint64 // durable

	FreeBytes    int64 // of the disk, when last looked, with what the node has reserved for itself
	MinFreeBytes int64
	Room         diskroom.Room
	PebbleBytes  int64 // on disk
	Compactions  int64
	ReadAmp      int
	Flushes      int // range tombstones in force
	StagedBytes  int64
}

// Stats returns the present reading. It does not disturb the lanes.
func (e *Engine) Stats() Stats {
	s := Stats{
		LogBytes: e.changes.Written(), UnsyncedBytes: e.changes.Unsynced(),
		Position: e.Synced(), FreeBytes: e.space.Free(), MinFreeBytes: e.opts.MinFreeBytes, Room: e.room(),
		StagedBytes: e.stagedBytes.Load(),
	}
	for _, l := range e.lanes {
		s.Hits += l.hits.Load()
		s.Misses += l.miss.Load()
		s.CacheBytes += l.held.Load()
		s.CacheEntries += l.entries.Load()
		s.Batches += l.batches.Load()
	}
	m := e.db.Metrics()
	s.PebbleBytes, s.Compactions, s.ReadAmp = int64(m.DiskSpaceUsage()), m.Compact.Count, m.ReadAmp()
	s.Flushes = e.flushes.Count()
	return s
}
