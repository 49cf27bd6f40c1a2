package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"synod/meta/placement"
)

// Get returns the cluster as it is now.
func (s *Store) Get(ctx context.Context) (*Snapshot, error) {
	return retry(ctx, s, "read cluster "+s.cluster, s.get)
}

func (s *Store) get(ctx context.Context) (*Snapshot, error) {
	f := follower{store: s}
	if err := f.list(ctx); err != nil {
		return nil, err
	}
	return f.snapshot()
}

// Watch follows the cluster until ctx or the store ends; then the channel is
// closed. The channel holds the newest snapshot; one that was not received in
// time is replaced. The first snapshot comes as soon as etcd answers. While
// etcd is unavailable, or has another cluster under this name, nothing comes and the
// last snapshot stays valid.
//
// A watching process also records, for `status`, when a node is seen to be down.
func (s *Store) Watch(ctx context.Context) <-chan *Snapshot {
	out := make(chan *Snapshot, 1)
	started := s.start(func() {
		defer close(out)
		ctx, cancel := s.bind(ctx)
		defer cancel()
		f := follower{store: s, marked: make(map[string]int64)}
		for ctx.Err() == nil {
			f.follow(ctx, out)
		}
	})
	if !started {
		close(out)
	}
	return out
}

// WaitTable returns the first snapshot that has a placement table, and with it
// the cluster's secret. While there is none it logs that it is waiting.
func (s *Store) WaitTable(ctx context.Context) (*Snapshot, error) {
	return s.Await(ctx, "the cluster to be initialised (synodctl init)",
		func(snap *Snapshot) bool { return snap.Table != nil && len(snap.Secrets) > 0 })
}

// Await returns the first snapshot that is good. Unless that is the very first one, it
// logs that it waits for what, at once and then every ten seconds.
func (s *Store) Await(ctx context.Context, what string, good func(*Snapshot) bool) (*Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	snaps := s.Watch(ctx)
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	met, began := false, time.Now()
	for {
		select {
		case snap, ok := <-snaps:
			switch {
			case !ok && s.ctx.Err() != nil:
				return nil, fmt.Errorf("wait for %s: %w", what, ErrClosed)
			case !ok:
				return nil, fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
			case good(snap):
				return snap, nil
			case !met:
				met = true
				s.log.Info("waiting for "+what, zap.String("cluster", s.cluster))
			}
		case <-ticker.C:
			if met { // else it waits for etcd itself, which is logged elsewhere
				s.log.Info("waiting for "+what, zap.String("cluster", s.cluster),
					zap.Duration("for", time.Since(began).Round(time.Second)))
			}
		}
	}
}

// row is a key's value and the revision that wrote it.
type row struct {
	value []byte
	rev   int64
}

// follower keeps a copy of the cluster's keys.
type follower struct {
	store *Store
	rev   int64
	rows  map[string]row // by key below the cluster's prefix

	table    *placement.Table // decoded from the row of tableRev
	tableRev int64
	marked   map[string]int64 // node → revision of its record at which it was marked down
}

