package proposer

import (
	"time"

	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/progress"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// maxRepairs bounds the repairs that a lane has under way.
const maxRepairs = 64

// repair is a progress.Repair and the round that waits for it.
type repair struct {
	progress.Repair
	instance *instance // whose round waits for the target's Ack, while it does
	try      *history.Try
}

// tryRepair is called while the round still waits: the target said Stale. It returns
// false if nothing is done for it now.
func (p *Proposer) tryRepair(r *instance, target int) bool {
	others := (r.Try.Acks | p.answering(r.Config)) &^ (r.Lost | r.AwaitsState | r.Repairing | 1<<target)
	rep := &repair{instance: r, try: r.Try, Repair: progress.Repair{Config: r.Config, Target: target, Accept: r.NewAccept(r.id),
		Needed: !r.Config.IsQuorum(others) || r.Waited.Has(target)}}
	rep.Accept.Needed = rep.Needed && r.AddsNothing()
	if r.View.Whole() && r.View.Bytes() <= smallState {
		rep.Accept.Change, rep.Accept.History = r.View.Full(), r.StateLineage(p.Omit)
		if !p.admitRepair(rep) {
			return false
		}
		p.sendRepair(rep)
		return true
	}
	if r.Try.Acks == 0 {
		r.Repairing &^= 1 << target // nobody has the state yet: retried at the first Ack
		r.AwaitsState = r.AwaitsState.With(target)
		p.refusedBy(r, target)
		return true
	}
	want := p.progress.Behind(rep.Key(), p.now.Mono, p.Timing.Lag, progress.TransferTime(&r.View.Header))
	if rep.Needed {
		want = progress.Snapshot
	}
	if want == progress.Probe || p.nodes.Short(r.Config.Nodes()[target]) && !rep.Needed {
		p.deferRepair(r, target)
		return false
	}
	if old := p.repairing[rep.Key()]; old != nil && old.instance == nil && old.Accept.Ballot == r.Ballot {
		old.instance, old.try, old.Needed = r, r.Try, rep.Needed // it is on its way
		return true
	}
	rep.Acks, rep.Since, rep.Snapshot = r.Try.Acks, progress.StatesOf(&r.Replies[target]), want == progress.Snapshot
	if !p.fetchRepair(rep) {
		if !rep.Needed {
			p.deferRepair(r, target)
		}
		return false
	}
	return true
}

// deferRepair leaves a member behind for now, because the round does not seem to need
// it.
func (p *Proposer) deferRepair(r *instance, target int) {
	r.Deferred = r.Deferred.With(target)
	p.arm(r, p.Timing.Lag)
}

// retryDeferred is called while the round continues to wait: the members that were
// deferred, because the others seemed to be enough, have been behind for long enough
// by now.
func (p *Proposer) retryDeferred(r *instance) {
	for i := range r.Config.Nodes() {
		if r.Deferred.Has(i) && !r.Try.Acks.Has(i) {
			r.Deferred, r.Lost, r.Repairing = r.Deferred&^(1<<i), r.Lost&^(1<<i), r.Repairing&^(1<<i)
			r.Waited = r.Waited.With(i)
			p.startRepair(r, i)
		}
	}
}

// keepForRepair remembers a round that was chosen by a delta.
func (p *Proposer) keepForRepair(r *instance) {
	if r.Change.Kind == register.Full {
		return
	}
	if p.recent == nil {
		p.recent = new(progress.RecentRounds)
	}
	e := p.recent.At(r.RequestID)
	e.ID, e.Config, e.Accept, e.Acks, e.Header = r.RequestID, r.Config, r.NewAccept(r.id), r.Try.Acks, r.View.Header
}

// lateReply looks at a reply to a round that has ended.
func (p *Proposer) lateReply(from quorum.NodeID, reply *message.Reply) {
	p.promiseTells(from, reply)
	if (reply.Outcome != message.StaleBase && reply.Outcome != message.Acked) || p.recent == nil {
		return
	}
	e := p.recent.At(reply.ID)
	if e.ID != reply.ID || p.Env.Config(e.Accept.Register.Slot) != e.Config {
		return
	}
	target := e.Config.Index(from)
	if target < 0 {
		return
	}
	rep := &repair{Repair: progress.Repair{Config: e.Config, Target: target, Accept: e.Accept, Acks: e.Acks, Since: progress.StatesOf(reply)}}
	if reply.Outcome == message.Acked {
		p.progress.CaughtUp(rep.Key())
		return
	}
	if want := p.progress.Behind(rep.Key(), p.now.Mono, p.Timing.Lag, progress.TransferTime(&e.Header)); want != progress.Probe && !p.nodes.Short(from) {
		rep.Snapshot = want == progress.Snapshot
		p.fetchRepair(rep)
	}
}

// fetchRepair begins a repair by reading from the members that have acked. It returns
// false if too many repairs are under way.
func (p *Proposer) fetchRepair(rep *repair) bool {
	rep.Left = rep.Acks
	return rep.Acks != 0 && p.admitRepair(rep) && p.fetchState(rep)
}

// fetchState asks the next member for the deltas or the state. It returns false if
// there is nobody to ask.
func (p *Proposer) fetchState(rep *repair) bool {
	if !rep.Choose(p.Env.Prefer(rep.Config, rep.Accept.Register.Slot)) {
		return false
	}
	p.sendFor(rep, rep.Asked, rep.Fetch(p.newID(nil, rep), p.now.Mono))
	return true
}

func (p *Proposer) sendFor(rep *repair, to int, req *message.Request) {
	p.out = append(p.out, message.Sent{To: rep.Config.Nodes()[to], Request: req})
}

// admitRepair admits a repair. A repair of the same member that is under way
// continues while it makes progress, even to an earlier ballot, unless a round cannot
// be chosen without the later one. If each round began anew, a large state would
// never arrive, and the member buffers later deltas meanwhile (see deltalog.Buffer).
// Repairs that nobody answers are forgotten after about the longest time of a
// command.
func (p *Proposer) admitRepair(rep *repair) bool {
	if p.repairing == nil {
		p.repairing = make(map[progress.Key]*repair)
	}
	key := rep.Key()
	switch old := p.repairing[key]; {
	case old == nil && len(p.repairing) >= maxRepairs:
		return false
	case old != nil && (rep.Accept.Ballot.AtMost(old.Accept.Ballot) || !(rep.Needed || old.Stalled(p.now.Mono, p.Timing.Retry))):
		return false
	case old != nil:
		p.endRepair(old)
	}
	rep.Began = p.now.Mono
	p.repairing[key] = rep
	if p.sweepAt == 0 {
		p.sweepAt = p.now.Mono + instant.Mono(p.Limits.Command)
	}
	return true
}

// sweep forgets the repairs that nobody answered.
func (p *Proposer) sweep() {
	for _, old := range p.repairing {
		if time.Duration(p.now.Mono-old.Began) >= p.Limits.Command {
			p.endRepair(old)
		}
	}
	p.sweepAt = 0
	if len(p.repairing) > 0 {
		p.sweepAt = p.now.Mono + instant.Mono(p.Limits.Command)
	}
}

// repairAdvances reports whether the round waits for a repair that makes progress.
func (p *Proposer) repairAdvances(r *instance) bool {
	for i, node := range r.Config.Nodes() {
		if !r.Repairing.Has(i) || r.Lost.Has(i) {
			continue
		}
		if rep := p.repairing[progress.Key{Register: r.id.Key, Node: node}]; rep != nil && rep.try == r.Try && !rep.Stalled(p.now.Mono, p.Timing.Retry) {
			return true
		}
	}
	return false
}

func (p *Proposer) endRepair(rep *repair) {
	delete(p.inflight, rep.ID)
	if key := rep.Key(); p.repairing[key] == rep {
		delete(p.repairing, key)
	}
}

func (p *Proposer) sendRepair(rep *repair) {
	if rep.Sends() {
		p.Stats.Snapshots.Add(1)
	} else {
		p.Stats.DeltaRanges.Add(1)
	}
	p.sendFor(rep, rep.Target, rep.Redeliver(p.newID(nil, rep), p.now.Mono))
}

// onRepair continues a repair. Any failure ends it: the next round will find the
// member behind again.
func (p *Proposer) onRepair(rep *repair, from quorum.NodeID, reply *message.Reply) {
	told := reply.Outcome == message.ReadOK && reply.HasState && !reply.Accepted.Less(rep.Accept.Ballot)
	if told && rep.Chunks.Begun() && reply.Accepted != rep.StateAt {
		return // a chunk of another answer to the same request
	}
	rep.StateAt = reply.Accepted
	if told && !rep.Chunks.Add(reply) {
		rep.Began = p.now.Mono // progress
		return
	}
	delete(p.inflight, rep.ID)
	var state register.View
	if told {
		state = rep.Chunks.Take()
	}
	news := rep.TailAsked && rep.Asked != rep.Target
	if news {
		rep.AppendTail(reply)
	}
	if news || rep.Fill(reply, state) {
		if p.Env.Config(rep.Accept.Register.Slot) == rep.Config || p.Omit.Has(rules.RoundEpoch) {
			if reply.Chunk > 0 && !news {
				p.sendFor(rep, rep.Asked, rep.FetchTail(p.newID(nil, rep), p.now.Mono))
			} else {
				p.sendRepair(rep)
			}
			return
		}
		// Nothing is sent again under another epoch with its old ballot (§4).
	}
	if p.retryRepair(rep, reply) {
		return
	}
	p.endRepair(rep)
	p.progress.RepairDone(rep.Key(), p.now.Mono, rep.Began, p.Timing.Lag, reply.Outcome == message.Acked, rep.Sends())
	r := rep.instance
	if r == nil || r.Phase != round.Accepting || r.Try != rep.try || r.Try == nil {
		return
	}
	if reply.Outcome == message.Acked && rep.Accept.Ballot == r.Ballot {
		reply.Granted = false
		p.onAck(r, rep.Target, reply)
		return
	}
	forLater := !rep.Snapshot && !rep.Sends()
	if forLater || reply.Outcome == message.DiskFull && !rep.Accept.Needed && r.AddsNothing() {
		p.deferRepair(r, rep.Target)
	}
	r.Missed(rep.Target)
	if !r.Deferred.Has(rep.Target) {
		p.refusedBy(r, rep.Target) // usually others have changed the register
	}
	p.checkLost(r)
}

// retryRepair asks another member if one was asked in vain, or asks for the whole
// state if the target could not be brought up from the states it had. It returns
// false if there is nothing left to ask for.
func (p *Proposer) retryRepair(rep *repair, reply *message.Reply) bool {
	a := &rep.Accept
	switch {
	case p.Env.Config(a.Register.Slot) != rep.Config:
		return false
	case rep.Asked != rep.Target:
		return p.fetchState(rep)
	case reply.Outcome == message.StaleBase && rep.Snapshot && !a.On.IsZero():
		rep.WithoutDeltas()
		return p.fetchState(rep)
	}
	return false
}
