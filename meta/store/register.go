package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"synod/meta/placement"
)

// leaseTTL is the time after which a process that is gone is seen as down.
const leaseTTL = 5 * time.Second

// Registration keeps a node or a proxy listed as up until it is closed. When
// etcd was away it comes back by itself.
type Registration struct {
	store    *Store
	claim    claim
	instance string // tells this start of the process from others
	lease    clientv3.LeaseID
	cancel   context.CancelFunc
	done     chan struct{} // closed when run has returned
	lost     chan error
}

// claim is what a registration writes; it differs for nodes and proxies.
type claim interface {
	// aliveKey is the key under the lease, below the cluster's prefix.
	aliveKey() string
	// check reports what forbids the registration. The rows are those of
	// aliveKey and durableKey, nil where there is none.
	check(durable *mvccpb.KeyValue) error
	// puts returns what is to be written, under the lease where one is needed.
	puts(s *Store, instance string, lease clientv3.LeaseID) []clientv3.Op
	// leave returns what is to be written when the process signs off.
	leave(s *Store) []clientv3.Op
	durableKey() string // "" if there is none
}

// RegisterNode lists a storage node as up. It waits for etcd until ctx ends.
// It fails with ErrNodeTaken if the id belongs to another data directory, and
// with ErrOtherCluster if the data directory does not belong to this cluster.
// An earlier registration of the same data directory (the process died and was
// started again) is taken over.
func (s *Store) RegisterNode(ctx context.Context, info NodeInfo) (*Registration, error) {
	if err := placement.CheckName(info.ID); err != nil {
		return nil, fmt.Errorf("node %w", err)
	}
	if info.StoreID == "" {
		return nil, fmt.Errorf("register node %s: the data directory has no id", info.ID)
	}
	what := "register node " + info.ID
	if info.ClusterID != "" {
		if err := s.expect(info.ClusterID); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return s.register(ctx, what, &nodeClaim{NodeInfo: info})
}

// RegisterProxy lists a proxy as up, under its proposer id. It waits for etcd
// until ctx ends.
func (s *Store) RegisterProxy(ctx context.Context, info ProxyInfo) (*Registration, error) {
	if info.ProposerID == 0 {
		return nil, fmt.Errorf("register proxy %s: no proposer id", info.Name)
	}
	return s.register(ctx, "register proxy "+info.Name, &proxyClaim{ProxyInfo: info})
}

func (s *Store) register(ctx context.Context, what string, c claim) (*Registration, error) {
	r := &Registration{store: s, claim: c, instance: NewID(), done: make(chan struct{}), lost: make(chan error, 1)}
	rev, err := retry(ctx, s, what, func(ctx context.Context) (int64, error) { return r.put(ctx, true) })
	if err != nil {
		return nil, err
	}
	running, cancel := s.bind(context.Background())
	r.cancel = cancel
	started := s.start(func() {
		defer close(r.done)
		defer cancel()
		if err := r.run(running, what, rev); err != nil && running.Err() == nil {
			r.lost <- err
		}
	})
	if !started {
		cancel()
		return nil, fmt.Errorf("%s: %w", what, ErrClosed)
	}
	return r, nil
}

// Lost reports that the registration ended for good, with ErrSuperseded,
// ErrNodeTaken or ErrOtherCluster: the process must not go on.
func (r *Registration) Lost() <-chan error { return r.lost }

// Close signs off: the process is listed as down at once. If etcd does not
// answer before ctx ends, that happens when the lease runs out.
func (r *Registration) Close(ctx context.Context) error {
	r.cancel()
	<-r.done
	s := r.store
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	key := s.key(r.claim.aliveKey())
	_, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.LeaseValue(key), "=", r.lease)).
		Then(append(r.claim.leave(s), clientv3.OpDelete(key))...).Commit()
	if err == nil {
		_, err = s.client.Revoke(ctx, r.lease)
	}
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("sign off from etcd: %w", err)
	}
	return nil
}

// put writes the records under a new lease and returns the revision. A first
// registration takes over an earlier start's; a later one does not take over
// from a start that came after it.
func (r *Registration) put(ctx context.Context, first bool) (int64, error) {
	s := r.store
	gets := []clientv3.Op{clientv3.OpGet(s.key("identity")), clientv3.OpGet(s.key(r.claim.aliveKey()))}
	if r.claim.durableKey() != "" {
		gets = append(gets, clientv3.OpGet(s.key(r.claim.durableKey())))
	}
	got, err := s.client.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return 0, err
	}
	rows := make([]*mvccpb.KeyValue, 3) // identity, alive, durable
	var conditions []clientv3.Cmp
	for i, resp := range got.Responses {
		var rev int64
		if kvs := resp.GetResponseRange().Kvs; len(kvs) > 0 {
			rows[i], rev = kvs[0], kvs[0].ModRevision
		}
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(string(gets[i].KeyBytes())), "=", rev))
	}
	if err := r.check(rows, first); err != nil {
		return 0, err
	}
	grant, err := s.client.Grant(ctx, int64(leaseTTL/time.Second))
	if err != nil {
		return 0, err
	}
	resp, err := s.client.Txn(ctx).If(conditions...).Then(r.claim.puts(s, r.instance, grant.ID)...).Commit()
	if err == nil && !resp.Succeeded {
		err = errors.New("someone else writes the same record")
	}
	if err != nil {
		return 0, err // the lease runs out by itself
	}
	r.lease = grant.ID
	return resp.Header.Revision, nil
}

