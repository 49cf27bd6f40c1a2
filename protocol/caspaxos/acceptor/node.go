package acceptor

import (
	"slices"
	"sync"
	"sync/atomic"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
)

// Node is what the lanes of one storage node share: floor, ceiling and purgedThrough,
// and which slots the node holds under which epoch. It is safe for concurrent use;
// lanes only read it, the node's ticker changes it.
//
// What is durable changes in three steps of the ticker: Due names a state, the ticker
// logs it and waits for the sync, Publish puts it into force.
type Node struct {
	limits limits.Limits
	omit   rules.Set

	state  atomic.Pointer[durable.NodeState]
	wanted atomic.Uint64 // highest ceiling that a lane asked for
	met    atomic.Uint64 // highest epoch of a message above what the placement has shown

	mu    sync.Mutex
	slots atomic.Pointer[[]slotInfo]
}

// slotInfo is what a node knows of a slot's epoch.
type slotInfo struct {
	taken  uint64 // never answers below this epoch again
	known  uint64 // the epoch whose placement the node has seen
	member bool   // under known
}

// NewNode returns a node as it comes up with the durable state that it had before the
// restart. Its floor is then at least the ceiling, so that no earlier promise is
// broken (§2). slots is how many slots there are. omit is zero outside of tests.
func NewNode(limits limits.Limits, slots int, durable durable.NodeState, omit rules.Set) *Node {
	n := &Node{limits: limits, omit: omit}
	restart := ballot.Ballot{Time: durable.Ceiling, Proposer: ballot.MaxProposer}
	if omit.Has(rules.RestartID) {
		restart.Proposer = 0
	}
	if durable.Ceiling != 0 && !omit.Has(rules.RestartFloor) {
		durable.Floor = ballot.Max(durable.Floor, restart)
	}
	n.state.Store(&durable)
	all := make([]slotInfo, slots)
	n.slots.Store(&all)
	return n
}

// State returns the state in force.
func (n *Node) State() durable.NodeState { return *n.state.Load() }

// Due returns the state that the ticker should log next, if any: a ceiling that
// lanes will soon need, and a floor of at least forget, the ballot below which
// lanes would like to forget promises (zero: none). The floor stays in the past
// by at least 2 L.
func (n *Node) Due(now instant.Now, forget ballot.Ballot) (durable.NodeState, bool) {
	s := n.State()
	due := false
	if want := ballot.Time(n.wanted.Load()); want > s.Ceiling {
		if top := ballot.MakeTime(now.Wall, 0).Add(n.limits.CeilingReach()); top > s.Ceiling {
			s.Ceiling, due = top, true
		}
	}
	if s.Floor.Less(forget) && forget.Time <= n.horizon(now.Wall) {
		s.Floor, due = forget, true
	}
	return s, due
}

// Publish puts a state that is durable into force.
func (n *Node) Publish(s durable.NodeState) { n.state.Store(&s) }

// wantCeiling asks the ticker for a ceiling of at least t. While promises are being
// made, the next is asked for when half of its reach is left, so that piggybacked
// prepares are seldom refused.
func (n *Node) wantCeiling(t ballot.Time) {
	for {
		old := n.wanted.Load()
		if uint64(t) <= old || n.wanted.CompareAndSwap(old, uint64(t)) {
			return
		}
	}
}

// CeilingWanted reports whether a lane has asked for a higher ceiling than the
// one in force.
func (n *Node) CeilingWanted() bool { return ballot.Time(n.wanted.Load()) > n.State().Ceiling }

// horizon is the time 2 L ago: what is older may be forgotten.
func (n *Node) horizon(wall int64) ballot.Time {
	return ballot.MakeTime(wall, 0).Add(-2 * n.limits.Command)
}

// SlotRange says under which epoch a node holds, or does not hold, the slots
// First to Last.
type SlotRange struct {
	First, Last uint16
	Epoch       uint64
	Member      bool
}

// SetSlots puts a placement into force. The caller has logged the epochs before
// and waited for the sync (§9); an epoch older than the one known is ignored.
func (n *Node) SetSlots(ranges []SlotRange) {
	n.changeSlots(func(slots []slotInfo) {
		for _, r := range ranges {
			for s := int(r.First); s <= int(r.Last) && s < len(slots); s++ {
				if i := &slots[s]; r.Epoch >= i.known {
					i.known, i.member = r.Epoch, r.Member
					i.taken = max(i.taken, r.Epoch)
				}
			}
		}
	})
}

// TakeEpoch makes the node refuse older epochs of the slots, as SetSlots does,
// without saying who holds them: for recovery.
func (n *Node) TakeEpoch(e durable.EpochTaken) {
	n.changeSlots(func(slots []slotInfo) {
		for s := int(e.First); s <= int(e.Last) && s < len(slots); s++ {
			slots[s].taken = max(slots[s].taken, e.Epoch)
		}
	})
}

func (n *Node) changeSlots(f func([]slotInfo)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	slots := slices.Clone(*n.slots.Load())
	f(slots)
	n.slots.Store(&slots)
}

// EpochMet returns the highest epoch, since the last call, of messages that the node
// could not answer because no placement has shown it yet. Whoever follows the
// placement should then look for a newer one. Zero if there was none.
func (n *Node) EpochMet() uint64 { return n.met.Swap(0) }

// PlacementWanted reports whether EpochMet would return an epoch.
func (n *Node) PlacementWanted() bool { return n.met.Load() != 0 }

func (n *Node) meet(epoch uint64) {
	for {
		old := n.met.Load()
		if epoch <= old || n.met.CompareAndSwap(old, epoch) {
			return
		}
	}
}

// epochVerdict is what a node makes of a message's epoch.
type epochVerdict uint8

const (
	epochFits  epochVerdict = iota
	epochOld                // refuse: a newer one is known, or the node is no member
	epochAwait              // no placement has shown it yet: no answer
	epochTake               // take it (omitted RuleEpochShown)
)

// admit judges a message's epoch of a slot and returns the node's own.
func (n *Node) admit(slot uint16, epoch uint64) (epochVerdict, uint64) {
	slots := *n.slots.Load()
	if int(slot) >= len(slots) {
		return epochOld, 0
	}
	s := &slots[slot]
	own := max(s.taken, s.known)
	switch {
	case epoch < own:
		return epochOld, own
	case epoch > own && n.omit.Has(rules.Epoch):
		return epochFits, own
	case epoch > own && n.omit.Has(rules.EpochShown):
		return epochTake, own
	case s.known < epoch:
		n.meet(epoch)
		return epochAwait, own
	case !s.member:
		return epochOld, own
	}
	return epochFits, own
}

// Serves tells whether the node may answer about the slots First to Last under an
// epoch, outside of rounds: ReadOK if so, else WrongEpoch with the node's own epoch
// of the first slot that does not fit, or Busy when the epoch is newer than the
// placement that the node has seen.
func (n *Node) Serves(first, last uint16, epoch uint64) (message.Outcome, uint64) {
	for s := int(first); s <= int(last); s++ {
		switch v, own := n.admit(uint16(s), epoch); v {
		case epochFits:
		case epochOld:
			return message.WrongEpoch, own
		default:
			return message.Busy, own
		}
	}
	return message.ReadOK, epoch
}
