package sim

import (
	"fmt"
	"time"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/partition"
	"synod/protocol/wire"
)

// node is a storage node: an acceptor, its store, and what the daemon does
// around them.
type node struct {
	w     *World
	id    quorum.NodeID
	clock clock

	up    bool
	life  int // which life this is: what was under way in another is void
	node  *acceptor.Node
	acc   *acceptor.Acceptor
	store *memstore.Store

	watched int    // entries of its log that the ledger has seen
	waiting []held // answers that wait for a sync
	syncing bool
	ticking bool // a tick is due soon
	frozen  bool
	backlog []func() // what happens when it thaws
	// due is a state that stands in the log and waits for its sync.
	due    *durable.NodeState
	duePos uint64

	epoch uint64 // of the placement that it has seen
	taken uint64 // that its log shows

	lives  []identity.Life  // on its disk
	claims *identity.Claims // on its disk
	seen   identity.Mark    // how far others know it to have come
	copied *diskCopy        // an old copy of its disk
	gone   bool             // for good: its disk was found to be rolled back
}

// held is an answer that may not leave yet (§2, durability rule).
type held struct {
	after uint64
	send  func()
}

// clock is a process's view of time.
type clock struct {
	w      *World
	offset time.Duration // of the wall clock
	start  Instant       // of the monotonic clock
}

func (c *clock) now() instant.Now {
	return instant.Now{Wall: c.wall(), Mono: instant.Mono(c.w.now-c.start) + 1}
}

// epochWall is when a run begins, by a true wall clock, in Unix milliseconds.
const epochWall = 1_700_000_000_000

func (w *World) trueWall() int64 { return epochWall + int64(w.now)/int64(time.Millisecond) }

func (c *clock) wall() int64 {
	return epochWall + (int64(c.w.now)+int64(c.offset))/int64(time.Millisecond)
}

// start brings the node up on what its disk holds.
func (n *node) start(store *memstore.Store) {
	n.store, n.life = store, n.life+1
	if !n.begin() {
		return
	}
	n.up = true
	n.waiting, n.syncing, n.due, n.ticking = nil, false, nil, false
	n.watched = len(store.Log())
	n.clock.start = n.w.now
	var state durable.NodeState
	n.taken = 0
	for i, e := range store.Log() {
		decoded, err := wire.DecodeLogEntry(wire.AppendLogEntry(nil, &e))
		if err != nil {
			panic(fmt.Sprintf("sim: log entry %d: %v", i, err))
		}
		switch {
		case decoded.Node != nil:
			state = *decoded.Node
		case decoded.Epoch != nil:
			n.taken = max(n.taken, decoded.Epoch.Epoch)
		}
	}
	n.node = acceptor.NewNode(n.w.Limits, partition.Slots, state, n.w.Omit)
	n.node.TakeEpoch(durable.EpochTaken{First: 0, Last: slots - 1, Epoch: n.taken})
	n.tally()
	n.acc = acceptor.New(n.node, store, 0, 1, n.clock.now())
	for i, e := range store.Log() {
		if err := n.acc.Redo(&e, uint64(i+1)); err != nil {
			panic(fmt.Sprintf("sim: replay of entry %d: %v", i, err))
		}
	}
	n.learn(n.epoch)
	n.later(n.w.tickEvery, n.tick)
}

// learn takes a placement, durably before it is in force (§9).
func (n *node) learn(epoch uint64) {
	n.epoch = epoch
	ranges := []acceptor.SlotRange{{First: 0, Last: slots - 1, Epoch: epoch, Member: n.w.isMember(n.id, epoch)}}
	if epoch > n.taken {
		n.taken = epoch
		pos, _ := n.store.Append(durable.LogEntry{Epoch: &durable.EpochTaken{First: 0, Last: slots - 1, Epoch: epoch}})
		n.store.Sync(pos)
		n.released()
	}
	n.node.SetSlots(ranges)
}

// slots is how many slots runs use; the node knows of no others.
const slots = 4

// crash ends the node's life. What was not synced may be lost.
func (n *node) crash(tear float64) {
	n.up = false
	n.frozen, n.backlog = false, nil
	n.life++
	at := n.store.Appended()
	if lost := at - n.store.Synced(); lost > 0 && n.w.rng.Float64() < tear {
		at -= uint64(n.w.rng.Int64N(int64(lost) + 1))
	}
	n.w.trace("%s down, log %d of %d (synced %d)", n, at, n.store.Appended(), n.store.Synced())
	n.store = n.store.Crash(at)
}

func (n *node) restart() {
	n.start(n.store)
	n.w.trace("%s up, floor %s", n, n.w.ballot(n.node.State().Floor))
}

// later runs do after d, if the node still lives the same life.
func (n *node) later(d time.Duration, do func()) {
	life := n.life
	n.w.after(d, func() {
		if n.life == life {
			n.awake(do)
		}
	})
}

// awake has the node do something, when it is not frozen.
func (n *node) awake(do func()) {
	if n.frozen {
		n.backlog = append(n.backlog, do)
		return
	}
	do()
}

// freeze stops the node until it is thawed or crashes: nothing is lost meanwhile.
func (n *node) freeze() {
	n.w.trace("%s freezes", n)
	n.frozen = true
}

func (n *node) thaw() {
	if !n.frozen {
		return
	}
	n.w.trace("%s thaws", n)
	n.frozen = false
	backlog := n.backlog
	n.backlog = nil
	for _, do := range backlog {
		do()
	}
}

func (n *node) String() string { return fmt.Sprintf("x%d", n.id) }

