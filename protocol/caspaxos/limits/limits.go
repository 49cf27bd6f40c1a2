// Package limits has the protocol's parameters: L, the longest command, and the
// bounds on clocks and lists (§1, §2).
package limits

import (
	"time"

	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
)

// Limits are the protocol's parameters.
type Limits struct {
	// Command is L: the longest a command may take.
	Command time.Duration
	// MaxClockOffset bounds how far a ballot may be ahead of a node's clock, and a
	// node's clock ahead of the proxy's.
	MaxClockOffset time.Duration

	// Zero except in simulations, which must see in short runs what takes minutes in
	// a cluster.
	Entries      int           // bounds each of a register's lists; zero: MaxEntries, or MaxContended
	VotedState   int           // bytes of a state that come with the ballots; zero: MaxVotedState
	HeavyChange  int           // bytes of a change that members may have no memory for; zero: 1 MiB
	CeilingAhead time.Duration // how far ahead of its clock a node's ceiling is moved (§2); zero: a second
}

// Default are the values that §1 and §2 name.
func Default() Limits {
	return Limits{Command: 5 * time.Second, MaxClockOffset: 500 * time.Millisecond}
}

// MaxEntries bounds each of a register's two lists.
func (l Limits) MaxEntries() int {
	if l.Entries > 0 {
		return l.Entries
	}
	return history.MaxEntries
}

// MaxContended is MaxEntries for a register that several proposers write.
func (l Limits) MaxContended() int {
	if l.Entries > 0 {
		return l.Entries
	}
	return history.MaxContended
}

// MaxVotedState is the size in bytes up to which a state comes with the ballots.
func (l Limits) MaxVotedState() int {
	if l.VotedState > 0 {
		return l.VotedState
	}
	return message.MaxVotedState
}

// heavyChange is the default of HeavyChange.
const heavyChange = 1 << 20

// MinHeavyChange is the size in bytes from which a change may itself be more than a
// node has memory for. A smaller one is refused because others take all memory.
func (l Limits) MinHeavyChange() int {
	if l.HeavyChange > 0 {
		return l.HeavyChange
	}
	return heavyChange
}

// ceilingAhead is the default of CeilingAhead.
const ceilingAhead = time.Second

// CeilingReach is how far ahead of the node's clock its ceiling is moved (§2).
func (l Limits) CeilingReach() time.Duration {
	if l.CeilingAhead > 0 {
		return l.CeilingAhead
	}
	return ceilingAhead
}
