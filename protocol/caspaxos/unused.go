package caspaxos

// Bounds on what a lane remembers of promises that were overtaken.
const (
	maxUnused       = 1 << 16 // registers
	maxUnusedBallot = 8       // ballots of one
)

// unused remembers promises that a higher one overtook while this acceptor had
// not voted under them: it never will. So it can answer never (§3) to an Accept
// that comes too late, though its lists have been cut above the ballot since: a
// proposer that comes back to its carried promise after others have written 64
// times would otherwise be in doubt of an attempt that had no chance.
//
// What is remembered is true for good, also if messages are doubled or late:
// votes only grow, and after a restart the floor is above every promise of the
// last life. It is kept in memory for some time.
type unused struct{ generations[[]Ballot] }

func (u *unused) add(key string, b Ballot) {
	if len(u.young) >= maxUnused {
		return
	}
	list := u.young[key]
	if len(list) >= maxUnusedBallot {
		list = append(list[:0], list[1:]...)
	}
	u.put(key, append(list, b), maxUnused)
}

func (u *unused) has(key string, b Ballot) bool {
	for _, list := range [][]Ballot{u.young[key], u.old[key]} {
		for _, x := range list {
			if x == b {
				return true
			}
		}
	}
	return false
}

// pledge promises b, which is no lower than what was promised before, if there
// is room for it. Only then can what was promised before not be used any more.
func (a *Acceptor) pledge(r Register, rec *Record, b Ballot) bool {
	old := a.promises.get(r.Key)
	if !a.promises.set(r, b) {
		return false
	}
	if !old.IsZero() && old.Less(b) && accepted(rec).Less(old) {
		a.unused.add(r.Key, old)
	}
	return true
}
