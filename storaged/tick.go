package storaged

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/rpc"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
)

const (
	// rotateEvery is how often lanes are asked which promises they could
	// forget.
	rotateEvery = 3 * time.Second
	// retryAfter is the pause after a node state could not be logged.
	retryAfter = 50 * time.Millisecond
)

// tick is the ticker: the goroutine that raises the node's ceiling when a lane asks
// for it, and its floor so that promises can be forgotten. An idle node writes
// nothing.
func (d *Daemon) tick() {
	rotate := time.NewTicker(rotateEvery)
	defer rotate.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		var forget ballot.Ballot
		select {
		case <-d.stopped.Done():
			return
		case <-d.due:
		case <-retry.C:
		case <-rotate.C:
			forget = d.rotate()
		}
		if err := d.moveState(forget); err != nil {
			if !errors.Is(err, changelog.ErrNoSpace) && !errors.Is(err, changelog.ErrClosed) {
				d.log.Error("cannot log the node's state", zap.Error(err))
			}
			retry.Reset(retryAfter)
		} else if d.node.CeilingWanted() {
			retry.Reset(retryAfter) // it may not be raised that far yet
		}
	}
}

// moveState logs the state that is due, if any, and puts it into force once it is
// durable.
func (d *Daemon) moveState(forget ballot.Ballot) error {
	s, due := d.node.Due(d.now(), forget)
	if !due {
		return nil
	}
	pos, err := d.engine.AppendNode(s)
	if err == nil {
		err = d.engine.WaitSynced(pos)
	}
	if err != nil {
		return fmt.Errorf("move ceiling or floor: %w", err)
	}
	d.node.Publish(s)
	for _, l := range d.lanes {
		l.ceiling.Store(true)
		if !forget.IsZero() {
			l.forget.Store(true)
		}
		l.poke()
	}
	return nil
}

// rotate asks the lanes which promises they would forget, and returns the floor
// that is needed for it.
func (d *Daemon) rotate() ballot.Ballot {
	answers := make(chan ballot.Ballot, len(d.lanes))
	asked := 0
	for _, l := range d.lanes {
		if l.push([]item{{do: func() { answers <- l.acceptor.Rotate(d.now()) }}}, 0) {
			asked++
		}
	}
	var forget ballot.Ballot
	for range asked {
		select {
		case b := <-answers:
			forget = ballot.Max(forget, b)
		case <-d.stopped.Done():
			return ballot.Ballot{}
		}
	}
	return forget
}

// watch follows the placement. A placement counts only once its epochs are durable
// (PROTOCOL §2, epoch rule).
func (d *Daemon) watch() {
	ctx, cancel := context.WithCancel(d.stopped)
	defer cancel()
	snaps := d.cfg.Store.Watch(ctx)
	waiting, last := false, int64(0)
	for {
		select {
		case <-d.stopped.Done():
			return
		case snap, ok := <-snaps:
			if !ok {
				return
			}
			if snap.Table == nil && !waiting {
				d.log.Info("waiting for the cluster to be initialised (synodctl init)", zap.String("cluster", d.cfg.Cluster))
			}
			waiting, last = snap.Table == nil, max(last, snap.Revision)
			d.adoptUntil(ctx, snap)
		case snap := <-d.fetched:
			if snap.Revision > last {
				last = snap.Revision
				d.adoptUntil(ctx, snap)
			}
		}
	}
}

// adoptUntil adopts a snapshot, and retries while the store refuses.
func (d *Daemon) adoptUntil(ctx context.Context, snap *store.Snapshot) {
	for {
		err := d.adopt(snap)
		if err == nil {
			return
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, datadir.ErrForeign):
			d.fatal(err)
			return
		}
		d.log.Warn("cannot adopt the placement yet", zap.Error(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func (d *Daemon) adopt(snap *store.Snapshot) error {
	if snap.ClusterID != "" {
		if err := d.engine.SetClusterID(snap.ClusterID); err != nil {
			return err
		}
	}
	if len(snap.Secrets) > 0 {
		d.secrets.Store(&snap.Secrets)
	}
	if snap.Table == nil {
		return nil
	}
	ranges := d.slotRanges(snap.Table)
	if err := d.logEpochs(ranges); err != nil {
		return err
	}
	d.compareEpochs(ranges)
	d.keep(snap) // before the node serves by it: the next start may have to without etcd
	d.node.SetSlots(ranges)
	return nil
}

// knownSecrets returns the cluster's secrets; none until the placement has been
// seen.
func (d *Daemon) knownSecrets() []rpc.Secret { return *d.secrets.Load() }

func (d *Daemon) slotRanges(t *placement.Table) []acceptor.SlotRange {
	out := make([]acceptor.SlotRange, len(t.Ranges))
	for i := range t.Ranges {
		r := &t.Ranges[i]
		member := slices.Contains(t.Members(r.Group), d.cfg.ID) ||
			(r.Next != "" && slices.Contains(t.Members(r.Next), d.cfg.ID))
		out[i] = acceptor.SlotRange{First: r.First, Last: r.Last, Epoch: r.Epoch, Member: member}
	}
	return out
}

// logEpochs makes the epochs durable that are new to the node.
func (d *Daemon) logEpochs(ranges []acceptor.SlotRange) error {
	known := d.engine.Epochs()
	var last uint64
	for _, r := range ranges {
		if taken(known, r) {
			continue
		}
		pos, err := d.engine.AppendEpoch(durable.EpochTaken{First: r.First, Last: r.Last, Epoch: r.Epoch})
		if err != nil {
			return fmt.Errorf("log placement: %w", err)
		}
		last = pos
	}
	if last == 0 {
		return nil
	}
	if err := d.engine.WaitSynced(last); err != nil {
		return fmt.Errorf("log placement: %w", err)
	}
	return nil
}

// taken reports whether all slots of a range are known at its epoch or above.
func taken(known []durable.EpochTaken, r acceptor.SlotRange) bool {
	next := int(r.First)
	for _, k := range known {
		if int(k.First) <= next && next <= int(k.Last) && k.Epoch >= r.Epoch {
			if next = int(k.Last) + 1; next > int(r.Last) {
				return true
			}
		}
	}
	return false
}
