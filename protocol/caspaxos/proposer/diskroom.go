package proposer

import (
	"time"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// This file is what happens when disks are nearly full.
//
// A node that is short of space still votes for what shrinks a state and for rounds that
// change nothing, but refuses what adds: DiskFull. That is no answer in the sense of §3,
// and not final (a copy of the Accept may be voted for later, when there is space). A
// promise tells how much space the node has. So a proposer knows before it sends
// anything whether a quorum would vote for a command's change. If not, the command is
// executed as one that changes nothing and answered with ErrDiskFull, under the rules
// for such commands (§4.2.3): at once if nothing of it was ever sent, otherwise once a
// round is chosen that rules its attempts out. Rounds of one trip, in which nobody is
// asked first, are not used meanwhile.
//
// A member that is behind needs space for what it lacks, even if the round itself adds
// nothing. That is asked of it only when there is no quorum without it: the Accept is
// then marked as needed, and the node keeps a reserve for these.

// refused is the result of a command that is not done because the nodes do not take
// it.
type refused struct{ why error }

func isRefused(answer any) bool { _, is := answer.(refused); return is }

// promiseTells notes what a promise tells of a node's disk, even if the promise is
// not needed.
func (p *Proposer) promiseTells(node quorum.NodeID, reply *message.Reply) {
	if h := reply.History; reply.Outcome == message.Promised && h != nil {
		p.nodes.HeardRoom(node, h.Room, p.now.Mono)
	}
}

// awaitsRoom reports whether a round waits for more promises: those that came are of
// members without space for what the commands may add, while others may have it.
func (p *Proposer) awaitsRoom(r *instance) bool {
	if r.Room() == diskroom.RoomEnough || time.Duration(p.now.Mono-r.Started) >= p.Timing.Retry {
		return false
	}
	left := p.answering(r.Config) &^ (r.Replied | r.Lost)
	if !r.Config.IsQuorum(r.Roomier(diskroom.RoomEnough) | left) {
		return false
	}
	for _, c := range r.queue {
		if !c.Op.ReadOnly() {
			return true
		}
	}
	return false
}

// refuses returns why there is no space for the change of a command that was executed
// on v, or nil.
func (run *run) refuses(c *Command, v register.View, change register.Change) error {
	full := false
	switch {
	case change.Kind == register.None:
	case run.tooBusy(c, change):
		return operation.ErrBusy
	case run.room == diskroom.RoomEnough:
	case run.room == diskroom.RoomNone:
		full = true
	case run.room == diskroom.RoomScarce || c.diskFull: // the nodes know better how much there was
		full = change.Puts()
	default:
		full = v.Grows(change)
	}
	if full {
		return operation.ErrDiskFull
	}
	return nil
}

// diskFull continues when a member refuses a round for want of space. A round that
// adds nothing returns to it if there is no quorum without it.
func (p *Proposer) diskFull(r *instance, i int) {
	p.nodes.HeardRoom(r.Config.Nodes()[i], diskroom.RoomLow, p.now.Mono)
	for _, c := range r.batch {
		c.diskFull = true
	}
	if p.Omit.Has(rules.RoomOpen) {
		r.Try.Nevers = r.Try.Nevers.With(i)
	}
	if r.AddsNothing() {
		p.deferRepair(r, i)
	}
	r.Missed(i)
}

// cannotPromise answers writes when too few members can promise only because the
// others have no disk space. It changes nothing for what is in doubt.
func (p *Proposer) cannotPromise(r *instance) {
	if r.Config.CanReach(r.Lost &^ r.Roomless) {
		kept := make([]*Command, 0, len(r.queue))
		for _, c := range r.queue {
			if len(c.attempts) == 0 && !c.Op.ReadOnly() {
				p.finish(c, nil, operation.ErrDiskFull)
			} else {
				kept = append(kept, c)
			}
		}
		r.queue = kept
	}
	p.retryLater(r)
}
