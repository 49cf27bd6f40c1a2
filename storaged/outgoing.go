package storaged

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/message"
	"synod/protocol/rpc"
	"synod/protocol/transfer"
	"synod/protocol/wire"
	"synod/storaged/changelog"
)

// A large state is sent chunk by chunk, each read when the session has room for it, so
// that it is never in memory as a whole.

// outgoingLimits bound the large states on their way to proxies. A session that does
// not read delays only its own.
var outgoingLimits = transfer.Limits{Running: 16, RunningEach: 4, Open: 512, OpenEach: 128}

// outgoing is a reply whose state is sent in chunks.
type outgoing struct {
	session *rpc.Session
	reply   message.Reply
}

type outgoingTransfer = transfer.Transfer[*rpc.Session, *outgoing]

// startOutgoing sends an admitted reply, when it is its turn.
func (d *Daemon) startOutgoing(t *outgoingTransfer) {
	d.outgoing.Start(t, func() {
		o := t.Value
		d.outgoingEnded(o, o.send(d.stopped))
	})
}

// send sends all chunks, in order.
func (o *outgoing) send(ctx context.Context) error {
	if err := o.room(ctx); err != nil {
		return errors.Join(err, o.reply.Transfer.Close())
	}
	return o.reply.Chunks(message.ChunkBytes, func(part *message.Reply) error {
		if err := o.session.SendShared(rpc.Bulk, wire.AppendReply(nil, part)); err != nil || !part.More {
			return err
		}
		return o.room(ctx)
	})
}

func (o *outgoing) room(ctx context.Context) error {
	return transfer.Room(ctx, func(ctx context.Context, backlog int) error {
		return o.session.Room(ctx, rpc.Bulk, backlog)
	})
}

// outgoingEnded tells the peer if the rest will not come.
func (d *Daemon) outgoingEnded(o *outgoing, err error) {
	switch {
	case err == nil, d.stopped.Err() != nil, o.session.Err() != nil:
	case errors.Is(err, transfer.ErrPatience), errors.Is(err, rpc.ErrBacklog):
		d.refuse(o.session, []item{{request: &message.Request{ID: o.reply.ID, Kind: message.KindRead}}}, message.Busy)
	case !errors.Is(err, changelog.ErrClosed):
		d.log.Error("cannot read a large state", zap.Error(err))
	}
}
