// Package counters counts what the proposers of a proxy do.
package counters

import "sync/atomic"

// BatchBuckets is the number of buckets in Stats.Batches: bucket i counts the
// rounds that carried up to 1<<i commands, the last one all larger ones.
const BatchBuckets = 12

// Stats counts what the proposers of a proxy did. Lanes share one; it is safe
// for concurrent use.
type Stats struct {
	// Rounds by kind. A round counts where it ended: a blind write that went into doubt
	// counts in InDoubt and, once decided, as TwoTrip.
	Reads       atomic.Uint64 // one-trip reads
	Blind       atomic.Uint64 // one-trip blind writes
	Piggybacked atomic.Uint64 // one-trip writes under a piggybacked promise
	TwoTrip     atomic.Uint64 // Prepare and Accept, or a Prepare that sufficed
	Repair      atomic.Uint64 // reads that found no q equal ballots
	InDoubt     atomic.Uint64 // attempts that ended without q Acks
	Nacks       atomic.Uint64 // Nacks received
	Hedged      atomic.Uint64 // reads that asked more members than a quorum
	Fetches     atomic.Uint64 // extra reads for a state or more of it
	Detached    atomic.Uint64 // reads of large states for which others did not wait
	Snapshots   atomic.Uint64 // members that were sent the state they lacked
	DeltaRanges atomic.Uint64 // members that were sent the changes they had missed

	Parked     atomic.Uint64 // commands set aside until a member answers that may know their outcome
	Uncertain  atomic.Uint64 // commands answered so
	NoQuorum   atomic.Uint64
	Contention atomic.Uint64
	DiskFull   atomic.Uint64
	Busy       atomic.Uint64
	ClockAhead atomic.Uint64 // replies ignored for their ballot, or refused by a node's clock

	Commands atomic.Uint64 // commands that rounds carried
	Batches  [BatchBuckets]atomic.Uint64
}

// Batch counts a round that carried n commands.
func (s *Stats) Batch(n int) {
	i := 0
	for i < BatchBuckets-1 && n > 1<<i {
		i++
	}
	s.Batches[i].Add(1)
	s.Commands.Add(uint64(n))
}
