package sim

import (
	"slices"
	"time"

	"synod/protocol/caspaxos"
	"synod/protocol/wire"
)

// Script is a World that a test drives by hand: three nodes x0 to x2 (or five),
// and proxies P0, P1, …, whose clocks agree. Nothing is delivered unless the
// script says so; time stands still unless it lets it pass. What the script
// names and is not there is passed over, as with a rule in force other messages
// are sent than without it.
type Script struct {
	*World
	net *network
}

// scripted is the profile of scripts.
func scripted(acceptors, proxies int) Profile {
	p := Base()
	p.Acceptors, p.Proxies, p.Skew = acceptors, proxies, 0
	p.Regs = MaxRegs
	p.Limits = caspaxos.Limits{Command: 400 * time.Millisecond, MaxClockOffset: 500 * time.Millisecond,
		CeilingAhead: 200 * time.Millisecond}
	p.Timing = caspaxos.Timing{Hedge: 2 * time.Millisecond, Retry: 20 * time.Millisecond,
		Accept: 50 * time.Millisecond, Backoff: time.Millisecond}
	p.Delay, p.Sync, p.Silence = 100*time.Microsecond, 0, time.Hour
	return p
}

// NewScript makes the world of a script.
func NewScript(p Profile) *Script {
	w := New(p, 0)
	s := &Script{World: w, net: &network{w: w, disks: make(map[*node][]func())}}
	w.manual = s.net
	w.populate()
	w.tracing = true
	return s
}

// begin has a proxy begin an operation, a little later than what was before.
func (s *Script) begin(proxy int, op Op) *record {
	s.pass(2 * time.Millisecond)
	return s.beginNow(proxy, op)
}

func (s *Script) beginNow(proxy int, op Op) *record { return s.beginOf(0, proxy, op) }

// beginOf is begin for one of a client's commands that are under way at once; client
// zero has one at a time.
func (s *Script) beginOf(client, proxy int, op Op) *record {
	op.ID = s.nextID()
	if op.Kind == Flush || op.Kind == Snapshot {
		op.Reg = -1
	}
	r := s.World.begin(&op)
	if op.Kind == Snapshot {
		for reg := range s.Regs {
			r.regs = append(r.regs, reg)
		}
		r.in.regs = r.regs
	}
	if client > 0 {
		r.in.client, r.in.place = client, op.ID
	}
	s.proxies[proxy].run(r)
	return r
}

// do has a proxy run an operation over nodes that answer at once, to its end.
// What it sent to others stays under way.
func (s *Script) do(proxy int, op Op, nodes ...int) *record {
	s.prefer(proxy, nodes...)
	r := s.begin(proxy, op)
	for range 40 {
		if r.closed {
			break
		}
		s.trip(proxy, nodes...)
	}
	return r
}

