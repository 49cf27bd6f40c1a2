package proposer

import (
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/progress"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
)

// This file is the extra reads that fetch a state which did not come with the ballots,
// because it is large or because its member had too much to send.

// maxFetches bounds the extra reads that all lanes of a proxy have under way to one
// node; others wait for their turn. The node sends what they ask for as fast as the
// connection takes it, so more would only wait there.
const maxFetches = 32

// waitingFetch is an extra read that waits for its turn.
type waitingFetch struct {
	instance *instance
	id       uint64 // the instance's FetchID, as long as it waits for this read
	member   int
}

// void reports whether nobody waits for it any more.
func (w waitingFetch) void() bool { return w.instance.FetchID != w.id || w.instance.Chunks.Begun() }

// fetchesOf returns the extra reads of a node.
func (p *Proposer) fetchesOf(node quorum.NodeID) *progress.FetchQueue[waitingFetch] {
	for len(p.fetches) <= int(node) {
		p.fetches = append(p.fetches, new(progress.FetchQueue[waitingFetch]))
	}
	return p.fetches[node]
}

// silent reports whether nothing has come from a node for long, though it was asked.
func (p *Proposer) silent(node quorum.NodeID) bool {
	return p.nodes.Silent(node, p.now.Mono, hedgeSilent*p.Timing.Hedge)
}

// fetch reads r.Projection from one of the members at r.Base. The state counts only
// if it is still at that ballot (§3).
func (p *Proposer) fetch(r *instance) {
	p.endFetch(r)
	r.FetchID = p.newID(r, nil)
	r.Chunks = message.ChunkBuffer{}
	if !p.fetchNext(r) {
		p.fetchFailed(r)
	}
}

// endFetch ends an extra read, if there is one.
func (p *Proposer) endFetch(r *instance) {
	if r.FetchID == 0 {
		return
	}
	p.drop(&r.FetchID)
	at := r.FetchAt
	r.FetchAt, r.FetchTried = 0, 0
	for i, node := range r.Config.Nodes() {
		if at.Has(i) {
			p.fetchEnded(node)
		}
	}
}

// fetchEnded notes that an extra read to a node has ended: the next one may start.
func (p *Proposer) fetchEnded(node quorum.NodeID) {
	f := p.fetchesOf(node)
	f.Ended()
	for next, ok := f.Next(p.fetchesEach()); ok; next, ok = f.Next(p.fetchesEach()) {
		if !next.void() {
			p.sendFetch(next.instance, next.member)
		}
	}
}

// fetchesEach is this lane's share of maxFetches.
func (p *Proposer) fetchesEach() int { return max(maxFetches/int(p.Lanes), 2) }

// fetchNext asks the next of the members at r.Base, if there is one. The first that
// answers counts.
func (p *Proposer) fetchNext(r *instance) bool {
	left := r.At &^ (r.Lost | r.FetchTried)
	for _, i := range p.Env.Prefer(r.Config, r.id.Slot) {
		if !left.Has(i) {
			continue
		}
		r.FetchTried = r.FetchTried.With(i)
		f := p.fetchesOf(r.Config.Nodes()[i])
		if !f.Full(p.fetchesEach()) {
			p.sendFetch(r, i)
			return true
		}
		f.Wait(waitingFetch{instance: r, id: r.FetchID, member: i}, waitingFetch.void)
		r.FetchBegan = p.now.Mono
		p.arm(r, p.fetchPause(r))
		return true
	}
	return false
}

func (p *Proposer) sendFetch(r *instance, i int) {
	p.Stats.Fetches.Add(1)
	p.fetchesOf(r.Config.Nodes()[i]).Sent()
	r.FetchAt = r.FetchAt.With(i)
	r.FetchBegan = p.now.Mono
	p.send(r, i, &message.Request{ID: r.FetchID, Kind: message.KindRead, Register: r.id, Epoch: r.Config.Epoch,
		WantState: true, WantLarge: true, Projection: r.Projection})
	p.arm(r, p.fetchPause(r))
}

