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
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// leaseTTL is the time after which a process that is gone counts as down.
const leaseTTL = 5 * time.Second

// markEvery is how often a node's mark is checked for changes. markPause is the minimum
// time between two writes of it, as these stay in etcd until it is compacted.
const (
	markEvery = time.Second
	markPause = 5 * time.Second
)

// Registration keeps a node or a proxy listed as up until it is closed. It renews itself
// after an outage of etcd.
type Registration struct {
	store    *Store
	claim    claim
	instance string // tells this registration from others
	lease    clientv3.LeaseID
	cancel   context.CancelFunc
	done     chan struct{} // closed when run has returned
	lost     chan error
}

// claim is what a registration writes; it differs for nodes and proxies.
type claim interface {
	// aliveKey is the key under the lease, below the cluster's prefix.
	aliveKey() string
	// others are more keys whose rows are checked.
	others() []string
	// check returns an error if the rows of aliveKey and others forbid the registration.
	// A missing row is nil.
	check(r *Registration, first bool, alive *mvccpb.KeyValue, others []*mvccpb.KeyValue) error
	// puts returns what is to be written, under the lease where one is needed.
	puts(s *Store, instance string, lease clientv3.LeaseID) []clientv3.Op
	// report returns what is to be written because something has changed.
	report(s *Store) []clientv3.Op
	// leave returns what is to be written when the process signs off.
	leave(s *Store) []clientv3.Op
}

// RegisterProxy lists a proxy as up, under its proposer id. It waits for etcd
// until ctx ends. ErrProposerListed means that etcd has given out the id twice.
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
// ErrNodeTaken or ErrOtherCluster: the process must stop.
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
// registration takes over from an earlier start; a repeated one does not take over from
// a later start.
func (r *Registration) put(ctx context.Context, first bool) (int64, error) {
	s := r.store
	var gets []clientv3.Op
	for _, key := range append([]string{"identity", r.claim.aliveKey()}, r.claim.others()...) {
		gets = append(gets, clientv3.OpGet(s.key(key)))
	}
	got, err := s.client.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return 0, err
	}
	rows := make([]*mvccpb.KeyValue, len(gets)) // identity, alive, others
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
		err = errors.New("another process writes the same record")
	}
	if err != nil {
		return 0, err // the lease runs out by itself
	}
	r.lease = grant.ID
	return resp.Header.Revision, nil
}

func (r *Registration) check(rows []*mvccpb.KeyValue, first bool) error {
	var id clusterIdentity
	var err error
	if rows[0] != nil {
		if id, err = decode[clusterIdentity]("identity", rows[0].Value); err != nil {
			return err
		}
	}
	if err := r.store.meet(id.ID); err != nil {
		return err
	}
	alive := rows[1]
	if alive != nil && r.owns(alive) {
		alive = nil // the answer to an earlier attempt was lost
	}
	return r.claim.check(r, first, alive, rows[2:])
}

func (r *Registration) owns(kv *mvccpb.KeyValue) bool {
	rec, err := decode[aliveRecord](string(kv.Key), kv.Value)
	return err == nil && rec.Instance == r.instance
}

// run keeps the lease alive and the record in place. It returns when ctx ends
// or the registration is lost for good.
func (r *Registration) run(ctx context.Context, what string, rev int64) error {
	s := r.store
	for ctx.Err() == nil {
		err := r.hold(ctx, rev)
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
func (r *Registration) hold(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renew, report := time.NewTicker(leaseTTL/3), time.NewTicker(markEvery)
	defer renew.Stop()
	defer report.Stop()
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
		case <-report.C:
			r.report(ctx)
		case <-renew.C:
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

// report writes what has changed since the last time, if anything. If it fails, the next
// report makes up for it.
func (r *Registration) report(ctx context.Context) {
	s := r.store
	puts := r.claim.report(s)
	if len(puts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	held := clientv3.Compare(clientv3.LeaseValue(s.key(r.claim.aliveKey())), "=", r.lease)
	if _, err := s.client.Txn(ctx).If(held).Then(puts...).Commit(); err != nil && ctx.Err() == nil {
		s.log.Debug("cannot report to etcd", zap.Error(err))
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

type proxyClaim struct{ ProxyInfo }

func (c *proxyClaim) aliveKey() string {
	return fmt.Sprintf("alive/proxies/%010d", c.ProposerID)
}
func (c *proxyClaim) others() []string            { return nil }
func (c *proxyClaim) report(*Store) []clientv3.Op { return nil }
func (c *proxyClaim) leave(*Store) []clientv3.Op  { return nil }

// check refuses an id under which another proxy is listed. If this proxy was listed
// first, it waits until the other has found out that the nodes refuse it.
func (c *proxyClaim) check(_ *Registration, first bool, alive *mvccpb.KeyValue, _ []*mvccpb.KeyValue) error {
	switch {
	case alive == nil:
		return nil
	case first:
		return fmt.Errorf("%w: %d", ErrProposerListed, c.ProposerID)
	}
	return fmt.Errorf("another proxy is listed under proposer id %d at present", c.ProposerID)
}

func (c *proxyClaim) puts(s *Store, instance string, lease clientv3.LeaseID) []clientv3.Op {
	rec := proxyRecord{Instance: instance, Proxy: Proxy{ProxyInfo: c.ProxyInfo, Since: s.now().UTC()}}
	return []clientv3.Op{clientv3.OpPut(s.key(c.aliveKey()), encode(rec), clientv3.WithLease(lease))}
}
