package storaged

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/meta/store"
	"synod/protocol/admin"
	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/partition"
	"synod/protocol/rpc"
	"synod/protocol/takeover"
	"synod/protocol/throttle"
	"synod/protocol/transfer"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/disk"
	"synod/storaged/engine"
)

// Config is what a storage node needs. All fields but the tuning ones are
// required.
type Config struct {
	ID         string // the node's name in the cluster
	Cluster    string
	ListenAddr string // for RPC; proxies are told the resulting address
	AdminAddr  string // for health, metrics and profiles over HTTP
	DataDir    string
	Store      *store.Store
	Limits     limits.Limits
	Log        *zap.Logger
	Version    string

	// Tuning; zero is a default.
	CacheBytes   int64 // for hot registers
	MinFreeBytes int64 // kept free on the disk; with less, writes that add data are refused
	Lanes        int   // of a new data directory; zero: one per CPU, at least two
	Memory       Memory
	// Moved says that the operator has moved the data directory here, and that nothing
	// runs at its old place.
	Moved bool

	disk          *disk.Disk // for tests: lets the changelog's disk fail
	incomingBytes int64      // for tests: how large a state may be
}

// Daemon is a running storage node.
type Daemon struct {
	cfg    Config
	log    *zap.Logger
	start  time.Time
	engine *engine.Engine
	node   *acceptor.Node
	lanes  []*lane

	listener net.Listener
	server   *rpc.Server
	admin    *admin.Server
	metrics  *metrics

	secrets atomic.Pointer[[]rpc.Secret] // that came with the placement

	registration atomic.Pointer[store.Registration]
	joined       atomic.Bool // it serves: registered, or by the placement last seen
	recovered    atomic.Bool
	draining     atomic.Bool
	clockSaid    atomic.Int64 // when a warning about a clock was last logged
	dropped      atomic.Uint64
	droppedSaid  atomic.Int64 // when a warning about dropped replies was last logged

	due     chan struct{} // a lane asks for a higher ceiling
	behind  chan struct{} // a lane or a lister has met an epoch that no placement has shown
	fetched chan *store.Snapshot
	rewound atomic.Pointer[string] // why some slots are refused: etcd shows an older placement
	metSaid atomic.Bool            // epochs of an earlier version were reported

	lists   chan pageRequest
	tallies chan tallying
	reaping reaping

	outgoing *transfer.Scheduler[*rpc.Session, *outgoing]
	incoming incomings

	ended throttle.Lines // of sessions, for the log

	past identity.Past // what the data directory remembers
	kept []byte        // the placement that the directory keeps; of the watching routine

	sessMu   sync.Mutex
	sessions map[*rpc.Session]struct{}
	ids      map[ballot.ProposerID]int // of the sessions

	stop     context.CancelFunc // ends the routines
	stopped  context.Context
	routines sync.WaitGroup
	lanesRun sync.WaitGroup
	errs     chan error
	once     sync.Once
	closeErr error
}

// Start starts a node: it opens the data directory, replays the changelog,
// registers with etcd and serves. If etcd does not answer, it serves by the
// placement last seen; if it has seen none, it waits until ctx ends.
func Start(ctx context.Context, cfg Config) (*Daemon, error) {
	d := &Daemon{
		cfg: cfg, log: cfg.Log, start: time.Now(), errs: make(chan error, 1),
		due: make(chan struct{}, 1), lists: make(chan pageRequest, listQueue), tallies: make(chan tallying, tallyQueue),
		behind: make(chan struct{}, 1), fetched: make(chan *store.Snapshot),
		sessions: make(map[*rpc.Session]struct{}), ids: make(map[ballot.ProposerID]int),
	}
	d.secrets.Store(new([]rpc.Secret))
	d.stopped, d.stop = context.WithCancel(context.Background())
	d.outgoing = transfer.New[*rpc.Session, *outgoing](outgoingLimits, d.routines.Go)
	d.incoming.init(d.routines.Go)
	if err := d.bringUp(ctx); err != nil {
		return nil, errors.Join(err, d.shut((*engine.Engine).Abort))
	}
	return d, nil
}

func (d *Daemon) bringUp(ctx context.Context) (err error) {
	if d.listener, err = takeover.Listen(ctx, d.log, d.cfg.ListenAddr); err != nil {
		return fmt.Errorf("listen for RPC: %w", err)
	}
	if err := d.openEngine(ctx); err != nil {
		return err
	}
	d.server = rpc.NewServer(rpc.Options{
		Cluster: d.cfg.Cluster, Secrets: d.knownSecrets, Kind: rpc.Node, Name: d.cfg.ID, Log: d.log,
		Handle: d.handle, Opened: d.opened, Closed: d.closed,
		Self: d.self, Judge: d.judge,
		Memory: d.cfg.Memory.Frames, Weigh: weigh, Refused: d.noRoom,
	})
	d.metrics = newMetrics(d)
	if err := d.startAdmin(ctx); err != nil {
		return err
	}
	if err := d.recover(); err != nil {
		return err
	}
	d.startRoutines()
	d.recovered.Store(true)
	if err := d.join(ctx); err != nil {
		return err
	}
	d.routines.Go(func() {
		if err := d.server.Serve(d.listener); !errors.Is(err, rpc.ErrServerClosed) {
			d.fatal(err)
		}
	})
	d.routines.Go(d.watch)
	d.routines.Go(d.lookAgain)
	return nil
}

