package caspaxos

import "synod/protocol/register"

// Bounds on what is sent of a way.
const (
	maxWay      = 1 << 16   // deltas
	maxWayBytes = PageBytes // of the change that they are together
)

// Way is what leads from one state of a register to a later one: the deltas of
// the rounds in between as one change, with the lineage of these rounds. Who has
// missed them is brought up by it, by an Accept of the last one, as by the Accepts
// themselves had they come late (§3 "the delta from a peer's changelog").
type Way struct {
	On      Ballot // where it begins
	Change  register.Change
	Lineage Lineage
}

// lead returns a way from one of req.Since to req.Ballot, if this acceptor voted
// for all that lies between and still knows it.
func (a *Acceptor) lead(req *Request) *Way {
	if len(req.Since) == 0 {
		return nil
	}
	last := a.past.find(req.Register.Key, req.Ballot)
	if last == nil {
		return nil
	}
	links := a.past.chain(last, maxWay, req.Since...)
	if links == nil || links[len(links)-1].on().IsZero() {
		return nil
	}
	joined := join(last, links, register.NewDraft(register.View{}), a.node.limits.entries())
	if joined.Change.Bytes() > maxWayBytes {
		return nil
	}
	return &Way{On: links[len(links)-1].on(), Change: joined.Change, Lineage: *joined.History}
}
