package caspaxos

import (
	"bytes"
	"slices"
	"strings"

	"synod/protocol/register"
)

// maxStash bounds the bytes of Accepts that a lane keeps for later.
const maxStash = 8 << 20

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

// without is slices.Delete, but moves what is on the shorter side of a list that
// may be long: most are taken out near its beginning.
func without(list []*Request, at int) []*Request {
	if at > len(list)/2 {
		return slices.Delete(list, at, at+1)
	}
	copy(list[1:at+1], list[:at])
	list[0] = nil
	return list[1:]
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

// tries bounds how many of a register's Accepts are looked at when it has moved.
const tries = 64

// maxChain bounds the deltas that are voted for as one.
const maxChain = 1024

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

// chain returns the deltas that lead from a ballot to req, the first one last,
// or nil if some are not among those that wait.
func chain(waiting []*Request, req *Request, from Ballot) []*Request {
	links := []*Request{req}
	for at := req; at.on() != from; links = append(links, at) {
		i, found := slices.BinarySearchFunc(waiting, at.on(), byBallot)
		if !found || len(links) > maxChain || waiting[i].Ballot.AtMost(from) {
			return nil
		}
		at = waiting[i]
	}
	return links
}

// join returns req with a chain of deltas, req the first of them, as one change
// behind what is in the draft.
func join(req *Request, links []*Request, draft register.Draft) *Request {
	out := *req
	out.Encoded = nil
	out.History = new(Lineage)
	for _, q := range slices.Backward(links) {
		draft.Apply(q.Change)
		if q.History != nil {
			out.History.Merge(q.History)
		}
		if q != req {
			out.History.Insert(Entry{Ballot: q.Ballot, Parent: q.Base, Blind: !q.Prepared})
		}
	}
	out.Change = draft.Change()
	return &out
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