func (d *Daemon) openEngine(ctx context.Context) error {
	lanes := d.cfg.Lanes
	if lanes == 0 {
		lanes = min(max(runtime.GOMAXPROCS(0), 2), datadir.MaxLanes)
	}
	opts := engine.Options{
		Dir: d.cfg.DataDir, Cluster: d.cfg.Cluster, Node: d.cfg.ID, Lanes: lanes,
		CacheBytes: d.cfg.CacheBytes, MinFreeBytes: d.cfg.MinFreeBytes, Log: d.log,
		Start: d.now().Mono, Disk: d.cfg.disk,
		Wake: func(lane int) { d.lanes[lane].poke() },
		Synced: func(s changelog.Synced) {
			for _, l := range d.lanes {
				l.release(s.Position)
			}
			d.metrics.synced(s)
		},
		Sweep: func(lane int, vote durable.FlushVote) bool {
			return d.lanes[lane].acceptor.Sweep(d.now(), vote)
		},
		Fatal: d.fatal,
	}
	e, err := takeover.Retry(ctx, d.log, "data directory "+d.cfg.DataDir, datadir.ErrInUse, func() (*engine.Engine, error) {
		return engine.Open(opts)
	})
	if err != nil {
		return err
	}
	d.engine, d.past = e, e.Past()
	d.node = acceptor.NewNode(d.cfg.Limits, partition.Slots, e.NodeState(), 0)
	for _, t := range e.Epochs() {
		d.node.TakeEpoch(t)
	}
	parts := uint32(len(e.Lanes()))
	for i, store := range e.Lanes() {
		d.lanes = append(d.lanes, newLane(d, i, store, acceptor.New(d.node, store, uint32(i), parts, d.now())))
	}
	return nil
}

// recover restores the acceptors to the state of the end of the node's last life.
func (d *Daemon) recover() error {
	for _, l := range d.lanes {
		for _, f := range l.store.Flushes() {
			if err := l.acceptor.RestoreFlush(f.Vote, f.Position); err != nil {
				return fmt.Errorf("recover: %w", err)
			}
		}
	}
	return d.engine.Replay(func(lane int, entry *durable.LogEntry, pos uint64) error {
		return d.lanes[lane].acceptor.Redo(entry, pos)
	})
}

func (d *Daemon) startRoutines() {
	for _, l := range d.lanes {
		d.lanesRun.Go(l.run)
	}
	d.routines.Go(d.tick)
	for range listers {
		d.routines.Go(d.list)
	}
	for range tellers {
		d.routines.Go(d.tell)
	}
	d.routines.Go(d.watchIncoming)
}

// now reads the node's clocks.
func (d *Daemon) now() instant.Now {
	t := time.Now()
	return instant.Now{Wall: t.UnixMilli(), Mono: instant.Mono(t.Sub(d.start))}
}

// fatal reports an error after which the node cannot go on. Only the first is.
func (d *Daemon) fatal(err error) {
	select {
	case d.errs <- err:
	default:
	}
}

// Err reports at most one error, after which the node cannot go on and should
// be closed.
func (d *Daemon) Err() <-chan error { return d.errs }

// Addr returns the address that the node serves RPC on.
func (d *Daemon) Addr() string { return d.listener.Addr().String() }

// AdminAddr returns the address of the admin port.
func (d *Daemon) AdminAddr() string { return d.admin.Addr().String() }

// ready returns nil if the node can do its work, else why it cannot.
func (d *Daemon) ready() error {
	switch {
	case !d.recovered.Load():
		return errors.New("replaying the changelog")
	case d.draining.Load():
		return errors.New("shutting down")
	case !d.joined.Load():
		return errors.New("waiting for etcd")
	case d.rewound.Load() != nil:
		return errors.New(*d.rewound.Load())
	case d.node.State().Floor.Time > ballot.MakeTime(d.now().Wall, 0):
		return errors.New("waiting for pre-restart promises to expire")
	}
	return d.engine.Ready()
}

// Close signs off, answers what has arrived as far as ctx allows, and closes the
// store.
func (d *Daemon) Close(ctx context.Context) error {
	d.once.Do(func() {
		registration := d.registration.Load()
		if registration != nil {
			if err := registration.Close(ctx); err != nil {
				d.log.Warn("could not sign off", zap.Error(err))
			}
		}
		d.draining.Store(true)
		if err := d.drain(ctx); err != nil {
			d.log.Warn("closing before everything was answered", zap.Error(err))
		}
		if d.closeErr = d.shut((*engine.Engine).Close); d.closeErr == nil && registration != nil {
			if err := registration.Left(ctx, d.engine.Synced()); err != nil {
				d.log.Warn("could not sign off", zap.Error(err))
			}
		}
	})
	return d.closeErr
}

// drain waits until everything that has arrived is answered.
func (d *Daemon) drain(ctx context.Context) error {
	if err := d.engine.Usable(); err != nil {
		return err
	}
	for _, l := range d.lanes {
		if err := l.barrier(ctx); err != nil {
			return err
		}
	}
	d.sessMu.Lock()
	var open []*rpc.Session
	for s := range d.sessions {
		open = append(open, s)
	}
	d.sessMu.Unlock()
	// A peer that does not read its replies is not waited for.
	large, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	d.outgoing.Idle(large)
	ctx, cancel = context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, s := range open {
		_ = s.Flush(ctx)
	}
	return nil
}

// shut stops everything in the order of dependence.
func (d *Daemon) shut(closeEngine func(*engine.Engine) error) error {
	var errs []error
	d.draining.Store(true)
	d.stop()
	d.outgoing.Stop()
	if d.listener != nil {
		d.listener.Close()
	}
	if d.server != nil {
		d.server.Close()
	}
	for _, l := range d.lanes {
		l.close()
	}
	d.lanesRun.Wait()
	if d.engine != nil {
		errs = append(errs, closeEngine(d.engine))
	}
	d.routines.Wait()
	if d.admin != nil {
		d.closeAdmin()
	}
	return errors.Join(errs...)
}
