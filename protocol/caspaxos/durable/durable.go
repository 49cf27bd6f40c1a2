// Package durable has what an acceptor keeps on disk (§2): the records of registers,
// the state of the node, and the entries of the changelog.
package durable

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// Record is what an acceptor holds durably of one register (§2), besides the state's
// elements, which the store keeps. Records belong to the store; the acceptor changes
// them in place, from the goroutine of their lane.
type Record struct {
	Register register.ID
	Accepted ballot.Ballot
	Prepared bool // the write at Accepted was prepared, not blind
	Lineage  history.Lineage
	Votes    []ballot.Ballot // ascending; never merged with a peer's
	Header   register.Header
	// Intent is a pending intent (§6), encoded; nil for none.
	Intent []byte

	// Pos is the log position of the last entry that changed the record; zero if the
	// record was read from disk. A reply that shows the record must not leave before
	// the log is synced up to Pos (durability rule).
	Pos uint64
	// Since is the node's monotonic time since which this node is known to hold
	// Accepted (§7). A store that reads a record from disk sets it to a time at which
	// the record certainly existed.
	Since instant.Mono
}

// Voted reports whether this acceptor is known to have accepted b.
func (r *Record) Voted(b ballot.Ballot) bool {
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

// AddVote inserts b into Votes, unless it is there already.
func (r *Record) AddVote(b ballot.Ballot) {
	i := len(r.Votes)
	for i > 0 && b.Less(r.Votes[i-1]) {
		i--
	}
	if i > 0 && r.Votes[i-1] == b {
		return
	}
	r.Votes = append(r.Votes, ballot.Ballot{})
	copy(r.Votes[i+1:], r.Votes[i:])
	r.Votes[i] = b
}

// LogEntry is one entry of the changelog. Exactly one field is set.
type LogEntry struct {
	Accept *message.Request // an Accept that was voted for
	Node   *NodeState       // the node's new state
	Epoch  *EpochTaken      // a newer epoch
	Flush  *FlushVote       // a range tombstone accepted by one lane
}

// NodeState is a node's durable state besides its registers (§2).
type NodeState struct {
	Floor         ballot.Ballot
	Ceiling       ballot.Time
	PurgedThrough ballot.Ballot
}

// EpochTaken says that the node will not answer for the slots First to Last
// under an epoch below Epoch again.
type EpochTaken struct {
	First, Last uint16
	Epoch       uint64
	// Met: the epoch came from a message. Earlier versions adopted such an epoch
	// without knowing whether it was ever in a placement.
	Met bool
}

// FlushVote is a lane's vote for a range tombstone. It covers the registers of the
// range whose key's Hash modulo Parts is Part, except those in Except.
type FlushVote struct {
	Ballot      ballot.Ballot
	First, Last uint16
	Space       byte
	Part, Parts uint32
	Except      []register.ID
}
