package router

import (
	"context"

	"synod/protocol/caspaxos/quorum"
	"synod/protocol/rpc"
)

// Link is one connection to a node, for bulk payloads that belong together: when
// it ends, what has been sent may have arrived and nothing more will. Lanes hear
// of its end by Disconnected.
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

// Send queues a payload, which must not be modified any more, and returns at
// once. It does not count as asked, as what goes by Router.Send does: a node that
// has a large state to bring to its disk answers that late, but not its reads.
func (l *Link) Send(payload []byte) error { return l.session.SendShared(rpc.Bulk, payload) }

// Done is closed when the connection has ended.
func (l *Link) Done() <-chan struct{} { return l.session.Done() }
