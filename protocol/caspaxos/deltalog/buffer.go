package deltalog

import (
	"slices"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
)

// maxChain bounds the deltas that are voted for as one.
const maxChain = 1024

// Buffer keeps copies of deltas that an acceptor could not vote for, either because
// it was behind their base (§3 Stale) or because it had promised a higher ballot.
//
// While a large state is on its way to a member that is behind, the register goes
// on. If the later deltas were lost here, the state would be out of date when it
// arrives, and so would the next one. So the copies are handled once a vote has
// brought the register to their base, as if the network had delivered them twice,
// the second time late, which it may do with any message. All checks are made then,
// nobody gets an answer, and no promise is asked for (§3 re-delivery).
//
// Other members may choose a delta that was refused here because of a promise, and
// later deltas build on it: see FastForward.
type Buffer struct{ Log }

// NewBuffer returns an empty buffer that takes up to most bytes of memory.
func NewBuffer(most int) Buffer { return Buffer{NewLog(most)} }

// maxTries bounds how many of a register's Accepts are looked at when it has moved.
const maxTries = 64

// Next takes out an Accept that can be handled now: one at or above the register's
// promise for which reaches reports true. accepted is the ballot that the register
// has come to. Of the Accepts below it, a few are kept: if the vote that overtook
// them has to be taken back, they lead to the state that is carried on.
func (s *Buffer) Next(key string, accepted, promise ballot.Ballot, reaches func(*message.Request) bool) *message.Request {
	waiting := s.byKey[key]
	if len(waiting) == 0 {
		return nil
	}
	past, _ := slices.BinarySearchFunc(waiting, accepted, byBallot)
	for ; past > maxTries; past-- {
		waiting = without(waiting, 0)
	}
	s.put(key, waiting)
	from, _ := slices.BinarySearchFunc(waiting, promise, byBallot)
	for at := from; at < min(len(waiting), from+maxTries); at++ {
		if found := waiting[at]; reaches(found) {
			s.put(key, without(waiting, at))
			return found
		}
	}
	return nil
}
