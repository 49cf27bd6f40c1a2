// Package proposer is the half of the protocol that runs commands (§4, §5): a state
// machine that is given commands, answers and the time, and returns messages to send.
package proposer

import (
	"slices"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/counters"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/lru"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/progress"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/round"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/caspaxos/timer"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// Bounds on what one lane's proposer keeps.
const (
	maxQueued       = 1 << 14  // commands waiting on one register
	maxPending      = 1 << 18  // commands in the lane
	maxBatch        = 1024     // commands combined in one round
	maxBatchSize    = 4 << 20  // bytes of change after which a round takes no more commands
	smallState      = 16 << 10 // bytes up to which a state is sent whole rather than pulled
	piggybackedView = 16 << 10 // bytes of a state that are remembered with a piggybacked promise
)

// Proposer runs commands on the registers of one lane of a proxy (§4, §5).
//
// Its driver calls Submit, Deliver and Tick from one goroutine, with the time at
// which it does so, and after each call (or a batch of them) takes what is to be sent
// by Take. Every request taken is answered by Deliver exactly once or never. A driver
// that knows that a node cannot be reached delivers Unreachable, or Unsent if it
// knows that nothing was sent.
type Proposer struct {
	Options
	now instant.Now

	instances map[string]*instance
	inflight  map[uint64]inflight
	lastID    uint64
	out       []message.Sent
	timers    timer.Heap[*instance] // when instances want to be looked at
	cache     lru.List[*instance]   // idle instances that are remembered
	free      []*instance
	pending   int

	nodes   progress.Nodes
	fetches []*progress.FetchQueue[waitingFetch] // by NodeID

	hedges progress.Hedges

	recent    *progress.RecentRounds
	repairing map[progress.Key]*repair
	progress  progress.Tracker
	detached  int               // reads that have left their registers
	parked    []*Command        // in doubt, until a member answers that knows more
	parkedOf  map[line]*Command // the parked, one of a line
	parkedAt  instant.Mono      // when to look at them again, zero for never
	sweepAt   instant.Mono      // when to look for repairs that came to nothing, zero for never
}

// inflight says what the reply to a request is for.
type inflight struct {
	instance *instance
	repair   *repair
}

// New returns a proposer.
func New(o Options) *Proposer {
	if o.Stats == nil {
		o.Stats = new(counters.Stats)
	}
	if o.Due == nil {
		o.Due = func(h register.Header) int64 { return h.Expiry }
	}
	o.Lanes = max(o.Lanes, 1)
	p := &Proposer{Options: o, lastID: o.Lane, instances: make(map[string]*instance), inflight: make(map[uint64]inflight)}
	p.cache.Init()
	return p
}

// Submit takes a command. It is done when cmd.Done has been called, which may
// happen before Submit returns.
func (p *Proposer) Submit(now instant.Now, cmd *Command) {
	p.now = now
	if why := p.outage(cmd.Register.Slot); why != nil {
		p.pending++
		p.finish(cmd, nil, why)
		return
	}
	r := p.instances[cmd.Register.Key]
	if r == nil {
		r = p.newInstance(cmd.Register)
	}
	if len(r.queue) >= maxQueued || p.pending >= maxPending {
		cmd.Err = operation.ErrOverloaded
		cmd.Done(cmd)
		p.releaseIdle(r)
		return
	}
	p.pending++
	if len(p.parkedOf) > 0 && p.follow(cmd) {
		p.releaseIdle(r)
		return
	}
	r.queue = append(r.queue, cmd)
	if r.Phase == round.Idle {
		p.start(r)
	}
}

// Deliver takes a node's reply. The proposer keeps what the reply refers to, not the
// reply itself.
func (p *Proposer) Deliver(now instant.Now, from quorum.NodeID, reply *message.Reply) {
	p.now = now
	if reply.Outcome != message.Unreachable && reply.Outcome != message.Unsent {
		p.nodes.Heard(from, p.now.Mono)
	}
	f, ok := p.inflight[reply.ID]
	if !ok {
		p.lateReply(from, reply)
		return
	}
	if p.tooFarAhead(reply) {
		reply = &message.Reply{ID: reply.ID, Outcome: message.ClockAhead}
	}
	if reply.Outcome == message.ClockAhead {
		p.Stats.ClockAhead.Add(1)
	} else {
		p.Clock.Observe(ballot.Max(reply.Accepted, reply.Promise))
	}
	if f.repair != nil {
		p.onRepair(f.repair, from, reply)
		return
	}
	r := f.instance
	i := r.Config.Index(from)
	if i < 0 {
		return
	}
	if p.Config(r) != r.Config && !p.Omit.Has(rules.RoundEpoch) {
		p.newEpoch(r)
		return
	}
	if reply.Outcome == message.NoRoom && r.Phase != round.Accepting {
		p.endWithoutMemory(r)
		return
	}
	if reply.ID == r.FetchID {
		p.onFetch(r, i, reply)
		return
	}
	switch r.Phase {
	case round.Reading:
		p.onRead(r, i, reply)
	case round.Preparing, round.Fetching:
		p.onPromise(r, i, reply)
	case round.Accepting:
		p.onAck(r, i, reply)
	}
}

// Disconnected tells that the connection to a node is gone: the node will not answer
// what it has not answered so far.
func (p *Proposer) Disconnected(now instant.Now, node quorum.NodeID) {
	var lost []uint64
	for id, f := range p.inflight {
		if f.awaits(id, node) {
			lost = append(lost, id)
		}
	}
	slices.Sort(lost) // map order must not reach the wire
	for _, id := range lost {
		p.Deliver(now, node, &message.Reply{ID: id, Outcome: message.Unreachable})
	}
}

// awaits reports whether the node still owes the answer to a request.
func (f inflight) awaits(id uint64, node quorum.NodeID) bool {
	if f.repair != nil {
		return f.repair.Config.Nodes()[f.repair.Asked] == node
	}
	i := f.instance.Config.Index(node)
	if id == f.instance.FetchID {
		return i >= 0 && f.instance.FetchAt.Has(i)
	}
	return i >= 0 && f.instance.Asked.Has(i) && !(f.instance.Replied | f.instance.Lost).Has(i)
}

// Config returns who holds the register's slot at present.
func (p *Proposer) Config(r *instance) *quorum.Config { return p.Env.Config(r.id.Slot) }

// tooFarAhead is the proposer's side of the clock rule (§1).
func (p *Proposer) tooFarAhead(reply *message.Reply) bool {
	limit := p.now.Wall + p.Limits.MaxClockOffset.Milliseconds()
	if reply.Outcome == message.ClockAhead {
		return false
	}
	return reply.Accepted.Time.UnixMilli() > limit || reply.Promise.Time.UnixMilli() > limit
}

// newEpoch abandons what is under way: a round belongs to one epoch (§4).
func (p *Proposer) newEpoch(r *instance) {
	r.piggyback = piggybackedPromise{}
	if r.Phase == round.Accepting {
		p.endInDoubt(r)
		return
	}
	p.abandon(r)
	p.start(r)
}

// horizon is the time 2 L ago: what is older may be forgotten (§2).
func (p *Proposer) horizon() ballot.Time {
	return ballot.MakeTime(p.now.Wall, 0).Add(-2 * p.Limits.Command)
}

// Take returns what has been put out since the last Take. The caller owns the
// slice until the next call; the requests must not be changed.
func (p *Proposer) Take() []message.Sent {
	out := p.out
	p.out = nil
	return out
}

// Recycle gives a slice that Take returned back for reuse.
func (p *Proposer) Recycle(s []message.Sent) {
	if p.out == nil {
		clear(s)
		p.out = s[:0]
	}
}

// Pending returns how many commands have not been answered yet.
func (p *Proposer) Pending() int { return p.pending }

func (p *Proposer) newID(r *instance, rep *repair) uint64 {
	p.lastID += p.Lanes
	p.inflight[p.lastID] = inflight{instance: r, repair: rep}
	return p.lastID
}

// drop forgets a request: replies to it no longer count.
func (p *Proposer) drop(id *uint64) {
	if *id != 0 {
		delete(p.inflight, *id)
		*id = 0
	}
}

func (p *Proposer) send(r *instance, i int, req *message.Request) {
	node := r.Config.Nodes()[i]
	p.out = append(p.out, message.Sent{To: node, Request: req})
	p.nodes.Asked(node, p.now.Mono)
}

func (p *Proposer) newInstance(id register.ID) *instance {
	var r *instance
	if n := len(p.free); n > 0 {
		r, p.free = p.free[n-1], p.free[:n-1]
	} else {
		r = new(instance)
	}
	r.id = id
	p.instances[id.Key] = r
	return r
}

// start begins the next round of an idle register, if commands wait.
func (p *Proposer) start(r *instance) {
	if len(p.parked) > 0 {
		p.unpark(r)
	}
	p.expire(r)
	if why := p.outage(r.id.Slot); why != nil {
		p.failDuringOutage(r, why)
	}
	if len(r.queue) == 0 {
		p.releaseIdle(r)
		return
	}
	p.cache.Remove(&r.link)
	r.Config = p.Config(r)
	if r.Config == nil {
		p.fail(r, operation.ErrNoQuorum)
		p.releaseIdle(r)
		return
	}
	if !r.Config.IsQuorum(p.Env.Reachable(r.Config)) { // no ballot before a quorum has admitted the id (§1)
		p.pause(r)
		return
	}
	doubt, reads := false, 0
	for n, c := range r.queue {
		doubt = doubt || len(c.attempts) > 0
		if reads == n && c.Op.ReadOnly() {
			reads++
		}
	}
	switch apart := r.detachable(reads); {
	case doubt:
		p.startPrepare(r)
	case apart > 0:
		p.startRead(r, apart)
	case reads == len(r.queue):
		p.startRead(r, reads)
	case p.nodes.AskRoomFirst(r.Config, p.answering(r.Config), p.now.Mono):
		p.startPrepare(r)
	case p.startPiggybacked(r):
	case r.queue[0].Op.Blind() && p.mayBlind(r):
		p.startBlind(r)
	default:
		p.startPrepare(r)
	}
}

// reset prepares the register for a phase of requests to its members.
func (p *Proposer) reset(r *instance, ph round.Phase) {
	p.drop(&r.RequestID)
	p.endFetch(r)
	r.Reset(ph, p.now.Mono)
	r.RequestID = p.newID(r, nil)
}

// abandon ends a phase that failed. The round's commands return to the head of the
// queue.
func (p *Proposer) abandon(r *instance) {
	p.drop(&r.RequestID)
	p.endFetch(r)
	if len(r.batch) > 0 {
		r.queue = append(slices.Clone(r.batch), r.queue...)
		clear(r.batch)
		r.batch = r.batch[:0]
	}
	r.Abandon()
}
