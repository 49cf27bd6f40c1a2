package caspaxos

import (
	"errors"
	"time"

	"synod/protocol/register"
)

// Operation is what a client wants done on one register: a pure function from
// the state it needs to a change and a result. An Operation may be executed
// more than once, on different states; it must not keep anything from one
// execution to the next.
type Operation interface {
	// Needs is the part of the state that Execute reads, as far as it can be
	// said beforehand.
	Needs() register.Projection
	// ReadOnly reports that Execute changes nothing, but for taking away what
	// it finds past its time: that must be chosen before anybody hears of it
	// (§8).
	ReadOnly() bool
	// Blind reports that neither the change nor the result of Execute depends
	// on the state, so that it may be executed on register.Nothing (§4.3).
	// Such an operation's change is Full.
	Blind() bool
	// Execute runs the operation on a state, at the wall clock time now in
	// Unix milliseconds. The view's value, if it exists, is not expired. A
	// change on an absent register must be Full or None. The view is valid
	// during the call; keys and values of its elements may be kept.
	Execute(v register.View, now int64) Effect
}

// Effect is what executing an Operation came to.
type Effect struct {
	Change register.Change
	// Result is the reply for the client, opaque to consensus.
	Result any
	// Need, if not nil, says that the view lacks something: nothing else of
	// the effect counts, and the operation is to be executed again on a view
	// that covers Need as well.
	Need *register.Projection
}

// The ways in which a command may end without a result (§4, §5).
var (
	// ErrNoQuorum: nothing was done, fewer than a quorum answered in time.
	ErrNoQuorum = errors.New("no quorum of the slot's nodes answered in time")
	// ErrContention: nothing was done, other proposers kept interfering.
	ErrContention = errors.New("contention beyond the time limit")
	// ErrUncertain: the write may or may not have taken effect.
	ErrUncertain = errors.New("the outcome of this write is unknown")
	// ErrOverloaded: nothing was done, too many commands wait.
	ErrOverloaded = errors.New("too many commands are waiting")
	// ErrNoRoom: nothing was done, the state that the command reads is more than
	// there is memory for at present.
	ErrNoRoom = errors.New("no memory for what the command reads")
)

// Command is one Operation on its way through a Proposer. The caller fills the
// first group of fields and gives it away until Done is called.
type Command struct {
	Register Register
	Op       Operation
	// Origin is whose command it is: commands of one origin on one register take
	// effect in the order in which they were submitted. Other than that, whose
	// they are makes no difference.
	Origin uint64
	// Started is when the client's command began, on the proxy's monotonic
	// clock. The proposer gives up when Limit has passed since.
	Started Mono
	// Done is called exactly once, when Result or Err is set. It must not
	// block and not call the proposer.
	Done func(*Command)

	// Result is the operation's result, if Err is nil.
	Result any
	// Err is one of the errors above, ErrDiskFull or an Outage.
	Err error
	// Seen, of a read-only command: the ballot of the state that it was
	// executed on, and whether a quorum held it before Started (§7). If its
	// round went on to change that state, a ballot that no read shows again.
	Seen Seen

	attempts []attempt // in doubt or under way, oldest first (§5)
	answer   any       // the result in the present round
	changed  bool      // whether it changed the state in the present round
	changes  int       // how many changes of the present round it executed behind
	asked    bool      // it was waiting when the present round's Prepare was sent
	nacked   bool      // another proposer was met
	diskFull bool      // a member had no room for a round of it
	busy     int       // how many rounds of it came to nothing as members could not take them
	verdict  verdict   // of the attempts, in the present round
	parked   *parked   // it has been parked, and others may have gone before it since
}

// Seen is what a read knows of the register's history, for reading several
// registers as one snapshot (§7).
type Seen struct {
	Ballot Ballot
	// Held tells that each member of a quorum has held the ballot for longer
	// than the time since the command started.
	Held bool
	// Bytes is about how much of the state came for the command.
	Bytes int
}

// Limits are the proposer's times.
type Limits struct {
	// Command is L: the longest a command may take.
	Command time.Duration
	// MaxClockOffset bounds how far ahead of its own clock a node accepts a
	// ballot, and how far ahead of the proxy's clock a node may be.
	MaxClockOffset time.Duration

	// Zero outside of simulations, which must see in short runs what takes
	// minutes in a cluster.
	Entries      int           // bounds each of a register's lists; zero: MaxEntries, or MaxContended
	VotedState   int           // bytes of a state that come with the ballots; zero: MaxVotedState
	HeavyChange  int           // bytes of a change that members may have no memory for; zero: 1 MiB
	CeilingAhead time.Duration // how far ahead of its clock a node's ceiling is moved (§2); zero: a second
}

func (l Limits) entries() int {
	if l.Entries > 0 {
		return l.Entries
	}
	return MaxEntries
}

// contended is entries for a register that several proposers write.
func (l Limits) contended() int {
	if l.Entries > 0 {
		return l.Entries
	}
	return MaxContended
}

func (l Limits) votedState() int {
	if l.VotedState > 0 {
		return l.VotedState
	}
	return MaxVotedState
}

func (l Limits) heavyChange() int {
	if l.HeavyChange > 0 {
		return l.HeavyChange
	}
	return heavyChange
}

func (l Limits) ceilingAhead() time.Duration {
	if l.CeilingAhead > 0 {
		return l.CeilingAhead
	}
	return ceilingAhead
}

// DefaultLimits are the values that PROTOCOL §1 and §2 name.
func DefaultLimits() Limits {
	return Limits{Command: 5 * time.Second, MaxClockOffset: 500 * time.Millisecond}
}
