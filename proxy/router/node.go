package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

const (
	// silence is how long a node may leave requests unanswered before reads ask
	// others first.
	silence = 50 * time.Millisecond
	// healthEvery is how often that is checked.
	healthEvery = 20 * time.Millisecond
	// redialEvery bounds the pause between attempts to connect, and so the delay until
	// a node that is back is noticed.
	redialEvery = 50 * time.Millisecond
)

// node is the connection to one storage node. A goroutine keeps it up as long as the
// router lives.
type node struct {
	router *Router
	id     quorum.NodeID
	name   string

	session atomic.Pointer[rpc.Session]
	// admitted is the last claim that the node has admitted.
	admitted atomic.Pointer[identity.Claim]
	// position is how far the node's changelog is known to have been durable, self
	// what it was then.
	position atomic.Uint64
	self     atomic.Pointer[rpc.Mark]
	// waiting is when the oldest possibly unanswered request was sent, on the router's
	// clock; zero if the node has answered since.
	waiting atomic.Int64
	silent  atomic.Bool
	missing atomic.Bool // it is silent, and has been for longer than absence
	probing atomic.Bool // a sign of life is awaited

	mu    sync.Mutex
	addr  string
	moved chan struct{} // closed when addr changes
}

func newNode(r *Router, id quorum.NodeID, name string) *node {
	return &node{router: r, id: id, name: name, moved: make(chan struct{})}
}

// locate tells where the node listens at present.
func (n *node) locate(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr != n.addr {
		n.addr = addr
		close(n.moved)
		n.moved = make(chan struct{})
	}
}

func (n *node) place() (addr string, moved <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr, n.moved
}

