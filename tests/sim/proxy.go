package sim

import (
	"fmt"
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/wire"
	"synod/proxy/txn"
)

// proxy is one proxy: a proposer, and what its lane does around it.
type proxy struct {
	w     *World
	index int
	clock clock

	up     bool
	life   int
	id     ballot.ProposerID
	ballot *ballot.Clock
	p      *proposer.Proposer
	cfg    *quorum.Config
	prefer []int
	down   quorum.Set                // members it knows not to reach
	asked  map[quorum.NodeID]Instant // since when nodes owe an answer

	claim    identity.Claim
	admitted map[quorum.NodeID]bool // by whom
	working  bool                   // a quorum has admitted it

	wakeAt Instant

	open    []*record // operations that wait here
	flushes map[uint64]*flushing
	lastID  uint64
	snaps   txn.Snapshots
}

// flushIDs are apart from those that proposers choose.
const flushIDs = uint64(1) << 63

// start brings the proxy up as a new proposer.
func (p *proxy) start() {
	w := p.w
	p.up, p.life = true, p.life+1
	p.take(0)
	p.working = false
	p.clock.start = w.now
	p.ballot = ballot.NewClock(p.id, p.clock.wall)
	p.cfg = w.config
	p.prefer = w.order(len(p.cfg.Nodes()))
	p.flushes = make(map[uint64]*flushing)
	p.down, p.wakeAt = 0, 0
	p.asked = make(map[quorum.NodeID]Instant)
	p.p = proposer.New(proposer.Options{Clock: p.ballot, Env: p, Limits: w.Limits, Timing: w.Timing,
		Stats: &w.Stats, Cached: w.Cached, CachedBytes: 1 << 20, Due: layout.Due, Omit: w.Omit})
	p.snaps = txn.Snapshots{Registers: p, Limits: w.Limits, Omit: w.Omit}
}

// crash ends the proxy's life: nobody will hear how its operations ended.
func (p *proxy) crash() {
	p.w.trace("%s down", p)
	p.up = false
	p.life++
	open := p.open
	p.open = nil
	for _, r := range open {
		p.w.lost(r)
	}
}

func (p *proxy) String() string { return fmt.Sprintf("P%d", p.index) }

// Config implements proposer.Env.
func (p *proxy) Config(uint16) *quorum.Config { return p.cfg }

// Prefer implements proposer.Env.
func (p *proxy) Prefer(cfg *quorum.Config, _ uint16) []int {
	if len(cfg.Nodes()) != len(p.prefer) {
		p.prefer = p.w.order(len(cfg.Nodes()))
	}
	answering := p.Answering(cfg)
	if answering == cfg.All() || p.w.manual != nil {
		return p.prefer
	}
	var first, last []int
	for _, i := range p.prefer {
		if answering.Has(i) {
			first = append(first, i)
		} else {
			last = append(last, i)
		}
	}
	return append(first, last...)
}

// Outage implements proposer.Env: it knows at once of connections that are cut.
func (p *proxy) Outage(uint16) *operation.Outage {
	var lost quorum.Set
	for i, id := range p.cfg.Nodes() {
		if p.w.cut[[2]int{p.index, int(id)}] {
			lost = lost.With(i)
		}
	}
	if p.cfg.CanReach(lost) {
		return nil
	}
	return &operation.Outage{Reason: "cut off"}
}

// Answering implements proposer.Env.
func (p *proxy) Answering(cfg *quorum.Config) (s quorum.Set) {
	for i, id := range cfg.Nodes() {
		if since, waits := p.asked[id]; !waits || p.w.now-since <= Instant(p.w.Silence) {
			s = s.With(i)
		}
	}
	return s &^ p.down
}

// Missing implements proposer.Env.
func (p *proxy) Missing(cfg *quorum.Config) (s quorum.Set) {
	for i, id := range cfg.Nodes() {
		if since, waits := p.asked[id]; waits && p.w.now-since > Instant(5*p.w.Silence) {
			s = s.With(i)
		}
	}
	return s | p.down
}

// Random implements proposer.Env.
func (p *proxy) Random(n int64) int64 { return p.w.random(n) }

// Now implements txn.Submitter.
func (p *proxy) Now() instant.Mono { return p.clock.now().Mono }

// Submit implements txn.Submitter. It is called from within answers, where the
// proposer must not be called.
func (p *proxy) Submit(cmds []*proposer.Command) {
	p.later(time.Microsecond, func() {
		for _, c := range cmds {
			p.p.Submit(p.clock.now(), c)
		}
		p.pump()
	})
}

