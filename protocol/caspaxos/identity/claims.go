// Package identity tells starts of proxies and nodes apart (§1, §2 identity rules), so
// that ballots stay unique and a node that was rolled back does not vote.
package identity

import (
	"slices"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/rules"
)

// Claim is what a proxy says of itself at the beginning of a session: the
// proposer id that it took, and a random number, drawn when it took it, that no
// other start has. The zero Claim is of somebody who makes no ballots.
type Claim struct {
	Proposer ballot.ProposerID
	Start    uint64
}

// Claims is a node's memory of the proposer ids that it has met, and with which start
// (§1). A node that admits a claim refuses every other start under that id for ever,
// so of two starts with one id at most one is admitted by a quorum. A proposer sends
// nothing for a register before a quorum of its members has admitted it. So ballots
// are unique even if etcd, restored from an older backup, gives out an id again.
//
// The memory is bounded. When an id is forgotten, every unknown id up to it is
// refused from then on. The id to forget is the lowest of those that have not been in
// use for long: a proxy that restarts again and again does not drive out living ones,
// and a very high id, once met, does not cause all others to be refused.
type Claims struct {
	Floor  ballot.ProposerID // unknown ids up to this one are refused
	starts map[ballot.ProposerID]uint64
	order  []ballot.ProposerID // those that were in use last come last, as far as is known
	omit   rules.Set
}

// MaxClaims bounds the ids that a node remembers.
const MaxClaims = 1024

// NewClaims returns the memory of a node that remembers these claims. omit is
// zero outside of tests.
func NewClaims(floor ballot.ProposerID, known []Claim, omit rules.Set) *Claims {
	c := &Claims{Floor: floor, starts: make(map[ballot.ProposerID]uint64, len(known)), omit: omit}
	for _, k := range known {
		c.starts[k.Proposer] = k.Start
		c.order = append(c.order, k.Proposer)
	}
	return c
}

// Known reports whether a claim has been admitted before.
func (c *Claims) Known(k Claim) bool {
	start, ok := c.starts[k.Proposer]
	return ok && start == k.Start
}

// Refuses reports whether the id belongs to another start, or may do so.
func (c *Claims) Refuses(k Claim) bool {
	if c.omit.Has(rules.ProposerOnce) {
		return false
	}
	start, ok := c.starts[k.Proposer]
	return ok && start != k.Start || !ok && k.Proposer <= c.Floor || k.Proposer == ballot.MaxProposer
}

// Add remembers a claim that is unknown and not refused; it counts as admitted once
// what All returns is durable. If there are too many, it forgets one that is not in
// use.
func (c *Claims) Add(k Claim, inUse func(ballot.ProposerID) bool) {
	c.starts[k.Proposer] = k.Start
	var idle, busy []ballot.ProposerID
	for _, id := range c.order {
		switch {
		case id == k.Proposer:
		case inUse(id):
			busy = append(busy, id)
		default:
			idle = append(idle, id)
		}
	}
	for len(idle) > 0 && len(c.starts) > MaxClaims { // all in use: as many sessions there cannot be
		long := idle[:(len(idle)+1)/2]
		lowest := slices.Min(long)
		delete(c.starts, lowest)
		c.Floor = max(c.Floor, lowest)
		at := slices.Index(idle, lowest)
		idle = slices.Delete(idle, at, at+1)
	}
	c.order = append(append(idle, busy...), k.Proposer)
}

// All returns the remembered claims, the most recently used last.
func (c *Claims) All() []Claim {
	all := make([]Claim, 0, len(c.starts))
	for _, id := range c.order {
		all = append(all, Claim{id, c.starts[id]})
	}
	return all
}

// Highest returns the highest id that was met.
func (c *Claims) Highest() ballot.ProposerID {
	highest := c.Floor
	for id := range c.starts {
		highest = max(highest, id)
	}
	return highest
}
