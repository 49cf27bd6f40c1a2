package sim

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
)

func emptyStore() *memstore.Store { return memstore.New() }

// longest bounds the simulated time that clients work.
const longest = 4 * time.Second

// Run runs the world to its end and returns what is wrong with it, or "".
func (w *World) Run() string {
	w.populate()
	w.faults = true
	w.harm()
	busy := 0
	for c := range w.Clients {
		busy++
		w.client(c, func() { busy-- })
	}
	end := w.now + Instant(longest)
	for w.failure == "" && busy > 0 && w.now < end {
		w.runUntil(w.now + Instant(5*time.Millisecond))
	}
	w.ops = w.Ops
	w.heal()
	w.runUntil(w.now + Instant(w.settle()))
	w.probe()
	for reg := range w.Regs {
		w.converge(reg)
	}
	w.runUntil(w.now + Instant(3*w.Limits.Command))
	w.atRest()
	if w.failure == "" {
		w.checkHistory()
	}
	return w.failure
}

// settle is the time after which a healed cluster has no effects of its faults
// left: commands have ended, and clocks and ballots that were ahead are in the
// past.
func (w *World) settle() time.Duration {
	return 2*w.Limits.Command + 2*(w.Skew+w.WildSkew) + 2*w.Limits.CeilingAhead + 3*w.Tail
}

// client issues operations one after the other until all have been issued.
func (w *World) client(c int, done func()) {
	var next func()
	again := func() { w.after(w.spread(w.Think), next) }
	next = func() {
		if w.ops >= w.Ops || w.failure != "" {
			done()
			return
		}
		p := w.proxies[w.rng.IntN(len(w.proxies))]
		if !p.up {
			again()
			return
		}
		ops := w.drawSome()
		left := len(ops)
		for _, op := range ops {
			w.ops++
			r := w.begin(op)
			r.then = func(error) {
				if left--; left == 0 {
					again()
				}
			}
			if len(ops) > 1 {
				r.in.client, r.in.place = c, op.ID
			}
			if op.Kind == Snapshot {
				for reg := range w.Regs {
					r.regs = append(r.regs, reg)
				}
				r.in.regs = r.regs
			}
			p.run(r)
		}
	}
	again()
}

// drawSome makes an operation, or some on one register that a client pipelines.
func (w *World) drawSome() []*Op {
	ops := []*Op{w.draw()}
	if first := ops[0]; w.Pipeline > 0 && first.Reg >= 0 && w.rng.Float64() < w.Pipeline {
		for range 4 {
			if op := w.draw(); op.Reg == first.Reg {
				ops = append(ops, op)
			}
		}
	}
	return ops
}

// draw makes a random operation.
func (w *World) draw() *Op {
	total := 0
	for _, m := range w.Mix {
		total += m
	}
	at, kind := w.rng.IntN(total), Kind(0)
	for at >= w.Mix[kind] {
		at -= w.Mix[kind]
		kind++
	}
	op := &Op{Kind: kind, ID: w.nextID(), Reg: w.rng.IntN(w.Regs), F: w.rng.IntN(Fields - 1), Patch: w.rng.IntN(2) == 0}
	op.G = (op.F + 1) % (Fields - 1)
	switch kind {
	case Call:
		w.call(op)
	case Flush, Snapshot:
		op.Reg = -1 // all of them
	case SetEx, Expire:
		op.Expiry = w.trueWall() + w.rng.Int64N(40)
	case GetVia, AppendVia:
		op.F = 0
	}
	return op
}

