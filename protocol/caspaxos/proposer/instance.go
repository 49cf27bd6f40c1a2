package proposer

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/lru"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/register"
)

// instance is one register at this proposer: its commands, what is remembered of
// it between rounds, and the round that is under way.
type instance struct {
	round.Round

	id    register.ID
	gen   uint32     // changes when the instance is reused, so that old timers miss
	queue []*Command // waiting
	batch []*Command // in the round

	piggyback piggybackedPromise
	shared    bool         // another proposer has written the register lately
	rmw       bool         // it sees commands that depend on its state
	large     bool         // its state comes in chunks
	fails     int          // tries in a row that did not get through
	noBlind   instant.Mono // until when blind writes are not tried
	met       instant.Mono // until when it counts that another proposer was met

	wake  instant.Mono // when the round wants to be looked at again
	armed instant.Mono // when the earliest timer of this instance goes off, zero for none

	detached      *detachedRead  // set if this is a read that has left its register
	detachedReads *detachedReads // the reads that have left this register

	link lru.Link[*instance] // in the cache
}

// piggybackedPromise is a promise for the next round that came with the last one's
// Acks (§4.2), with what is needed to use it.
type piggybackedPromise struct {
	ballot  ballot.Ballot
	cfg     *quorum.Config
	base    ballot.Ballot
	at      quorum.Set // members known to be at base
	view    register.View
	lineage history.Lineage
	since   instant.Mono
}
