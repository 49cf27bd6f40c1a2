package caspaxos

import (
	"errors"
	"slices"
	"time"

	"synod/protocol/register"
)

// Bounds on what one lane's proposer keeps.
const (
	maxQueued    = 1 << 14  // commands waiting on one register
	maxPending   = 1 << 18  // commands in the lane
	maxBatch     = 1024     // commands combined in one round
	maxBatchSize = 4 << 20  // bytes of change after which a round takes no more commands
	smallState   = 16 << 10 // bytes up to which a state is sent whole rather than pulled
	carriedView  = 16 << 10 // bytes of a state that are remembered with a carried promise
)

// Env is what a Proposer asks of its driver. Calls must not block.
type Env interface {
	// Config returns who holds a slot, or nil if that is not known. Equal
	// pointers mean that nothing has changed.
	Config(slot uint16) *Config
	// Prefer returns the indices of the configuration's members in the order
	// in which a read of the slot should ask them: sticky, those that answer
	// fast first, those known to be down last. The proposer does not keep it.
	Prefer(cfg *Config, slot uint16) []int
	// Reachable returns the members that there is a connection to and that have
	// admitted the proposer's id, at some time (§1). While they
	// hold no quorum, commands wait and nothing is sent, so that a command that
	// runs out of time then is known not to be done.
	Reachable(cfg *Config) Set
	// Outage returns why commands on a slot cannot be done at present, if its
	// nodes have been known for a while not to hold a quorum, else nil. It may be
	// wrong: commands are answered at once then, as not done.
	Outage(slot uint16) *Outage
	// Answering returns those of the reachable members that answer: they have
	// left no request unanswered for longer than a healthy node takes. What it
	// says may be wrong and differ from one proxy to the next; it decides how
	// long to wait, never what is true.
	Answering(cfg *Config) Set
	// Missing returns the members that cannot be reached or have not answered for
	// so long that they must be taken to be gone. The others may be late.
	Missing(cfg *Config) Set
	// Random returns a number in [0, n).
	Random(n int64) int64
}

// Timing are the proposer's shorter waits. None matters for safety.
type Timing struct {
	Hedge   time.Duration // before a read asks the rest of the members
	Retry   time.Duration // before a silent read or Prepare is started over
	Accept  time.Duration // before a silent Accept is in doubt
	Backoff time.Duration // the first pause after an interference; it doubles
	Lag     time.Duration // how long a member may be behind a large state that nobody needs of it, before it is sent
	Shared  time.Duration // how long a carried promise is used where others write, too
}

// DefaultTiming suits nodes in one data centre.
func DefaultTiming() Timing {
	return Timing{Hedge: 10 * time.Millisecond, Retry: 500 * time.Millisecond,
		Accept: 1200 * time.Millisecond, Backoff: 2 * time.Millisecond, Shared: 15 * time.Millisecond, Lag: 100 * time.Millisecond}
}

// Options are what a Proposer is made of.
type Options struct {
	Clock  *Clock
	Env    Env
	Limits Limits
	Timing Timing
	Stats  *Stats
	// Cached bounds the registers whose carried promise or history the lane
	// remembers between rounds, and CachedBytes the memory they may take.
	Cached      int
	CachedBytes int
	// Lane and Lanes make the ids of requests of different lanes distinct: they
	// are Lane modulo Lanes. Zero Lanes means a single lane.
	Lane, Lanes uint64
	// Omit is zero outside of tests.
	Omit Rules
}

