package caspaxos

import "errors"

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
		return true, nil
	}
	return false, err
}

var errForeseen = errors.New("an Accept would be voted for")

// foreseeing is a store at which a vote ends before anything is changed.
type foreseeing struct{ Store }

func (foreseeing) Append(LogEntry) (uint64, error) { return 0, errForeseen }
