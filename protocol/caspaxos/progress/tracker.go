// Package progress is what a proposer knows of the members' progress: which are behind
// on which register, and which answer at all.
package progress

import (
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/quorum"
)

// Key names a member's copy of one register.
type Key struct {
	Register string
	Node     quorum.NodeID
}

// State is what to do for a member that has just said that it is behind.
type State int

// The states, as in raft's tracker.
const (
	Probe     State = iota // wait: it may catch up by itself
	Replicate              // send it the changes that it has missed
	Snapshot               // send it the whole state, if nobody knows these changes
)

// maxTracked bounds the members, by register, that are known to be behind.
const maxTracked = 1 << 12

// member is what is known of a member that is behind.
type member struct {
	since instant.Mono // when that was found, or later: the whole state is sent some time after it
	again instant.Mono // before then nothing is sent
	tries int          // repairs that failed
}

// Tracker follows the members that are behind. The zero Tracker is ready for use.
type Tracker struct{ members map[Key]member }

// Any reports whether some member is known to be behind.
func (t *Tracker) Any() bool { return len(t.members) > 0 }

// Behind notes that a member has just said that it is behind, and returns what to do
// for it. Most members catch up by themselves, when messages still on their way
// arrive or when the others' next deltas do. A large state costs much more than
// these, and the more the larger it is: it is sent only when the member has been
// behind for lag and for transferTime, which is about how long sending takes.
func (t *Tracker) Behind(key Key, now instant.Mono, lag, transferTime time.Duration) State {
	m, known := t.members[key]
	if !known {
		if t.members == nil || len(t.members) >= maxTracked {
			t.members = make(map[Key]member)
		}
		m = member{since: now, again: now + instant.Mono(lag)}
	}
	patience := lag
	if patience > 0 {
		patience += transferTime
	}
	state := Probe
	if now >= m.again {
		m.again = now + instant.Mono(lag)
		if state = Replicate; time.Duration(now-m.since) >= patience {
			state = Snapshot
		}
	}
	t.members[key] = m
	return state
}

// RepairDone notes how a repair that began at some time has ended. After a failed
// repair the next one waits, longer with each failure. After a snapshot the next one
// waits for longer than this one took: the member may have missed more meanwhile, so
// that it may not have helped.
func (t *Tracker) RepairDone(key Key, now, began instant.Mono, lag time.Duration, acked, snapshot bool) {
	m, ok := t.members[key]
	switch {
	case !ok:
		return
	case acked && !snapshot:
		t.CaughtUp(key)
		return
	case acked:
		m.tries = 0
	default:
		m.again = now + instant.Mono(lag)<<min(m.tries, 6)
		m.tries++
	}
	if snapshot {
		m.since = now + 4*(now-began)
	}
	t.members[key] = m
}

// CaughtUp notes that a member is no longer behind.
func (t *Tracker) CaughtUp(key Key) {
	if len(t.members) > 0 {
		delete(t.members, key)
	}
}
