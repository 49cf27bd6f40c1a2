package message

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/register"
)

// FlushRequest asks for a range tombstone at a blind ballot (§8): every register of
// the slots First to Last in one name space becomes absent, except those that the
// acceptor must refuse.
type FlushRequest struct {
	ID          uint64
	Ballot      ballot.Ballot
	Epoch       uint64 // the epoch of all slots of the range
	First, Last uint16
	Space       byte // the name space: a database
}

// FlushReply answers a FlushRequest with one of Acked, Nacked (the ballot is at
// or below the floor), WrongEpoch, ClockAhead, Busy and Unreachable.
type FlushReply struct {
	ID      uint64
	Outcome Outcome
	After   uint64 // as in Reply
	Epoch   uint64
	Promise ballot.Ballot
	// Refused lists registers that the range tombstone does not cover on this node.
	// The proposer must delete them one by one.
	Refused []register.ID
	// Incomplete: too many were refused, so nothing was flushed. The proposer must
	// delete those listed and flush again at a new ballot.
	Incomplete bool
}

// MaxRefused bounds the registers that one lane may refuse and still vote for a flush.
const MaxRefused = 4096