// Proposer runs commands on the registers of one lane of a proxy (§4, §5).
//
// Its driver calls Submit, Deliver and Tick from one goroutine, with the time
// at which it does so, and after each call (or after a batch of them) takes
// what is to be sent by Take. Every request taken is answered by Deliver
// exactly once or never; a driver that knows that a node cannot be reached
// delivers Unreachable, or Unsent if it knows that nothing was sent.
type Proposer struct {
	Options
	now Now

	regs     map[string]*reg
	inflight map[uint64]inflight
	lastID   uint64
	out      []Sent
	timers   timers
	cache    cache
	free     []*reg
	pending  int

	heard   []Mono     // by NodeID: when something last came from it
	owes    []Mono     // by NodeID: when it was asked the first of what it was asked since
	fetches []*fetches // by NodeID

	hedgeSpent int // see hedgeShare: goes up with hedges, down with reads

	recent    *recent
	repairing map[repairKey]*repair
	behind    map[repairKey]behind // since when members have been behind, or may be sent the state again
	aside     int                  // reads that have left their registers
	parked    []*Command           // in doubt, until a member answers that knows more
	lastOf    map[line]*Command    // the parked that none of their line has come behind
	parkedAt  Mono                 // when to look at them again, zero for never
	tardy     map[NodeID]Mono      // nodes that were late where others answered and have not answered since, and until when that counts
	short     map[NodeID]Mono      // nodes that are short of room, and when they last said so
	sweepAt   Mono                 // when to look for repairs that came to nothing, zero for never
}

// inflight says what the reply to a request is for.
type inflight struct {
	reg    *reg
	repair *repair
}

// New returns a proposer.
func New(o Options) *Proposer {
	o.Omit = omitted(o.Omit)
	if o.Stats == nil {
		o.Stats = new(Stats)
	}
	o.Lanes = max(o.Lanes, 1)
	p := &Proposer{Options: o, lastID: o.Lane, regs: make(map[string]*reg), inflight: make(map[uint64]inflight)}
	p.cache.init()
	return p
}

// Submit takes a command. It is done when cmd.Done has been called, which may
// happen before Submit returns.
func (p *Proposer) Submit(now Now, cmd *Command) {
	p.now = now
	if why := p.outage(cmd.Register.Slot); why != nil {
		p.pending++
		p.finish(cmd, nil, why)
		return
	}
	r := p.regs[cmd.Register.Key]
	if r == nil {
		r = p.newReg(cmd.Register)
	}
	if len(r.queue) >= maxQueued || p.pending >= maxPending {
		cmd.Err = ErrOverloaded
		cmd.Done(cmd)
		p.settle(r)
		return
	}
	if len(p.lastOf) > 0 {
		p.overtake(cmd)
	}
	p.pending++
	r.queue = append(r.queue, cmd)
	if r.phase == idle {
		p.start(r)
	}
}

// Deliver takes a node's reply. The proposer keeps what the reply refers to,
// not the reply itself.
func (p *Proposer) Deliver(now Now, from NodeID, reply *Reply) {
	p.now = now
	if reply.Outcome != Unreachable && reply.Outcome != Unsent {
		p.hear(from)
	}
	f, ok := p.inflight[reply.ID]
	if !ok {
		p.lateReply(from, reply)
		return
	}
	if p.tooFarAhead(reply) {
		reply = &Reply{ID: reply.ID, Outcome: ClockAhead}
	}
	if reply.Outcome == ClockAhead {
		p.Stats.ClockAhead.Add(1)
	} else {
		p.Clock.Observe(MaxBallot(reply.Accepted, reply.Promise))
	}
	if f.repair != nil {
		p.onRepair(f.repair, from, reply)
		return
	}
	r := f.reg
	i := r.cfg.Index(from)
	if i < 0 {
		return
	}
	if p.Config(r) != r.cfg && !p.Omit.has(RuleRoundEpoch) {
		p.newEpoch(r)
		return
	}
	if reply.Outcome == NoRoom && r.phase != accepting {
		p.noRoom(r)
		return
	}
	if reply.ID == r.fetchID {
		p.onFetch(r, i, reply)
		return
	}
	switch r.phase {
	case reading:
		p.onRead(r, i, reply)
	case preparing, fetching:
		p.onPromise(r, i, reply)
	case accepting:
		p.onAck(r, i, reply)
	}
}