// run keeps a session open until the router closes.
func (n *node) run() {
	ctx, log := n.router.ctx, n.router.cfg.Log.With(zap.String("node", n.name))
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, time.Second
	told := ""
	for ctx.Err() == nil {
		addr, moved := n.place()
		if addr == "" {
			wait(ctx, moved, time.Hour)
			continue
		}
		err := n.connect(ctx, addr, moved, func() {
			pause.Reset()
			if told != "" {
				log.Info("connected to the node", zap.String("addr", addr))
				told = ""
			}
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != told {
			told = err.Error()
			level := zap.WarnLevel
			if errors.Is(err, rpc.ErrNoSecret) {
				level = zap.InfoLevel // both are starting, or the cluster is not initialised yet
			}
			log.Log(level, "no connection to the node", zap.String("addr", addr), zap.Error(err))
		}
		d := pause.NextBackOff()
		if errors.Is(err, rpc.ErrUnreached) {
			d = min(d, redialEvery)
		}
		wait(ctx, moved, d)
	}
}

func wait(ctx context.Context, moved <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-moved:
	case <-t.C:
	}
}

// connect opens a session and waits until it ends or the node's address changes. It
// returns why the session ended, nil if the address changed.
func (n *node) connect(ctx context.Context, addr string, moved <-chan struct{}, opened func()) error {
	var ended error
	closed := make(chan struct{})
	claim := n.router.claim.Load()
	s, err := rpc.Dial(ctx, addr, rpc.Options{
		Traffic: &n.router.traffic,
		Cluster: n.router.cfg.Cluster, Secrets: func() []rpc.Secret { return *n.router.secrets.Load() }, Kind: rpc.Proxy, Name: n.router.cfg.Name, Expect: n.name,
		Claim: func() identity.Claim { return *claim }, Seen: n.seen, Judge: n.recognise,
		Handle: n.handler(), Memory: n.router.cfg.Memory, Refused: n.refused,
		Closed: func(_ *rpc.Session, err error) { ended = err; close(closed) },
		Log:    n.router.cfg.Log,
	})
	if err != nil {
		var taken *rpc.ProposerError
		if errors.As(err, &taken) && n.router.cfg.Refused != nil {
			n.router.cfg.Refused(*claim, taken.Highest)
		}
		return err
	}
	opened()
	n.admitted.Store(claim)
	n.waiting.Store(0)
	n.silent.Store(false)
	n.session.Store(s)
	n.changed()
	if n.router.claim.Load() != claim { // renewed meanwhile: say the new one
		s.Close()
	}
	select {
	case <-closed:
	case <-ctx.Done():
	case <-moved:
	}
	n.session.Store(nil)
	s.Close()
	<-closed
	for _, l := range n.router.lanes {
		l.Disconnected(n.id)
	}
	n.router.calls.disconnected(n.id)
	n.changed()
	if errors.Is(ended, rpc.ErrClosed) {
		return nil
	}
	return ended
}

// seen is what the proxy remembers of the node, over all its sessions.
func (n *node) seen() rpc.Mark {
	self := n.self.Load()
	if self == nil {
		return rpc.Mark{}
	}
	m := *self
	m.Position = n.position.Load()
	return m
}

// recognise compares the node that was reached with what the proxy remembers of it.
// The node makes the same check, but an outdated state of the node, or a copy of it, may
// not notice.
func (n *node) recognise(p rpc.Peer) error {
	seen, self := n.seen(), p.Self
	switch {
	case self == (rpc.Mark{}):
		return nil // it did not send its mark
	case seen == (rpc.Mark{}):
	case self.Store != seen.Store:
		return fmt.Errorf("%w: it is on another data directory than before", rpc.ErrNotTheNode)
	case self.Number < seen.Number || self.Number == seen.Number && self.ID != seen.ID:
		return fmt.Errorf("%w: this is its start %d, start %d has been seen: it is a copy, or was rolled back", rpc.ErrNotTheNode, self.Number, seen.Number)
	case self.Number > seen.Number && self.Position < seen.Position:
		return fmt.Errorf("%w: it holds entries up to %d, it had entries up to %d", rpc.ErrNotTheNode, self.Position, seen.Position)
	}
	n.self.Store(&self)
	n.durable(self.Position)
	return nil
}

// durable notes how far the node's changelog is durable.
func (n *node) durable(position uint64) {
	for {
		old := n.position.Load()
		if position <= old || n.position.CompareAndSwap(old, position) {
			return
		}
	}
}

// changed recomputes the order in which reads ask the nodes.
func (n *node) changed() {
	r := n.router
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.table.Load()
	r.reorder(t)
	r.survey(t, r.now())
}

func (n *node) asked(now int64) {
	if n.waiting.Load() == 0 {
		n.waiting.Store(now)
	}
}

// handler returns the function that handles the node's payloads and passes the
// replies on to the lanes.
func (n *node) handler() func(*rpc.Session, rpc.Class, []byte) {
	return func(s *rpc.Session, class rpc.Class, payload []byte) {
		n.waiting.Store(0)
		if err := n.take(payload); err != nil {
			n.router.cfg.Log.Error("a node sent an invalid message", zap.String("node", n.name),
				zap.Stringer("class", class), zap.Error(err))
			s.Close()
		}
	}
}

// refused tells a lane that there was no memory for a reply.
func (n *node) refused(_ *rpc.Session, _ rpc.Class, head []byte) {
	n.waiting.Store(0)
	kind, id, ok := wire.Beginning(head)
	switch {
	case !ok:
	case kind == wire.KindReply:
		n.router.lanes[id%uint64(len(n.router.lanes))].Replies(n.id, []*message.Reply{{ID: id, Outcome: message.NoRoom}})
	case kind == wire.KindListReply:
		n.router.calls.answer(id, &listing.Reply{ID: id, Outcome: message.Busy})
	}
}

func (n *node) take(payload []byte) error {
	lanes := n.router.lanes
	byLane := make([][]*message.Reply, len(lanes))
	b := wire.NewBatch(payload)
	for b.Next() {
		switch b.Kind() {
		case wire.KindReply:
			reply, err := b.Reply()
			if err != nil {
				return err
			}
			lane := reply.ID % uint64(len(lanes))
			byLane[lane] = append(byLane[lane], reply)
		case wire.KindMark:
			position, err := b.Mark()
			if err != nil {
				return err
			}
			n.durable(position)
		case wire.KindFlushReply:
			reply, err := b.FlushReply()
			if err != nil {
				return err
			}
			n.router.calls.answer(reply.ID, reply)
		case wire.KindListReply:
			reply, err := b.ListReply()
			if err != nil {
				return err
			}
			n.router.calls.answer(reply.ID, reply)
		case wire.KindTallyReply:
			reply, err := b.TallyReply()
			if err != nil {
				return err
			}
			n.router.calls.answer(reply.ID, reply)
		}
	}
	for i, replies := range byLane {
		if len(replies) > 0 {
			lanes[i].Replies(n.id, replies)
		}
	}
	return b.Err()
}

// watchHealth notices nodes that fall silent and groups without a quorum, and when
// they recover.
func (r *Router) watchHealth() {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		changed := false
		for _, n := range *r.nodes.Load() {
			changed = n.judge(r.now()) || changed
		}
		r.mu.Lock()
		t := r.table.Load()
		if changed {
			r.reorder(t)
		}
		r.survey(t, r.now())
		r.mu.Unlock()
	}
}

// answers reports whether there is a connection to the node and it has not fallen
// silent.
func (n *node) answers() bool { return n.session.Load() != nil && !n.silent.Load() }

// isMissing reports whether there is no connection to the node or it has not answered
// for long.
func (n *node) isMissing() bool { return n.session.Load() == nil || n.missing.Load() }

// judge updates the node's health and reports whether it has changed.
func (n *node) judge(now int64) bool {
	s := n.session.Load()
	if s == nil {
		return false
	}
	waiting := n.waiting.Load()
	late := waiting != 0 && now-waiting > int64(silence)
	n.missing.Store(late && now-waiting > int64(absence))
	if n.silent.Load() {
		// Reads do not ask a silent node, so it may have nothing to answer: a sign of
		// life from the session's keep-alive counts, too.
		back := waiting == 0 || int64(s.LastHeard().Sub(n.router.start)) > waiting+int64(silence)
		if back {
			n.waiting.Store(0)
			n.silent.Store(false)
		}
		return back
	}
	if late {
		n.silent.Store(true)
	}
	return late
}
