package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/storaged/changelog"
	"synod/storaged/content"
	"synod/storaged/datadir"
	"synod/storaged/disk"
	"synod/storaged/flushes"
	"synod/storaged/nodestate"
	"synod/storaged/pages"
	"synod/storaged/rules"
	"synod/storaged/tables"
)

// Options are what a store needs. Dir, Cluster, Node, Log, Wake, Synced and
// Fatal are required.
type Options struct {
	Dir           string
	Cluster, Node string
	Lanes         int   // of a new store; an old one keeps its own
	CacheBytes    int64 // for hot registers, shared by the lanes; Pebble uses a quarter as much besides
	MinFreeBytes  int64 // kept free: with less, writes that add data are refused (package disk)
	Log           *zap.Logger

	// Start is the node's monotonic time at its start: a record that is read from
	// disk has been there since then at least (§7).
	Start instant.Mono
	// Wake asks the driver to call Maintain of a lane soon. It must not block.
	Wake func(lane int)
	// Synced is called after each sync of the changelog, by its goroutine, which
	// begins the next when the call returns.
	Synced func(changelog.Synced)
	// Sweep is asked, on the lane's goroutine, whether the rows that a flush
	// covers may be deleted now (acceptor.Acceptor.Sweep). Nil: always.
	Sweep func(lane int, vote durable.FlushVote) bool
	// Fatal is called when the store cannot go on: nothing is acknowledged any more.
	// It may be called more than once and must not block.
	Fatal func(error)

	// For tests: zero values are the real thing.
	Disk *disk.Disk
	FS   vfs.FS // Pebble's

	// Tuning; zero is the default.
	SegmentBytes    int64 // of the changelog, 32 MiB
	RetainBytes     int64 // of changelog to keep for others, 64 MiB
	CheckpointBytes int64 // of changelog and large states between checkpoints, 64 MiB: what a restart replays
	MaxUnsynced     int   // bytes appended and not synced, 64 MiB

	omit      rules.Set     // for tests: rules that are turned off
	applyStep int           // for tests: registers in a batch
	pageTime  time.Duration // for tests: see pageTime
	// closeLimit, for tests, is how long Close waits for the disk.
	closeLimit time.Duration
}

func (o *Options) setDefaults() {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.SegmentBytes, 32<<20)
	def(&o.RetainBytes, 64<<20)
	def(&o.CheckpointBytes, 64<<20)
	def(&o.CacheBytes, 256<<20)
	if o.MaxUnsynced == 0 {
		o.MaxUnsynced = 64 << 20
	}
	if o.Lanes == 0 {
		o.Lanes = 4
	}
	if o.pageTime == 0 {
		o.pageTime = pages.PageTime
	}
	if o.closeLimit == 0 {
		o.closeLimit = closeLimit
	}
	if o.applyStep == 0 {
		o.applyStep = applyStep
	}
	if o.Disk == nil {
		real := disk.Real()
		o.Disk = &real
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
}

// Engine is one node's store.
type Engine struct {
	opts     Options
	identity datadir.Identity
	lock     *os.File
	db       *tables.DB
	changes  *changelog.Log
	lanes    []*Lane

	recovered uint64

	stages      atomic.Uint64 // the number of the last staging
	stagedBytes atomic.Int64

	laneBytes int // a lane's share of the cache
	dirtyMax  int // bytes of a lane that may wait for Pebble

	node   nodestate.Node
	memory *datadir.Memory

	flushes *flushes.Set

	applier     chan *frozenBatch
	appliedMu   sync.Mutex
	appliedCond *sync.Cond // a lane's applied moved, or the store ends

	space      *disk.Space
	looking    sync.Mutex   // held by checkFree
	seen       atomic.Int64 // bytes written when the disk was last looked at
	freedLog   time.Time    // when a checkpoint was last asked for to free changelog
	freed      atomic.Int64 // about how many bytes deletes have freed since the last squeeze
	squeezeDue atomic.Bool
	squeezes   chan struct{}
	squeezeAt  int // the slot that the next squeeze begins at; the squeezer's
	failure    atomic.Pointer[error]
	ending     atomic.Bool

	checkpoints chan struct{}
	sweeps      chan struct{}
	late        chan struct{} // closed when Close has waited long enough
	left        chan struct{} // closed when the store has ended with Pebble at work still
	marked      atomic.Uint64 // Pebble has everything up to here, durably
	lastMark    int64         // bytes of changelog and large states at the last checkpoint

	stop     chan struct{}
	routines sync.WaitGroup
	reading  sync.RWMutex // held for reading while somebody who is no routine uses Pebble

	recount *recount // nil: the tallies are known

	pagesMu sync.Mutex
	pages   map[*content.Pages]struct{} // being read; nil when the store ends
}

