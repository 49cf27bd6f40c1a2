package proposer

import (
	"time"

	"synod/protocol/caspaxos/round"
	"synod/protocol/register"
)

// This file is what happens to a change for which the members have no memory at
// present.
//
// A member that answers an Accept with Busy did not vote for it, but that is not
// final: a copy may come later. The commands are tried again. If they keep being
// refused, they are executed as commands that change nothing and answered with ErrBusy,
// under the rules for commands without disk space (diskroom.go): once a round is chosen
// that rules their attempts out. Otherwise nobody would know what became of them.

const (
	// heavyTries is how many rounds a heavy change is tried in.
	heavyTries = 2
)

// tooBusy reports whether a command is given up because members had no memory for its
// change.
func (run *run) tooBusy(c *Command, change register.Change) bool {
	if c.busy == 0 || run.r.Kind != round.TwoTrip {
		return false
	}
	spent, limit := time.Duration(run.p.now.Mono-c.Started), run.p.Limits.Command
	if change.Bytes() >= run.p.Limits.MinHeavyChange() {
		return c.busy >= heavyTries || spent >= limit/4
	}
	return spent >= limit*3/4
}
