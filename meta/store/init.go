package store

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"synod/meta/placement"
	"synod/protocol/caspaxos/ballot"
)

// Init creates the cluster: its identity, its secret and its first placement table. It
// fails with ErrExists if the cluster was initialised before, and with
// ErrNotRegistered if a node of the table is not up.
func (s *Store) Init(ctx context.Context, table *placement.Table) error {
	data, err := table.Encode()
	if err != nil {
		return err
	}
	id, secret := clusterIdentity{ID: NewID(), Created: s.now().UTC()}, s.newSecret("")
	_, err = retry(ctx, s, "initialise cluster "+s.cluster, func(ctx context.Context) (struct{}, error) {
		snap, err := s.get(ctx)
		if err != nil {
			return struct{}{}, err
		}
		if snap.ClusterID == id.ID { // an earlier attempt's answer was lost
			return struct{}{}, nil
		}
		if snap.ClusterID != "" || snap.Table != nil {
			return struct{}{}, fmt.Errorf("%w (cluster id %s)", ErrExists, snap.ClusterID)
		}
		if missing := Missing(snap, table.Nodes()); len(missing) > 0 {
			return struct{}{}, fmt.Errorf("nodes %s: %w", strings.Join(missing, ", "), ErrNotRegistered)
		}
		resp, err := s.client.Txn(ctx).If(
			clientv3.Compare(clientv3.CreateRevision(s.key("identity")), "=", 0),
			clientv3.Compare(clientv3.CreateRevision(s.key("placement")), "=", 0),
		).Then(
			clientv3.OpPut(s.key("identity"), encode(id)),
			clientv3.OpPut(s.key("secret"), encode(secret)),
			clientv3.OpPut(s.key("placement"), string(data)),
		).Commit()
		if err != nil {
			return struct{}{}, err
		}
		if !resp.Succeeded {
			return struct{}{}, ErrExists
		}
		return struct{}{}, s.meet(id.ID)
	})
	return err
}

// Missing returns those of the named nodes that are not up in the snapshot.
func Missing(snap *Snapshot, names []string) []string {
	var missing []string
	for _, name := range names {
		if n := snap.Node(name); n == nil || !n.Up {
			missing = append(missing, name)
		}
	}
	return missing
}

// NextProposerID returns a proposer id above another one. etcd has never given it out
// before in this cluster, unless etcd was restored from an older backup: then nodes
// refuse the id and report the highest that they have seen. An id whose answer was lost
// stays unused.
func (s *Store) NextProposerID(ctx context.Context, above ballot.ProposerID) (ballot.ProposerID, error) {
	key := s.key("proposer")
	return retry(ctx, s, "take a proposer id", func(ctx context.Context) (ballot.ProposerID, error) {
		got, err := s.client.Get(ctx, key)
		for err == nil {
			var last uint64
			var rev int64
			if len(got.Kvs) > 0 {
				rev = got.Kvs[0].ModRevision
				if last, err = strconv.ParseUint(string(got.Kvs[0].Value), 10, 32); err != nil {
					return 0, fmt.Errorf("%w: %s: %w", errCorrupt, key, err)
				}
			}
			last = max(last, uint64(above))
			// The highest id stands for "every proposer" in a floor (§2).
			if last+1 >= math.MaxUint32 {
				return 0, fmt.Errorf("%w: %s: all proposer ids are used up", errCorrupt, key)
			}
			var resp *clientv3.TxnResponse
			resp, err = s.client.Txn(ctx).
				If(clientv3.Compare(clientv3.ModRevision(key), "=", rev)).
				Then(clientv3.OpPut(key, strconv.FormatUint(last+1, 10))).
				Else(clientv3.OpGet(key)).Commit()
			if err != nil {
				break
			}
			if resp.Succeeded {
				return ballot.ProposerID(last + 1), nil
			}
			got = (*clientv3.GetResponse)(resp.Responses[0].GetResponseRange())
		}
		return 0, err
	})
}
