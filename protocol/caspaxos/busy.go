package caspaxos

import (
	"errors"
	"time"

	"synod/protocol/register"
)

// This file is what becomes of a change that the members cannot take, as it is
// more than they have memory for at present.
//
// A member that answers an Accept with Busy did not vote for it, but that is not
// final: a copy may come later. The commands are tried again. Those that go on to
// be refused are executed as ones that change nothing and answered with ErrBusy,
// under the rules for commands that there is no room for (room.go): when a round
// is chosen that rules their attempts out. Otherwise nobody would know what became
// of them.

// ErrBusy: nothing was done, the slot's nodes had no memory for the command.
var ErrBusy = errors.New("the slot's nodes have no memory for the command at present")

const (
	// heavyChange is the size in bytes from which it is the change itself that is
	// more than there is memory for; less is refused as others take it all.
	heavyChange = 1 << 20
	// heavyTries is how many rounds a heavy change is tried in.
	heavyTries = 2
)

// tooBusy reports whether a command is tried no more, as members had no memory for
// its change.
func (run *run) tooBusy(c *Command, change register.Change) bool {
	if c.busy == 0 || run.r.kind != twoTrip {
		return false
	}
	spent, limit := time.Duration(run.p.now.Mono-c.Started), run.p.Limits.Command
	if change.Bytes() >= run.p.Limits.heavyChange() {
		return c.busy >= heavyTries || spent >= limit/4
	}
	return spent >= limit*3/4
}
