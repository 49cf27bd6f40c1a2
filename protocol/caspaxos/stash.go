package caspaxos

import (
	"bytes"
	"slices"
	"strings"

	"synod/protocol/register"
)

// maxStash bounds the bytes of Accepts that a lane keeps for later.
const maxStash = 8 << 20

// stash keeps copies of Accepts that found this acceptor behind their base
// (§3 Stale). While a large state is on its way to it, the register goes on; if
// what goes on is lost here, the state is out of date when it arrives, and the
// next one will be. So the copies are handled when a vote has brought the
// register to their base: as if the network had delivered them twice, the
// second time late, which it may do with any message. All checks are made then,
// nobody gets an answer, and no promise is asked for (§3 re-delivery).
type stash struct {
	byKey map[string][]*Request // in the order of ballots, in which they mostly come
	order []stashed             // oldest first; what is no longer in byKey is skipped
	bytes int
}

type stashed struct {
	req  *Request
	size int
}

// keep copies an Accept into the stash, and drops the oldest if it is full.
func (s *stash) keep(req *Request) {
	size := 128 + 2*req.Change.Bytes()
	if size > maxStash/4 {
		return
	}
	waiting := s.byKey[req.Register.Key]
	at, twice := slices.BinarySearchFunc(waiting, req.Ballot, byBallot)
	if twice {
		return
	}
	if s.byKey == nil {
		s.byKey = make(map[string][]*Request)
	}
	req = req.copy()
	s.byKey[req.Register.Key] = slices.Insert(waiting, at, req)
	s.order = append(s.order, stashed{req, size})
	s.bytes += size
	for s.bytes > maxStash {
		oldest := s.order[0]
		s.order[0] = stashed{}
		s.order = s.order[1:]
		s.bytes -= oldest.size
		s.remove(oldest.req)
	}
}

func byBallot(q *Request, b Ballot) int { return q.Ballot.Compare(b) }

// remove takes out an Accept that may have been taken out already.
func (s *stash) remove(req *Request) {
	waiting := s.byKey[req.Register.Key]
	at, found := slices.BinarySearchFunc(waiting, req.Ballot, byBallot)
	if found && waiting[at] == req {
		s.put(req.Register.Key, without(waiting, at))
	}
}

// without is slices.Delete, but for the first one at no cost.
func without(list []*Request, at int) []*Request {
	if at == 0 {
		list[0] = nil
		return list[1:]
	}
	return slices.Delete(list, at, at+1)
}

func (s *stash) put(key string, waiting []*Request) {
	if len(waiting) > 0 {
		s.byKey[key] = waiting
		return
	}
	if delete(s.byKey, key); len(s.byKey) == 0 {
		s.order, s.bytes = nil, 0
	}
}

// next takes the Accept out whose base is the ballot that the register has come
// to, if there is one, and forgets those that come too late.
func (s *stash) next(key string, accepted Ballot) *Request {
	waiting, found := s.byKey[key], (*Request)(nil)
	if len(waiting) == 0 {
		return nil
	}
	for len(waiting) > 0 && waiting[0].Ballot.AtMost(accepted) {
		waiting = without(waiting, 0)
	}
	if at := slices.IndexFunc(waiting, func(q *Request) bool { return q.Base == accepted }); at >= 0 {
		found = waiting[at]
		waiting = without(waiting, at)
	}
	s.put(key, waiting)
	return found
}

// copy returns the request with memory of its own, without what a re-delivery
// does not carry.
func (q *Request) copy() *Request {
	out := *q
	out.Register.Key = strings.Clone(q.Register.Key)
	out.Next, out.Encoded = Ballot{}, nil
	out.Change.Header.Aux = bytes.Clone(q.Change.Header.Aux)
	out.Change.Ops = make([]register.Op, len(q.Change.Ops))
	for i, op := range q.Change.Ops {
		op.Key, op.Value = bytes.Clone(op.Key), bytes.Clone(op.Value)
		out.Change.Ops[i] = op
	}
	return &out
}

// catchUp handles the Accepts that waited for what the register has come to.
func (a *Acceptor) catchUp(now Now, r Register) {
	for len(a.stash.byKey) > 0 {
		rec, err := a.load(r)
		if err != nil || rec == nil {
			return
		}
		req := a.stash.next(r.Key, rec.Accepted)
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
