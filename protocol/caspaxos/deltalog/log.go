// Package deltalog keeps deltas that an acceptor has seen: those that wait for their
// base, those that it voted for lately, and how votes can be taken back. With these
// it finds a path from the state that the acceptor has to the one that a delta needs.
package deltalog

import (
	"slices"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// Log is a bounded memory of Accepts with deltas, by register. A ballot stands for
// one base and one change (§1), so an entry never becomes wrong.
type Log struct {
	most  int                           // bytes
	byKey map[string][]*message.Request // ascending by ballot
	order []keptDelta                   // oldest first; what is no longer in byKey is skipped
	bytes int
}

// NewLog returns an empty log that takes up to most bytes of memory.
func NewLog(most int) Log { return Log{most: most} }

// Empty reports whether nothing is kept.
func (d *Log) Empty() bool { return len(d.byKey) == 0 }

// Holds reports whether something is kept of a register.
func (d *Log) Holds(key string) bool { return len(d.byKey[key]) > 0 }

type keptDelta struct {
	req  *message.Request
	size int
}

// Keep takes in a copy of an Accept, and drops the oldest if they take too much
// memory.
func (d *Log) Keep(req *message.Request) {
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
		d.byKey = make(map[string][]*message.Request)
	}
	req = req.Clone(content)
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

// Find returns the Accept of a ballot, or nil.
func (d *Log) Find(key string, b ballot.Ballot) *message.Request {
	waiting := d.byKey[key]
	if i, found := slices.BinarySearchFunc(waiting, b, byBallot); found {
		return waiting[i]
	}
	return nil
}

func byBallot(q *message.Request, b ballot.Ballot) int { return q.Ballot.Compare(b) }

// remove takes out an Accept, unless it has been taken out already.
func (d *Log) remove(req *message.Request) {
	waiting := d.byKey[req.Register.Key]
	at, found := slices.BinarySearchFunc(waiting, req.Ballot, byBallot)
	if found && waiting[at] == req {
		d.put(req.Register.Key, without(waiting, at))
	}
}

// without is slices.Delete, but moves the shorter side of a list that may be long:
// most Accepts are taken out near its beginning.
func without(list []*message.Request, at int) []*message.Request {
	if at > len(list)/2 {
		return slices.Delete(list, at, at+1)
	}
	copy(list[1:at+1], list[:at])
	list[0] = nil
	return list[1:]
}

func (d *Log) put(key string, waiting []*message.Request) {
	if len(waiting) > 0 {
		d.byKey[key] = waiting
		return
	}
	if delete(d.byKey, key); len(d.byKey) == 0 {
		d.order, d.bytes = nil, 0
	}
}

// Chain returns the deltas, no more than most, that lead from one of some ballots to
// req, the first one last. It returns nil if they are not all here.
func (d *Log) Chain(req *message.Request, most int, from ...ballot.Ballot) []*message.Request {
	lowest := slices.MinFunc(from, ballot.Ballot.Compare)
	waiting := d.byKey[req.Register.Key]
	links := []*message.Request{req}
	for at := req; !slices.Contains(from, at.AppliesTo()); links = append(links, at) {
		i, found := slices.BinarySearchFunc(waiting, at.AppliesTo(), byBallot)
		if !found || len(links) == most || waiting[i].Ballot.AtMost(lowest) {
			return nil
		}
		at = waiting[i]
	}
	return links
}

// Join returns req with the change of a whole chain of deltas, of which it is the
// last. sum has the changes before these. The lineage has as many entries as an
// acceptor would keep.
func Join(req *message.Request, links []*message.Request, sum register.Sum, entries int) *message.Request {
	out := *req
	out.Encoded = nil
	out.History = new(history.Lineage)
	for i, q := range slices.Backward(links) {
		sum.Add(q.Change)
		if q.History != nil {
			out.History.Merge(q.History)
		}
		if i > 0 {
			out.History.Insert(history.Entry{Ballot: q.Ballot, Parent: q.Base, Blind: !q.Prepared})
		}
		if len(out.History.Entries) > 2*entries {
			out.History.Trim(0, entries)
		}
	}
	out.History.Trim(0, entries)
	out.Change = sum.Change()
	return &out
}
