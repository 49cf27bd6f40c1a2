package acceptor

import (
	"errors"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// CanAccept tells whether Step would vote for an Accept as things stand. If not, it
// fills in the answer that Step would give. A store that receives a large state asks
// before it does so in vain. The vote itself is Step's, which checks again.
//
// It never reports true for a ballot that was voted for: such a ballot is in the
// votes, of which the newest always stays, or below the promise that the newest is.
func (a *Acceptor) CanAccept(now instant.Now, req *message.Request, reply *message.Reply) (votes bool, err error) {
	*reply = message.Reply{ID: req.ID}
	if ok, err := a.admit(now, req, reply); !ok {
		return false, err
	}
	rec, err := a.load(req.Register)
	if err != nil {
		return false, err
	}
	store := a.store
	a.store = dryRun{store}
	defer func() { a.store = store }()
	err = a.accept(now, req, rec, reply)
	if errors.Is(err, errWouldVote) {
		*reply = message.Reply{ID: req.ID}
		a.incoming.note(now, req)
		return true, nil
	}
	return false, err
}

// While a large state that brings this acceptor up is coming in, it promises nothing on
// the register. After a promise the state would have come in vain, and where several
// proposers write, there would always be one. Instead it says that it cannot answer: an
// acceptor that is behind is of little use to a round. It does not do so for long, as it
// may be needed.
const (
	deferFor    = time.Second     // after something was last heard of the state
	deferAtMost = 3 * time.Second // all together
	maxIncoming = 64
)

// incomingSnapshots are the large states that are coming in, by key.
type incomingSnapshots map[string]incomingSnapshot

type incomingSnapshot struct {
	ballot       ballot.Ballot
	began, heard instant.Mono
}

// note notes that a state is coming in, if it is one that was accepted elsewhere.
func (a *incomingSnapshots) note(now instant.Now, req *message.Request) {
	if !req.Piggyback.IsZero() || req.History == nil {
		return
	}
	if *a == nil || len(*a) >= maxIncoming {
		*a = make(incomingSnapshots)
	}
	at := (*a)[req.Register.Key]
	if at.ballot != req.Ballot {
		at = incomingSnapshot{ballot: req.Ballot, began: now.Mono}
	}
	at.heard = now.Mono
	(*a)[req.Register.Key] = at
}

// deferPrepare reports whether to hold back a promise above the accepted ballot.
func (a incomingSnapshots) deferPrepare(now instant.Now, key string, accepted ballot.Ballot) bool {
	at, ok := a[key]
	if ok && (at.ballot.AtMost(accepted) || time.Duration(now.Mono-at.heard) > deferFor || time.Duration(now.Mono-at.began) > deferAtMost) {
		delete(a, key)
		return false
	}
	return ok
}

var errWouldVote = errors.New("an Accept would be voted for")

// dryRun is a store at which a vote ends before anything is changed.
type dryRun struct{ Store }

func (dryRun) Append(durable.LogEntry) (uint64, error) { return 0, errWouldVote }

// Grows returns true: nobody knows yet how large the state is.
func (dryRun) Grows(*durable.Record, *register.Change) (bool, error) { return true, nil }
