package proposer

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	caspaxos "synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/layout"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

const (
	// maxPayload is the size at which a payload of requests is sent, so that
	// one frame stays well below the class's limit.
	maxPayload = 256 << 10
	// bulkSize is the size from which a request goes with the bulk traffic.
	bulkSize = 64 << 10
	// maxStep bounds the commands that a lane takes before it sends, so that the first
	// does not have to wait for the last.
	maxStep = 1024
)

// Lane is one lane of a Pool.
type Lane struct {
	pool     *Pool
	proposer *caspaxos.Proposer
	net      Transport
	options  caspaxos.Options
	stop     chan struct{}
	wake     chan struct{} // capacity 1

	mu    sync.Mutex
	inbox inbox

	// Of the lane's goroutine alone.
	taken   inbox
	out     []outgoing // by NodeID
	scratch []byte
	refused []refusal
}

// inbox is what other goroutines have queued since the lane last looked.
type inbox struct {
	cmds    []*caspaxos.Command
	replies []arrival
	gone    []quorum.NodeID
}

type arrival struct {
	from    quorum.NodeID
	replies []*message.Reply
}

// outgoing gathers the requests to one node.
type outgoing struct {
	payload []byte
	ids     []uint64
}

// refusal is a request that could not be sent.
type refusal struct {
	to quorum.NodeID
	id uint64
}

func newLane(p *Pool, cfg Config, i, n int) *Lane {
	l := &Lane{pool: p, stop: make(chan struct{}), wake: make(chan struct{}, 1)}
	l.options = caspaxos.Options{
		Clock: cfg.Clock, Limits: cfg.Limits, Timing: cfg.Timing, Stats: p.stats,
		Cached: cfg.Cached/n + 1, CachedBytes: cfg.CachedBytes/n + 1,
		Lane: uint64(i), Lanes: uint64(n), Due: layout.Due,
	}
	return l
}

func (l *Lane) begin(t Transport) {
	l.net = t
	l.options.Env = &env{Transport: t, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	l.proposer = caspaxos.New(l.options)
}

func (l *Lane) submit(cmds []*caspaxos.Command) {
	l.mu.Lock()
	l.inbox.cmds = append(l.inbox.cmds, cmds...)
	l.mu.Unlock()
	l.signal()
}

// submitPart queues the commands that belong to this lane.
func (l *Lane) submitPart(cmds []*caspaxos.Command, part []uint8, mine uint8) {
	l.mu.Lock()
	before := len(l.inbox.cmds)
	for i, c := range cmds {
		if part[i] == mine {
			l.inbox.cmds = append(l.inbox.cmds, c)
		}
	}
	came := len(l.inbox.cmds) > before
	l.mu.Unlock()
	if came {
		l.signal()
	}
}

// Replies takes replies from a node; see router.Lane.
func (l *Lane) Replies(from quorum.NodeID, replies []*message.Reply) {
	l.pool.deliveries.answered(from, replies)
	l.mu.Lock()
	l.inbox.replies = append(l.inbox.replies, arrival{from: from, replies: replies})
	l.mu.Unlock()
	l.signal()
}

// Disconnected tells that the connection to a node is gone; see router.Lane.
func (l *Lane) Disconnected(node quorum.NodeID) {
	l.mu.Lock()
	l.inbox.gone = append(l.inbox.gone, node)
	l.mu.Unlock()
	l.signal()
}

func (l *Lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take moves the inbox over and reports whether there was anything.
func (l *Lane) take() bool {
	t := &l.taken
	clear(t.cmds)
	clear(t.replies)
	t.cmds, t.replies, t.gone = t.cmds[:0], t.replies[:0], t.gone[:0]
	l.mu.Lock()
	l.inbox, l.taken = l.taken, l.inbox
	l.mu.Unlock()
	return len(t.cmds)+len(t.replies)+len(t.gone) > 0
}

// run is the lane's goroutine.
func (l *Lane) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
			// Often several sessions have commands: let the others submit theirs
			// first, for a larger batch. This costs nothing when no other
			// goroutine is ready.
			runtime.Gosched()
		case <-timer.C:
		}
		var next instant.Mono
		if !l.take() {
			next = l.step(l.pool.now()) // a timer went off
		} else {
			for next = l.drain(); l.take(); {
				next = l.drain()
			}
		}
		if next != 0 {
			timer.Reset(max(time.Duration(next-l.pool.Now()), 0))
		}
	}
}