// follow lists all keys and then applies changes until the watch breaks.
func (f *follower) follow(ctx context.Context, out chan *Snapshot) {
	s := f.store
	_, err := retry(ctx, s, "follow cluster "+s.cluster, func(ctx context.Context) (struct{}, error) {
		if err := f.list(ctx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, f.makeSecret(ctx)
	})
	if err != nil {
		return // ctx ended
	}
	f.publish(ctx, out)
	f.watch(ctx, out)
	pause(ctx)
}

// watch applies changes until the watch breaks. An etcd that was restored from a backup
// is at an older revision than before, and would report nothing until it reaches the
// old revision again: watch detects that, too.
func (f *follower) watch(ctx context.Context, out chan *Snapshot) {
	s := f.store
	// Without a leader etcd would just stay silent; this way the watch breaks
	// and the next attempt goes to another member.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	changes := s.client.Watch(ctx, s.key(""), clientv3.WithPrefix(), clientv3.WithRev(f.rev+1))
	for {
		select {
		case resp, ok := <-changes:
			if !ok {
				return
			}
			if err := resp.Err(); err != nil { // compacted away, or no leader
				s.log.Debug("the watch of etcd broke", zap.Error(err))
				return
			}
			f.rev = resp.Header.Revision
			changed := false
			for _, ev := range resp.Events {
				changed = f.set(string(ev.Kv.Key), ev.Kv.Value, ev.Kv.ModRevision, ev.Type == clientv3.EventTypeDelete) || changed
			}
			if changed {
				f.publish(ctx, out)
			}
		case <-look.C:
			if rev, err := s.revision(ctx); err == nil && rev < f.rev {
				s.log.Warn("etcd is older than it was: it has been restored from a backup; following it anew",
					zap.Int64("revision", rev), zap.Int64("was", f.rev))
				return
			}
		}
		if f.lacksSecret() {
			return // to list again, and make one
		}
	}
}

// lookEvery is the time between checks of etcd's revision.
const lookEvery = 2 * time.Second

// revision returns etcd's present revision.
func (s *Store) revision(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	resp, err := s.client.Get(ctx, s.key("identity"), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// pause prevents a busy loop if watches break at once.
func pause(ctx context.Context) {
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (f *follower) list(ctx context.Context) error {
	resp, err := f.store.client.Get(ctx, f.store.key(""), clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if resp.Header.Revision < f.rev {
		f.table = nil // another one may have its row's revision
	}
	f.rev = resp.Header.Revision
	f.rows = make(map[string]row, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		f.set(string(kv.Key), kv.Value, kv.ModRevision, false)
	}
	return nil
}

// set stores a row and reports whether it is part of snapshots. The marks of nodes are
// not: only the nodes use them, and they change often.
func (f *follower) set(key string, value []byte, rev int64, deleted bool) bool {
	key = strings.TrimPrefix(key, f.store.key(""))
	if strings.HasPrefix(key, "marks/") {
		return false
	}
	if deleted {
		delete(f.rows, key)
	} else {
		f.rows[key] = row{value, rev}
	}
	return true
}

// publish replaces what is in out by the present state. Only the follower
// sends, so the second send finds room.
func (f *follower) publish(ctx context.Context, out chan *Snapshot) {
	snap, err := f.snapshot()
	if err != nil {
		f.store.log.Error("ignoring what etcd shows; going on with what was known", zap.Error(err))
		return
	}
	select {
	case <-out:
	default:
	}
	out <- snap
	f.markDown(ctx, snap)
}

// snapshot builds a Snapshot from the rows. It fails if they belong to another cluster
// than before, or if the table cannot be read: neither may replace the last known
// snapshot. A malformed record of a node is left out.
func (f *follower) snapshot() (*Snapshot, error) {
	s := f.store
	snap := &Snapshot{Revision: f.rev}
	if r, ok := f.rows["identity"]; ok {
		id, err := decode[clusterIdentity]("identity", r.value)
		if err != nil {
			return nil, err
		}
		snap.ClusterID = id.ID
	}
	if err := s.meet(snap.ClusterID); err != nil {
		return nil, err
	}
	if r, ok := f.rows["placement"]; ok {
		if f.table == nil || f.tableRev != r.rev {
			table, err := placement.Decode(r.value)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errCorrupt, err)
			}
			f.table, f.tableRev = s.newest(table), r.rev
		}
		snap.Table = f.table
	}
	var err error
	if snap.Secrets, err = f.secrets(); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(f.rows)) {
		var err error
		if id, ok := strings.CutPrefix(key, "nodes/"); ok {
			err = f.addNode(snap, key, id)
		} else if strings.HasPrefix(key, "alive/proxies/") {
			err = f.addProxy(snap, key)
		}
		if err != nil {
			s.log.Error("ignoring a record in etcd", zap.Error(err))
		}
	}
	return snap, nil
}

func (f *follower) addNode(snap *Snapshot, key, id string) error {
	rec, err := decode[nodeRecord](key, f.rows[key].value)
	if err != nil {
		return err
	}
	n := Node{ID: id, Addr: rec.Addr, Admin: rec.Admin, StoreID: rec.StoreID, Version: rec.Version, Since: rec.Down}
	if _, n.Up = f.rows["alive/nodes/"+id]; n.Up {
		n.Since = rec.Since
	}
	snap.Nodes = append(snap.Nodes, n)
	return nil
}

func (f *follower) addProxy(snap *Snapshot, key string) error {
	rec, err := decode[proxyRecord](key, f.rows[key].value)
	if err != nil {
		return err
	}
	snap.Proxies = append(snap.Proxies, rec.Proxy)
	return nil
}

// markDown records in a node's record when it was first seen to be gone. All watching
// processes try; the first wins. The time is only shown to operators, so a failed
// attempt is ignored.
func (f *follower) markDown(ctx context.Context, snap *Snapshot) {
	s := f.store
	for _, n := range snap.Nodes {
		key := "nodes/" + n.ID
		r := f.rows[key]
		if n.Up || !n.Since.IsZero() || f.marked[n.ID] == r.rev {
			continue
		}
		f.marked[n.ID] = r.rev
		rec, err := decode[nodeRecord](key, r.value)
		if err != nil {
			continue // reported when the snapshot was built
		}
		rec.Down = s.now().UTC()
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		_, err = s.client.Txn(attempt).If(
			clientv3.Compare(clientv3.ModRevision(s.key(key)), "=", r.rev),
			clientv3.Compare(clientv3.CreateRevision(s.key("alive", key)), "=", 0),
		).Then(clientv3.OpPut(s.key(key), encode(rec))).Commit()
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			s.log.Debug("cannot record that a node is down", zap.String("node", n.ID), zap.Error(err))
		}
	}
}