// fetchLate is called when an extra read got no answer for some time, or made no
// progress. Another member is asked when nothing comes any more from those that were
// asked; they may just have much to send.
func (p *Proposer) fetchLate(r *instance) {
	pause := p.fetchPause(r)
	spoken := false
	for i, node := range r.Config.Nodes() {
		spoken = spoken || r.FetchTried.Has(i) && !r.Lost.Has(i) && p.nodes.Speaks(node, r.FetchBegan, p.now.Mono, pause)
	}
	late := r.FetchAt != 0 && time.Duration(p.now.Mono-r.FetchBegan) >= p.fetchPatience(r)
	switch {
	case spoken && !late:
		p.arm(r, pause)
	case !r.Chunks.Begun() && p.fetchNext(r):
	case late, pause < p.Timing.Retry && p.goneQuiet(r):
		p.fetchFailed(r)
	default:
		p.arm(r, pause)
	}
}

// goneQuiet reports whether no member that is to send a small state answers any more,
// while enough others do.
func (p *Proposer) goneQuiet(r *instance) bool {
	answering := p.answering(r.Config)
	return r.FetchAt&answering == 0 && r.Config.IsQuorum(answering)
}

// fetchFailed starts over: another proposer has changed the register, or the members
// that were asked are gone.
func (p *Proposer) fetchFailed(r *instance) {
	carried := r.Phase == round.Fetching && r.Kind == round.Piggybacked
	p.abandon(r)
	if carried {
		p.startPrepare(r) // the promise is lost; nobody has been in our way yet
		return
	}
	p.pause(r)
}

// fetchPatience is how long an extra read, or its next chunk, may take. It is as long
// as the command if the state may be large, or if a member that was asked for it has
// shown that it is, or that it has much to send.
func (p *Proposer) fetchPatience(r *instance) time.Duration {
	if r.Projection.Unbounded() || r.Chunks.Begun() {
		return p.Limits.Command
	}
	for i := range r.Replies {
		if r.AsksState.Has(i) && r.Replied.Has(i) && !r.Replies[i].HasState {
			return p.Limits.Command
		}
	}
	return p.Timing.Retry
}

// fetchPause is how long an extra read waits before it checks that its members are
// there.
func (p *Proposer) fetchPause(r *instance) time.Duration {
	if p.fetchPatience(r) > p.Timing.Retry {
		return p.Timing.Retry
	}
	return p.Timing.Hedge
}

// onFetch takes the state that an extra read brought.
func (p *Proposer) onFetch(r *instance, i int, reply *message.Reply) {
	if !r.FetchAt.Has(i) || r.Chunks.Begun() && i != r.FetchFrom {
		return // it no longer counts, or another member was faster
	}
	if reply.Outcome != message.ReadOK {
		p.fetchRefused(r, i)
		return
	}
	if moved := reply.Accepted != r.Base && !p.Omit.Has(rules.Fetch); moved || !reply.HasState {
		p.fetchFailed(r)
		return
	}
	r.FetchFrom, r.FetchBegan = i, p.now.Mono
	if !r.Chunks.Add(reply) {
		p.arm(r, p.fetchPause(r))
		p.knownLarge(r, &reply.View.Header)
		return
	}
	p.endFetch(r)
	if r.HasView {
		r.View = r.Chunks.Take(r.View)
	} else {
		r.View, r.HasView = r.Chunks.Take(), true
	}
	if !r.View.Covers(r.Projection) {
		p.fetchFailed(r) // chunks of two answers, which divided the state differently
		return
	}
	if r.Phase == round.Reading {
		p.answerReads(r)
		return
	}
	p.execute(r)
}

// fetchRefused continues without a member that does not answer an extra read.
func (p *Proposer) fetchRefused(r *instance, i int) {
	r.Lost = r.Lost.With(i)
	if r.FetchAt.Has(i) {
		r.FetchAt &^= 1 << i
		p.fetchEnded(r.Config.Nodes()[i])
	}
	switch {
	case r.Chunks.Begun():
		p.fetch(r)
	case r.FetchTried&^r.Lost == 0 && !p.fetchNext(r):
		p.fetchFailed(r)
	}
}
