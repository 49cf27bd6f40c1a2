// Package cluster runs a proxy's commands on the whole cluster. It combines the
// placement from etcd, the connections to the nodes, the lanes of proposers and the
// layers on top of them, and owns their goroutines.
package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"synod/meta/store"
	"synod/protocol/budget"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/limits"
	caspaxos "synod/protocol/caspaxos/proposer"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/proxy/keyspace"
	"synod/proxy/proposer"
	"synod/proxy/router"
	"synod/proxy/txn"
)

// Config is what a Cluster needs.
type Config struct {
	Name    string // the proxy's
	Cluster string
	Store   *store.Store
	Limits  limits.Limits
	Lanes   int // zero: one for each processor
	Log     *zap.Logger

	// Memory is for the large states that nodes send; nil: without a limit.
	Memory *budget.Share
	// CachedBytes bounds the cache of registers; zero: the default.
	CachedBytes int
	// StateDir, if not empty, is a directory for this proxy alone. The proxy keeps
	// there what it needs to start while etcd is unavailable.
	StateDir string
	// Lost is called, at most once, when the proxy must stop: ErrProposerTaken. It must
	// not block.
	Lost func(error)
}

// Cluster runs commands on the registers of a cluster. It is safe for
// concurrent use.
type Cluster struct {
	*proposer.Pool
	Keys *keyspace.Keyspace

	log       *zap.Logger
	limits    limits.Limits
	store     *store.Store
	state     *state // nil if nothing is kept
	clock     *ballot.Clock
	refused   chan refusal
	lost      func(error)
	router    *router.Router
	snapshots txn.Snapshots
	cancel    context.CancelFunc
	wg        sync.WaitGroup
}

// Open takes a proposer id, waits until the cluster has a placement and begins
// to connect to its nodes. It does not wait for the nodes. If etcd does not answer,
// it continues with what its state directory keeps, if it has one.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	kept, err := openState(cfg.StateDir, cfg.Cluster)
	if err != nil {
		return nil, err
	}
	id, snap, err := join(ctx, cfg.Store, kept, cfg.Log)
	if err != nil {
		return nil, errors.Join(err, kept.close())
	}
	wall := func() int64 { return time.Now().UnixMilli() }
	clock := ballot.NewClock(id, wall)
	pool := proposer.New(proposer.Config{Clock: clock, Limits: cfg.Limits, Timing: limits.DefaultTiming(), Lanes: cfg.Lanes,
		CachedBytes: cfg.CachedBytes})
	lanes := make([]router.Lane, len(pool.Lanes()))
	for i, l := range pool.Lanes() {
		lanes[i] = l
	}
	c := &Cluster{Pool: pool, log: cfg.Log, limits: cfg.Limits, store: cfg.Store, state: kept, clock: clock,
		refused: make(chan refusal, 1), lost: cfg.Lost}
	c.router = router.New(router.Config{Cluster: cfg.Cluster, Name: cfg.Name, Claim: newClaim(id), Refused: c.Refused,
		Memory: cfg.Memory, Log: cfg.Log}, lanes)
	c.snapshots = txn.Snapshots{Registers: pool, Limits: cfg.Limits}
	c.Keys = &keyspace.Keyspace{Nodes: c.router, Registers: pool, Clock: clock, Limits: cfg.Limits, Wall: wall}
	pool.Start(c.router)
	c.router.Update(snap)
	var running context.Context
	running, c.cancel = context.WithCancel(context.Background())
	c.wg.Go(func() { c.follow(running) })
	c.wg.Go(func() { c.keepID(running) })
	c.wg.Go(func() { c.Keys.Reap(running) })
	c.wg.Go(func() { c.watchClocks(running, clockEvery) })
	return c, nil
}

