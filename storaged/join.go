package storaged

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"synod/meta/store"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/rpc"
	"synod/storaged/datadir"
)

// etcdPatience is how long a node that starts and knows a placement waits for etcd
// before it continues without.
const etcdPatience = 2 * time.Second

// join registers the node. If etcd does not answer and the data directory keeps
// a placement, the node serves by it and keeps trying in the background. Until
// etcd answers, only proxies can tell that the directory has been rolled back
// (judge). A directory that is not where it was last does not start without etcd: it
// may be a copy.
func (d *Daemon) join(ctx context.Context) error {
	snap := d.restore()
	registering, cancel := context.WithCancel(d.stopped)
	stop := context.AfterFunc(ctx, cancel)
	done := make(chan error, 1)
	d.routines.Go(func() {
		defer cancel()
		done <- d.register(registering)
	})
	patience := time.NewTimer(etcdPatience)
	defer patience.Stop()
	if snap == nil || d.engine.Moved() {
		patience.Stop()
	}
	select {
	case err := <-done:
		if err == nil && snap != nil {
			err = d.adopt(snap) // as a node that was running all the time would do
		}
		return err
	case <-patience.C:
	}
	stop()
	d.log.Warn("etcd does not answer: serving by the placement last seen")
	d.routines.Go(func() {
		if err := <-done; err != nil && d.stopped.Err() == nil {
			d.fatal(err)
		}
	})
	if err := d.adopt(snap); err != nil {
		return err
	}
	d.joined.Store(true)
	return nil
}

// restore returns the placement that the data directory keeps, nil if there is
// none that can be used.
func (d *Daemon) restore() *store.Snapshot {
	kept, err := d.engine.Placement()
	if err == nil && kept != nil {
		var snap *store.Snapshot
		if snap, err = d.cfg.Store.Restore(kept); err == nil {
			d.kept = kept
			return snap
		}
	}
	if err != nil {
		d.log.Error("the placement last seen cannot be used", zap.Error(err))
	}
	return nil
}

// register lists the node in etcd, and keeps it listed.
func (d *Daemon) register(ctx context.Context) error {
	id := d.engine.Identity()
	r, err := d.cfg.Store.RegisterNode(ctx, store.NodeInfo{
		ID: d.cfg.ID, Addr: d.Addr(), Admin: d.AdminAddr(), StoreID: id.StoreID, ClusterID: id.ClusterID, Version: d.cfg.Version,
		Past: d.past, Site: d.engine.Site(), Moved: d.cfg.Moved, Synced: d.engine.Synced,
	})
	if err != nil {
		return err
	}
	if err := d.engine.ConfirmSite(); err != nil {
		return err
	}
	d.registration.Store(r)
	d.joined.Store(true)
	d.routines.Go(func() {
		select {
		case err := <-r.Lost():
			d.fatal(err)
		case <-d.stopped.Done():
		}
	})
	return nil
}

// keep stores a placement in the data directory, if it has changed. A failure only
// matters at a start without etcd.
func (d *Daemon) keep(snap *store.Snapshot) {
	b, err := d.cfg.Store.Save(snap)
	if err == nil && !bytes.Equal(b, d.kept) {
		if err = d.engine.KeepPlacement(b); err == nil {
			d.kept = b
		}
	}
	if err != nil {
		d.log.Warn("cannot keep the placement for a start without etcd", zap.Error(err))
	}
}

// storeNumber is the data directory's id as sessions carry it.
func (d *Daemon) storeNumber() uint64 {
	b, err := hex.DecodeString(d.engine.Identity().StoreID)
	if err != nil || len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// self is what the node tells peers about itself: its life, and what it began with.
func (d *Daemon) self() rpc.Mark {
	return rpc.Mark{Store: d.storeNumber(), Mark: identity.Mark{Life: d.past.Life(), Position: d.past.Recovered}}
}

// judge decides whether a peer may open a session. A proxy that has seen more of
// this node than its directory holds is the witness of a rollback: the node must
// not vote any more (PROTOCOL §2). A proxy whose proposer id belongs to another
// start is not admitted (§1).
func (d *Daemon) judge(p rpc.Peer) error {
	if p.Kind != rpc.Proxy {
		return nil
	}
	if p.Seen != (rpc.Mark{}) {
		if p.Seen.Store != d.storeNumber() {
			return fmt.Errorf("%w: the proxy knows another data directory of node %s", rpc.ErrNotTheNode, d.cfg.ID)
		}
		if err := d.past.Check(p.Seen.Mark, d.engine.Synced()); err != nil {
			err = fmt.Errorf("%w: as %s knows: %w", rpc.ErrNotTheNode, p, err)
			d.fatal(err)
			return err
		}
	}
	if p.Claim.Proposer == 0 {
		return fmt.Errorf("a proxy without a proposer id: %w", rpc.ErrNotSynod)
	}
	highest, err := d.engine.Admit(p.Claim, d.inUse)
	if errors.Is(err, datadir.ErrProposerTaken) {
		return &rpc.ProposerError{ID: p.Claim.Proposer, Highest: highest}
	}
	return err
}

// inUse reports whether a proxy with the proposer id is connected.
func (d *Daemon) inUse(id ballot.ProposerID) bool {
	d.sessMu.Lock()
	defer d.sessMu.Unlock()
	return d.ids[id] > 0
}
