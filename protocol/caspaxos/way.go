package caspaxos

import (
	"slices"

	"synod/protocol/register"
)

// Bounds on what is sent of a way.
const (
	maxWay      = 1 << 16 // deltas
	maxWayBytes = 2 << 20 // of the changes, before they are made one
)

// Way is what leads from one state of a register to a later one: the deltas of
// the rounds in between as one change, with the lineage of these rounds. Who has
// missed them is brought up by it, by an Accept of the last one, as by the Accepts
// themselves had they come late (§3 "the delta from a peer's changelog").
type Way struct {
	On, To  Ballot // where it begins, and where it leads
	Change  register.Change
	Lineage Lineage
}

// lead returns a way from one of req.Since to req.Ballot or, if that is zero, to
// what this acceptor is at, if it voted for all that lies between and still knows
// it.
func (a *Acceptor) lead(req *Request, rec *Record) *Way {
	if len(req.Since) == 0 || rec == nil {
		return nil
	}
	to := req.Ballot
	if to.IsZero() {
		to = rec.Accepted
	}
	last := a.past.find(req.Register.Key, to)
	if last == nil {
		return nil
	}
	links := a.past.chain(last, maxWay, req.Since...)
	if links == nil || links[len(links)-1].on().IsZero() {
		return nil
	}
	size := 0
	for _, q := range links {
		if size += q.Change.Bytes(); size > maxWayBytes {
			return nil
		}
	}
	joined := join(last, links, register.Sum{}, a.node.limits.entries())
	if len(links) > 1 {
		joined.Change.Ops = register.Compact(slices.Clone(joined.Change.Ops)) // they may be those of one that is kept
	}
	joined.History.Insert(Entry{Ballot: to, Parent: last.Base, Blind: !last.Prepared})
	return &Way{On: links[len(links)-1].on(), To: to, Change: joined.Change, Lineage: *joined.History}
}

// remember keeps a delta that was just voted for, of a large state. If the state
// was taken back for it, or others were voted for with it, it comes with what is
// known here of what led to it, as those who are sent it may not know.
func (a *Acceptor) remember(req *Request, rec *Record) {
	if !req.On.IsZero() {
		known := &Lineage{Cut: rec.Lineage.Cut}
		for _, e := range rec.Lineage.Entries {
			if e.Ballot.AtMost(req.Ballot) {
				known.Entries = append(known.Entries, e)
			}
		}
		one := *req
		one.History = known
		known.trim(0, a.node.limits.entries())
		req = &one
	}
	a.past.keep(req)
}

// askNews asks for what has happened since a large state was read: that may have
// taken long, and the target may have promised more meanwhile.
func (p *Proposer) askNews(rep *repair) {
	rep.ready, rep.began = true, p.now.Mono
	rep.id = p.newID(nil, rep)
	p.out = append(p.out, Sent{To: rep.cfg.nodes[rep.asked], Request: &Request{ID: rep.id, Kind: KindRead,
		Register: rep.accept.Register, Epoch: rep.cfg.Epoch, Since: []Ballot{rep.accept.Ballot}}})
}

// top adds what has happened since to the state, if the member knows it.
func (rep *repair) top(reply *Reply) {
	a, way := &rep.accept, reply.Way
	if reply.Outcome != Led || a.History == nil || way.On != a.Ballot {
		return
	}
	e, ok := way.Lineage.Find(way.To)
	if !ok || e.Blind {
		return
	}
	a.Ballot, a.Base = e.Ballot, e.Parent
	a.History.Merge(&way.Lineage)
	if way.Change.Kind == register.Delta {
		a.Change.Header = way.Change.Header
		a.Change.Ops = slices.Concat(a.Change.Ops, way.Change.Ops)
	}
}
