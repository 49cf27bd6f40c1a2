package proposer

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// Command is one operation.Operation on its way through a Proposer. The caller fills
// the first group of fields and gives it away until Done is called.
type Command struct {
	Register register.ID
	Op       operation.Operation
	// Origin names the connection: commands of one origin on one register take effect
	// in the order in which they were submitted. Nothing else depends on it.
	Origin uint64
	// Started is when the client's command began, on the proxy's monotonic
	// clock. The proposer gives up when Limit has passed since.
	Started instant.Mono
	// Done is called exactly once, when Result or Err is set. It must not
	// block and not call the proposer.
	Done func(*Command)

	// Result is the operation's result, if Err is nil.
	Result any
	// Err is one of the errors above, ErrDiskFull or an Outage.
	Err error
	// Seen, of a read-only command: the ballot of the state that it was executed on,
	// and whether a quorum held it before Started (§7). If its round went on to change
	// that state, it is a ballot that no read shows again.
	Seen Seen

	attempts []history.Attempt // in doubt or under way, oldest first (§5)
	answer   any               // the result in the present round
	changed  bool              // whether it changed the state in the present round
	changes  int               // how many changes of the present round it executed behind
	asked    bool              // it was waiting when the present round's Prepare was sent
	nacked   bool              // another proposer was met
	diskFull bool              // a member had no room for a round of it
	busy     int               // how many rounds of it came to nothing as members could not take them
	verdict  history.Verdict   // of the attempts, in the present round
	parked   *parked           // it has been parked
}

// Seen is what a read knows of the register's past, for reading several registers as
// one snapshot (§7).
type Seen struct {
	Ballot ballot.Ballot
	// Held: each member of a quorum has held the ballot for longer than the time since
	// the command started.
	Held bool
	// Bytes is about how much of the state came for the command.
	Bytes int
}