func (p *proxy) later(d time.Duration, do func()) {
	life := p.life
	p.w.after(d, func() {
		if p.life == life {
			do()
		}
	})
}

// run hands one operation to the proposer.
func (p *proxy) run(r *record) {
	p.open = append(p.open, r)
	p.w.trace("%s begins %v", p, r.op)
	switch r.op.Kind {
	case Flush:
		p.flush(r)
		return
	case Snapshot:
		p.snapshot(r)
		return
	}
	p.p.Submit(p.clock.now(), &proposer.Command{Register: registerOf(r.op.Reg), Op: r.op, Origin: r.origin(), Started: p.Now(),
		Done: func(c *proposer.Command) { p.done(r, c) }})
	p.pump()
}

// origin identifies whose commands they are: the pipelined ones of one client
// share an origin; every other command has its own.
func (r *record) origin() uint64 {
	if r.in.place > 0 {
		return 1 + uint64(r.in.client)
	}
	return 1 + maxClients + uint64(r.op.ID)
}

func registerOf(reg int) register.ID {
	return register.ID{Slot: uint16(reg), Key: "\x00" + regName(reg)}
}

func (p *proxy) done(r *record, c *proposer.Command) {
	if c.Err == nil {
		r.out = c.Result.(Out)
	}
	p.ended(r, c.Err)
}

// ended closes an operation that was answered.
func (p *proxy) ended(r *record, err error) {
	p.open = slices.DeleteFunc(p.open, func(o *record) bool { return o == r })
	p.w.answered(p, r, err)
}

// pump sends what the proposer has put out and sees to its timers.
func (p *proxy) pump() {
	next := p.p.Tick(p.clock.now())
	sent := p.p.Take()
	for _, s := range sent {
		if _, waits := p.asked[s.To]; !waits {
			p.asked[s.To] = p.w.now
		}
		p.w.watchSent(p, s)
		p.w.toNode(p, p.w.nodes[s.To], s.Request.ID, wire.AppendRequest(nil, s.Request), s.Request)
	}
	p.p.Recycle(sent)
	if next == 0 {
		return
	}
	at := p.clock.start + Instant(next)
	if p.wakeAt > p.w.now && p.wakeAt <= at {
		return
	}
	p.wakeAt = at
	p.later(time.Duration(at-p.w.now), func() {
		if p.wakeAt == at {
			p.wakeAt = 0
		}
		p.pump()
	})
}

// receive takes a reply, as it came over the wire.
func (p *proxy) receive(from *node, raw []byte) {
	b := wire.NewBatch(raw)
	if !b.Next() {
		panic(fmt.Sprintf("sim: reply: %v", b.Err()))
	}
	if b.Kind() == wire.KindFlushReply {
		reply, err := b.FlushReply()
		if err != nil {
			panic(fmt.Sprintf("sim: flush reply: %v", err))
		}
		p.onFlush(from, reply)
		return
	}
	reply, err := b.Reply()
	if err != nil {
		panic(fmt.Sprintf("sim: reply: %v", err))
	}
	delete(p.asked, from.id)
	p.deliver(from, reply)
}

func (p *proxy) deliver(from *node, reply *message.Reply) {
	p.p.Deliver(p.clock.now(), from.id, reply)
	p.pump()
}

// snapshot reads all registers at one moment (§7), by the code that does so in
// production.
func (p *proxy) snapshot(r *record) {
	cmds := make([]*proposer.Command, len(r.regs))
	started := p.Now()
	for i, reg := range r.regs {
		cmds[i] = &proposer.Command{Register: registerOf(reg), Op: &Op{Kind: GetAll, Reg: reg, ID: r.op.ID}, Origin: r.origin(), Started: started}
	}
	life := p.life
	first, then := cmds, txn.Then(nil)
	if r.op.ID%2 == 0 { // one register is read because of what the others hold
		first = cmds[:len(cmds)-1]
		then = func(done []*proposer.Command) []*proposer.Command { return cmds[len(done):] }
	}
	p.snaps.Read(first, then, func([]*proposer.Command) {
		if p.life != life {
			return
		}
		if cmds[0].Err == nil {
			for _, c := range cmds {
				r.outs = append(r.outs, c.Result.(Out))
			}
		}
		p.ended(r, cmds[0].Err)
	})
}
