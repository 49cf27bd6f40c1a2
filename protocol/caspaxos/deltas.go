package caspaxos

import (
	"slices"
	"strings"

	"synod/protocol/register"
)

// deltas is a bounded memory of Accepts with deltas, by register. A ballot stands
// for one base and one change (§1), so what it says stays true.
type deltas struct {
	most  int                   // bytes
	byKey map[string][]*Request // ascending by ballot
	order []keptDelta           // oldest first; what is no longer in byKey is skipped
	bytes int
}

type keptDelta struct {
	req  *Request
	size int
}

// keep takes a copy of an Accept in, and drops the oldest if there are too many.
func (d *deltas) keep(req *Request) {
	content := req.Change.Bytes()
	size := 512 + len(req.Register.Key) + content + 64*len(req.Change.Ops)
	if req.History != nil {
		size += 40 * len(req.History.Entries)
	}
	if size > d.most/4 {
		return
	}
	waiting := d.byKey[req.Register.Key]
	at, twice := slices.BinarySearchFunc(waiting, req.Ballot, byBallot)
	if twice {
		return
	}
	if d.byKey == nil {
		d.byKey = make(map[string][]*Request)
	}
	req = req.copy(content)
	d.byKey[req.Register.Key] = slices.Insert(waiting, at, req)
	d.order = append(d.order, keptDelta{req, size})
	d.bytes += size
	for d.bytes > d.most {
		oldest := d.order[0]
		d.order[0] = keptDelta{}
		d.order = d.order[1:]
		d.bytes -= oldest.size
		d.remove(oldest.req)
	}
}

// find returns the Accept of a ballot, or nil.
func (d *deltas) find(key string, b Ballot) *Request {
	waiting := d.byKey[key]
	if i, found := slices.BinarySearchFunc(waiting, b, byBallot); found {
		return waiting[i]
	}
	return nil
}

func byBallot(q *Request, b Ballot) int { return q.Ballot.Compare(b) }

// remove takes out an Accept that may have been taken out already.
func (d *deltas) remove(req *Request) {
	waiting := d.byKey[req.Register.Key]
	at, found := slices.BinarySearchFunc(waiting, req.Ballot, byBallot)
	if found && waiting[at] == req {
		d.put(req.Register.Key, without(waiting, at))
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

func (d *deltas) put(key string, waiting []*Request) {
	if len(waiting) > 0 {
		d.byKey[key] = waiting
		return
	}
	if delete(d.byKey, key); len(d.byKey) == 0 {
		d.order, d.bytes = nil, 0
	}
}

// chain returns the deltas, no more than most, that lead from one of some ballots
// to req, the first one last. It returns nil if those that are here do not.
func (d *deltas) chain(req *Request, most int, from ...Ballot) []*Request {
	lowest := slices.MinFunc(from, Ballot.Compare)
	waiting := d.byKey[req.Register.Key]
	links := []*Request{req}
	for at := req; !slices.Contains(from, at.on()); links = append(links, at) {
		i, found := slices.BinarySearchFunc(waiting, at.on(), byBallot)
		if !found || len(links) == most || waiting[i].Ballot.AtMost(lowest) {
			return nil
		}
		at = waiting[i]
	}
	return links
}

// join returns req with a chain of deltas, req the first of them, as one change
// behind another. The lineage that comes with it has as many entries as an
// acceptor would keep.
func join(req *Request, links []*Request, sum register.Sum, entries int) *Request {
	out := *req
	out.Encoded = nil
	out.History = new(Lineage)
	for i, q := range slices.Backward(links) {
		sum.Add(q.Change)
		if q.History != nil {
			out.History.Merge(q.History)
		}
		if i > 0 {
			out.History.Insert(Entry{Ballot: q.Ballot, Parent: q.Base, Blind: !q.Prepared})
		}
		if len(out.History.Entries) > 2*entries {
			out.History.trim(0, entries)
		}
	}
	out.History.trim(0, entries)
	out.Change = sum.Change()
	return &out
}

// copy returns the request with memory of its own, without what a re-delivery
// does not carry. content is at least the bytes of its change.
func (q *Request) copy(content int) *Request {
	out := *q
	out.Register.Key = strings.Clone(q.Register.Key)
	out.Next, out.Encoded = Ballot{}, nil
	if q.History != nil {
		out.History = &Lineage{Entries: slices.Clone(q.History.Entries), Cut: q.History.Cut}
	}
	room := make([]byte, 0, content)
	take := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		n := len(room)
		room = append(room, b...)
		return room[n:len(room):len(room)]
	}
	out.Change.Header.Aux = take(q.Change.Header.Aux)
	out.Change.Ops = make([]register.Op, len(q.Change.Ops))
	for i, op := range q.Change.Ops {
		op.Key, op.Value = take(op.Key), take(op.Value)
		out.Change.Ops[i] = op
	}
	return &out
}
