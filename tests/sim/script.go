package sim

import (
	"slices"
	"strings"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/wire"
)

// Script is a World driven by hand by a transcript of tests/paxostest: nodes
// x0, x1, … and proxies P0, P1, …, whose clocks agree. Nothing is delivered and
// no time passes unless the script says so. Steps that name missing messages
// are skipped, because omitting a rule changes which messages are sent.
type Script struct {
	*World
	net   *network
	begun map[int]*record // by the operation's id
	late  map[string][]envelope
}

// Scripted is the profile of scripts.
func Scripted(acceptors, proxies int) Profile {
	p := Base()
	p.Acceptors, p.Proxies, p.Skew = acceptors, proxies, 0
	p.Regs = MaxRegs
	p.Limits = limits.Limits{Command: 400 * time.Millisecond, MaxClockOffset: 500 * time.Millisecond,
		CeilingAhead: 200 * time.Millisecond}
	p.Timing = limits.Timing{Hedge: 2 * time.Millisecond, Retry: 20 * time.Millisecond,
		Accept: 50 * time.Millisecond, Backoff: time.Millisecond}
	p.Delay, p.Sync, p.Silence = 100*time.Microsecond, 0, time.Hour
	return p
}

// NewScript makes the world of a script.
func NewScript(p Profile) *Script {
	w := New(p, 0)
	w.manual = &network{w: w, disks: make(map[*node][]func()), asked: make(map[asked]string),
		owners: make(map[ballot.ProposerID]string), ids: make(map[int]int)}
	w.tracing = true
	w.populate()
	return &Script{World: w, net: w.manual, begun: make(map[int]*record), late: make(map[string][]envelope)}
}

// Lines returns what has happened since it was called last.
func (s *Script) Lines() []string {
	lines := s.net.lines
	s.net.lines, s.net.last, s.net.deferred = nil, fanOut{}, 0
	return lines
}

// Say adds a line.
func (s *Script) Say(format string, args ...any) { s.net.say(format, args...) }

// Quiet hides the messages, or shows them again.
func (s *Script) Quiet(quiet bool) { s.net.quiet = quiet }

// Begin has a proxy begin an operation and returns its id. Those that one client
// (1, 2, …) has under way on a register take effect in order; client 0 stands for
// one of its own for each operation.
func (s *Script) Begin(client, proxy int, op Op) int {
	op.ID = s.nextID()
	if op.Kind == Flush || op.Kind == Snapshot {
		op.Reg = -1
	}
	r := s.begin(&op)
	if op.Kind == Snapshot {
		for reg := range s.Regs {
			r.regs = append(r.regs, reg)
		}
		r.in.regs = r.regs
	}
	if client > 0 {
		r.in.client, r.in.place = client, op.ID
	}
	s.begun[op.ID] = r
	s.proxies[proxy].run(r)
	return op.ID
}

// Ended reports whether an operation has been answered, or its proxy has
// crashed.
func (s *Script) Ended(id int) bool { return s.begun[id].closed }

// Finish has nodes answer a proxy at once until an operation has ended. What the
// proxy sends to others stays under way.
func (s *Script) Finish(id, proxy int, nodes ...int) {
	for range 40 {
		if s.Ended(id) {
			break
		}
		s.RoundTrip(proxy, nodes...)
	}
}