// Disconnected tells that the connection to a node is gone: whatever it has not
// answered so far it will not answer.
func (p *Proposer) Disconnected(now Now, node NodeID) {
	var lost []uint64
	for id, f := range p.inflight {
		if f.awaits(id, node) {
			lost = append(lost, id)
		}
	}
	slices.Sort(lost) // map order must not reach the wire
	for _, id := range lost {
		p.Deliver(now, node, &Reply{ID: id, Outcome: Unreachable})
	}
}

// awaits reports whether the node still owes the answer to a request.
func (f inflight) awaits(id uint64, node NodeID) bool {
	if f.repair != nil {
		return f.repair.cfg.nodes[f.repair.asked] == node
	}
	i := f.reg.cfg.Index(node)
	if id == f.reg.fetchID {
		return i >= 0 && f.reg.fetchAt.Has(i)
	}
	return i >= 0 && f.reg.asked.Has(i) && !(f.reg.replied | f.reg.lost).Has(i)
}

// Config returns who holds the register's slot at present.
func (p *Proposer) Config(r *reg) *Config { return p.Env.Config(r.id.Slot) }

// tooFarAhead is the proposer's side of the clock rule (§1).
func (p *Proposer) tooFarAhead(reply *Reply) bool {
	limit := p.now.Wall + p.Limits.MaxClockOffset.Milliseconds()
	if reply.Outcome == ClockAhead {
		return false
	}
	return reply.Accepted.Time.UnixMilli() > limit || reply.Promise.Time.UnixMilli() > limit
}

// newEpoch abandons what is under way: a round belongs to one epoch (§4).
func (p *Proposer) newEpoch(r *reg) {
	r.carry = carried{}
	if r.phase == accepting {
		p.doubt(r)
		return
	}
	p.abandon(r)
	p.start(r)
}

// Take returns what has been put out since the last Take. The caller owns the
// slice until the next call; the requests must not be changed.
func (p *Proposer) Take() []Sent {
	out := p.out
	p.out = nil
	return out
}

// Recycle gives a slice that Take returned back for reuse.
func (p *Proposer) Recycle(s []Sent) {
	if p.out == nil {
		clear(s)
		p.out = s[:0]
	}
}

// Pending returns how many commands have not been answered yet.
func (p *Proposer) Pending() int { return p.pending }

func (p *Proposer) newID(r *reg, rep *repair) uint64 {
	p.lastID += p.Lanes
	p.inflight[p.lastID] = inflight{reg: r, repair: rep}
	return p.lastID
}

// drop forgets a request: replies to it are not for anything any more.
func (p *Proposer) drop(id *uint64) {
	if *id != 0 {
		delete(p.inflight, *id)
		*id = 0
	}
}

func (p *Proposer) send(r *reg, i int, req *Request) {
	node := r.cfg.nodes[i]
	p.out = append(p.out, Sent{To: node, Request: req})
	if p.grow(node); p.owes[node] <= p.heard[node] {
		p.owes[node] = p.now.Mono
	}
}

func (p *Proposer) newReg(id Register) *reg {
	var r *reg
	if n := len(p.free); n > 0 {
		r, p.free = p.free[n-1], p.free[:n-1]
	} else {
		r = new(reg)
	}
	r.id = id
	p.regs[id.Key] = r
	return r
}

