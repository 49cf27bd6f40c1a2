package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/protocol/caspaxos/identity"
)

// RegisterNode lists a storage node as up. It waits for etcd until ctx ends. It
// fails
//   - with ErrNodeTaken if the id belongs to another data directory, and with
//     ErrOtherCluster if the data directory does not belong to this cluster;
//   - with identity.ErrRolledBack or identity.ErrForked if the directory is older
//     than what etcd knows of the node, or a copy on which the node was not the
//     last to be started;
//   - with ErrRunning if the node runs elsewhere, which it notices within some
//     seconds, and with ErrMoved if the directory is a copy of one that was not
//     closed properly, unless info.Moved.
//
// An earlier registration of the same data directory at the same site (the process died
// and was restarted) is taken over at once, any other when its lease has run out.
func (s *Store) RegisterNode(ctx context.Context, info NodeInfo) (*Registration, error) {
	if err := placement.CheckName(info.ID); err != nil {
		return nil, fmt.Errorf("node %w", err)
	}
	if info.StoreID == "" {
		return nil, fmt.Errorf("register node %s: the data directory has no id", info.ID)
	}
	if info.Synced == nil {
		info.Synced = func() uint64 { return info.Past.Recovered }
	}
	what := "register node " + info.ID
	if info.ClusterID != "" {
		if err := s.expect(info.ClusterID); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	for w := new(holder); ; {
		r, err := s.register(ctx, what, &nodeClaim{NodeInfo: info})
		var held *heldError
		if !errors.As(err, &held) {
			return r, err
		}
		if err := w.wait(ctx, s, held); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
}

// errHeld: the lease of another registration has not run out.
var errHeld = errors.New("registered by another process")

type heldError struct{ lease clientv3.LeaseID }

func (e *heldError) Error() string { return errHeld.Error() }
func (e *heldError) Unwrap() error { return errHeld }

// holder watches the lease of another registration.
type holder struct {
	lease   clientv3.LeaseID
	left    int64 // seconds that it had left when it was last looked at
	renewed int   // how often it was seen to have more left than before
}

// renewals is how often a lease must be seen to be renewed before its holder counts as
// running: a single renewal may come from a leader election in etcd.
const renewals = 2

// wait returns nil after a while, or ErrRunning if the lease is being renewed.
func (h *holder) wait(ctx context.Context, s *Store, held *heldError) error {
	if h.lease != held.lease {
		if h.lease == 0 {
			s.log.Info("the node is registered by another process: waiting for its lease to run out", zap.Duration("lease", leaseTTL))
		}
		*h = holder{lease: held.lease}
	}
	timer := time.NewTimer(300 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	left, err := retry(ctx, s, "look at a lease", func(ctx context.Context) (int64, error) {
		t, err := s.client.TimeToLive(ctx, h.lease)
		if err != nil {
			return 0, err
		}
		return t.TTL, nil
	})
	if err != nil {
		return err
	}
	if h.left > 0 && left > h.left {
		h.renewed++
	}
	if h.left = left; h.renewed >= renewals {
		return ErrRunning
	}
	return nil
}

type nodeClaim struct {
	NodeInfo
	since    time.Time // of the last put
	reported uint64    // position
	marked   time.Time // when
}

func (c *nodeClaim) aliveKey() string { return "alive/nodes/" + c.ID }
func (c *nodeClaim) nodeKey() string  { return "nodes/" + c.ID }
func (c *nodeClaim) markKey() string  { return "marks/" + c.ID }
func (c *nodeClaim) others() []string { return []string{c.nodeKey(), c.markKey()} }

func (c *nodeClaim) check(r *Registration, first bool, alive *mvccpb.KeyValue, others []*mvccpb.KeyValue) error {
	if err := c.checkStore(others[0]); err != nil {
		return err
	}
	var mark markRecord
	if kv := others[1]; kv != nil {
		var err error
		if mark, err = decode[markRecord](c.markKey(), kv.Value); err != nil {
			return err
		}
	}
	if err := c.Past.Check(mark.mark(), c.Synced()); err != nil {
		if !first {
			return fmt.Errorf("%w: %w", ErrSuperseded, err)
		}
		return fmt.Errorf("%w; a node that lost its data, or some of it, needs a new id and an empty directory", err)
	}
	if alive != nil {
		return c.checkAlive(first, alive)
	}
	if first && !c.mayStart(&mark) {
		return fmt.Errorf("%w: if it was moved here and nothing runs where it was, say so (--moved)", ErrMoved)
	}
	return nil
}

func (c *nodeClaim) checkStore(node *mvccpb.KeyValue) error {
	if node == nil {
		return nil
	}
	rec, err := decode[nodeRecord](c.nodeKey(), node.Value)
	if err != nil {
		return err
	}
	if rec.StoreID != c.StoreID {
		return fmt.Errorf("%w: %s is data directory %s, last at %s, this one is %s; a node that lost its disk needs a new id",
			ErrNodeTaken, c.ID, rec.StoreID, rec.Addr, c.StoreID)
	}
	return nil
}

// checkAlive judges another registration whose lease has not run out. At the same site
// it belongs to an earlier process on this directory, which cannot use it any more: this
// process has locked it.
func (c *nodeClaim) checkAlive(first bool, alive *mvccpb.KeyValue) error {
	rec, err := decode[aliveRecord](string(alive.Key), alive.Value)
	switch {
	case err != nil:
		return err
	case rec.Site.Same(c.Site):
		return nil
	case !first && c.Past.Knows(identity.Life(rec.Life)): // of a restored etcd
		return nil
	case !first:
		return ErrSuperseded
	}
	return &heldError{clientv3.LeaseID(alive.Lease)}
}

// mayStart reports whether, now that the last registration has ended, no other process
// can be running with the node's identity.
func (c *nodeClaim) mayStart(mark *markRecord) bool {
	return mark.Life.Number == 0 || c.Moved || mark.Site.SameFiles(c.Site) ||
		mark.Left && mark.Position == c.Past.Recovered
}

func (c *nodeClaim) record() nodeRecord {
	return nodeRecord{ID: c.ID, Addr: c.Addr, Admin: c.Admin, StoreID: c.StoreID, Version: c.Version, Since: c.since}
}

// mark returns the write that records how far the node has come.
func (c *nodeClaim) mark(s *Store, position uint64, left bool) clientv3.Op {
	c.reported, c.marked = position, s.now()
	return clientv3.OpPut(s.key(c.markKey()), encode(markRecord{
		Life: lifeRecord(c.Past.Life()), Position: position, Site: c.Site, Left: left,
	}))
}

func (c *nodeClaim) puts(s *Store, instance string, lease clientv3.LeaseID) []clientv3.Op {
	c.since = s.now().UTC()
	alive := aliveRecord{Instance: instance, Life: lifeRecord(c.Past.Life()), Site: c.Site}
	return []clientv3.Op{
		clientv3.OpPut(s.key(c.nodeKey()), encode(c.record())),
		clientv3.OpPut(s.key(c.aliveKey()), encode(alive), clientv3.WithLease(lease)),
		c.mark(s, c.Synced(), false),
	}
}

func (c *nodeClaim) report(s *Store) []clientv3.Op {
	if position := c.Synced(); position != c.reported && s.now().Sub(c.marked) >= markPause {
		return []clientv3.Op{c.mark(s, position, false)}
	}
	return nil
}

func (c *nodeClaim) leave(s *Store) []clientv3.Op {
	rec := c.record()
	rec.Down = s.now().UTC()
	return []clientv3.Op{clientv3.OpPut(s.key(c.nodeKey()), encode(rec)), c.mark(s, c.Synced(), false)}
}

// Left notes that a node has shut down properly, with everything durable up to a
// position: a directory at that position may then be used elsewhere. It must be called
// after Close, when nothing is written any more.
func (r *Registration) Left(ctx context.Context, position uint64) error {
	c, ok := r.claim.(*nodeClaim)
	if !ok {
		return nil
	}
	s := r.store
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	// What this registration wrote last still stands, or the node has been started
	// again meanwhile.
	last := encode(markRecord{Life: lifeRecord(c.Past.Life()), Position: c.reported, Site: c.Site})
	_, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(s.key(c.markKey())), "=", last)).
		Then(c.mark(s, position, true)).Commit()
	if err != nil {
		return fmt.Errorf("sign off from etcd: %w", err)
	}
	return nil
}