// Prefer makes a proxy ask some nodes first.
func (s *Script) Prefer(proxy int, nodes ...int) {
	p := s.proxies[proxy]
	var order []int
	for _, n := range append(slices.Clone(nodes), s.AllNodes()...) {
		if i := p.cfg.Index(quorum.NodeID(n)); i >= 0 && !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	p.prefer = order
}

// Retry lets an attempt of a proxy time out and has nodes answer at once when it
// tries again. All that it sends to others is lost.
func (s *Script) Retry(proxy int, nodes ...int) {
	s.Prefer(proxy, nodes...)
	s.Lose(proxy, s.AllNodes()...)
	s.AwaitRequest(proxy)
	for range 8 {
		s.RoundTrip(proxy, nodes...)
	}
	s.Lose(proxy, s.AllNodes()...)
}

// AwaitRequest lets time pass until a proxy has sent something.
func (s *Script) AwaitRequest(proxy int) {
	for range 100 {
		if s.Pass(time.Millisecond); s.waiting(proxy) {
			return
		}
	}
}

// waiting reports whether requests of a proxy are under way.
func (s *Script) waiting(proxy int) bool {
	return slices.ContainsFunc(s.net.sent, func(m envelope) bool { return !m.reply && m.proxy == s.proxies[proxy] })
}

// Silence lets time pass while all that a proxy sends is lost.
func (s *Script) Silence(proxy int, d time.Duration) {
	for end := s.now + Instant(d); s.now < end; {
		s.Lose(proxy, s.AllNodes()...)
		s.Pass(time.Millisecond)
	}
	s.Lose(proxy, s.AllNodes()...)
}

// Deliver delivers the requests of a proxy that are under way to nodes; of one
// register, unless reg is negative.
func (s *Script) Deliver(proxy, reg int, nodes ...int) {
	for _, i := range nodes {
		for _, m := range s.net.take(func(m *envelope) bool {
			return !m.reply && m.proxy == s.proxies[proxy] && m.node == s.nodes[i] &&
				(reg < 0 || m.req != nil && m.req.Register == registerOf(reg))
		}) {
			m.deliver()
			s.soon()
		}
	}
}

// Reply delivers the replies under way from nodes to a proxy.
func (s *Script) Reply(proxy int, nodes ...int) {
	for _, i := range nodes {
		for _, m := range s.net.take(func(m *envelope) bool {
			return m.reply && m.proxy == s.proxies[proxy] && m.node == s.nodes[i]
		}) {
			m.deliver()
		}
	}
}

// RoundTrip delivers a proxy's requests to nodes, then their replies.
func (s *Script) RoundTrip(proxy int, nodes ...int) {
	s.Deliver(proxy, -1, nodes...)
	s.Reply(proxy, nodes...)
}

// Lose loses what is under way between a proxy and nodes, both ways.
func (s *Script) Lose(proxy int, nodes ...int) {
	s.net.lose(func(m *envelope) bool { return m.proxy == s.proxies[proxy] && slices.Contains(nodes, int(m.node.id)) })
}

// Delay takes the Accepts that are under way from a proxy to a node off the
// network, under a name by which they can be delivered later, and again.
func (s *Script) Delay(name string, proxy, node int) {
	s.late[name] = s.net.take(func(m *envelope) bool { return s.isAccept(m, proxy, node) })
	for _, m := range s.late[name] {
		s.net.say("delayed: %s→%s %s", m.proxy, m.node, m.text)
	}
}

// DeliverLate delivers what Delay has taken off the network, and reports whether
// there was a Delay of this name.
func (s *Script) DeliverLate(name string) bool {
	late, ok := s.late[name]
	for _, m := range late {
		m.deliver()
		s.soon()
	}
	return ok
}

func (s *Script) isAccept(m *envelope, proxy, node int) bool {
	return m.proxy == s.proxies[proxy] && m.node == s.nodes[node] && m.req != nil && m.req.Kind == message.KindAccept
}

// Gossip delivers again an Accept in transit from a proxy to a node, as a peer
// does that has it in its changelog: without the piggybacked prepare. The
// original stays in transit.
func (s *Script) Gossip(proxy, node int) {
	for i := range s.net.sent {
		if m := &s.net.sent[i]; s.isAccept(m, proxy, node) {
			q := *m.req
			q.Piggyback = ballot.Ballot{}
			s.Forge(q, node)
			return
		}
	}
}

// Forge delivers to nodes a message that no proxy has sent. Nobody gets the reply.
func (s *Script) Forge(q message.Request, nodes ...int) {
	for _, i := range nodes {
		s.net.show("peer→%s %s", s.nodes[i], s.request(&q))
		s.nodes[i].receive(s.proxies[0], -1, wire.AppendRequest(nil, &q))
		s.soon()
	}
}

// ForgeRead has somebody send a Read of k0 under an epoch.
func (s *Script) ForgeRead(epoch uint64, nodes ...int) {
	s.Forge(message.Request{Kind: message.KindRead, Register: registerOf(0), Epoch: epoch}, nodes...)
}

// Copy delivers to nodes what another holds of k0, under the present epoch, as a
// copy to new members does (§9).
func (s *Script) Copy(from int, nodes ...int) {
	rec, _ := s.nodes[from].store.Load(registerOf(0))
	view := s.nodes[from].store.View(registerOf(0).Key)
	last := rec.Lineage.Entries[len(rec.Lineage.Entries)-1]
	s.Forge(message.Request{Kind: message.KindAccept, Register: registerOf(0), Epoch: s.config.Epoch, Ballot: rec.Accepted,
		Prepared: rec.Prepared, Base: last.Parent, Change: view.Full(), History: &rec.Lineage}, nodes...)
}

// Pass lets time pass: timers go off, nodes tick.
func (s *Script) Pass(d time.Duration) { s.runUntil(s.now + Instant(d)) }

// soon lets what takes no time happen: syncs, and the raising of a ceiling.
func (s *Script) soon() { s.Pass(200 * time.Microsecond) }

// AllNodes returns the numbers of all nodes.
func (s *Script) AllNodes() []int {
	all := make([]int, len(s.nodes))
	for i := range all {
		all[i] = i
	}
	return all
}

// End delivers everything from now on, waits until all operations have ended,
// reads the registers through a new proxy and returns what is wrong with the
// history, or "".
func (s *Script) End() string {
	s.net.open = true
	clear(s.cut)
	for _, m := range s.net.take(func(*envelope) bool { return true }) {
		s.after(s.World.Delay, m.deliver)
	}
	for _, n := range s.nodes {
		s.ReleaseDisk(int(n.id))
	}
	s.Pass(3 * s.Limits.Command)
	p := &proxy{w: s.World, index: len(s.proxies), clock: clock{w: s.World}}
	s.proxies = append(s.proxies, p)
	p.start()
	for reg := range s.Regs {
		s.probeOne(p, &Op{Kind: GetAll, Reg: reg, ID: s.nextID()})
	}
	s.checkHistory()
	return s.failure
}

// KindNamed returns the operation of a name, in upper or lower case.
func KindNamed(name string) (Kind, bool) {
	i := slices.Index(kindNames[:], strings.ToUpper(name))
	return Kind(i), i >= 0
}
