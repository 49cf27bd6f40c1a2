// Package ballot has the ballots that number attempts to write, and the hybrid
// logical clock that makes them (§1).
package ballot

import (
	"fmt"
	"time"
)

// Time is a hybrid logical time: 48 bits of Unix milliseconds above 16 bits of
// a counter, so that times compare as numbers (§1).
type Time uint64

// MakeTime returns the time of a wall clock in Unix milliseconds and a counter.
func MakeTime(unixMilli int64, counter uint16) Time {
	if unixMilli < 0 {
		unixMilli = 0
	}
	return Time(uint64(unixMilli)<<16 | uint64(counter))
}

// UnixMilli returns the wall clock part, in Unix milliseconds.
func (t Time) UnixMilli() int64 { return int64(t >> 16) }

// Add returns the time d later (earlier if d is negative), never before zero.
// d counts in whole milliseconds.
func (t Time) Add(d time.Duration) Time {
	ms := t.UnixMilli() + d.Milliseconds()
	if ms < 0 {
		return 0
	}
	return Time(uint64(ms)<<16 | uint64(t&0xffff))
}

// ProposerID names one start of one proposer. It is taken from etcd and never
// given out twice.
type ProposerID uint32

// Ballot numbers one attempt to write. Ballots are totally ordered by time,
// then proposer, and unique for all time. The zero Ballot is below every other
// and stands for "nothing yet".
type Ballot struct {
	Time     Time
	Proposer ProposerID
}

// MaxProposer is above every proposer id: with a time it makes the highest ballot of
// that time.
const MaxProposer = ^ProposerID(0)

// IsZero reports whether b is the zero ballot.
func (b Ballot) IsZero() bool { return b == Ballot{} }

// Less reports whether b is below c.
func (b Ballot) Less(c Ballot) bool {
	return b.Time < c.Time || (b.Time == c.Time && b.Proposer < c.Proposer)
}

// AtMost reports whether b is equal to or below c.
func (b Ballot) AtMost(c Ballot) bool { return !c.Less(b) }

// Compare returns -1, 0 or +1 as b is below, equal to or above c.
func (b Ballot) Compare(c Ballot) int {
	switch {
	case b.Less(c):
		return -1
	case c.Less(b):
		return +1
	}
	return 0
}

// String prints the ballot as milliseconds.counter@proposer, the form that
// logs and traces use.
func (b Ballot) String() string {
	if b.IsZero() {
		return "0"
	}
	return fmt.Sprintf("%d.%d@%d", b.Time.UnixMilli(), uint16(b.Time), b.Proposer)
}

// Max returns the highest of the ballots.
func Max(b Ballot, more ...Ballot) Ballot {
	for _, c := range more {
		if b.Less(c) {
			b = c
		}
	}
	return b
}
