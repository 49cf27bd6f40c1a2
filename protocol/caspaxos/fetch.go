package caspaxos

import (
	"slices"
	"time"
)

// This file is the extra reads by which a state comes that did not come along with
// the ballots: as it is large, or as its member had too much to send.

// maxFetches is how many extra reads all lanes of a proxy may have under way to one
// node; further ones wait for their turn. The node sends what they ask for when the
// connection has room, so more would only wait there.
const maxFetches = 32

// fetches are the extra reads that one node has to answer.
type fetches struct {
	count   int
	waiting []waitingFetch // oldest first; some may not be needed any more
}

type waitingFetch struct {
	reg    *reg
	id     uint64 // reg.fetchID, as long as it waits for this
	member int
}

// void reports whether nobody waits for it any more.
func (w *waitingFetch) void() bool { return w.reg.fetchID != w.id || w.reg.parts.begun() }

// fetchesOf returns the extra reads of a node.
func (p *Proposer) fetchesOf(node NodeID) *fetches {
	for len(p.fetches) <= int(node) {
		p.fetches = append(p.fetches, new(fetches))
	}
	return p.fetches[node]
}

// hear notes that something came from a node.
func (p *Proposer) hear(node NodeID) {
	p.grow(node)
	p.heard[node] = p.now.Mono
	delete(p.tardy, node)
}

// grow makes room for what is known of a node.
func (p *Proposer) grow(node NodeID) {
	for len(p.heard) <= int(node) {
		p.heard, p.owes = append(p.heard, 0), append(p.owes, 0)
	}
}

// silent reports whether nothing has come from a node for long, though it was asked.
func (p *Proposer) silent(node NodeID) bool {
	return !p.speaks(node, p.owes[node], hedgeSilent*p.Timing.Hedge)
}

// speaks reports whether something has come from a node within the last d, which
// was asked at some time. Such a node is there, what it has not answered is on its
// way.
func (p *Proposer) speaks(node NodeID, asked Mono, d time.Duration) bool {
	if int(node) < len(p.heard) {
		asked = max(asked, p.heard[node])
	}
	return time.Duration(p.now.Mono-asked) < d
}

// fetch reads r.proj from one of the members at r.base. The state counts only
// if it is still at that ballot (§3).
func (p *Proposer) fetch(r *reg) {
	p.endFetch(r)
	r.fetchID = p.newID(r, nil)
	r.parts = parts{}
	if !p.fetchNext(r) {
		p.fetchFailed(r)
	}
}

// endFetch ends an extra read, if there is one.
func (p *Proposer) endFetch(r *reg) {
	if r.fetchID == 0 {
		return
	}
	p.drop(&r.fetchID)
	at := r.fetchAt
	r.fetchAt, r.fetchTried = 0, 0
	for i, node := range r.cfg.nodes {
		if at.Has(i) {
			p.fetchEnded(node)
		}
	}
}

// fetchEnded notes that one extra read less is under way to a node: the next one
// has its turn.
func (p *Proposer) fetchEnded(node NodeID) {
	f := p.fetchesOf(node)
	f.count--
	for len(f.waiting) > 0 && f.count < p.fetchesEach() {
		next := f.waiting[0]
		f.waiting[0] = waitingFetch{}
		f.waiting = f.waiting[1:]
		if !next.void() {
			p.sendFetch(next.reg, next.member)
		}
	}
}

// fetchesEach is this lane's share of maxFetches.
func (p *Proposer) fetchesEach() int { return max(maxFetches/int(p.Lanes), 2) }

// fetchNext asks the next of the members at r.base, if there is one. The first
// that answers is listened to.
func (p *Proposer) fetchNext(r *reg) bool {
	left := r.at &^ (r.lost | r.fetchTried)
	for _, i := range p.Env.Prefer(r.cfg, r.id.Slot) {
		if !left.Has(i) {
			continue
		}
		r.fetchTried = r.fetchTried.With(i)
		f := p.fetchesOf(r.cfg.nodes[i])
		if f.count < p.fetchesEach() {
			p.sendFetch(r, i)
			return true
		}
		if len(f.waiting) == cap(f.waiting) {
			f.waiting = slices.DeleteFunc(f.waiting, func(w waitingFetch) bool { return w.void() })
		}
		f.waiting = append(f.waiting, waitingFetch{reg: r, id: r.fetchID, member: i})
		r.fetchBegan = p.now.Mono
		p.arm(r, p.fetchPause(r))
		return true
	}
	return false
}

