package caspaxos

import (
	"errors"
	"time"

	"synod/protocol/register"
)

// Foresee tells whether Step would vote for an Accept as things stand. If not, it
// fills in the answer that Step would give. A store that takes in a large state
// beforehand asks, lest it does so in vain; the vote itself is Step's, which
// looks again.
//
// It never does for a ballot that was voted for: such a ballot is in the votes,
// of which the newest always stays, or below the promise that the newest is.
func (a *Acceptor) Foresee(now Now, req *Request, reply *Reply) (votes bool, err error) {
	*reply = Reply{ID: req.ID}
	if ok, err := a.admit(now, req, reply); !ok {
		return false, err
	}
	rec, err := a.load(req.Register)
	if err != nil {
		return false, err
	}
	store := a.store
	a.store = foreseeing{store}
	defer func() { a.store = store }()
	err = a.accept(now, req, rec, reply)
	if errors.Is(err, errForeseen) {
		*reply = Reply{ID: req.ID}
		a.arrivals.note(now, req)
		return true, nil
	}
	return false, err
}

// While a large state comes in that brings this acceptor up, it promises nothing
// on the register: behind a promise the state would have come in vain, and where
// several proposers write, there would always be one. It says that it cannot
// answer, as who is behind is of little use to a round; but not for long, as it
// may be needed.
const (
	withheld     = time.Second     // after something was last heard of the state
	withheldMost = 3 * time.Second // all together
	maxArrivals  = 64
)

// arrivals are the large states that come in, by key.
type arrivals map[string]arrival

type arrival struct {
	ballot       Ballot
	began, heard Mono
}

// note notes that a state is coming in, if it is one that was accepted elsewhere.
func (a *arrivals) note(now Now, req *Request) {
	if !req.Next.IsZero() || req.History == nil {
		return
	}
	if *a == nil || len(*a) >= maxArrivals {
		*a = make(arrivals)
	}
	at := (*a)[req.Register.Key]
	if at.ballot != req.Ballot {
		at = arrival{ballot: req.Ballot, began: now.Mono}
	}
	at.heard = now.Mono
	(*a)[req.Register.Key] = at
}

// withhold reports whether a promise is to be withheld, above the ballot that is
// accepted.
func (a arrivals) withhold(now Now, key string, accepted Ballot) bool {
	at, ok := a[key]
	if ok && (at.ballot.AtMost(accepted) || time.Duration(now.Mono-at.heard) > withheld || time.Duration(now.Mono-at.began) > withheldMost) {
		delete(a, key)
		return false
	}
	return ok
}

var errForeseen = errors.New("an Accept would be voted for")

// foreseeing is a store at which a vote ends before anything is changed.
type foreseeing struct{ Store }

func (foreseeing) Append(LogEntry) (uint64, error) { return 0, errForeseen }

// Grows says yes, as nobody knows yet how large the state is.
func (foreseeing) Grows(*Record, *register.Change) (bool, error) { return true, nil }
