package caspaxos

import (
	"synod/protocol/register"
)

// Record is what an acceptor holds durably of one register (§2), besides the
// state's elements, which the Store keeps. Records belong to the Store; the
// acceptor changes them in place, from the goroutine of their lane.
type Record struct {
	Register Register
	Accepted Ballot
	Prepared bool // the write at Accepted was prepared, not blind
	Lineage  Lineage
	Votes    []Ballot // ascending; never merged with a peer's
	Header   register.Header
	// Intent is a pending intent (§6), encoded; nil for none.
	Intent []byte

	// Pos is the log position of the last entry that changed the record, zero
	// for one that was read from disk. It bounds when a reply that shows the
	// record may leave (durability rule).
	Pos uint64
	// Since is the node's monotonic time from which Accepted is known to have
	// been held here (§7). A store that reads a record from disk sets it to a
	// time at which the record was certainly there already.
	Since Mono
}

// voted reports whether this acceptor is known to have accepted b.
func (r *Record) voted(b Ballot) bool {
	for i := len(r.Votes) - 1; i >= 0; i-- {
		switch r.Votes[i].Compare(b) {
		case 0:
			return true
		case -1:
			return false
		}
	}
	return false
}

func (r *Record) addVote(b Ballot) {
	i := len(r.Votes)
	for i > 0 && b.Less(r.Votes[i-1]) {
		i--
	}
	if i > 0 && r.Votes[i-1] == b {
		return
	}
	r.Votes = append(r.Votes, Ballot{})
	copy(r.Votes[i+1:], r.Votes[i:])
	r.Votes[i] = b
}

// Mono is a reading of a node's monotonic clock, in nanoseconds since an
// arbitrary start within the process's life.
type Mono int64

// Now is the time that a step happens at: the wall clock in Unix milliseconds
// and the monotonic clock.
type Now struct {
	Wall int64
	Mono Mono
}

// Store keeps one lane's records and elements. Positions are those of the
// node's changelog: Append returns the position behind the entry; once the log
// is synced up to there, the entry is durable. An error means that nothing was
// changed; the acceptor then does not answer.
type Store interface {
	// Load returns the register's record, or nil if the node holds nothing of
	// it. It stays valid until the lane's step ends.
	Load(r Register) (*Record, error)
	// Create makes an empty record for a register of which Load returned nil.
	Create(r Register) *Record
	// Project returns the part of the record's state that p asks for; a small
	// state may be returned whole. If that would take more than size bytes, as
	// View.Bytes has it, it returns false instead, without reading much more
	// than that.
	Project(rec *Record, p register.Projection, size int) (v register.View, fits bool, err error)
	// Pages returns the same part, however large, as it is now, to be read while
	// the store goes on.
	Pages(rec *Record, p register.Projection) (Pages, error)
	// Large reports whether a record's state is so large that sending it costs
	// much more than sending a change of it.
	Large(rec *Record) bool
	// Room is how much room there is at present. It costs next to nothing.
	Room() Room
	// Grows reports whether a change makes a record's state (nil: none yet) take
	// as much room as before, or more (register.Change.Grows).
	Grows(rec *Record, c *register.Change) (bool, error)
	// Append writes an entry to the changelog without waiting for a sync.
	Append(e LogEntry) (pos uint64, err error)
	// Apply changes the record's header and elements by the change of a write
	// that stands in the changelog, in memory: it cannot fail, and the disk
	// follows from the changelog. It is called after the acceptor has set the
	// record's other fields, so that the store sees Accepted and Pos.
	Apply(rec *Record, c register.Change)
	// Above calls f for every record that it has in memory whose accepted
	// ballot is above b, and returns a bound on the accepted ballots of all
	// others: none of them is above it.
	Above(b Ballot, f func(*Record)) (others Ballot)
}

// LogEntry is one entry of the changelog. Exactly one field is set.
type LogEntry struct {
	Accept *Request    // an Accept that was voted for
	Node   *NodeState  // the node's floor, ceiling and dropped, afterwards
	Epoch  *EpochTaken // a newer epoch
	Flush  *FlushVote  // a range tombstone accepted by one lane
}

// NodeState is what a node holds durably beside its registers (§2).
type NodeState struct {
	Floor   Ballot
	Ceiling Time
	Dropped Ballot
}

// EpochTaken says that the node will not answer for the slots First to Last
// under an epoch below Epoch again.
type EpochTaken struct {
	First, Last uint16
	Epoch       uint64
	// Met: the epoch was met in a message. Earlier versions took such an epoch;
	// whether a placement ever showed it is unknown.
	Met bool
}
