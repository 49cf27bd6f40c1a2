package acceptor

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/register"
)

// promises are the promised ballots of a lane, in two generations: the older is
// forgotten as a whole once the floor has reached its highest ballot.
type promises struct {
	young, old       map[string]promised
	youngMax, oldMax ballot.Ballot
}

type promised struct {
	ballot ballot.Ballot
	slot   uint16
}

func (p *promises) get(key string) ballot.Ballot {
	return ballot.Max(p.young[key].ballot, p.old[key].ballot)
}

// set promises b, which is no lower than the promise before it. It returns false when
// there is no space.
func (p *promises) set(r register.ID, b ballot.Ballot) bool {
	if p.young == nil {
		p.young = make(map[string]promised)
	}
	if len(p.young)+len(p.old) >= maxPromises {
		return false
	}
	p.young[r.Key] = promised{ballot: b, slot: r.Slot}
	p.youngMax = ballot.Max(p.youngMax, b)
	return true
}

// outdated forgets promises of a register up to b, which was accepted: that counts as
// a promise itself (§2).
func (p *promises) outdated(key string, b ballot.Ballot) {
	for _, generation := range []map[string]promised{p.young, p.old} {
		if was, ok := generation[key]; ok && was.ballot.AtMost(b) {
			delete(generation, key)
		}
	}
}

// setPromise promises b, which is no lower than the promise before it, if there is
// space for it. Only then can the promise before it no longer be used.
func (a *Acceptor) setPromise(r register.ID, rec *durable.Record, b ballot.Ballot) bool {
	old := a.promises.get(r.Key)
	if !a.promises.set(r, b) {
		return false
	}
	if !old.IsZero() && old.Less(b) && accepted(rec).Less(old) {
		a.abandoned.add(r.Key, old)
	}
	return true
}