// prefer makes a proxy ask some nodes first.
func (s *Script) prefer(proxy int, nodes ...int) {
	p := s.proxies[proxy]
	var order []int
	for _, n := range append(slices.Clone(nodes), s.all()...) {
		if i := p.cfg.Index(caspaxos.NodeID(n)); i >= 0 && !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	p.prefer = order
}

// finish is the rest of do for an operation that has begun.
func (s *Script) finish(r *record, proxy int, nodes ...int) {
	for range 40 {
		if r.closed {
			break
		}
		s.trip(proxy, nodes...)
	}
}

// retry lets a proxy's attempt time out and try again over nodes that answer at
// once. What it sends to others is lost.
func (s *Script) retry(proxy int, nodes ...int) {
	s.prefer(proxy, nodes...)
	s.lose(proxy, s.all()...)
	for range 100 {
		if s.pass(time.Millisecond); s.waiting(proxy) {
			break
		}
	}
	for range 8 {
		s.trip(proxy, nodes...)
	}
	s.lose(proxy, s.all()...)
}

// waiting reports whether requests of a proxy are under way.
func (s *Script) waiting(proxy int) bool {
	for i := range s.net.sent {
		if m := &s.net.sent[i]; !m.reply && m.proxy == s.proxies[proxy] {
			return true
		}
	}
	return false
}

// silence lets time pass while all that a proxy sends is lost.
func (s *Script) silence(proxy int, d time.Duration) {
	for end := s.now + Instant(d); s.now < end; {
		s.lose(proxy, s.all()...)
		s.pass(time.Millisecond)
	}
	s.lose(proxy, s.all()...)
}

// onlyReg is a round trip of what concerns one register.
func (s *Script) onlyReg(proxy, reg int, nodes ...int) {
	for _, i := range nodes {
		for _, m := range s.net.take(func(m *message) bool {
			return m.req != nil && m.req.Register == registerOf(reg) && m.proxy == s.proxies[proxy] && m.node == s.nodes[i]
		}) {
			m.deliver()
			s.soon()
		}
	}
	s.back(proxy, nodes...)
}

// copyTo re-delivers to nodes what another holds of k0, under the present epoch,
// as a copy to new members does (§9).
func (s *Script) copyTo(from int, nodes ...int) {
	rec, _ := s.nodes[from].store.Load(registerOf(0))
	view := s.nodes[from].store.View(registerOf(0).Key)
	last := rec.Lineage.Entries[len(rec.Lineage.Entries)-1]
	q := caspaxos.Request{Kind: caspaxos.KindAccept, Register: registerOf(0), Epoch: s.config.Epoch, Ballot: rec.Accepted,
		Prepared: rec.Prepared, Base: last.Parent, Change: view.Full(), History: &rec.Lineage}
	s.stray(q, nodes...)
}

// stray delivers to nodes a message that no proxy has sent.
func (s *Script) stray(q caspaxos.Request, nodes ...int) {
	for _, i := range nodes {
		s.nodes[i].receive(s.proxies[0], -1, wire.AppendRequest(nil, &q))
		s.soon()
	}
}

// at makes a proxy's wall clock show a time.
func (s *Script) at(proxy int, t caspaxos.Time) {
	s.proxies[proxy].clock.offset = time.Duration(t.UnixMilli()-epochWall)*time.Millisecond - time.Duration(s.now)
}

// to delivers the requests of a proxy that are under way to nodes.
func (s *Script) to(proxy int, nodes ...int) {
	for _, i := range nodes {
		for _, m := range s.net.take(func(m *message) bool {
			return !m.reply && m.proxy == s.proxies[proxy] && m.node == s.nodes[i]
		}) {
			m.deliver()
			s.soon()
		}
	}
}

// soon lets what takes no time happen: syncs, and the raising of a ceiling.
func (s *Script) soon() { s.runUntil(s.now + Instant(200*time.Microsecond)) }

// back delivers the replies under way from nodes to a proxy.
func (s *Script) back(proxy int, nodes ...int) {
	for _, i := range nodes {
		for _, m := range s.net.take(func(m *message) bool {
			return m.reply && m.proxy == s.proxies[proxy] && m.node == s.nodes[i]
		}) {
			m.deliver()
		}
	}
}

// trip delivers a proxy's requests to nodes, then their replies.
func (s *Script) trip(proxy int, nodes ...int) {
	s.to(proxy, nodes...)
	s.back(proxy, nodes...)
}

// lose loses what is under way between a proxy and nodes, both ways.
func (s *Script) lose(proxy int, nodes ...int) {
	s.net.take(func(m *message) bool { return m.proxy == s.proxies[proxy] && slices.Contains(nodes, int(m.node.id)) })
}

// late takes the Accepts that are under way from a proxy to a node off the
// network and returns what delivers them, whenever and as often as the script
// wants.
func (s *Script) late(proxy, node int) func() {
	taken := s.net.take(func(m *message) bool {
		return m.proxy == s.proxies[proxy] && m.node == s.nodes[node] && m.req != nil && m.req.Kind == caspaxos.KindAccept
	})
	return func() {
		for _, m := range taken {
			m.deliver()
			s.soon()
		}
	}
}

// gossip re-delivers to a node the Accept that is under way to it, as a peer
// does that has it in its changelog: without the Prepare that it carries. The
// original stays under way; the peer's reply is nobody's.
func (s *Script) gossip(proxy, node int) {
	for i := range s.net.sent {
		m := &s.net.sent[i]
		if m.proxy != s.proxies[proxy] || m.node != s.nodes[node] || m.req == nil || m.req.Kind != caspaxos.KindAccept {
			continue
		}
		q := *m.req
		q.Next = caspaxos.Ballot{}
		s.nodes[node].receive(s.proxies[proxy], -1, wire.AppendRequest(nil, &q))
		s.soon()
		return
	}
}

// pass lets time pass: timers go off, nodes tick.
func (s *Script) pass(d time.Duration) { s.runUntil(s.now + Instant(d)) }

// holdDisk makes a node's disk sync nothing any more.
func (s *Script) holdDisk(node int) { s.net.disks[s.nodes[node]] = []func(){} }

// crash takes a node down, with the loss of what is not on its disk, and brings
// it up again.
func (s *Script) crash(node int) {
	n := s.nodes[node]
	n.up = false
	n.life++
	delete(s.net.disks, n)
	s.trace("%s crashes and loses %d entries", n, n.store.Appended()-n.store.Synced())
	n.store = n.store.Crash(n.store.Synced())
	n.restart()
}

// restartProxy crashes a proxy: it comes back with another id.
func (s *Script) restartProxy(proxy int) {
	s.proxies[proxy].crash()
	s.lose(proxy, s.all()...)
	s.proxies[proxy].start()
}

// sameID crashes a proxy: it comes back with the id that another has, as etcd was
// restored from a backup that does not show it.
func (s *Script) sameID(proxy, other int) {
	s.proxies[proxy].crash()
	last := s.lastProposer
	s.lastProposer = s.proxies[other].id - 1
	s.proxies[proxy].start()
	s.lastProposer = last
	s.trace("P%d comes back with the id of P%d", proxy, other)
}

// disconnect keeps a proxy from beginning a session with nodes, to the end.
func (s *Script) disconnect(proxy int, nodes ...int) {
	for _, i := range nodes {
		s.cut[[2]int{proxy, i}] = true
	}
}

func (s *Script) all() []int {
	all := make([]int, len(s.nodes))
	for i := range all {
		all[i] = i
	}
	return all
}

// drop drops a register's tombstone at every node, as §8 allows when all hold it:
// floor and dropped are raised first, durably.
func (s *Script) drop(reg int) {
	for _, n := range s.nodes {
		rec, _ := n.store.Load(registerOf(reg))
		state := n.node.State()
		state.Floor = caspaxos.MaxBallot(state.Floor, rec.Accepted)
		state.Dropped = caspaxos.MaxBallot(state.Dropped, rec.Accepted)
		pos, _ := n.store.Append(caspaxos.LogEntry{Node: &state})
		n.store.Sync(pos)
		n.node.Publish(state)
		n.store.Drop(registerOf(reg).Key)
		delete(s.ledger.byReg, registerOf(reg).Key)
		s.trace("%s drops the tombstone of %s at %s", n, regName(reg), s.ballot(rec.Accepted))
	}
}

// place puts an epoch into force at some proxies and nodes. Members, and next
// under JOINT, are nodes.
func (s *Script) place(epoch uint64, members, next []caspaxos.NodeID, proxies, nodes []int) {
	s.config = caspaxos.NewConfig(epoch, members, next)
	s.trace("epoch %d: %v %v", epoch, members, next)
	for _, i := range proxies {
		s.proxies[i].cfg = s.config
		s.proxies[i].prefer = s.order(len(s.config.Nodes()))
	}
	for _, i := range nodes {
		s.nodes[i].learn(epoch)
	}
}

// end lets everything be delivered from now on, waits until all operations have
// ended, reads the registers through a new proxy and returns what is wrong with
// the history, or "".
func (s *Script) end() string {
	s.net.open = true
	clear(s.cut)
	for _, m := range s.net.take(func(*message) bool { return true }) {
		s.after(s.Delay, m.deliver)
	}
	for n, do := range s.net.disks {
		delete(s.net.disks, n)
		for _, sync := range do {
			sync()
		}
	}
	s.pass(3 * s.Limits.Command)
	p := &proxy{w: s.World, index: len(s.proxies), clock: clock{w: s.World}}
	s.proxies = append(s.proxies, p)
	p.start()
	for reg := range s.Regs {
		s.probeOne(p, &Op{Kind: GetAll, Reg: reg, ID: s.nextID()})
	}
	s.checkHistory()
	return s.failure
}
