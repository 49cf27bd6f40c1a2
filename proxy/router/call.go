package router

import (
	"context"
	"errors"
	"sync"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

// ErrUnreachable says that a node could not be asked, or that the connection ended
// before it answered.
var ErrUnreachable = errors.New("storage node not reachable")

// calls are the pending control requests, each with one caller waiting for it.
type calls struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]call
}

type call struct {
	to     quorum.NodeID
	answer chan any // capacity 1; nil when the node went away
}

func (c *calls) init() { c.open = make(map[uint64]call) }

func (c *calls) begin(to quorum.NodeID) (uint64, chan any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	ch := make(chan any, 1)
	c.open[c.last] = call{to: to, answer: ch}
	return c.last, ch
}

func (c *calls) answer(id uint64, reply any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if open, ok := c.open[id]; ok {
		delete(c.open, id)
		open.answer <- reply
	}
}

func (c *calls) cancel(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

func (c *calls) disconnected(node quorum.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, open := range c.open {
		if open.to == node {
			delete(c.open, id)
			open.answer <- nil
		}
	}
}

// call sends one control message and waits for its answer.
func (r *Router) call(ctx context.Context, to quorum.NodeID, encode func(id uint64) []byte) (any, error) {
	id, answer := r.calls.begin(to)
	defer r.calls.cancel(id)
	if !r.Send(to, rpc.Control, encode(id)) {
		return nil, ErrUnreachable
	}
	select {
	case reply := <-answer:
		if reply == nil {
			return nil, ErrUnreachable
		}
		return reply, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask makes a call that is answered by a *T.
func ask[T any](ctx context.Context, r *Router, to quorum.NodeID, encode func(id uint64) []byte) (*T, error) {
	reply, err := r.call(ctx, to, encode)
	if err != nil {
		return nil, err
	}
	if answer, ok := reply.(*T); ok {
		return answer, nil
	}
	return nil, ErrUnreachable
}

// Flush asks a node for a range tombstone. The request's ID is set here.
func (r *Router) Flush(ctx context.Context, to quorum.NodeID, req message.FlushRequest) (*message.FlushReply, error) {
	return ask[message.FlushReply](ctx, r, to, func(id uint64) []byte {
		req.ID = id
		return wire.AppendFlushRequest(nil, &req)
	})
}

// List asks a node for a page of the registers that it holds. The request's ID
// is set here.
func (r *Router) List(ctx context.Context, to quorum.NodeID, req listing.Request) (*listing.Reply, error) {
	return ask[listing.Reply](ctx, r, to, func(id uint64) []byte {
		req.ID = id
		return wire.AppendListRequest(nil, &req)
	})
}

// Tally asks a node how many registers it holds. The request's ID is set here.
func (r *Router) Tally(ctx context.Context, to quorum.NodeID, req listing.TallyRequest) (*listing.TallyReply, error) {
	return ask[listing.TallyReply](ctx, r, to, func(id uint64) []byte {
		req.ID = id
		return wire.AppendTallyRequest(nil, &req)
	})
}
