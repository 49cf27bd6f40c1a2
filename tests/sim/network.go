package sim

import (
	"fmt"
	"slices"
	"strings"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/wire"
)

// network is the network and the disks of a Script. A message stays in transit
// until the script delivers or loses it. A disk syncs at once unless the script
// holds it. The network also writes the transcript.
type network struct {
	w     *World
	sent  []envelope // both ways, oldest first
	disks map[*node][]func()
	open  bool // everything is delivered by itself, and not shown
	quiet bool // messages are not shown

	asked  map[asked]string // the requests that replies answer, as text
	owners map[ballot.ProposerID]string
	ids    map[int]int // how many a proxy has had
	lines  []string    // of the transcript
	last   fanOut
	// deferred is the number of the line, from 1, that says that a node defers a
	// request.
	deferred int
}

// envelope is under way between a proxy and a node.
type envelope struct {
	proxy   *proxy
	node    *node
	req     *message.Request // nil for a reply, and for a flush
	reply   bool
	text    string
	deliver func()
}

// asked names a request of one life of a proxy.
type asked struct {
	proxy, life int
	id          uint64
}

// fanOut is the last line of the transcript if it shows a message that may also
// go to further nodes.
type fanOut struct {
	line       int // its number, from 1
	head, tail string
	nodes      []string
}

func (m *network) request(p *proxy, n *node, raw []byte, req *message.Request, deliver func()) {
	text, short, id := m.w.requestTexts(raw)
	m.asked[asked{p.index, p.life, id}] = short
	m.put(envelope{proxy: p, node: n, req: req, text: text, deliver: deliver})
}

func (m *network) reply(n *node, p *proxy, life int, raw []byte, deliver func()) {
	id, text := m.w.replyText(raw, func(id uint64) string { return m.asked[asked{p.index, life, id}] })
	if _, known := m.asked[asked{p.index, life, id}]; !known {
		m.show("%s→peer %s", n, text) // the real sender does not listen
		return
	}
	m.put(envelope{proxy: p, node: n, reply: true, text: text, deliver: deliver})
}

func (m *network) put(msg envelope) {
	if m.open {
		m.w.after(m.w.Delay, msg.deliver)
		return
	}
	m.sent = append(m.sent, msg)
	if msg.reply {
		if n := len(m.lines); m.deferred == n && n > 0 { // not for long
			m.lines, m.deferred = m.lines[:n-1], 0
		}
		m.show("%s→%s %s", msg.node, msg.proxy, msg.text)
		return
	}
	m.showTo(msg.proxy.String()+"→", msg.node, " "+msg.text)
}

// pending is called with what a disk is about to do.
func (m *network) pending(n *node, do func()) {
	if _, held := m.disks[n]; held {
		m.disks[n] = append(m.disks[n], do)
		return
	}
	m.w.after(1, do)
}

// take removes and returns the matching messages.
func (m *network) take(match func(*envelope) bool) []envelope {
	var taken []envelope
	m.sent = slices.DeleteFunc(m.sent, func(msg envelope) bool {
		if match(&msg) {
			taken = append(taken, msg)
			return true
		}
		return false
	})
	return taken
}

// lose removes and shows the matching messages.
func (m *network) lose(match func(*envelope) bool) {
	for _, msg := range m.take(match) {
		if msg.reply {
			m.show("lost: %s→%s %s", msg.node, msg.proxy, msg.text)
		} else {
			m.showTo("lost: "+msg.proxy.String()+"→", msg.node, " "+msg.text)
		}
	}
}

// own records the proxy of a proposer id. Ballots show a proxy's first id as
// P0, its second as P0', and so on.
func (m *network) own(p *proxy) {
	if m.owners[p.id] == "" {
		m.owners[p.id] = p.String() + strings.Repeat("'", m.ids[p.index])
		m.ids[p.index]++
	}
}

// say adds a line to the transcript.
func (m *network) say(format string, args ...any) {
	m.lines = append(m.lines, fmt.Sprintf(format, args...))
}

// show is say for messages, which a script may hide.
func (m *network) show(format string, args ...any) {
	if !m.open && !m.quiet {
		m.say(format, args...)
	}
}

// showTo shows a message to a node. If the last line shows the same one to
// others, the node is added there.
func (m *network) showTo(head string, to *node, tail string) {
	if l := &m.last; l.line == len(m.lines) && l.line > 0 && l.head == head && l.tail == tail && !slices.Contains(l.nodes, to.String()) && !m.open && !m.quiet {
		l.nodes = append(l.nodes, to.String())
		m.lines[l.line-1] = head + strings.Join(l.nodes, ",") + tail
		return
	}
	m.show("%s%s%s", head, to, tail)
	m.last = fanOut{len(m.lines), head, tail, []string{to.String()}}
}

// requestTexts returns a request as a transcript shows it, in short as a reply
// names it, and its ID.
func (w *World) requestTexts(raw []byte) (text, short string, id uint64) {
	b := wire.NewBatch(raw)
	if !b.Next() {
		panic(fmt.Sprintf("sim: request: %v", b.Err()))
	}
	if b.Kind() == wire.KindFlushRequest {
		q, err := b.FlushRequest()
		if err != nil {
			panic(fmt.Sprintf("sim: flush request: %v", err))
		}
		text = "Flush " + w.ballot(q.Ballot)
		return text, text, q.ID
	}
	q, err := b.Request()
	if err != nil {
		panic(fmt.Sprintf("sim: request: %v", err))
	}
	return w.request(q), w.short(q), q.ID
}

// replyText returns the ID of a reply and how a transcript shows it. about
// returns the request that it answers, in short.
func (w *World) replyText(raw []byte, about func(id uint64) string) (id uint64, text string) {
	b := wire.NewBatch(raw)
	if !b.Next() {
		panic(fmt.Sprintf("sim: reply: %v", b.Err()))
	}
	if b.Kind() == wire.KindFlushReply {
		r, err := b.FlushReply()
		if err != nil {
			panic(fmt.Sprintf("sim: flush reply: %v", err))
		}
		text = outcomes[r.Outcome] + " " + about(r.ID)
		for _, refused := range r.Refused {
			text += ", refuses " + refused.Key[1:]
		}
		return r.ID, text
	}
	r, err := b.Reply()
	if err != nil {
		panic(fmt.Sprintf("sim: reply: %v", err))
	}
	return r.ID, w.reply(about(r.ID), r)
}