// drain steps the proposer through what was taken. Replies come first: they free
// registers for the commands behind them. All steps get the time at which the inbox
// was taken, so that a busy lane does not make a member look late.
func (l *Lane) drain() instant.Mono {
	now := l.pool.now()
	for _, a := range l.taken.replies {
		for _, r := range a.replies {
			l.proposer.Deliver(now, a.from, r)
		}
	}
	for _, node := range l.taken.gone {
		l.proposer.Disconnected(now, node)
	}
	cmds := l.taken.cmds
	for len(cmds) > maxStep {
		l.submitAll(now, cmds[:maxStep])
		l.flush(now)
		cmds = cmds[maxStep:]
	}
	l.submitAll(now, cmds)
	return l.step(now)
}

func (l *Lane) submitAll(now instant.Now, cmds []*caspaxos.Command) {
	for _, c := range cmds {
		l.proposer.Submit(now, c)
	}
}

// step does what is due and sends the resulting requests. It returns when it must be
// called next; zero: when something comes in.
func (l *Lane) step(now instant.Now) instant.Mono {
	next := l.proposer.Tick(now)
	if l.flush(now) {
		return l.proposer.Tick(now)
	}
	return next
}

// flush sends the proposer's requests and reports whether there were any.
func (l *Lane) flush(now instant.Now) bool {
	sent := false
	for {
		out := l.proposer.Take()
		if len(out) == 0 {
			return sent
		}
		sent = true
		l.encode(out)
		l.proposer.Recycle(out)
		for to := range l.out {
			l.send(quorum.NodeID(to))
		}
		// What could not be sent may make the proposer send again, elsewhere.
		for _, r := range l.refused {
			l.proposer.Deliver(now, r.to, &message.Reply{ID: r.id, Outcome: message.Unsent})
		}
		l.refused = l.refused[:0]
	}
}

// refuse notes requests that will not be sent.
func (l *Lane) refuse(to quorum.NodeID, ids ...uint64) {
	for _, id := range ids {
		l.refused = append(l.refused, refusal{to: to, id: id})
	}
}

// encode sorts the requests by node. The same request to several nodes is
// encoded once; a large one is delivered in chunks.
func (l *Lane) encode(out []message.Sent) {
	var last *message.Request
	var encoded []byte
	var large *largeRequest
	for _, s := range out {
		if s.Request != last {
			last = s.Request
			encoded, large = l.encodeOne(last)
		}
		if large != nil {
			gone, ok := l.pool.deliveries.add(l, s.To, large)
			if l.refuse(s.To, gone...); !ok {
				l.refuse(s.To, last.ID)
			}
			continue
		}
		l.refuse(s.To, l.pool.deliveries.supersede(s.To, last)...)
		for int(s.To) >= len(l.out) {
			l.out = append(l.out, outgoing{})
		}
		o := &l.out[s.To]
		if len(encoded) >= bulkSize {
			if !l.net.Send(s.To, rpc.Bulk, encoded) {
				l.refuse(s.To, last.ID)
			}
			continue
		}
		if len(o.payload)+len(encoded) > maxPayload {
			l.send(s.To)
		}
		o.payload = append(o.payload, encoded...)
		o.ids = append(o.ids, last.ID)
	}
}

// encodeOne encodes a request. A small one goes into a buffer that is reused for the
// next, a bulk one into memory of its own. A large one becomes a largeRequest.
func (l *Lane) encodeOne(req *message.Request) ([]byte, *largeRequest) {
	n := req.Change.Bytes()
	if p := large(req, n); p != nil {
		return nil, p
	}
	if n >= bulkSize/2 {
		return wire.AppendRequest(make([]byte, 0, n+n/16), req), nil
	}
	l.scratch = wire.AppendRequest(l.scratch[:0], req)
	if len(l.scratch) >= bulkSize {
		return bytes.Clone(l.scratch), nil
	}
	return l.scratch, nil
}

func (l *Lane) send(to quorum.NodeID) {
	o := &l.out[to]
	if len(o.payload) == 0 {
		return
	}
	if !l.net.Send(to, rpc.Votes, o.payload) {
		l.refuse(to, o.ids...)
	}
	o.payload, o.ids = o.payload[:0], o.ids[:0]
}
