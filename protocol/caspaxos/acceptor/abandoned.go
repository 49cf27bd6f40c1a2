package acceptor

import (
	"synod/protocol/caspaxos/ballot"
)

// Bounds on what a lane remembers of overtaken promises.
const (
	maxAbandoned      = 1 << 16 // registers
	maxAbandonedOfOne = 8       // ballots of one
)

// abandonedPromises remembers promises that a higher one overtook before this
// acceptor voted under them: now it never will. So it can answer never (§3) to an
// Accept that comes too late, even if its lists have been truncated above the ballot
// since. Otherwise a proposer that returns to its piggybacked promise after others
// have written 64 times would be in doubt of an attempt that had no chance.
//
// What is remembered stays true, even if messages are doubled or late: votes only
// grow, and after a restart the floor is above every promise made before it. It is
// kept in memory for some time.
type abandonedPromises struct{ generations[[]ballot.Ballot] }

func (u *abandonedPromises) add(key string, b ballot.Ballot) {
	if len(u.young) >= maxAbandoned {
		return
	}
	list := u.young[key]
	if len(list) >= maxAbandonedOfOne {
		list = append(list[:0], list[1:]...)
	}
	u.put(key, append(list, b), maxAbandoned)
}

func (u *abandonedPromises) has(key string, b ballot.Ballot) bool {
	for _, list := range [][]ballot.Ballot{u.young[key], u.old[key]} {
		for _, x := range list {
			if x == b {
				return true
			}
		}
	}
	return false
}
