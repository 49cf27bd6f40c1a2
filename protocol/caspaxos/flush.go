package caspaxos

import "time"

// FlushRequest asks for a range tombstone at a blind ballot (§8): every
// register of the slots First to Last in one name space becomes absent, those
// excepted that the acceptor must refuse.
type FlushRequest struct {
	ID          uint64
	Ballot      Ballot
	Epoch       uint64 // the epoch of all slots of the range
	First, Last uint16
	Space       byte // the name space, a database
}

// FlushReply answers a FlushRequest with one of Acked, Nacked (the ballot is at
// or below the floor), WrongEpoch, ClockAhead, Busy and Unreachable.
type FlushReply struct {
	ID      uint64
	Outcome Outcome
	After   uint64 // as in Reply
	Epoch   uint64
	Promise Ballot
	// Refused lists registers that the range tombstone does not cover on this
	// node. They are to be deleted one by one.
	Refused []Register
	// Incomplete: too many were refused, nothing was flushed. Delete those
	// listed and flush again at a new ballot.
	Incomplete bool
}

// MaxRefused bounds the registers that one lane refuses in a flush that it
// takes part in.
const MaxRefused = 4096

// FlushVote is a lane's vote for a range tombstone: it covers the registers of
// the range whose key's Hash modulo Parts is Part, those in Except excepted.
type FlushVote struct {
	Ballot      Ballot
	First, Last uint16
	Space       byte
	Part, Parts uint32
	Except      []Register
}

// ListRequest asks for a page of the live registers that a node holds of the
// slots First to Last in one name space, in the order of slot, then Hash48 of
// the key, then key, starting at hash From of slot First. Tombstones and
// covered registers are left out; registers past their expiry are not.
type ListRequest struct {
	ID          uint64
	Epoch       uint64
	First, Last uint16
	Space       byte
	From        uint64 // a 48-bit hash
	Limit       int    // entries; a page holds more only to complete one hash
	// Expired asks instead for registers of any name space that the node takes
	// to be past their expiry, in the order of slots; Space and From do not
	// count then, and of an entry only its Register. A node tells it to one proxy
	// at a time, until that has not asked for ReapTurn, and is Busy to others.
	Expired bool
}

// ReapTurn is for how long a proxy that asked for what is expired is the only one
// to be told.
const ReapTurn = 10 * time.Second

// Listed is one register in a ListReply.
type Listed struct {
	Register Register
	Hash     uint64 // 48 bits
	Accepted Ballot
	Type     uint8 // register.Type
	Expiry   int64
}

// ListReply is a page of registers. Outcome is Told, WrongEpoch, Busy or
// Unreachable.
type ListReply struct {
	ID      uint64
	Outcome Outcome
	Epoch   uint64
	Entries []Listed
	// Done tells that the page reaches the end of slot Last. Otherwise the
	// next page begins at slot NextSlot and hash NextHash.
	Done     bool
	NextSlot uint16
	NextHash uint64
	// Of Expired: how many Reads the node has answered in its life, and how many
	// Prepares and Accepts.
	Reads, Votes uint64
}
