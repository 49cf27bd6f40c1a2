package caspaxos

// promises are the promised ballots of a lane, in two generations: the older is
// forgotten as a whole once the floor has reached its highest ballot.
type promises struct {
	young, old       map[string]promised
	youngMax, oldMax Ballot
}

type promised struct {
	ballot Ballot
	slot   uint16
}

func (p *promises) get(key string) Ballot {
	return MaxBallot(p.young[key].ballot, p.old[key].ballot)
}

// set promises b, which is no lower than what was promised before. It returns
// false when there is no room.
func (p *promises) set(r Register, b Ballot) bool {
	if p.young == nil {
		p.young = make(map[string]promised)
	}
	if len(p.young)+len(p.old) >= maxPromises {
		return false
	}
	p.young[r.Key] = promised{ballot: b, slot: r.Slot}
	p.youngMax = MaxBallot(p.youngMax, b)
	return true
}

// outdated forgets what was promised of a register up to b, which was accepted:
// that counts as a promise itself (§2).
func (p *promises) outdated(key string, b Ballot) {
	for _, generation := range []map[string]promised{p.young, p.old} {
		if was, ok := generation[key]; ok && was.ballot.AtMost(b) {
			delete(generation, key)
		}
	}
}