func (r *Registration) check(rows []*mvccpb.KeyValue, first bool) error {
	var id identity
	var err error
	if rows[0] != nil {
		if id, err = decode[identity]("identity", rows[0].Value); err != nil {
			return err
		}
	}
	if err := r.store.meet(id.ID); err != nil {
		return err
	}
	if rows[1] != nil && !first && !r.owns(rows[1]) {
		return ErrSuperseded
	}
	return r.claim.check(rows[2])
}

func (r *Registration) owns(kv *mvccpb.KeyValue) bool {
	rec, err := decode[aliveRecord](string(kv.Key), kv.Value)
	return err == nil && rec.Instance == r.instance
}

// run keeps the lease alive and the record in place. It returns when ctx ends
// or the registration is lost for good.
func (r *Registration) run(ctx context.Context, what string, rev int64) error {
	s := r.store
	ticker := time.NewTicker(leaseTTL / 3)
	defer ticker.Stop()
	for ctx.Err() == nil {
		err := r.hold(ctx, ticker.C, rev)
		if err != nil || ctx.Err() != nil {
			return err
		}
		s.log.Info("registering again: the lease in etcd ran out")
		rev, err = retry(ctx, s, what, func(ctx context.Context) (int64, error) { return r.put(ctx, false) })
		if err != nil {
			return err
		}
	}
	return nil
}

// hold returns nil when the record must be written again.
func (r *Registration) hold(ctx context.Context, tick <-chan time.Time, rev int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	key := r.store.key(r.claim.aliveKey())
	changes := r.store.client.Watch(ctx, key, clientv3.WithRev(rev+1))
	for {
		select {
		case <-ctx.Done():
			return nil
		case resp, ok := <-changes:
			if !ok || resp.Err() != nil {
				return nil
			}
			for _, ev := range resp.Events {
				if ev.Type == clientv3.EventTypeDelete {
					return nil
				}
				if !r.owns(ev.Kv) {
					return fmt.Errorf("%s: %w", key, ErrSuperseded)
				}
			}
		case <-tick:
			if err := r.keepAlive(ctx); errors.Is(err, rpctypes.ErrLeaseNotFound) {
				return nil
			} else if err != nil && ctx.Err() == nil {
				r.store.outage.noticed(err)
			} else if err == nil {
				r.store.outage.over()
			}
		}
	}
}

// keepAlive renews the lease once. The client's own KeepAliveOnce spins while
// etcd is away; this waits for the connection.
func (r *Registration) keepAlive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTTL/3)
	defer cancel()
	stream, err := pb.NewLeaseClient(r.store.client.ActiveConnection()).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(r.lease)}); err != nil {
		return err
	}
	resp, err := stream.Recv()
	if err != nil {
		return err
	}
	if resp.TTL <= 0 {
		return rpctypes.ErrLeaseNotFound
	}
	return nil
}

type nodeClaim struct {
	NodeInfo
	since time.Time // of the last put
}

func (c *nodeClaim) aliveKey() string   { return "alive/nodes/" + c.ID }
func (c *nodeClaim) durableKey() string { return "nodes/" + c.ID }

func (c *nodeClaim) check(durable *mvccpb.KeyValue) error {
	if durable == nil {
		return nil
	}
	rec, err := decode[nodeRecord](c.durableKey(), durable.Value)
	if err != nil {
		return err
	}
	if rec.StoreID != c.StoreID {
		return fmt.Errorf("%w: %s is data directory %s, last at %s, this one is %s; a node that lost its disk needs a new id",
			ErrNodeTaken, c.ID, rec.StoreID, rec.Addr, c.StoreID)
	}
	return nil
}

func (c *nodeClaim) record() nodeRecord {
	return nodeRecord{ID: c.ID, Addr: c.Addr, Admin: c.Admin, StoreID: c.StoreID, Version: c.Version, Since: c.since}
}

func (c *nodeClaim) puts(s *Store, instance string, lease clientv3.LeaseID) []clientv3.Op {
	c.since = s.now().UTC()
	return []clientv3.Op{
		clientv3.OpPut(s.key(c.durableKey()), encode(c.record())),
		clientv3.OpPut(s.key(c.aliveKey()), encode(aliveRecord{Instance: instance}), clientv3.WithLease(lease)),
	}
}

func (c *nodeClaim) leave(s *Store) []clientv3.Op {
	rec := c.record()
	rec.Down = s.now().UTC()
	return []clientv3.Op{clientv3.OpPut(s.key(c.durableKey()), encode(rec))}
}

type proxyClaim struct{ ProxyInfo }

func (c *proxyClaim) aliveKey() string {
	return fmt.Sprintf("alive/proxies/%010d", c.ProposerID)
}
func (c *proxyClaim) durableKey() string           { return "" }
func (c *proxyClaim) check(*mvccpb.KeyValue) error { return nil }
func (c *proxyClaim) leave(*Store) []clientv3.Op   { return nil }

func (c *proxyClaim) puts(s *Store, instance string, lease clientv3.LeaseID) []clientv3.Op {
	rec := proxyRecord{Instance: instance, Proxy: Proxy{ProxyInfo: c.ProxyInfo, Since: s.now().UTC()}}
	return []clientv3.Op{clientv3.OpPut(s.key(c.aliveKey()), encode(rec), clientv3.WithLease(lease))}
}
