package deltalog

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// Bounds on what a lane remembers to take votes back.
const (
	maxUndoBytes      = 4 << 20                // of all records
	MaxUndoBytesOfOne = 64 << 10               // of one
	maxUndoVotes      = message.MaxUndoTargets // votes of one register
)

// UndoRecord says how a vote can be taken back: by the change from the state at
// Ballot to the state at From, which the vote was based on.
type UndoRecord struct {
	Ballot, From ballot.Ballot
	Change       register.Change
}

// size estimates the memory that the record takes; a small change is a small part
// of it.
func (x *UndoRecord) size(key string) int {
	return 256 + len(key) + 64*len(x.Change.Ops) + x.Change.Bytes()
}

// UndoLog remembers how the last votes for deltas can be taken back. It is for
// registers that several proposers write: the others may refuse what this acceptor
// voted for and go on from the state before it. As long as the record is in memory,
// that state is known here.
type UndoLog struct {
	// Omit is zero outside of tests.
	Omit rules.Set

	byKey map[string][]UndoRecord
	order []string // a key for each of them, oldest first
	bytes int
}

// Add remembers how a register's newest vote can be taken back.
func (u *UndoLog) Add(key string, x UndoRecord) {
	if u.byKey == nil {
		u.byKey = make(map[string][]UndoRecord)
	}
	list := u.byKey[key]
	if len(list) == maxUndoVotes {
		u.bytes -= list[0].size(key)
		list = append(list[:0], list[1:]...)
	} else {
		u.order = append(u.order, key)
	}
	u.byKey[key] = append(list, x)
	u.bytes += x.size(key)
	for u.bytes > maxUndoBytes {
		u.dropOldest()
	}
}

func (u *UndoLog) dropOldest() {
	key := u.order[0]
	u.order = u.order[1:]
	list := u.byKey[key]
	u.bytes -= list[0].size(key)
	if len(list) == 1 {
		delete(u.byKey, key)
		return
	}
	u.byKey[key] = append(list[:0], list[1:]...)
}

// Find returns how a register's vote for b can be taken back.
func (u *UndoLog) Find(key string, b ballot.Ballot) (UndoRecord, bool) {
	for _, x := range u.byKey[key] {
		if x.Ballot == b || u.Omit.Has(rules.Undo) && x.Ballot.AtMost(b) {
			return x, true
		}
	}
	return UndoRecord{}, false
}

// Targets returns the ballots of the states that a register can be taken back to.
func (u *UndoLog) Targets(key string, from ballot.Ballot) (to []ballot.Ballot) {
	for x, ok := u.Find(key, from); ok; x, ok = u.Find(key, x.From) {
		to = append(to, x.From)
	}
	return to
}