// receive takes one request, as it came over the wire.
func (n *node) receive(from *proxy, life int, raw []byte) {
	if !n.up {
		return
	}
	b := wire.NewBatch(raw)
	if !b.Next() {
		panic(fmt.Sprintf("sim: request: %v", b.Err()))
	}
	if b.Kind() == wire.KindFlushRequest {
		n.flush(from, life, &b)
		return
	}
	req, err := b.Request()
	if err != nil {
		panic(fmt.Sprintf("sim: request: %v", err))
	}
	req.Encoded = nil
	if n.w.faults && req.WantState && n.w.rng.Float64() < n.w.Full {
		req.Along = 1
	}
	if n.w.faults && req.Kind == message.KindAccept && n.w.Busy > 0 && n.w.rng.Float64() < n.w.Busy {
		n.answer(from, life, req, &message.Reply{ID: req.ID, Outcome: message.Busy})
		return
	}
	var reply message.Reply
	answered, err := n.acc.Step(n.clock.now(), req, &reply)
	if err != nil {
		panic(err)
	}
	n.w.watchVotes(n)
	if !answered {
		n.traceDeferred(from, req)
		n.w.asked[req] = asker{from, life}
	} else {
		n.answer(from, life, req, &reply)
	}
	n.busy()
}

// asker is who waits for the answer to a deferred request.
type asker struct {
	proxy *proxy
	life  int
}

// answer sends a reply as soon as the durability rule allows it.
func (n *node) answer(to *proxy, life int, req *message.Request, reply *message.Reply) {
	n.traceAnswer(to, req, reply)
	send := func(p *message.Reply) error {
		raw := wire.AppendReply(nil, p)
		n.hold(p.After, func() { n.w.toProxy(n, to, life, raw) })
		return nil
	}
	if reply.Transfer != nil {
		_ = reply.Chunks(pageBytes, func(part *message.Reply) error { // memory does not fail
			n.w.parts++
			return send(part)
		})
		return
	}
	_ = send(reply)
}

// tally adds up what the acceptor counted before it is replaced.
func (n *node) tally() {
	if n.acc != nil {
		n.w.caughtUp += int(n.acc.CaughtUp)
		n.w.joined += int(n.acc.Joined)
		n.acc.CaughtUp, n.acc.Joined = 0, 0
	}
}

// pageBytes makes every element of a large state a part of its own.
const pageBytes = 1

func (n *node) hold(after uint64, send func()) {
	inner := send
	send = func() { n.show(); inner() }
	if after <= n.store.Synced() || n.w.Omit.Has(rules.Durability) {
		send()
		return
	}
	n.waiting = append(n.waiting, held{after, send})
}

// busy sees to it that what was appended gets synced, and to the ceiling.
func (n *node) busy() {
	if !n.syncing && n.store.Appended() > n.store.Synced() {
		n.syncing = true
		d := n.w.spread(n.w.Sync)
		if n.w.faults && n.w.rng.Float64() < n.w.SlowSync {
			d *= 10
		}
		upTo := n.store.Appended()
		n.w.schedule(n, d, func() { n.synced(upTo) })
	}
	if n.node.CeilingWanted() && !n.ticking && n.due == nil {
		n.ticking = true
		n.later(100*time.Microsecond, func() { n.ticking = false; n.advance() })
	}
}

func (n *node) synced(upTo uint64) {
	n.syncing = false
	n.store.Sync(upTo)
	n.released()
	n.busy()
}

// released does what waited for a sync.
func (n *node) released() {
	synced := n.store.Synced()
	if n.due != nil && n.duePos <= synced {
		n.node.Publish(*n.due)
		n.due = nil
		n.acc.Forget()
		n.acc.Resume(n.clock.now(), func(req *message.Request, reply *message.Reply, err error) {
			if err != nil {
				panic(err)
			}
			a := n.w.asked[req]
			delete(n.w.asked, req)
			n.answer(a.proxy, a.life, req, reply)
		})
	}
	keep := n.waiting[:0]
	for _, h := range n.waiting {
		if h.after <= synced {
			h.send()
		} else {
			keep = append(keep, h)
		}
	}
	clear(n.waiting[len(keep):])
	n.waiting = keep
}

// tick is the daemon's ticker.
func (n *node) tick() {
	n.advance()
	n.later(n.w.tickEvery, n.tick)
}

// advance moves floor and ceiling, by way of the log.
func (n *node) advance() {
	if n.due != nil || n.store.Free == diskroom.RoomNone {
		return
	}
	if n.w.Omit.Has(rules.FloorRaised) {
		n.acc.Forget()
	}
	s, due := n.node.Due(n.clock.now(), n.acc.Rotate(n.clock.now()))
	if !due {
		return
	}
	pos, err := n.store.Append(durable.LogEntry{Node: &s})
	if err != nil {
		panic(err)
	}
	n.due, n.duePos = &s, pos
	n.busy()
}

// flush takes part in a flush of a range (§8).
func (n *node) flush(from *proxy, life int, b *wire.Batch) {
	req, err := b.FlushRequest()
	if err != nil {
		panic(fmt.Sprintf("sim: flush request: %v", err))
	}
	reply, err := n.acc.Flush(n.clock.now(), req)
	if err != nil {
		panic(err)
	}
	if n.w.manual == nil {
		n.w.trace("%s ← %s Flush %s: %s, refuses %d", n, from, n.w.ballot(req.Ballot), outcomes[reply.Outcome], len(reply.Refused))
	}
	raw := wire.AppendFlushReply(nil, &reply)
	n.hold(reply.After, func() { n.w.toProxy(n, from, life, raw) })
	n.busy()
}
