package router

import (
	"context"

	"synod/protocol/caspaxos/quorum"
	"synod/protocol/rpc"
)

// Link is one connection to a node, for bulk payloads that belong together. When it
// ends, sent payloads may have arrived, and no more will. Lanes are told of its end
// by Disconnected.
type Link struct{ session *rpc.Session }

// Link returns the connection to a node, nil if there is none at present.
func (r *Router) Link(to quorum.NodeID) *Link {
	if s := r.node(to).session.Load(); s != nil {
		return &Link{s}
	}
	return nil
}

// Room waits until no more than backlog bytes of bulk payloads wait to be written.
func (l *Link) Room(ctx context.Context, backlog int) error {
	return l.session.Room(ctx, rpc.Bulk, backlog)
}

// Send queues a payload, which must not be modified any more, and returns at once.
// Unlike Router.Send, it does not count the node as silent if the answer is late: a
// node that writes a large state to disk still answers reads in time.
func (l *Link) Send(payload []byte) error { return l.session.SendShared(rpc.Bulk, payload) }

// Done is closed when the connection has ended.
func (l *Link) Done() <-chan struct{} { return l.session.Done() }
