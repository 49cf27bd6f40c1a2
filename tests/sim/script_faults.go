package sim

import (
	"fmt"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
)

// HoldDisk makes a node's disk sync nothing any more.
func (s *Script) HoldDisk(node int) { s.net.disks[s.nodes[node]] = []func(){} }

// ReleaseDisk makes a node's disk sync again, what it has held back first.
func (s *Script) ReleaseDisk(node int) {
	n := s.nodes[node]
	held := s.net.disks[n]
	delete(s.net.disks, n)
	for _, sync := range held {
		sync()
	}
}

// Crash takes a node down. What is not on its disk is lost.
func (s *Script) Crash(node int) {
	n := s.nodes[node]
	n.up = false
	n.life++
	delete(s.net.disks, n)
	s.trace("%s crashes, log entries lost: %d", n, n.store.Appended()-n.store.Synced())
	n.store = n.store.Crash(n.store.Synced())
}

// Restart brings a node up again.
func (s *Script) Restart(node int) { s.nodes[node].restart() }

// RestartProxy crashes a proxy, which comes back with another id.
func (s *Script) RestartProxy(proxy int) {
	s.proxies[proxy].crash()
	s.Lose(proxy, s.AllNodes()...)
	s.proxies[proxy].start()
}

// TakeIDOf crashes a proxy, which comes back with the id that another one has:
// etcd was restored from an old backup.
func (s *Script) TakeIDOf(proxy, other int) {
	s.proxies[proxy].crash()
	last := s.lastProposer
	s.lastProposer = s.proxies[other].id - 1
	s.proxies[proxy].start()
	s.lastProposer = last
	s.trace("P%d comes back with the id of P%d", proxy, other)
}

// Disconnect keeps a proxy from beginning sessions with nodes, until the end.
func (s *Script) Disconnect(proxy int, nodes ...int) {
	for _, i := range nodes {
		s.cut[[2]int{proxy, i}] = true
	}
}

// ProxyClock makes a proxy's wall clock show a time, as ballots show it: in
// milliseconds since the run began.
func (s *Script) ProxyClock(proxy int, t time.Duration) {
	c := &s.proxies[proxy].clock
	c.offset = time.Second + t - time.Duration(s.now)
}

// ShiftProxyClock sets how far a proxy's wall clock is ahead of the true time.
func (s *Script) ShiftProxyClock(proxy int, d time.Duration) { s.proxies[proxy].clock.offset = d }

// ShiftNodeClock sets how far a node's wall clock is ahead of the true time.
func (s *Script) ShiftNodeClock(node int, d time.Duration) { s.nodes[node].clock.offset = d }

// Now returns the true time since the run began.
func (s *Script) Now() time.Duration { return time.Duration(s.now) - time.Second }

// SetRoom says how much room a node's disk has.
func (s *Script) SetRoom(node int, room diskroom.Room) { s.nodes[node].store.Free = room }

// ExpiresIn returns a time for Op.Expiry.
func (s *Script) ExpiresIn(d time.Duration) int64 { return s.trueWall() + d.Milliseconds() }

// PurgeTombstone drops a register's tombstone at every node, as §8 allows when all
// hold it: floor and purgedThrough are raised first, durably.
func (s *Script) PurgeTombstone(reg int) {
	for _, n := range s.nodes {
		rec, _ := n.store.Load(registerOf(reg))
		state := n.node.State()
		state.Floor = ballot.Max(state.Floor, rec.Accepted)
		state.PurgedThrough = ballot.Max(state.PurgedThrough, rec.Accepted)
		pos, _ := n.store.Append(durable.LogEntry{Node: &state})
		n.store.Sync(pos)
		n.node.Publish(state)
		n.store.Drop(registerOf(reg).Key)
		delete(s.ledger.byReg, registerOf(reg).Key)
		s.trace("%s purges the tombstone of %s at %s", n, regName(reg), s.ballot(rec.Accepted))
	}
}

// Place puts an epoch into force at some proxies and nodes. Members, and next
// under JOINT, are nodes.
func (s *Script) Place(epoch uint64, members, next, proxies, nodes []int) {
	s.config = quorum.NewConfig(epoch, nodeIDs(members), nodeIDs(next))
	for _, i := range proxies {
		s.proxies[i].cfg = s.config
		s.proxies[i].prefer = s.order(len(s.config.Nodes()))
	}
	for _, i := range nodes {
		s.nodes[i].learn(epoch)
	}
}

func nodeIDs(nodes []int) (ids []quorum.NodeID) {
	for _, i := range nodes {
		ids = append(ids, quorum.NodeID(i))
	}
	return ids
}

// Describe returns what a node holds of a register.
func (s *Script) Describe(node, reg int) string {
	n := s.nodes[node]
	// No ballot is below zero, so the Nack tells the promise and nothing changes.
	ask := message.Request{Kind: message.KindPrepare, Register: registerOf(reg), Epoch: n.epoch}
	var nack message.Reply
	if _, err := n.acc.Step(n.clock.now(), &ask, &nack); err != nil {
		panic(err) // memory does not fail
	}
	head := fmt.Sprintf("%s %s: promised %s", n, regName(reg), s.ballot(nack.Promise))
	rec, err := n.store.Load(registerOf(reg))
	if err != nil || rec == nil {
		return head + ", nothing accepted"
	}
	how := "blind"
	if rec.Prepared {
		how = "prepared"
	}
	view := n.store.View(registerOf(reg).Key)
	h := history.History{Lineage: rec.Lineage, Votes: rec.Votes}
	return fmt.Sprintf("%s, accepted %s (%s) {%s}%s", head, s.ballot(rec.Accepted), how, stateText(view), s.history(&h))
}

// Ceiling returns a node's ceiling, as ballots show it.
func (s *Script) Ceiling(node int) time.Duration {
	return time.Duration(s.nodes[node].node.State().Ceiling.UnixMilli()-epochWall-1000) * time.Millisecond
}

// DescribeNode returns what a node holds for all registers.
func (s *Script) DescribeNode(node int) string {
	n := s.nodes[node]
	state := n.node.State()
	ceiling := "none"
	if state.Ceiling != 0 {
		ceiling = s.Ceiling(node).String()
	}
	return fmt.Sprintf("%s: floor %s, ceiling %s, purgedThrough %s", n, s.ballot(state.Floor), ceiling, s.ballot(state.PurgedThrough))
}
