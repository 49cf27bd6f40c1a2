package ballot

import (
	"sync/atomic"
	"time"
)

// Clock makes the ballots of one proposer id. It is a hybrid logical clock
// (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014): it follows the
// wall clock, never goes back, and moves past every ballot it observes. All
// lanes of a proxy share one Clock; it is safe for concurrent use.
type Clock struct {
	id   atomic.Uint32
	wall func() int64 // Unix milliseconds
	last atomic.Uint64
}

// NewClock returns the clock of proposer id over a wall clock that returns
// Unix milliseconds.
func NewClock(id ProposerID, wall func() int64) *Clock {
	c := &Clock{wall: wall}
	c.id.Store(uint32(id))
	return c
}

// ID returns the proposer id that the clock's ballots carry.
func (c *Clock) ID() ProposerID { return ProposerID(c.id.Load()) }

// Renew replaces the proposer id. Only a proposer that has made no ballot yet may
// call it: a quorum must admit the id first (see Claims).
func (c *Clock) Renew(id ProposerID) { c.id.Store(uint32(id)) }

// Next returns a ballot above all that this clock has made or observed.
func (c *Clock) Next() Ballot { return c.NextAfter(0) }

// NextAfter is like Next, but the ballot is also at least d ahead of the wall clock.
func (c *Clock) NextAfter(d time.Duration) Ballot {
	now := uint64(MakeTime(c.wall(), 0).Add(d))
	for {
		last := c.last.Load()
		next := max(now, last+1)
		if c.last.CompareAndSwap(last, next) {
			return Ballot{Time: Time(next), Proposer: c.ID()}
		}
	}
}

// Observe moves the clock to at least b, so that the next ballot is above it.
func (c *Clock) Observe(b Ballot) {
	for {
		last := c.last.Load()
		if uint64(b.Time) <= last || c.last.CompareAndSwap(last, uint64(b.Time)) {
			return
		}
	}
}
