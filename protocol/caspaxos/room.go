package caspaxos

import (
	"errors"
	"time"

	"synod/protocol/register"
)

// This file is what happens when disks are nearly full.
//
// A node that is short of room goes on to vote for what makes less of a state,
// and for rounds that change nothing, but refuses what adds: DiskFull. That is no
// answer in the sense of §3, and not a final one (a copy of the Accept may be
// voted for later, when there is room). A promise tells how much room the node
// has. So a proposer knows, before it sends anything, whether a quorum would vote
// for a command's change. If not, the command is executed as one that changes
// nothing and answered with ErrDiskFull, under the rules for such commands
// (§4.2.3): at once if nothing of it was ever sent, else when a round is chosen
// that rules its attempts out. Rounds of one trip, in which nobody is asked
// first, are not used meanwhile.
//
// A member that is behind needs room for what it lacks, even if the round itself
// adds nothing. It is asked for that only when there is no quorum without it: the
// Accept is then marked as needed, and part of what the node keeps in reserve is
// for these.

// Room is how much room the disk of a node has.
type Room uint8

// The degrees, each with what a node still votes for.
const (
	RoomEnough Room = iota // everything
	RoomLow                // changes that make less of a state, and what a quorum needs
	RoomScarce             // changes that bring nothing: deletes, removals, empty ones
	RoomNone               // nothing: not even a few bytes can be written
)

// ErrDiskFull: nothing was done, too many of the slot's nodes are short of disk
// space.
var ErrDiskFull = errors.New("the disks of the slot's nodes are nearly full")

// refused is the result of a command that is not done, as the nodes do not take
// it.
type refused struct{ why error }

func isRefused(answer any) bool { _, is := answer.(refused); return is }

// hasRoom reports whether there is room for an Accept that would be voted for
// otherwise. rec may be nil.
func (a *Acceptor) hasRoom(req *Request, rec *Record) (bool, error) {
	switch room := a.store.Room(); {
	case room == RoomEnough:
		return true, nil
	case room == RoomNone:
		return false, nil
	case req.Change.Stage != 0 || !req.Change.Puts(): // what is staged is on the disk already
		return true, nil
	case room == RoomLow && req.Needed:
		return true, nil
	case room == RoomLow:
		if rec == &a.scratch {
			rec = nil
		}
		grows, err := a.store.Grows(rec, &req.Change)
		return !grows, err
	}
	return false, nil
}

// shortFor is how long a proposer takes a node to be short of room after it last
// heard so, before it asks again.
const shortFor = time.Second

// heardRoom notes what a member tells of its room.
func (p *Proposer) heardRoom(node NodeID, room Room) {
	switch {
	case room != RoomEnough && p.short == nil:
		p.short = map[NodeID]Mono{node: p.now.Mono}
	case room != RoomEnough:
		p.short[node] = p.now.Mono
	case len(p.short) > 0:
		delete(p.short, node)
	}
}

// promiseTells notes what a promise tells of a node's room, be it needed or not.
func (p *Proposer) promiseTells(node NodeID, reply *Reply) {
	if h := reply.History; reply.Outcome == Promised && h != nil {
		p.heardRoom(node, h.Room)
	}
}

// isShort reports whether a node takes nothing that nobody needs.
func (p *Proposer) isShort(node NodeID) bool {
	_, short := p.short[node]
	return short
}

// asksFirst reports whether a round must ask its members for room before it
// sends a change: a quorum may be short of it, or it is time to look again.
func (p *Proposer) asksFirst(cfg *Config) bool {
	if len(p.short) == 0 {
		return false
	}
	answering := p.answering(cfg) // others would not tell
	with := answering
	for i, node := range cfg.nodes {
		heard, short := p.short[node]
		if short && answering.Has(i) && time.Duration(p.now.Mono-heard) >= shortFor {
			return true
		}
		if short {
			with &^= 1 << i
		}
	}
	return !cfg.IsQuorum(with)
}

// roomier returns the members that have promised and have at least as much room
// as that.
func (r *reg) roomier(than Room) (s Set) {
	for i := range r.replies {
		if h := r.replies[i].History; r.replied.Has(i) && h != nil && h.Room <= than {
			s = s.With(i)
		}
	}
	return s
}

// room is how much room a quorum of those that have promised has.
func (r *reg) room() Room {
	for room := RoomEnough; room < RoomNone; room++ {
		if r.cfg.IsQuorum(r.roomier(room)) {
			return room
		}
	}
	return RoomNone
}

// awaitsRoom reports whether a round waits for more promises: those that came
// are of members without room for what the commands may add, others may have it.
func (p *Proposer) awaitsRoom(r *reg) bool {
	if r.room() == RoomEnough || time.Duration(p.now.Mono-r.started) >= p.Timing.Retry {
		return false
	}
	left := p.answering(r.cfg) &^ (r.replied | r.lost)
	if !r.cfg.IsQuorum(r.roomier(RoomEnough) | left) {
		return false
	}
	for _, c := range r.queue {
		if !c.Op.ReadOnly() {
			return true
		}
	}
	return false
}

// refuses returns why there is no room for what a command, executed on v, came to,
// or nil.
func (run *run) refuses(c *Command, v register.View, change register.Change) error {
	full := false
	switch {
	case change.Kind == register.None:
	case run.tooBusy(c, change):
		return ErrBusy
	case run.room == RoomEnough:
	case run.room == RoomNone:
		full = true
	case run.room == RoomScarce || c.diskFull: // the nodes know better how much there was
		full = change.Puts()
	default:
		full = v.Grows(change)
	}
	if full {
		return ErrDiskFull
	}
	return nil
}

// addsNothing reports whether the round makes less of the state, or nothing: its
// commands were executed knowing that there is no room for more.
func (r *reg) addsNothing() bool { return r.tight || !r.change.Puts() }

// diskFull goes on when a member refuses a round for want of room. A round that
// adds nothing comes back to it if there is no quorum without it.
func (p *Proposer) diskFull(r *reg, i int) {
	p.heardRoom(r.cfg.nodes[i], RoomLow)
	for _, c := range r.batch {
		c.diskFull = true
	}
	if p.Omit.has(RuleRoomOpen) {
		r.try.nevers = r.try.nevers.With(i)
	}
	if r.addsNothing() {
		p.pass(r, i)
	}
	p.missed(r, i)
}

// cannotPromise answers writes when so few members can promise only because
// the others have no room to. It changes nothing for what is in doubt.
func (p *Proposer) cannotPromise(r *reg) {
	if r.cfg.CanReach(r.lost &^ r.roomless) {
		kept := make([]*Command, 0, len(r.queue))
		for _, c := range r.queue {
			if len(c.attempts) == 0 && !c.Op.ReadOnly() {
				p.finish(c, nil, ErrDiskFull)
			} else {
				kept = append(kept, c)
			}
		}
		r.queue = kept
	}
	p.retryLater(r)
}
