package storaged

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/durable"
)

const (
	// lookAgainEvery bounds how often etcd is asked because of a message's
	// epoch, lookAgainLimit how long one answer is waited for.
	lookAgainEvery = 500 * time.Millisecond
	lookAgainLimit = 3 * time.Second
	// epochSaidEvery is the least time between two warnings about such epochs.
	epochSaidEvery = 10 * time.Second
)

// noticeEpochs has the placement looked up again if a message named an epoch
// that it has not shown yet.
func (d *Daemon) noticeEpochs() {
	if d.node.PlacementWanted() {
		notify(d.behind)
	}
}

// lookAgain reads the placement from etcd when messages name an epoch above what
// the watch has shown: either the watch is late, or the peer is wrong. Such
// messages are ignored until the placement shows the epoch (PROTOCOL §2, epoch
// rule).
func (d *Daemon) lookAgain() {
	var said time.Time
	for {
		select {
		case <-d.stopped.Done():
			return
		case <-d.behind:
		}
		met := d.node.EpochMet()
		ctx, cancel := context.WithTimeout(d.stopped, lookAgainLimit)
		snap, err := d.cfg.Store.Get(ctx)
		cancel()
		if err == nil {
			if highest := highestEpoch(snap.Table); met > highest && time.Since(said) >= epochSaidEvery {
				said = time.Now()
				d.log.Warn("a peer names an epoch that etcd does not show; such messages are not answered",
					zap.Uint64("epoch", met), zap.Uint64("highest_in_etcd", highest))
			}
			select {
			case d.fetched <- snap:
			case <-d.stopped.Done():
				return
			}
		}
		select {
		case <-time.After(lookAgainEvery):
		case <-d.stopped.Done():
			return
		}
	}
}

func highestEpoch(t *placement.Table) (highest uint64) {
	if t == nil {
		return 0
	}
	for i := range t.Ranges {
		highest = max(highest, t.Ranges[i].Epoch)
	}
	return highest
}

// compareEpochs compares the epochs that the node has taken with those in etcd. If
// the node's are higher, etcd has lost changes of the placement, for example because
// it was restored from a backup. To answer under the old placement could mean to
// vote in two configurations that do not know of each other, so the node keeps
// refusing these slots and says so.
func (d *Daemon) compareEpochs(ranges []acceptor.SlotRange) {
	var why *string
	if first, taken, shown, found := above(d.engine.Epochs(), ranges); found {
		text := fmt.Sprintf("etcd shows epoch %d of slot %d, but this node has taken epoch %d: etcd was set back to an older state", shown, first, taken)
		why = &text
	}
	if old := d.rewound.Swap(why); why != nil && (old == nil || *old != *why) {
		d.log.Error("refusing slots", zap.String("why", *why))
	}
	if first, met, shown, found := above(d.engine.MetEpochs(), ranges); found && d.metSaid.CompareAndSwap(false, true) {
		d.log.Warn("dropping epochs that an earlier version took from a message and that the placement never had",
			zap.Uint16("slot", first), zap.Uint64("epoch", met), zap.Uint64("epoch_in_etcd", shown))
	}
}

// above finds the first slot of an epoch above the one that the placement shows.
func above(taken []durable.EpochTaken, ranges []acceptor.SlotRange) (slot uint16, epoch, shown uint64, found bool) {
	for _, t := range taken {
		for _, r := range ranges {
			if t.First <= r.Last && r.First <= t.Last && t.Epoch > r.Epoch {
				return max(t.First, r.First), t.Epoch, r.Epoch, true
			}
		}
	}
	return 0, 0, 0, false
}