// follow keeps the router and the state directory up to date.
func (c *Cluster) follow(ctx context.Context) {
	for snap := range c.store.Watch(ctx) {
		c.router.Update(snap)
		if c.state != nil && snap.Table != nil {
			if err := c.state.keep(ctx, c.store, snap); err != nil && ctx.Err() == nil {
				c.log.Warn("cannot save the state for a start without etcd", zap.Error(err))
			}
		}
	}
}

// clockEvery is the time between checks whether clocks disagree.
const clockEvery = 10 * time.Second

// watchClocks logs when replies of nodes were ignored, or nodes refused requests,
// because their clocks and this proxy's are too far apart (PROTOCOL §1).
func (c *Cluster) watchClocks(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for seen := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := c.Stats().ClockAhead.Load(); n != seen {
			c.log.Warn("clocks disagree: nodes that are ahead of this proxy do not count, and ballots ahead of a node are refused",
				zap.Uint64("replies", n-seen), zap.Duration("max_clock_offset", c.limits.MaxClockOffset))
			seen = n
		}
	}
}

// Close ends the connections. Pending commands would never end: the caller must have
// waited for them.
func (c *Cluster) Close() {
	c.cancel()
	c.wg.Wait()
	c.router.Close()
	c.Pool.Close()
	if err := c.state.close(); err != nil {
		c.log.Warn("cannot close the state directory", zap.Error(err))
	}
}

// ProposerID returns the id that this proxy has taken. It can change only before the
// proxy has used it.
func (c *Cluster) ProposerID() ballot.ProposerID { return c.clock.ID() }

// Ready reports whether a quorum of every slot's nodes is connected.
func (c *Cluster) Ready() bool { return c.router.Ready() }

// Replicas returns how many copies every write is sure to have besides the first: a
// majority of the smallest group, less one.
func (c *Cluster) Replicas() int {
	n := 0
	for i, r := range c.router.Ranges() {
		if m := len(r.Config.Members); i == 0 || m-1 < n {
			n = m - 1
		}
	}
	return n
}

// Snapshot runs read-only commands on one state of all their registers.
func (c *Cluster) Snapshot(cmds []*caspaxos.Command, then txn.Then, done func([]*caspaxos.Command)) {
	c.snapshots.Read(cmds, then, done)
}

// Scan returns keys of a database from a cursor on; see keyspace.Keyspace.Scan.
// typ is a type's name as TYPE answers it, "" for all.
func (c *Cluster) Scan(ctx context.Context, db byte, cursor uint64, match []byte, count int, typ string) (uint64, [][]byte, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	t, known := register.TypeNamed(typ)
	if typ != "" && !known {
		return 0, nil, nil // Redis finds no keys of an unknown type
	}
	return c.Keys.Scan(ctx, db, cursor, match, count, t)
}

// KeysMatching returns all keys of a database that match a pattern.
func (c *Cluster) KeysMatching(ctx context.Context, db byte, pattern []byte) ([][]byte, error) {
	return c.Keys.Keys(ctx, db, pattern)
}

// RandomKey returns some key of a database, false if there is none.
func (c *Cluster) RandomKey(ctx context.Context, db byte) ([]byte, bool, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	return c.Keys.RandomKey(ctx, db)
}

// bound adds the time limit of commands to ctx.
func (c *Cluster) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.limits.Command, operation.ErrNoQuorum)
}

// Collectors returns what the cluster offers to Prometheus.
func (c *Cluster) Collectors() []prometheus.Collector {
	return []prometheus.Collector{proposer.NewCollector(c.Pool), router.NewCollector(c.router)}
}

// ErrorOf translates an error of the key space into one of proposer.Command.Err.
func ErrorOf(err error) error {
	var outage *operation.Outage
	if errors.As(err, &outage) {
		return outage
	}
	for _, e := range []error{operation.ErrUncertain, operation.ErrContention, operation.ErrOverloaded, operation.ErrNoRoom, operation.ErrDiskFull, operation.ErrBusy} {
		if errors.Is(err, e) {
			return e
		}
	}
	return operation.ErrNoQuorum
}
