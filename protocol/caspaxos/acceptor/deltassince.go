package acceptor

import (
	"slices"

	"synod/protocol/caspaxos/deltalog"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// Bounds on what is sent of a delta range.
const (
	maxRange      = 1 << 16 // deltas
	maxRangeBytes = 2 << 20 // of the changes, before they are made one
)

// deltasSince returns the deltas that lead from one of req.Since to req.Ballot or, if
// that is zero, to the accepted ballot, if this acceptor voted for all of them and
// still knows them.
func (a *Acceptor) deltasSince(req *message.Request, rec *durable.Record) *message.DeltaRange {
	if len(req.Since) == 0 || rec == nil {
		return nil
	}
	to := req.Ballot
	if to.IsZero() {
		to = rec.Accepted
	}
	last := a.recentDeltas.Find(req.Register.Key, to)
	if last == nil {
		return nil
	}
	links := a.recentDeltas.Chain(last, maxRange, req.Since...)
	if links == nil && a.omit.Has(rules.Range) {
		gap := *last
		gap.On = req.Since[0]
		links = []*message.Request{&gap}
	}
	if links == nil || links[len(links)-1].AppliesTo().IsZero() {
		return nil
	}
	size := 0
	for _, q := range links {
		if size += q.Change.Bytes(); size > maxRangeBytes {
			return nil
		}
	}
	joined := deltalog.Join(last, links, register.Sum{}, a.node.limits.MaxEntries())
	if len(links) > 1 {
		joined.Change.Ops = register.Compact(slices.Clone(joined.Change.Ops)) // they may belong to a delta that is kept
	}
	joined.History.Insert(history.Entry{Ballot: to, Parent: last.Base, Blind: !last.Prepared})
	return &message.DeltaRange{On: links[len(links)-1].AppliesTo(), To: to, Change: joined.Change, Lineage: *joined.History}
}

// keepRecent keeps a delta of a large state that was just voted for. If votes were
// taken back for it, or others were voted for with it, it comes with the lineage
// known here, which those who are sent it may lack.
func (a *Acceptor) keepRecent(req *message.Request, rec *durable.Record) {
	if !req.On.IsZero() {
		known := &history.Lineage{TruncatedThrough: rec.Lineage.TruncatedThrough}
		for _, e := range rec.Lineage.Entries {
			if e.Ballot.AtMost(req.Ballot) {
				known.Entries = append(known.Entries, e)
			}
		}
		one := *req
		one.History = known
		known.Trim(0, a.node.limits.MaxEntries())
		req = &one
	}
	a.recentDeltas.Keep(req)
}
