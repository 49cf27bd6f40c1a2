package progress

import (
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/register"
)

// Round is a round that was chosen by a delta.
type Round struct {
	ID     uint64 // of its Accept
	Config *quorum.Config
	Accept message.Request // without its change
	Acks   quorum.Set
	Header register.Header // afterwards
}

// RecentRounds remembers the last rounds that were chosen by deltas, so that a
// member whose answer comes late and says that it is behind can still be brought up.
type RecentRounds struct{ ring [1024]Round }

// At returns the place of a round by the id of its Accept. Whoever looks for a round
// compares the id; whoever adds one overwrites the place.
func (r *RecentRounds) At(id uint64) *Round { return &r.ring[id%uint64(len(r.ring))] }
