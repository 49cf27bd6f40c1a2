// Package listing has the messages by which a proxy learns which keys a node holds:
// pages of keys (for SCAN, or the expired ones), and tallies. They are not part of
// the consensus protocol: a node answers from its own records alone.
package listing

import (
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// Tally sums up a node's live registers in some slots of one name space, including
// expired ones. Two members whose tallies have equal Keys and Digest hold the same
// live registers, though maybe at different ballots: an overwrite changes neither.
type Tally struct {
	Keys     uint64
	Digest   uint64 // the sum of the keys' Hash
	Expiring uint64 // the number of keys with an expiry
	Expiry   int64  // their mean expiry, in Unix milliseconds; zero for none
}

// Same reports whether two tallies are of the same live registers.
func (t Tally) Same(u Tally) bool { return t.Keys == u.Keys && t.Digest == u.Digest }

// Plus returns the tally of the union of two sets without common registers.
func (t Tally) Plus(u Tally) Tally {
	sum := Tally{Keys: t.Keys + u.Keys, Digest: t.Digest + u.Digest, Expiring: t.Expiring + u.Expiring}
	if sum.Expiring > 0 {
		share := float64(u.Expiring) / float64(sum.Expiring)
		sum.Expiry = t.Expiry + int64(float64(u.Expiry-t.Expiry)*share)
		if t.Expiring == 0 {
			sum.Expiry = u.Expiry
		}
	}
	return sum
}

// TallyRequest asks for the tallies of spans of slots, in ascending order and
// apart from one another, in some databases.
type TallyRequest struct {
	ID        uint64
	Epoch     uint64 // of all slots from the first span to the last
	Spans     []partition.SlotSpan
	Databases partition.DatabaseSet
}

// TallyReply answers a TallyRequest. Outcome is ReadOK, WrongEpoch, Busy (also
// while the node is still counting) or Unreachable.
type TallyReply struct {
	ID      uint64
	Outcome message.Outcome
	Epoch   uint64
	After   uint64    // as in Reply
	Tallies []Tallied // those with keys, ascending by span, then database
}

// Tallied is the tally of one database in one span, given by its index.
type Tallied struct {
	Span     uint16
	Database byte
	Tally
}

// Before reports whether t stands before u in a reply.
func (t *Tallied) Before(u *Tallied) bool {
	return t.Span < u.Span || t.Span == u.Span && t.Database < u.Database
}

// Request asks for a page of the live registers that a node holds of the
// slots First to Last in one name space, in the order of slot, then Hash48 of
// the key, then key, starting at hash From of slot First. Tombstones and
// covered registers are left out; registers past their expiry are not.
type Request struct {
	ID          uint64
	Epoch       uint64
	First, Last uint16
	Space       byte
	From        uint64 // a 48-bit hash
	Limit       int    // entries; a page holds more only to complete one hash
	// Expired asks instead for registers of any name space that the node considers
	// expired, in the order of slots. Space and From are then ignored, and only
	// Register is set in the entries. A node answers one proxy at a time, until that
	// proxy has not asked for ReapTurn; to others it answers Busy.
	Expired bool
}

// ReapTurn is how long a node answers no other proxy after one has asked for expired
// registers.
const ReapTurn = 10 * time.Second

// Entry is one register in a ListReply.
type Entry struct {
	Register register.ID
	Hash     uint64 // 48 bits
	Accepted ballot.Ballot
	Type     uint8 // register.Type
	Expiry   int64
}

// Reply is a page of registers. Outcome is ReadOK, WrongEpoch, Busy or
// Unreachable.
type Reply struct {
	ID      uint64
	Outcome message.Outcome
	Epoch   uint64
	Entries []Entry
	// Done: the page reaches the end of slot Last. Otherwise the next page begins at
	// slot NextSlot and hash NextHash.
	Done     bool
	NextSlot uint16
	NextHash uint64
	// With Expired: how many Reads, and how many Prepares and Accepts, the node has
	// answered since it started.
	Reads, Votes uint64
}
