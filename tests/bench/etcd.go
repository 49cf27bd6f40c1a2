package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// etcdKeys is how many keys exist at the beginning, for reads.
const etcdKeys = 10_000

// etcdGenerator puts and gets like redis-benchmark does: each client has a
// connection and sends its next request after the last reply. All clients talk
// to the leader, so etcd needs no forwarding by a follower. The generator runs
// in the caller's process, whose processor time is not counted for a server.
type etcdGenerator struct {
	leader string
	value  string
}

func newEtcdGenerator(ctx context.Context, endpoints []string) (*etcdGenerator, error) {
	g := &etcdGenerator{value: strings.Repeat("x", valueBytes)}
	c, err := dialEtcd(endpoints[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	for _, e := range endpoints {
		status, err := c.Status(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("status of etcd %s: %w", e, err)
		}
		if status.Leader == status.Header.MemberId {
			g.leader = e
		}
	}
	if g.leader == "" {
		return nil, errors.New("etcd has no leader")
	}
	return g, nil
}

func dialEtcd(endpoint string) (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("dial etcd: %w", err)
	}
	return c, nil
}

// run is a generator.
func (g *etcdGenerator) run(ctx context.Context, l load, operations int) (rate, error) {
	return g.drive(ctx, l, operations, func(int) string {
		keys := keySpace
		if l.command == get {
			keys = etcdKeys
		}
		return etcdKey(rand.IntN(keys))
	})
}

// fill puts the keys that are read later.
func (g *etcdGenerator) fill(ctx context.Context) error {
	_, err := g.drive(ctx, load{command: set, clients: 128, pipeline: 1}, etcdKeys, etcdKey)
	return err
}

func etcdKey(i int) string { return fmt.Sprintf("key:%012d", i) }

// drive runs the operations, on the keys that key returns for the first to the
// last of them.
func (g *etcdGenerator) drive(ctx context.Context, l load, operations int, key func(i int) string) (rate, error) {
	var connections []*clientv3.Client
	defer func() {
		for _, c := range connections {
			_ = c.Close()
		}
	}()
	for range l.clients {
		c, err := dialEtcd(g.leader)
		if err != nil {
			return rate{}, err
		}
		connections = append(connections, c)
		if _, err := c.Get(ctx, "warm"); err != nil {
			return rate{}, fmt.Errorf("reach etcd: %w", err)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var clients sync.WaitGroup
	var next atomic.Int64
	took := make([][]time.Duration, l.clients)
	begin := time.Now()
	for i := range l.clients {
		c := connections[i]
		clients.Go(func() {
			for n := int(next.Add(1)) - 1; n < operations && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				sent := time.Now()
				if err := g.do(ctx, c, l.command, key(n)); err != nil {
					cancel(fmt.Errorf("etcd %s: %w", l.command, err))
					return
				}
				took[i] = append(took[i], time.Since(sent))
			}
		})
	}
	clients.Wait()
	elapsed := time.Since(begin)
	if err := context.Cause(ctx); err != nil {
		return rate{}, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return rate{
		operations: operations, perSecond: float64(operations) / elapsed.Seconds(),
		p50: all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

func (g *etcdGenerator) do(ctx context.Context, c *clientv3.Client, what command, key string) error {
	if what == get {
		_, err := c.Get(ctx, key)
		return err
	}
	_, err := c.Put(ctx, key, g.value)
	return err
}
