package deltalog

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
)

// PathTo finds the way from the accepted state to the state after a delta. back are
// changes that take votes back which the others did not carry on; links are the
// buffered deltas to apply after that, the first one last, req among them. links is
// nil if there is no way.
func PathTo(buffer *Buffer, undo *UndoLog, req *message.Request, accepted ballot.Ballot) (back []register.Change, links []*message.Request) {
	key := req.Register.Key
	for from := accepted; ; {
		if links = buffer.Chain(req, maxChain, from); links != nil {
			return back, links
		}
		x, ok := undo.Find(key, from)
		if !ok {
			return nil, nil
		}
		back = append(back, x.Change)
		from = x.From
	}
}

// FastForward makes one change, on the accepted state, of the path to a delta and
// the delta itself. It returns nil if there is no path. entries bounds the lineage
// that comes with it.
//
// A ballot stands for one base and one change (§1), and equal base and equal delta
// give equal states (§3). So the state at the base is known here without a vote for
// it. The vote is for the delta's ballot alone, with the lineage that leads to it,
// as if the full state had come (§3 "one door").
func FastForward(buffer *Buffer, undo *UndoLog, req *message.Request, accepted ballot.Ballot, entries int) *message.Request {
	back, links := PathTo(buffer, undo, req, accepted)
	if links == nil {
		return nil
	}
	var sum register.Sum
	for _, change := range back {
		sum.Add(change)
	}
	out := Join(req, links, sum, entries)
	out.On = accepted
	return out
}
