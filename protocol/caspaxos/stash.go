package caspaxos

import "slices"

// Bounds on what a lane keeps of deltas.
const (
	maxStash = 8 << 20 // bytes of those that wait
	maxPast  = 8 << 20 // bytes of those that were voted for
	maxChain = 1024    // that are voted for as one
)

// stash keeps copies of deltas that this acceptor could not vote for, either
// because it was behind their base (§3 Stale) or because it had promised a
// higher ballot.
//
// While a large state is on its way to a member that is behind, the register
// goes on; if what goes on is lost here, the state is out of date when it
// arrives, and the next one will be. So the copies are handled when a vote has
// brought the register to their base: as if the network had delivered them
// twice, the second time late, which it may do with any message. All checks are
// made then, nobody gets an answer, and no promise is asked for (§3
// re-delivery).
//
// A delta that was refused for a promise may be chosen by the others, and what
// follows is based on it: see reach.
type stash struct{ deltas }

// tries bounds how many of a register's Accepts are looked at when it has moved.
const tries = 64

// next takes an Accept out that can be handled at the ballot that the register
// has come to, which reaches tells, and under its promise, if there is one. Of
// those that come too late it keeps a few: the vote that they came too late for
// may have to be taken back, and they lead to what is carried on (see reach).
func (s *stash) next(key string, accepted, promise Ballot, reaches func(*Request) bool) *Request {
	waiting := s.byKey[key]
	if len(waiting) == 0 {
		return nil
	}
	past, _ := slices.BinarySearchFunc(waiting, accepted, byBallot)
	for ; past > tries; past-- {
		waiting = without(waiting, 0)
	}
	s.put(key, waiting)
	from, _ := slices.BinarySearchFunc(waiting, promise, byBallot)
	for at := from; at < min(len(waiting), from+tries); at++ {
		if found := waiting[at]; reaches(found) {
			s.put(key, without(waiting, at))
			return found
		}
	}
	return nil
}

// catchUp handles the Accepts that waited for what the register has come to.
func (a *Acceptor) catchUp(now Now, r Register) {
	a.again = true
	defer func() { a.again = false }()
	for len(a.stash.byKey) > 0 {
		rec, err := a.load(r)
		if err != nil {
			return
		}
		at := accepted(rec)
		req := a.stash.next(r.Key, at, a.promise(r, rec), func(q *Request) bool {
			_, links := a.way(q, at)
			return links != nil
		})
		if req == nil {
			return
		}
		var reply Reply
		if ok, err := a.admit(now, req, &reply); !ok || err != nil {
			continue
		}
		if a.accept(now, req, rec, &reply) != nil {
			return // as if it had been lost
		}
		if reply.Outcome == Acked {
			a.CaughtUp++
		}
	}
}