// start begins the next round of an idle register, if commands wait.
func (p *Proposer) start(r *reg) {
	if len(p.parked) > 0 {
		p.unpark(r)
	}
	p.expire(r)
	if why := p.outage(r.id.Slot); why != nil {
		p.giveUp(r, why)
	}
	if len(r.queue) == 0 {
		p.settle(r)
		return
	}
	p.uncache(r)
	r.cfg = p.Config(r)
	if r.cfg == nil {
		p.fail(r, ErrNoQuorum)
		p.settle(r)
		return
	}
	if !r.cfg.IsQuorum(p.Env.Reachable(r.cfg)) { // no ballot before a quorum has admitted the id (§1)
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
	switch apart := r.apart(reads); {
	case doubt:
		p.startPrepare(r)
	case apart > 0:
		p.startRead(r, apart)
	case reads == len(r.queue):
		p.startRead(r, reads)
	case p.asksFirst(r.cfg):
		p.startPrepare(r)
	case p.startCarried(r):
	case r.queue[0].Op.Blind() && p.mayBlind(r):
		p.startBlind(r)
	default:
		p.startPrepare(r)
	}
}

// reset prepares the register for a phase of requests to its members.
func (p *Proposer) reset(r *reg, ph phase) {
	p.drop(&r.reqID)
	p.endFetch(r)
	r.phase = ph
	r.asked, r.hedged, r.asksState, r.replied, r.lost, r.refused, r.roomless, r.refusedAt = 0, 0, 0, 0, 0, 0, 0, 0
	if n := len(r.cfg.nodes); cap(r.replies) < n {
		r.replies = make([]Reply, n)
	} else {
		r.replies = r.replies[:n]
		clear(r.replies)
	}
	r.reqID = p.newID(r, nil)
	r.started = p.now.Mono
}

// abandon ends a phase that came to nothing. The round's commands go back to
// the head of the queue.
func (p *Proposer) abandon(r *reg) {
	p.drop(&r.reqID)
	p.endFetch(r)
	if len(r.batch) > 0 {
		r.queue = append(slices.Clone(r.batch), r.queue...)
		clear(r.batch)
		r.batch = r.batch[:0]
	}
	r.phase, r.have, r.try = idle, false, nil
	r.view, r.change, r.parts = register.View{}, register.Change{}, parts{}
}

// finish answers a command.
func (p *Proposer) finish(c *Command, result any, err error) {
	p.pending--
	if r, ok := result.(refused); ok && err == nil {
		result, err = nil, r.why
	}
	if err == nil && time.Duration(p.now.Mono-c.Started) > p.Limits.Command {
		err = p.tooLate(c)
	}
	switch {
	case err == nil:
		c.Result = result
	case err == ErrUncertain:
		p.Stats.Uncertain.Add(1)
	case err == ErrContention:
		p.Stats.Contention.Add(1)
	case errors.Is(err, ErrNoQuorum):
		p.Stats.NoQuorum.Add(1)
	case err == ErrDiskFull:
		p.Stats.DiskFull.Add(1)
	case err == ErrBusy:
		p.Stats.Busy.Add(1)
	}
	c.Err = err
	c.attempts, c.answer = nil, nil
	c.Done(c)
}

// unknown is the answer to a command of whose attempts nobody can say whether
// they took effect. If none of them changed anything, nothing was done.
func (p *Proposer) unknown(c *Command) error {
	for _, a := range c.attempts {
		if a.changed {
			return ErrUncertain
		}
	}
	return ErrContention
}

// tooLate is the answer to a command whose time is up.
func (p *Proposer) tooLate(c *Command) error {
	switch {
	case len(c.attempts) > 0:
		return p.unknown(c)
	case c.nacked:
		return ErrContention
	}
	return ErrNoQuorum
}

// fail answers all waiting commands with an error, those with attempts as
// uncertain.
func (p *Proposer) fail(r *reg, err error) {
	queue := r.queue
	r.queue = nil
	for _, c := range queue {
		e := err
		if len(c.attempts) > 0 {
			e = p.unknown(c)
		}
		p.finish(c, nil, e)
	}
	r.queue = queue[:0]
}

// pause waits a random time before the next try, a growing one (§4.2.1) unless
// an attempt is in doubt: see lead.
func (p *Proposer) pause(r *reg) {
	r.phase = pausing
	r.started = p.now.Mono
	p.expire(r)
	limit := int64(p.Timing.Backoff)
	if c := r.head(); c == nil || len(c.attempts) == 0 {
		limit <<= min(r.fails, 6)
	}
	r.fails++
	p.arm(r, time.Duration(1+p.Env.Random(limit)))
}