// Open opens the store of a directory, or makes one. Replay must follow before
// lanes are used. Open does not change the changelog, so that a caller who knows
// more about what was acknowledged (Recovered) may still refuse it.
func Open(o Options) (*Engine, error) {
	o.setDefaults()
	if o.Lanes < 1 || o.Lanes > datadir.MaxLanes {
		return nil, fmt.Errorf("%d lanes, allowed are 1 to %d", o.Lanes, datadir.MaxLanes)
	}
	e := &Engine{
		opts: o, stop: make(chan struct{}),
		checkpoints: make(chan struct{}, 1), sweeps: make(chan struct{}, 1), late: make(chan struct{}), left: make(chan struct{}),
		squeezes: make(chan struct{}, 1),
		pages:    make(map[*content.Pages]struct{}),
	}
	e.space = disk.NewSpace(o.Dir, o.Disk, o.MinFreeBytes, o.Log)
	e.appliedCond = sync.NewCond(&e.appliedMu)
	if err := e.open(); err != nil {
		return nil, errors.Join(e.explain(err), e.closeFiles())
	}
	return e, nil
}

func (e *Engine) open() (err error) {
	o := &e.opts
	if e.lock, err = datadir.Lock(o.Dir); err != nil {
		return err
	}
	e.identity, err = datadir.Identify(o.Dir, datadir.Identity{Cluster: o.Cluster, Node: o.Node, Lanes: o.Lanes}, o.omit)
	if err != nil {
		return err
	}
	e.space.FindBallast() // of another node's directory nothing is touched
	if e.memory, err = datadir.OpenMemory(o.Dir, e.lock, e.identity.StoreID); err != nil {
		return err
	}
	for _, dir := range []string{datadir.LogDir, datadir.PebbleDir} {
		if err := os.MkdirAll(filepath.Join(o.Dir, dir), 0o755); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	if err := tables.ClearStageDir(o.FS, o.Dir); err != nil {
		return err
	}
	e.db, err = tables.Open(tables.Config{
		Dir: o.Dir, FS: o.FS, CacheBytes: o.CacheBytes, Log: o.Log, Omit: o.omit,
		Full: e.space.Exhausted, AdmitCompaction: e.space.AdmitCompaction, Stop: e.stop, Fail: e.fail,
	})
	if err != nil {
		return err
	}
	if err := e.db.MakeStageDir(); err != nil {
		return err
	}
	n := e.identity.Lanes
	e.applier = make(chan *frozenBatch, n)
	e.laneBytes = int(o.CacheBytes) / n
	e.dirtyMax = max(1<<20, e.laneBytes/4)
	for i := range n {
		e.lanes = append(e.lanes, newLane(e, i))
	}
	if err := e.loadMeta(); err != nil {
		return err
	}
	return e.failed()
}

// failed returns why the store cannot go on, if so.
func (e *Engine) failed() error {
	if f := e.failure.Load(); f != nil {
		return *f
	}
	return nil
}

// Identity returns whose data the store holds.
func (e *Engine) Identity() datadir.Identity { return e.identity }

// SetClusterID stores the cluster's id with the data. If another id was stored
// before, it returns ErrForeign.
func (e *Engine) SetClusterID(id string) error {
	switch e.identity.ClusterID {
	case id:
		return nil
	case "":
		e.identity.ClusterID = id
		return e.identity.Write(e.opts.Dir)
	}
	return fmt.Errorf("%w cluster: %s holds data of cluster id %s, not %s", datadir.ErrForeign, e.opts.Dir, e.identity.ClusterID, id)
}

// Lanes returns the store's lanes, whose number never changes.
func (e *Engine) Lanes() []*Lane { return e.lanes }

// Recovered returns the position of the last entry that Open found. Entries up
// to there are durable once Replay has returned.
func (e *Engine) Recovered() uint64 { return e.recovered }

// Synced returns the position up to which the changelog is durable.
func (e *Engine) Synced() uint64 { return e.changes.Durable() }

// Kick starts a sync of what was appended.
func (e *Engine) Kick() { e.changes.Kick() }

// WaitSynced waits until the changelog is durable up to pos. It returns
// ErrClosed if the store ended before.
func (e *Engine) WaitSynced(pos uint64) error {
	e.changes.Kick()
	if !e.changes.Wait(pos) {
		return changelog.ErrClosed
	}
	return nil
}

// Ready returns nil if the store accepts all votes, else why it does not.
func (e *Engine) Ready() error {
	if err := e.Usable(); err != nil {
		return err
	}
	if e.room() != diskroom.RoomEnough {
		return errLow
	}
	return nil
}

// Usable returns nil if appended entries become durable, else why they do not.
func (e *Engine) Usable() error {
	if err := e.failed(); err != nil {
		return err
	}
	if e.changes.Full() {
		return changelog.ErrNoSpace
	}
	return nil
}

// fail ends the store after an error that leaves the disk's state unknown.
func (e *Engine) fail(err error) {
	if e.ending.Load() {
		return
	}
	err = e.explain(err)
	e.failure.CompareAndSwap(nil, &err)
	if e.changes != nil {
		e.changes.Abandon()
	}
	e.wakeWaiters()
	e.opts.Fatal(err)
}

// closeLimit bounds the time that Close waits for the disk. The next start replays
// what it leaves undone.
const closeLimit = 10 * time.Second

var errLate = errors.New("the disk did not answer")

// Close writes everything to the disk and closes the store. The lanes must not be
// used any more.
func (e *Engine) Close() error {
	var errs []error
	if e.failure.Load() == nil && !e.changes.Full() {
		late := time.AfterFunc(e.opts.closeLimit, func() {
			err := fmt.Errorf("close the store: %w within %v", errLate, e.opts.closeLimit)
			e.failure.CompareAndSwap(nil, &err)
			close(e.late)
			e.changes.EndWaits()
			e.wakeWaiters()
		})
		errs = append(errs, e.finish())
		late.Stop()
	}
	return errors.Join(append(errs, e.end())...)
}

// finish does the lanes' last work, in the caller's goroutine.
func (e *Engine) finish() error {
	e.changes.Kick()
	target := e.changes.Appended()
	for _, l := range e.lanes {
		if err := l.finish(target); err != nil {
			return err
		}
	}
	return e.checkpoint(target)
}

// finish writes all of the lane to the disk, and moves its position to target.
func (l *Lane) finish(target uint64) error {
	l.want.Store(max(target, l.want.Load()))
	l.closing = true
	defer func() { l.closing = false }()
	for l.applied.Load() < target || len(l.dirty)+len(l.votes)+len(l.sweeps) > 0 || l.tallies.MustWrite() {
		l.Maintain(l.now)
		if l.sending == nil || !l.engine.awaitBatch(l.sending) {
			return fmt.Errorf("close the store: %w", changelog.ErrClosed)
		}
	}
	return nil
}

// Abort closes the store as a crash would: what was not synced may be lost, and
// a restart replays the rest.
func (e *Engine) Abort() error { return e.end() }

func (e *Engine) end() error {
	if e.ending.Swap(true) {
		return nil
	}
	close(e.stop)
	var err error
	if e.changes != nil {
		err = e.changes.Close()
	}
	e.wakeWaiters()
	quiet := make(chan struct{})
	go func() {
		e.routines.Wait()
		e.reading.Lock()
		close(quiet)
	}()
	late := time.NewTimer(e.opts.closeLimit)
	defer late.Stop()
	select {
	case <-quiet:
		defer e.reading.Unlock()
		return errors.Join(append(e.endPages(), err, e.closeFiles())...)
	case <-late.C:
		// A call is still in Pebble, which waits for the disk. It ends with the
		// process, which also frees the directory's lock.
		close(e.left)
		return errors.Join(err, fmt.Errorf("close the store: %w within %v", errLate, e.opts.closeLimit))
	}
}

// inPebble calls f, which may wait until the disk has space, while Pebble is kept
// open. It no longer waits for f once Close has given up.
func (e *Engine) inPebble(f func() error) error {
	if err := e.beginRead(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer e.reading.RUnlock()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-e.left:
		return changelog.ErrClosed
	}
}

// wakeWaiters wakes those who wait for a batch, to see whether the store ends.
func (e *Engine) wakeWaiters() {
	e.appliedMu.Lock()
	defer e.appliedMu.Unlock()
	e.appliedCond.Broadcast()
}

func (e *Engine) closeFiles() error {
	var errs []error
	for _, l := range e.lanes {
		errs = append(errs, l.endReads())
		if l.sending != nil && !l.sending.done.Load() {
			errs = append(errs, l.sending.batch.Close())
		}
	}
	if e.db != nil {
		if c := e.recount; c != nil && !c.running {
			errs = append(errs, c.rows.Close())
		}
		errs = append(errs, e.db.Close())
	}
	if e.lock != nil {
		// Closing alone would leave the lock to a child that is being forked.
		errs = append(errs, syscall.Flock(int(e.lock.Fd()), syscall.LOCK_UN), e.lock.Close())
	}
	return errors.Join(errs...)
}

// awaitBatch waits until a batch is committed. It returns false if the store
// ends before.
func (e *Engine) awaitBatch(f *frozenBatch) bool {
	e.appliedMu.Lock()
	defer e.appliedMu.Unlock()
	for !f.done.Load() {
		if e.ending.Load() || e.failure.Load() != nil {
			return false
		}
		e.appliedCond.Wait()
	}
	return true
}
