package caspaxos

import "math/bits"

// Tally sums up the live registers that a node holds of some slots in one name
// space, those past their expiry included. Two members whose tallies have equal
// Keys and Digest hold the same live registers, though maybe at different
// ballots: an overwrite changes neither.
type Tally struct {
	Keys     uint64
	Digest   uint64 // the sum of the keys' Hash
	Expiring uint64 // of the keys, those with an expiry
	Expiry   int64  // their mean expiry, in Unix milliseconds; zero for none
}

// Same reports whether two tallies are of the same live registers.
func (t Tally) Same(u Tally) bool { return t.Keys == u.Keys && t.Digest == u.Digest }

// Plus returns the tally of what is in either of two that have no register in
// common.
func (t Tally) Plus(u Tally) Tally {
	sum := Tally{Keys: t.Keys + u.Keys, Digest: t.Digest + u.Digest, Expiring: t.Expiring + u.Expiring}
	if sum.Expiring > 0 {
		share := float64(u.Expiring) / float64(sum.Expiring)
		sum.Expiry = t.Expiry + int64(float64(u.Expiry-t.Expiry)*share)
		if t.Expiring == 0 {
			sum.Expiry = u.Expiry
		}
	}
	return sum
}

// SlotSpan is the slots First to Last.
type SlotSpan struct{ First, Last uint16 }

// DatabaseSet is a set of databases, one bit for each.
type DatabaseSet uint16

// AllDatabases has every database.
const AllDatabases DatabaseSet = 1<<Databases - 1

// Has reports whether a database is in the set.
func (s DatabaseSet) Has(db byte) bool { return db < Databases && s>>db&1 != 0 }

// Len returns how many databases the set has.
func (s DatabaseSet) Len() int { return bits.OnesCount16(uint16(s)) }

// TallyRequest asks for the tallies of spans of slots, in ascending order and
// apart from one another, in some databases.
type TallyRequest struct {
	ID        uint64
	Epoch     uint64 // of all slots from the first span to the last
	Spans     []SlotSpan
	Databases DatabaseSet
}

// TallyReply answers a TallyRequest. Outcome is Told, WrongEpoch, Busy (also
// while the node is still counting) or Unreachable.
type TallyReply struct {
	ID      uint64
	Outcome Outcome
	Epoch   uint64
	After   uint64    // as in Reply
	Tallies []Tallied // those with keys, ascending by span, then database
}

// Tallied is the tally of one database in the span of that index.
type Tallied struct {
	Span     uint16
	Database byte
	Tally
}

// Before reports whether t stands before u in a reply.
func (t *Tallied) Before(u *Tallied) bool {
	return t.Span < u.Span || t.Span == u.Span && t.Database < u.Database
}
