package transfer

import (
	"context"
	"errors"
	"time"
)

const (
	// Backlog is how many bytes may wait in a connection when the next chunk is made
	// for it.
	Backlog = 4 << 20
	// Patience is how long a peer may leave a transfer where it is.
	Patience = 10 * time.Second
)

// ErrPatience tells that the peer has taken nothing for as long as Patience.
var ErrPatience = errors.New("the peer takes nothing")

// Room waits until a connection has room for another chunk. room waits until no more
// than backlog bytes are queued, as rpc.Session.Room does, and fails with the cause of
// ctx.
func Room(ctx context.Context, room func(ctx context.Context, backlog int) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, ErrPatience)
	defer cancel()
	return room(ctx, Backlog)
}
