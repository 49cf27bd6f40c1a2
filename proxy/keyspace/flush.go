package keyspace

import (
	"context"
	"fmt"
	"sync"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/proxy/router"
)

// Flush removes all keys of databases first to last (PROTOCOL §8): it writes a
// blind range tombstone to every slot range, then deletes the keys that a node
// refused to flush one by one. It is not atomic across keys. The error is
// operation.ErrUncertain if some keys may be gone and others not.
func (k *Keyspace) Flush(ctx context.Context, first, last byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, k.Limits.Command, operation.ErrUncertain)
	defer cancel()
	var wg sync.WaitGroup
	ranges := k.Nodes.Ranges()
	if len(ranges) == 0 {
		return operation.ErrNoQuorum
	}
	for _, rng := range ranges {
		if outage := k.Nodes.Outage(rng.First); outage != nil {
			return outage // before any change
		}
	}
	errs := make(chan error, len(ranges)*(int(last)-int(first)+1))
	for _, rng := range ranges {
		for db := int(first); db <= int(last); db++ {
			wg.Go(func() { errs <- k.flushRange(ctx, rng, byte(db)) })
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// flushRange flushes one database in one slot range, retrying with new ballots
// as needed.
func (k *Keyspace) flushRange(ctx context.Context, rng router.SlotRange, db byte) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if cfg := k.Nodes.Config(rng.First); cfg != rng.Config {
			return fmt.Errorf("flush slots %d to %d: %w", rng.First, rng.Last, operation.ErrUncertain)
		}
		refused, done := k.flushAt(ctx, rng, db)
		if err := k.each(ctx, refused, remove{}, func(int, any) {}); err != nil {
			return fmt.Errorf("flush slots %d to %d: %w", rng.First, rng.Last, operation.ErrUncertain)
		}
		if done {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("flush slots %d to %d: %w", rng.First, rng.Last, context.Cause(ctx))
		}
	}
}

// flushAt sends the range tombstone at a new ballot to all members and waits
// for a quorum. It returns the keys that any answering member refused, and
// whether a quorum accepted the tombstone.
func (k *Keyspace) flushAt(ctx context.Context, rng router.SlotRange, db byte) ([]register.ID, bool) {
	type answer struct {
		index int
		reply *message.FlushReply
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, k.Limits.Command/2)
	defer cancel()
	cfg := rng.Config
	if !cfg.IsQuorum(k.Nodes.Reachable(cfg)) { // no ballot is sent until a quorum knows the proxy (§1)
		return nil, false
	}
	ballot := k.Clock.Next()
	answers := make(chan answer, len(cfg.Nodes()))
	for i, node := range cfg.Nodes() {
		go func() {
			reply, err := k.Nodes.Flush(ctx, node, message.FlushRequest{Ballot: ballot, Epoch: cfg.Epoch,
				First: rng.First, Last: rng.Last, Space: db})
			answers <- answer{i, reply, err}
		}()
	}
	var acks quorum.Set
	seen := make(map[string]struct{})
	var refused []register.ID
	for range cfg.Nodes() {
		a := <-answers
		if a.err != nil {
			continue
		}
		if ahead := a.reply.Promise.Time.UnixMilli() - k.Wall(); ahead <= k.Limits.MaxClockOffset.Milliseconds() {
			k.Clock.Observe(a.reply.Promise)
		}
		for _, r := range a.reply.Refused {
			if _, ok := seen[r.Key]; !ok {
				seen[r.Key] = struct{}{}
				refused = append(refused, r)
			}
		}
		if a.reply.Outcome == message.Acked && !a.reply.Incomplete {
			acks = acks.With(a.index)
		}
		if cfg.IsQuorum(acks) {
			break
		}
	}
	return refused, cfg.IsQuorum(acks)
}
