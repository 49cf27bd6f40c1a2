package sim

import (
	"slices"

	"synod/protocol/caspaxos"
)

// network is the network and the disks of a Script: what is sent stays under
// way until the script delivers or loses it, and disks sync at once unless they
// are held.
type network struct {
	w     *World
	sent  []message // both ways, oldest first
	disks map[*node][]func()
	open  bool // everything is delivered by itself
}

// message is under way between a proxy and a node.
type message struct {
	proxy   *proxy
	node    *node
	req     *caspaxos.Request // nil for a reply, and for a flush
	reply   bool
	deliver func()
}

func (m *network) request(p *proxy, n *node, req *caspaxos.Request, deliver func()) {
	m.put(message{proxy: p, node: n, req: req, deliver: deliver})
}

func (m *network) reply(n *node, p *proxy, deliver func()) {
	m.put(message{proxy: p, node: n, reply: true, deliver: deliver})
}

func (m *network) put(msg message) {
	if m.open {
		m.w.after(m.w.Delay, msg.deliver)
		return
	}
	m.sent = append(m.sent, msg)
}

// pending is called with what a disk is about to do.
func (m *network) pending(n *node, do func()) {
	if _, held := m.disks[n]; held {
		m.disks[n] = append(m.disks[n], do)
		return
	}
	m.w.after(1, do)
}

// take removes the messages that match and returns them.
func (m *network) take(match func(*message) bool) []message {
	var taken []message
	m.sent = slices.DeleteFunc(m.sent, func(msg message) bool {
		if match(&msg) {
			taken = append(taken, msg)
			return true
		}
		return false
	})
	return taken
}
