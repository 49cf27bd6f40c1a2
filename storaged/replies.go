package storaged

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"synod/protocol/budget"
	"synod/protocol/caspaxos/message"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

const (
	// bulkReply is the size from which a reply goes with the bulk traffic, so that it
	// does not delay others.
	bulkReply = 64 << 10
	// Many small replies must not delay others either. votesStates is about how many
	// bytes of states may wait in a session among the votes; further ones go with the
	// bulk traffic. bulkStates is how many may wait there: beyond, states are no longer
	// sent along with ballots, and those that are asked for explicitly become
	// transfers, which wait for room. It is less than the limit for transfers, so that
	// these get their turn.
	votesStates = 128 << 10
	bulkStates  = 2 << 20
	// smallState is the size up to which a state is always sent along: leaving it out
	// would save little.
	smallState = 1 << 10
	// frameBytes is about how much one frame of replies holds.
	frameBytes = 256 << 10
	// spareFrames is how many buffers a lane keeps for later.
	spareFrames = 16
)

// frame is replies on their way to a session.
type frame struct {
	session  *rpc.Session
	class    rpc.Class
	need     uint64 // the changelog must be durable up to here first
	b        []byte
	transfer *outgoingTransfer // sent instead of b, if not nil
}

// replies collects the replies of a lane's batch by session, and holds those that
// must wait for a sync. Only the lane's goroutine adds and seals; the changelog's
// goroutine releases.
type replies struct {
	lane *lane
	open []openFrame // of the current batch

	heldBulk atomic.Int64 // bytes of the bulk traffic in held

	mu    sync.Mutex
	held  []frame // about in the order of need
	spare [][]byte
	busy  int           // releases under way
	empty chan struct{} // closed when held becomes empty, if not nil
}

// openFrame is what a batch has for one session: replies that may leave at
// once, and those that wait for the changelog.
type openFrame struct {
	session *rpc.Session
	free    []byte
	wait    []byte
	need    uint64
	bulk    []byte // states that may leave at once

	// How many more bytes of states the session accepts with the votes, and in total.
	votesRoom, bulkRoom int
}

// along is the size up to which a state is sent along with a reply to a session.
func (r *replies) along(s *rpc.Session) int {
	if r.of(s).bulkRoom > 0 {
		return message.MaxVotedState
	}
	return smallState
}

// class returns the class of traffic for a reply with so many bytes of state or
// changes.
func (o *openFrame) class(size int) rpc.Class {
	switch {
	case size <= smallState:
		return rpc.Votes
	case size <= min(bulkReply, o.votesRoom):
		o.votesRoom -= size
		return rpc.Votes
	}
	o.bulkRoom -= size
	return rpc.Bulk
}

// add puts a reply into its session's frame. It is encoded at once: the views
// in it are not used later.
func (r *replies) add(s *rpc.Session, reply *message.Reply) {
	if reply.Transfer != nil {
		r.transfer(s, reply)
		return
	}
	o := r.of(s)
	late := reply.After > r.lane.daemon.engine.Synced()
	if size := stateBytes(reply); o.class(size) == rpc.Bulk {
		if late || size > frameBytes {
			r.dispatch(frame{session: s, class: rpc.Bulk, need: reply.After, b: wire.AppendReply(nil, reply)})
			return
		}
		r.addBulk(o, reply)
		return
	}
	if !late {
		o.free = wire.AppendReply(r.room(o.free), reply)
		if len(o.free) > frameBytes {
			r.dispatch(frame{session: s, class: rpc.Votes, b: o.free})
			o.free = nil
		}
		return
	}
	o.wait = wire.AppendReply(r.room(o.wait), reply)
	o.need = max(o.need, reply.After)
	if len(o.wait) > frameBytes {
		r.dispatch(frame{session: s, class: rpc.Votes, need: o.need, b: o.wait})
		o.wait, o.need = nil, 0
	}
}

// addBulk puts a reply that may leave at once into its session's bulk frame. A
// receiver without memory for a large frame skips it, and learns of its first reply
// only, so a large reply has a frame of its own.
func (r *replies) addBulk(o *openFrame, reply *message.Reply) {
	before := len(o.bulk)
	o.bulk = wire.AppendReply(o.bulk, reply)
	if len(o.bulk) < budget.Large {
		return
	}
	own := o.bulk
	if o.bulk = nil; before > 0 {
		r.dispatch(frame{session: o.session, class: rpc.Bulk, b: own[:before:before]})
		own = bytes.Clone(own[before:])
	}
	if len(own) < budget.Large {
		o.bulk = own
		return
	}
	r.dispatch(frame{session: o.session, class: rpc.Bulk, b: own})
}

