package engine

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/storaged/content"
	"synod/storaged/rowcodec"
	"synod/storaged/tally"
)

// entryBytes is the memory that an entry takes besides what it points to, the
// map's part included.
const entryBytes = 540

// entry is one register in a lane's memory.
type entry struct {
	rec    durable.Record
	absent bool // the node holds nothing of it; rec is empty
	content.State

	size int // as counted by the lane

	// adopted are the incarnations of staged contents that were voted for and
	// whose markers the disk still has.
	adopted []rowcodec.Incarnation

	// What the register counts for in the lane's tallies, of now and of the disk,
	// and what its row says: the two differ if a flush covers the row.
	counted, diskCounted tally.Standing
	disk                 struct {
		accepted ballot.Ballot
		standing tally.Standing
	}

	diskExpiry int64 // Header.Due for which the disk has an index row; zero: none

	dirty  bool   // in the lane's queue for the disk
	since  uint64 // dirty: position of the first entry that the disk lacks
	at     instant.Mono
	weight int  // dirty: what it counts in the lane's dirtyBytes
	pinned bool // a batch on its way to the disk holds it

	slotPrev, slotNext *entry // dirty or pinned: the lane's list by slot

	used       bool   // since evict last came by
	prev, next *entry // the lane's list by use
}

// estimate is the memory in bytes that the entry takes.
func (e *entry) estimate() int {
	n := entryBytes + len(e.rec.Register.Key) + len(e.rec.Header.Aux) + len(e.rec.Intent)
	n += 40*cap(e.rec.Lineage.Entries) + 16*cap(e.rec.Votes)
	return n + e.State.Memory()
}
