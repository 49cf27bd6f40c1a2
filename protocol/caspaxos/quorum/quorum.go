// Package quorum has the configurations of a slot and sets of their members, and
// decides which sets are quorums (§1, §9).
package quorum

import "math/bits"

// NodeID identifies a storage node within one process. It is the driver's index into
// its connections, and is never stored or sent.
type NodeID int32

// MaxMembers bounds the distinct nodes of one configuration.
const MaxMembers = 16

// Config is who holds a slot, under one epoch (§9). Next is nil when the
// configuration is stable; under JOINT it is C', and every quorum is a majority
// of both. A Config is immutable once in use.
type Config struct {
	Epoch   uint64
	Members []NodeID
	Next    []NodeID

	nodes []NodeID // distinct members of both, the order that a Set counts in
	cur   Set
	next  Set
}

// NewConfig returns the configuration of an epoch. members is in the order in
// which a proposer should prefer them for reads; next is nil unless JOINT.
func NewConfig(epoch uint64, members, next []NodeID) *Config {
	c := &Config{Epoch: epoch, Members: members, Next: next}
	add := func(id NodeID) int {
		for i, n := range c.nodes {
			if n == id {
				return i
			}
		}
		c.nodes = append(c.nodes, id)
		return len(c.nodes) - 1
	}
	for _, m := range members {
		c.cur |= 1 << add(m)
	}
	for _, m := range next {
		c.next |= 1 << add(m)
	}
	if len(c.nodes) > MaxMembers {
		panic("caspaxos: configuration with too many members")
	}
	return c
}

// Nodes returns the distinct members of all configurations in use. A member's index
// in it is its index in a Set.
func (c *Config) Nodes() []NodeID { return c.nodes }

// Index returns a node's index in a Set, or -1 if it is not a member.
func (c *Config) Index(id NodeID) int {
	for i, n := range c.nodes {
		if n == id {
			return i
		}
	}
	return -1
}

// All returns the set of all members.
func (c *Config) All() Set { return c.cur | c.next }

// IsQuorum reports whether s contains a majority of every configuration in use.
func (c *Config) IsQuorum(s Set) bool {
	return majority(s, c.cur) && (c.Next == nil || majority(s, c.next))
}

// CanReach reports whether the members without those in lost still contain a quorum.
func (c *Config) CanReach(lost Set) bool { return c.IsQuorum(c.All() &^ lost) }

func majority(s, of Set) bool {
	return bits.OnesCount16(uint16(s&of)) > bits.OnesCount16(uint16(of))/2
}

// Set is a set of members of one Config, by their index in Nodes.
type Set uint16

// Has reports whether member i is in the set.
func (s Set) Has(i int) bool { return s&(1<<i) != 0 }

// With returns the set with member i added.
func (s Set) With(i int) Set { return s | 1<<i }

// Len returns the number of members in the set.
func (s Set) Len() int { return bits.OnesCount16(uint16(s)) }