// harm makes faults happen until the world is healed.
func (w *World) harm() {
	every := func(rate float64, do func()) {
		if rate <= 0 {
			return
		}
		var again func()
		again = func() {
			if w.faults {
				do()
				w.after(w.spread(time.Duration(float64(time.Second)/rate)), again)
			}
		}
		w.after(w.spread(time.Duration(float64(time.Second)/rate)), again)
	}
	every(w.Crash, func() { w.crashNode(w.nodes[w.rng.IntN(len(w.nodes))]) })
	every(w.Freeze, func() {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		if n.up && !n.frozen {
			n.freeze()
			n.w.after(w.spread(w.FrozenFor), n.thaw)
		}
	})
	every(w.CrashProxy, func() { w.crashProxy(w.proxies[w.rng.IntN(len(w.proxies))]) })
	every(w.Cut, func() {
		link := [2]int{w.rng.IntN(w.Proxies), w.rng.IntN(w.Acceptors)}
		w.cut[link] = true
		w.trace("P%d and x%d are cut off", link[0], link[1])
		w.after(w.spread(w.CutFor), func() { delete(w.cut, link) })
	})
	every(w.Jump, w.jump)
	every(w.Shuffle, func() {
		p := w.proxies[w.rng.IntN(len(w.proxies))]
		p.prefer = w.order(len(p.cfg.Nodes()))
	})
	every(w.Epochs, w.nextEpoch)
	every(w.Fill, func() { w.fill(w.nodes[w.rng.IntN(len(w.nodes))]) })
	every(w.Restore, w.restoreEtcd)
	every(w.Rollback, w.rollBack)
}

// fill leaves a node's disk with little room for a while, or with none.
func (w *World) fill(n *node) {
	rooms := []diskroom.Room{diskroom.RoomLow, diskroom.RoomLow, diskroom.RoomScarce, diskroom.RoomNone}
	n.makeRoom(rooms[w.rng.IntN(len(rooms))])
	w.after(w.spread(w.FillFor), func() { n.makeRoom(diskroom.RoomEnough) })
}

func (n *node) makeRoom(room diskroom.Room) {
	n.store.Free = room
	n.w.trace("%s has room: %d", n, room)
}

func (w *World) crashNode(n *node) {
	if !n.up {
		return
	}
	n.crash(w.Tear)
	w.after(w.spread(w.Down), func() {
		if !n.up && !n.gone {
			n.restart()
		}
	})
}

func (w *World) crashProxy(p *proxy) {
	if !p.up {
		return
	}
	p.crash()
	w.after(w.spread(w.Down), func() {
		if !p.up {
			p.start()
		}
	})
}

// jump sets a clock, usually within the clock rule.
func (w *World) jump() {
	far := w.Skew + w.WildSkew
	offset := time.Duration(w.rng.Int64N(2*int64(far))) - far
	i := w.rng.IntN(w.Acceptors + w.Proxies)
	if i < w.Acceptors {
		w.nodes[i].clock.offset = offset
		w.trace("x%d's clock is %v off", i, offset)
		return
	}
	w.proxies[i-w.Acceptors].clock.offset = offset
	w.trace("P%d's clock is %v off", i-w.Acceptors, offset)
}

// nextEpoch starts a new epoch with the same members, which nodes and proxies
// learn one by one.
func (w *World) nextEpoch() {
	w.config = quorum.NewConfig(w.config.Epoch+1, w.config.Members, w.config.Next)
	cfg := w.config
	w.trace("epoch %d", cfg.Epoch)
	for _, n := range w.nodes {
		w.after(w.spread(5*time.Millisecond), func() {
			if n.epoch = max(n.epoch, cfg.Epoch); n.up {
				n.learn(n.epoch)
			}
		})
	}
	for _, p := range w.proxies {
		w.after(w.spread(5*time.Millisecond), func() {
			if p.cfg.Epoch < cfg.Epoch {
				p.cfg = cfg
			}
		})
	}
}

// heal ends all faults.
func (w *World) heal() {
	w.trace("faults end")
	w.faults = false
	clear(w.cut)
	for _, n := range w.nodes {
		n.makeRoom(diskroom.RoomEnough)
		n.clock.offset = min(max(n.clock.offset, -w.Skew), w.Skew)
		if !n.up && !n.gone {
			n.restart()
		}
		n.thaw()
	}
	for _, p := range w.proxies {
		p.clock.offset = min(max(p.clock.offset, -w.Skew), w.Skew)
		if !p.up {
			p.start()
		}
		p.meet()
	}
}

