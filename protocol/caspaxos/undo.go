package caspaxos

import (
	"bytes"
	"slices"
	"time"

	"synod/protocol/register"
)

// Bounds on what a lane remembers to take votes back.
const (
	maxUndo       = 4 << 20  // bytes
	maxUndoOne    = 64 << 10 // bytes of one
	maxUndoBallot = MaxBack  // votes of one register

	maxContended = 1 << 14         // registers
	contendedFor = 5 * time.Minute // at least, since that was last seen
)

// undone is how a vote can be taken back: the change from the state at ballot to
// the one at from, which it was made on.
type undone struct {
	ballot, from Ballot
	change       register.Change
}

// size estimates the memory that it takes, of which small changes are a small
// part.
func (x *undone) size(key string) int {
	return 256 + len(key) + 64*len(x.change.Ops) + x.change.Bytes()
}

// undo remembers how the last votes for deltas can be taken back, of registers
// that several proposers write: one of them may have been refused elsewhere and
// not be chosen, and what is goes on from the state before it. That state is
// known here for as long as this is kept, in memory.
type undo struct {
	byKey map[string][]undone
	order []string // a key for each of them, oldest first
	bytes int
}

func (u *undo) add(key string, x undone) {
	if u.byKey == nil {
		u.byKey = make(map[string][]undone)
	}
	list := u.byKey[key]
	if len(list) == maxUndoBallot {
		u.bytes -= list[0].size(key)
		list = append(list[:0], list[1:]...)
	} else {
		u.order = append(u.order, key)
	}
	u.byKey[key] = append(list, x)
	u.bytes += x.size(key)
	for u.bytes > maxUndo {
		u.dropOldest()
	}
}

func (u *undo) dropOldest() {
	key := u.order[0]
	u.order = u.order[1:]
	list := u.byKey[key]
	u.bytes -= list[0].size(key)
	if len(list) == 1 {
		delete(u.byKey, key)
		return
	}
	u.byKey[key] = append(list[:0], list[1:]...)
}

// find returns how a register's vote for b can be taken back.
func (u *undo) find(key string, b Ballot) (undone, bool) {
	for _, x := range u.byKey[key] {
		if x.ballot == b {
			return x, true
		}
	}
	return undone{}, false
}

// back returns the ballots of the states that a register can be taken back to.
func (u *undo) back(key string, from Ballot) (to []Ballot) {
	for x, ok := u.find(key, from); ok; x, ok = u.find(key, x.from) {
		to = append(to, x.from)
	}
	return to
}

// contended remembers for some time which registers several proposers write, or
// are about to.
type contended struct{ generations[struct{}] }

// look reports whether a register is contended, now that b is about to be
// promised or voted for.
func (c *contended) look(key string, rec *Record, b Ballot) bool {
	if _, is := c.young[key]; is {
		return true
	}
	for _, e := range slices.Backward(rec.Lineage.Entries) { // of some seconds
		if e.Ballot.Proposer == b.Proposer {
			continue
		}
		c.put(key, struct{}{}, maxContended)
		return true
	}
	_, is := c.old[key]
	return is
}

// inverse returns what takes back a vote that is about to be made, if that is
// worth remembering.
func (a *Acceptor) inverse(req *Request, rec *Record) (x undone, ok bool) {
	if rec == nil || rec == &a.scratch || req.Change.Kind == full || !rec.Header.Exists() ||
		!a.store.Large(rec) || !a.contended.look(req.Register.Key, rec, req.Ballot) {
		return x, false
	}
	x = undone{ballot: req.Ballot, from: rec.Accepted}
	if req.Change.Kind == register.None {
		return x, true
	}
	if req.Change.Bytes() > maxUndoOne {
		return x, false
	}
	keys := make([][]byte, 0, len(req.Change.Ops))
	for i := range req.Change.Ops {
		keys = append(keys, bytes.Clone(req.Change.Ops[i].Key))
	}
	v, fits, err := a.store.Project(rec, register.Projection{Keys: keys}, maxUndoOne)
	if err != nil || !fits {
		return x, false
	}
	x.change = register.Change{Kind: register.Delta, Header: rec.Header}
	x.change.Header.Aux = bytes.Clone(rec.Header.Aux)
	for _, key := range keys {
		op := register.Op{Kind: register.Remove, Key: key}
		if old, exists := v.Get(key); exists {
			op.Kind, op.Value = register.Put, bytes.Clone(old)
		}
		x.change.Ops = append(x.change.Ops, op)
	}
	return x, true
}

// way finds how to get from the state that this acceptor has to the delta's and
// to the delta: by what takes votes back that were not carried on, then by deltas
// that it has kept (stash), the first one last. links is nil if there is no way.
func (a *Acceptor) way(req *Request, accepted Ballot) (back []register.Change, links []*Request) {
	key := req.Register.Key
	for from := accepted; ; {
		if links = a.stash.chain(req, maxChain, from); links != nil {
			return back, links
		}
		x, ok := a.undo.find(key, from)
		if !ok {
			return nil, nil
		}
		back = append(back, x.change)
		from = x.from
	}
}

// reach makes one change, on the state that this acceptor has, of what leads to
// the delta's base (see way) and of the delta. It returns nil if nothing does.
//
// A ballot stands for one base and one change (§1), and equal base and equal
// delta give equal states (§3), so the state at the base is known here without
// having been voted for. What is voted for is the delta's ballot alone, with the
// lineage that leads to it, as if the full state had come (§3 "one door").
func (a *Acceptor) reach(req *Request, accepted Ballot) *Request {
	back, links := a.way(req, accepted)
	if links == nil {
		return nil
	}
	var sum register.Sum
	for _, change := range back {
		sum.Add(change)
	}
	out := join(req, links, sum, a.node.limits.entries())
	out.On = accepted
	return out
}