func (p *Proposer) sendFetch(r *reg, i int) {
	p.Stats.Fetches.Add(1)
	p.fetchesOf(r.cfg.nodes[i]).count++
	r.fetchAt = r.fetchAt.With(i)
	r.fetchBegan = p.now.Mono
	p.send(r, i, &Request{ID: r.fetchID, Kind: KindRead, Register: r.id, Epoch: r.cfg.Epoch,
		WantState: true, WantLarge: true, Projection: r.proj})
	p.arm(r, p.fetchPause(r))
}

// fetchLate is called when an extra read has not been answered for some time, or
// not gone on. Another member is asked when nothing comes any more from those that
// were, which otherwise have much to send.
func (p *Proposer) fetchLate(r *reg) {
	pause := p.fetchPause(r)
	spoken := false
	for i, node := range r.cfg.nodes {
		spoken = spoken || r.fetchTried.Has(i) && !r.lost.Has(i) && p.speaks(node, r.fetchBegan, pause)
	}
	late := r.fetchAt != 0 && time.Duration(p.now.Mono-r.fetchBegan) >= p.fetchPatience(r)
	switch {
	case spoken && !late:
		p.arm(r, pause)
	case !r.parts.begun() && p.fetchNext(r):
	case late, pause < p.Timing.Retry && p.goneQuiet(r):
		p.fetchFailed(r)
	default:
		p.arm(r, pause)
	}
}

// goneQuiet reports whether none of the members that are to send a small state
// answers any more, and others are enough to do without.
func (p *Proposer) goneQuiet(r *reg) bool {
	answering := p.answering(r.cfg)
	return r.fetchAt&answering == 0 && r.cfg.IsQuorum(answering)
}

// fetchFailed starts over: somebody else has moved the register on, or the
// members that were asked are gone.
func (p *Proposer) fetchFailed(r *reg) {
	carried := r.phase == fetching && r.kind == carriedOn
	p.abandon(r)
	if carried {
		p.startPrepare(r) // the promise is lost; nobody has been in our way yet
		return
	}
	p.pause(r)
}

// fetchPatience is how long an extra read, or its next part, may take: as long
// as the command, if it may be large or a member that was asked for the state
// has shown that it is, or that it has much to send.
func (p *Proposer) fetchPatience(r *reg) time.Duration {
	if r.proj.Unbounded() || r.parts.begun() {
		return p.Limits.Command
	}
	for i := range r.replies {
		if r.asksState.Has(i) && r.replied.Has(i) && !r.replies[i].HasState {
			return p.Limits.Command
		}
	}
	return p.Timing.Retry
}

// fetchPause is how long an extra read waits until it looks whether the members
// that it went to are there.
func (p *Proposer) fetchPause(r *reg) time.Duration {
	if p.fetchPatience(r) > p.Timing.Retry {
		return p.Timing.Retry
	}
	return p.Timing.Hedge
}

// onFetch takes the state that an extra read brought.
func (p *Proposer) onFetch(r *reg, i int, reply *Reply) {
	if !r.fetchAt.Has(i) || r.parts.begun() && i != r.fetchFrom {
		return // it is not counted on any more, or another member was faster
	}
	if reply.Outcome != Told {
		p.fetchRefused(r, i)
		return
	}
	if moved := reply.Accepted != r.base && !p.Omit.has(RuleFetch); moved || !reply.HasState {
		p.fetchFailed(r)
		return
	}
	r.fetchFrom, r.fetchBegan = i, p.now.Mono
	if !r.parts.add(reply) {
		p.arm(r, p.fetchPause(r))
		p.knownLarge(r, &reply.View.Header)
		return
	}
	p.endFetch(r)
	if r.have {
		r.view = r.parts.take(r.view)
	} else {
		r.view, r.have = r.parts.take(), true
	}
	if !r.view.Covers(r.proj) {
		p.fetchFailed(r) // parts of two answers, which did not divide the state alike
		return
	}
	if r.phase == reading {
		p.answerReads(r)
		return
	}
	p.execute(r)
}

// fetchRefused goes on without a member that does not answer an extra read.
func (p *Proposer) fetchRefused(r *reg, i int) {
	r.lost = r.lost.With(i)
	if r.fetchAt.Has(i) {
		r.fetchAt &^= 1 << i
		p.fetchEnded(r.cfg.nodes[i])
	}
	switch {
	case r.parts.begun():
		p.fetch(r)
	case r.fetchTried&^r.lost == 0 && !p.fetchNext(r):
		p.fetchFailed(r)
	}
}