// probe writes and reads every register through every proxy after the faults.
// Each must be answered, soon and with a result (§11 L4).
func (w *World) probe() {
	for reg := range w.Regs {
		for _, p := range w.proxies {
			w.probeOne(p, w.probeOp(reg, true))
			w.probeOne(p, w.probeOp(reg, false))
		}
	}
}

// probeOp makes an operation that writes to a register, whatever it holds, or
// one that reads all of it.
func (w *World) probeOp(reg int, write bool) *Op {
	op := &Op{Kind: GetAll, Reg: reg, ID: w.nextID(), Patch: true}
	if write {
		op.Kind = Append
	}
	if w.Mix[Call] > 0 {
		op.Kind = Call
		words := collections[reg][0]
		if !write {
			words = [MaxRegs]string{"LRANGE %k 0 -1", "ZRANGE %k 0 -1", "HGETALL %k", "SMEMBERS %k"}[reg]
		}
		op.ask(strings.Fields(strings.NewReplacer("%k", regName(reg), "%n", strconv.Itoa(op.ID),
			"%m", "p"+strconv.Itoa(op.ID), "%v", "p"+strconv.Itoa(op.ID)).Replace(words))...)
	}
	return op
}

func (w *World) probeOne(p *proxy, op *Op) {
	if w.failure != "" {
		return
	}
	r := w.begin(op)
	p.run(r)
	end := w.now + Instant(w.Limits.Command)
	for !r.closed && w.failure == "" && w.now < end {
		w.runUntil(w.now + Instant(time.Millisecond))
	}
	if !r.known {
		w.stuck("no progress after the faults: %v through %s: closed %v, %v", op, p, r.closed, r.err)
	}
}

// converge checks that rounds bring all replicas of a register up to date (§11
// L8). One round may be refused by a member with a higher promise, updates one
// other member at a time, and sends a large state only to a member that has
// lagged for a while, longer if the last attempt did not help.
func (w *World) converge(reg int) {
	apart := ""
	for range 4 * w.Acceptors {
		w.probeOne(w.proxies[0], w.probeOp(reg, true))
		w.runUntil(w.now + Instant(10*time.Millisecond))
		if apart = w.apart(reg); apart == "" || w.failure != "" {
			return
		}
	}
	w.stuck("%s did not converge: %s", regName(reg), apart)
}

// apart describes how replicas of a register differ, or returns "".
func (w *World) apart(reg int) string {
	var first ballot.Ballot
	for _, n := range w.nodes {
		if n.gone {
			continue
		}
		rec, err := n.store.Load(registerOf(reg))
		switch {
		case err != nil || rec == nil:
			return fmt.Sprintf("%s holds nothing", n)
		case first.IsZero():
			first = rec.Accepted
		case rec.Accepted != first:
			return fmt.Sprintf("one is at %s, %s at %s", w.ballot(first), n, w.ballot(rec.Accepted))
		}
	}
	return ""
}

// atRest checks that nothing is left over in an idle cluster.
func (w *World) atRest() {
	for _, p := range w.proxies {
		if n := p.p.Pending(); n != 0 {
			w.stuck("%s has %d commands pending at rest", p, n)
		}
		if n := fieldLen(p.p, "inflight"); n != 0 {
			w.stuck("%s has %d requests in flight at rest, %d repairs", p, n, fieldLen(p.p, "repairing"))
		}
		if n := fieldLen(p.p, "repairing"); n != 0 {
			w.stuck("%s has %d repairs at rest", p, n)
		}
	}
	for _, n := range w.nodes {
		if !n.gone && n.acc.Deferred() != 0 {
			w.stuck("%s has %d Prepares waiting at rest", n, n.acc.Deferred())
		}
	}
}

// fieldLen is the length of a map that a proposer keeps to itself.
func fieldLen(p *proposer.Proposer, name string) int {
	f := reflect.ValueOf(p).Elem().FieldByName(name)
	if !f.IsValid() {
		panic(fmt.Sprintf("sim: a Proposer has no field %s", name))
	}
	return f.Len()
}
