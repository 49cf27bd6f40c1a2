package progress

import (
	"time"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/quorum"
)

// Nodes is what a lane knows of the storage nodes from their answers, or from the
// lack of them. Nothing here matters for safety. The zero Nodes knows nothing.
type Nodes struct {
	heard []instant.Mono                 // by NodeID: when something last came from it
	owes  []instant.Mono                 // by NodeID: when it was sent the first request that it has not reacted to
	tardy map[quorum.NodeID]instant.Mono // until when a node counts as silent, as it was late where others answered
	short map[quorum.NodeID]instant.Mono // nodes that are short of disk space, and when they last said so
}

// Heard notes that something came from a node.
func (n *Nodes) Heard(node quorum.NodeID, now instant.Mono) {
	n.grow(node)
	n.heard[node] = now
	delete(n.tardy, node)
}

// Asked notes that something was sent to a node.
func (n *Nodes) Asked(node quorum.NodeID, now instant.Mono) {
	if n.grow(node); n.owes[node] <= n.heard[node] {
		n.owes[node] = now
	}
}

// grow makes space for what is known of a node.
func (n *Nodes) grow(node quorum.NodeID) {
	for len(n.heard) <= int(node) {
		n.heard, n.owes = append(n.heard, 0), append(n.owes, 0)
	}
}

// Silent reports whether nothing has come from a node for d, though it was asked.
func (n *Nodes) Silent(node quorum.NodeID, now instant.Mono, d time.Duration) bool {
	return !n.Speaks(node, n.owes[node], now, d)
}

// Speaks reports whether something has come from a node within the last d, or it was
// asked so lately. Such a node is there; what it has not answered is on its way.
func (n *Nodes) Speaks(node quorum.NodeID, asked, now instant.Mono, d time.Duration) bool {
	if int(node) < len(n.heard) {
		asked = max(asked, n.heard[node])
	}
	return time.Duration(now-asked) < d
}

// Answering returns the members of s without those that count as silent.
func (n *Nodes) Answering(cfg *quorum.Config, s quorum.Set, now instant.Mono) quorum.Set {
	if len(n.tardy) > 0 {
		for i, node := range cfg.Nodes() {
			if now < n.tardy[node] {
				s &^= 1 << i
			}
		}
	}
	return s
}

// Late has members count as silent for some time, unless something comes from them.
func (n *Nodes) Late(cfg *quorum.Config, late quorum.Set, until instant.Mono) {
	for i, node := range cfg.Nodes() {
		if late.Has(i) {
			if n.tardy == nil {
				n.tardy = make(map[quorum.NodeID]instant.Mono)
			}
			n.tardy[node] = until
		}
	}
}

// HeardRoom notes what a node tells of its disk.
func (n *Nodes) HeardRoom(node quorum.NodeID, room diskroom.Room, now instant.Mono) {
	switch {
	case room != diskroom.RoomEnough && n.short == nil:
		n.short = map[quorum.NodeID]instant.Mono{node: now}
	case room != diskroom.RoomEnough:
		n.short[node] = now
	case len(n.short) > 0:
		delete(n.short, node)
	}
}

// Short reports whether a node should not be sent what nobody needs, as it is short of
// disk space.
func (n *Nodes) Short(node quorum.NodeID) bool {
	_, short := n.short[node]
	return short
}

// shortFor is how long a node is taken to be short of space after it last said so,
// before it is asked again.
const shortFor = time.Second

// AskRoomFirst reports whether a round must ask its members about their disks before it
// sends a change: a quorum may be short of space, or it is time to look again. Only
// members that answer would tell.
func (n *Nodes) AskRoomFirst(cfg *quorum.Config, answering quorum.Set, now instant.Mono) bool {
	if len(n.short) == 0 {
		return false
	}
	with := answering
	for i, node := range cfg.Nodes() {
		heard, short := n.short[node]
		if short && answering.Has(i) && time.Duration(now-heard) >= shortFor {
			return true
		}
		if short {
			with &^= 1 << i
		}
	}
	return !cfg.IsQuorum(with)
}