// stateBytes is the size of the state in a reply.
func stateBytes(reply *message.Reply) int {
	switch {
	case reply.HasState:
		return reply.View.Bytes()
	case reply.DeltaRange != nil:
		return reply.DeltaRange.Change.Bytes()
	}
	return 0
}

// transfer sends a reply with pages in chunks, once it may leave.
func (r *replies) transfer(s *rpc.Session, reply *message.Reply) {
	if t, _ := r.lane.daemon.outgoing.Admit(s, &outgoing{session: s, reply: *reply}, 0, nil); t != nil {
		r.dispatch(frame{session: s, need: reply.After, transfer: t})
		return
	}
	if err := reply.Transfer.Close(); err != nil {
		r.lane.report(err)
	}
	*reply = message.Reply{ID: reply.ID, Outcome: message.Busy}
	r.add(s, reply)
}

// of returns the batch's frame for a session. Requests of one session usually come
// together, so the last frame is tried first.
func (r *replies) of(s *rpc.Session) *openFrame {
	for i := len(r.open) - 1; i >= 0; i-- {
		if r.open[i].session == s {
			return &r.open[i]
		}
	}
	r.open = append(r.open, openFrame{
		session:   s,
		votesRoom: votesStates - s.Backlog(rpc.Votes),
		bulkRoom:  bulkStates - s.Backlog(rpc.Bulk) - int(r.heldBulk.Load()),
	})
	return &r.open[len(r.open)-1]
}

// room returns a buffer to append to.
func (r *replies) room(b []byte) []byte {
	if b != nil {
		return b
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.spare); n > 0 {
		b, r.spare = r.spare[n-1], r.spare[:n-1]
		return b
	}
	return make([]byte, 0, 4<<10)
}

// seal ends a batch.
func (r *replies) seal() {
	for i := range r.open {
		o := &r.open[i]
		if o.free != nil {
			r.dispatch(frame{session: o.session, class: rpc.Votes, b: o.free})
		}
		if o.wait != nil {
			r.dispatch(frame{session: o.session, class: rpc.Votes, need: o.need, b: o.wait})
		}
		if o.bulk != nil {
			r.dispatch(frame{session: o.session, class: rpc.Bulk, b: o.bulk})
		}
		*o = openFrame{}
	}
	r.open = r.open[:0]
}

// dispatch sends a frame, now or when the changelog allows it.
func (r *replies) dispatch(f frame) {
	if f.need <= r.lane.daemon.engine.Synced() {
		r.send(f)
		return
	}
	if f.class == rpc.Bulk {
		r.heldBulk.Add(int64(len(f.b)))
	}
	r.mu.Lock()
	r.held = append(r.held, f)
	r.mu.Unlock()
	// The sync may have ended just before, and found nothing to release.
	if synced := r.lane.daemon.engine.Synced(); f.need <= synced {
		r.release(synced)
	}
}

// release sends what waited for the changelog to be durable up to pos. Frames are
// not exactly in the order of need: one may wait for another that needs more.
func (r *replies) release(pos uint64) {
	r.mu.Lock()
	n := 0
	for n < len(r.held) && r.held[n].need <= pos {
		n++
	}
	if n == 0 {
		r.mu.Unlock()
		return
	}
	r.busy++
	ready := append([]frame(nil), r.held[:n]...)
	rest := copy(r.held, r.held[n:])
	clear(r.held[rest:])
	r.held = r.held[:rest]
	r.mu.Unlock()
	for _, f := range ready {
		if f.class == rpc.Bulk {
			r.heldBulk.Add(-int64(len(f.b)))
		}
		r.send(f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	if len(r.held)+r.busy == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

// send hands a frame to its session.
func (r *replies) send(f frame) {
	if f.transfer != nil {
		r.lane.daemon.startOutgoing(f.transfer)
		return
	}
	if f.class == rpc.Votes {
		// Peers remember how far this node has come.
		f.b = wire.AppendMark(f.b, r.lane.daemon.engine.Synced())
	}
	if len(f.b) >= bulkReply {
		r.lane.daemon.sent(f.session, f.session.SendShared(f.class, f.b))
		return
	}
	r.lane.daemon.sent(f.session, f.session.Send(f.class, f.b))
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spare) < spareFrames {
		r.spare = append(r.spare, f.b[:0])
	}
}

// drained waits until nothing is held.
func (r *replies) drained(ctx context.Context) error {
	r.mu.Lock()
	if len(r.held)+r.busy == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.empty == nil {
		r.empty = make(chan struct{})
	}
	empty := r.empty
	r.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
