package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/layout"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/flushes"
	"synod/storaged/rowcodec"
	"synod/storaged/rules"
	"synod/storaged/tally"
)

// How long changes stay in memory only, and how many of them. Meanwhile, more
// changes of the same register cost the disk nothing. A restart replays them from
// the changelog.
const (
	applyAfter    = 4 * time.Second
	applyStep     = 2048    // registers in one batch, unless all must go
	applyStepSize = 1 << 20 // bytes, likewise
	dirtyCountMax = 1 << 17
	backlogMax    = 64 << 20 // bytes, beyond which votes are refused
)

// Lane is the part of the store that holds one lane's registers: its Records
// are those whose key's partition.Lane is the lane's number. It implements
// acceptor.Store for the lane's acceptor. All methods are called by one
// goroutine, the lane's, which also calls Maintain after each batch of steps.
type Lane struct {
	engine *Engine
	number int
	db     pebble.Reader // the engine's

	cache      map[string]*entry
	recent     entry // ring: recent.next is the one used last
	last       *entry
	bytes      int
	evictedMax ballot.Ballot // none not in the cache is accepted above it
	maxAcc     ballot.Ballot // none at all is
	sinceFloor instant.Mono  // Since of a record read from disk
	now        instant.Mono

	// What the disk does not have yet: registers in the order in which they became
	// dirty, flush votes, rows to be deleted.
	dirty      []*entry
	dirtyBytes int
	votes      []flushes.Write
	sweeps     []sweep
	swept      map[string]struct{} // keys of those that the disk may still have
	sending    *frozenBatch        // on its way to the disk
	closing    bool                // everything must go now
	scratch    []byte              // an entry being encoded
	key        []byte              // a row's key being made
	records    *pebble.Iterator    // finds registers; nil: not open

	bySlot  *[partition.Slots]*entry // those that Pebble does not have as they are; nil: none ever
	tallies *tally.Book

	lastPos    atomic.Uint64 // of the lane's last entry in the changelog
	applied    atomic.Uint64 // entries up to here need no replay
	want       atomic.Uint64 // applied should reach this as soon as possible
	more       atomic.Bool   // when the batch under way has arrived, another is due
	hits, miss atomic.Uint64
	held       atomic.Int64 // bytes, as metrics show them
	entries    atomic.Int64
	batches    atomic.Uint64 // sent to the disk

	postMu sync.Mutex
	posted []func()
	post   atomic.Bool
}

var _ acceptor.Store = (*Lane)(nil)

func newLane(e *Engine, number int) *Lane {
	l := &Lane{engine: e, number: number, db: e.db.DB, cache: make(map[string]*entry), swept: make(map[string]struct{}), sinceFloor: e.opts.Start, now: e.opts.Start}
	l.recent.prev, l.recent.next = &l.recent, &l.recent
	l.tallies = tally.New(number)
	return l
}

// Load implements acceptor.Store.
func (l *Lane) Load(r register.ID) (*durable.Record, error) {
	e, ok := l.cache[r.Key]
	if ok {
		if e.rec.Register.Slot != r.Slot {
			return nil, errSlot
		}
		l.hits.Add(1)
		e.used = true
	} else {
		l.miss.Add(1)
		var err error
		if e, err = l.read(r); err != nil {
			return nil, err
		}
	}
	l.last = e
	if e.absent {
		return nil, nil
	}
	return &e.rec, nil
}

var (
	errNoKey = errors.New("register without a name space")
	errSlot  = errors.New("register named with two slots")
)

func (l *Lane) omits(r rules.Set) bool { return l.engine.opts.omit.Omits(r) }

// read loads a register into the cache, also if the disk has none.
func (l *Lane) read(r register.ID) (*entry, error) {
	if r.Key == "" {
		return nil, errNoKey
	}
	e := &entry{absent: true}
	e.rec.Register = register.ID{Slot: r.Slot, Key: strings.Clone(r.Key)}
	l.key = append(rowcodec.AppendRegister(l.key[:0], r), rowcodec.RowRecord)
	value, ok, err := l.find(l.key)
	if _, gone := l.swept[r.Key]; gone {
		ok = false // its rows are about to be deleted
	}
	if err != nil {
		return nil, fmt.Errorf("read register: %w", err)
	}
	if ok {
		own := append(make([]byte, 0, len(value)), value...)
		if err := e.Load(own, &e.rec); err != nil {
			return nil, err
		}
		e.absent, e.rec.Since = false, l.sinceFloor
		e.diskExpiry = layout.Due(e.rec.Header)
		l.tallyRead(e)
	}
	l.cache[e.rec.Register.Key] = e
	l.link(e)
	l.resize(e)
	return e, nil
}

// find returns the value of a row on disk, which is valid until the next call.
// The iterator is kept until the next Maintain: until then, nothing leaves the
// cache, so it need not see newer rows.
func (l *Lane) find(row []byte) (value []byte, ok bool, err error) {
	if l.records == nil {
		// A plain Get does not ask the filters of the last level, where most
		// rows are.
		if l.records, err = l.engine.db.NewIter(&pebble.IterOptions{UseL6Filters: true}); err != nil {
			return nil, false, err
		}
	}
	if !l.records.SeekPrefixGE(row) {
		return nil, false, l.records.Error()
	}
	value, err = l.records.ValueAndErr()
	return value, err == nil, err
}

// endReads closes what find has opened.
func (l *Lane) endReads() error {
	it := l.records
	l.records = nil
	if it == nil {
		return nil
	}
	return it.Close()
}

// Create implements acceptor.Store.
func (l *Lane) Create(r register.ID) *durable.Record {
	e := l.last
	if e == nil || e.rec.Register != r {
		e = l.cache[r.Key]
	}
	e.absent = false
	return &e.rec
}

// entry returns the cache entry that a record belongs to, or nil.
func (l *Lane) entry(rec *durable.Record) *entry {
	if l.last != nil && &l.last.rec == rec {
		return l.last
	}
	if e := l.cache[rec.Register.Key]; e != nil && &e.rec == rec {
		return e
	}
	return nil
}

// Large implements acceptor.Store.
func (l *Lane) Large(rec *durable.Record) bool {
	e := l.entry(rec)
	return e != nil && e.Rows
}

// Append implements acceptor.Store.
func (l *Lane) Append(entry durable.LogEntry) (uint64, error) {
	if entry.Epoch != nil {
		return l.engine.AppendEpoch(*entry.Epoch)
	}
	if l.dirtyBytes > max(backlogMax, 4*l.engine.dirtyMax) {
		return 0, changelog.ErrBacklog
	}
	l.scratch = appendPayload(l.scratch[:0], byte(l.number), &entry)
	pos, err := l.engine.changes.Append(l.scratch)
	if cap(l.scratch) > 1<<20 {
		l.scratch = nil
	}
	if err != nil {
		return 0, err
	}
	l.lastPos.Store(pos)
	if entry.Flush != nil {
		l.noteFlush(*entry.Flush, pos)
	}
	return pos, nil
}

// Apply implements acceptor.Store.
func (l *Lane) Apply(rec *durable.Record, c register.Change) {
	e := l.entry(rec)
	before := e.Unsaved()
	if l.engine.changes.Pressed() {
		held := e.Held(&e.rec.Header)
		l.change(e, &c)
		l.engine.freed.Add(int64(max(0, held-e.Held(&e.rec.Header))))
	} else {
		l.change(e, &c)
	}
	l.tally(e)
	if l.maxAcc.Less(rec.Accepted) {
		l.maxAcc = rec.Accepted
	}
	weight := max(0, e.Unsaved()-before)
	if !e.dirty {
		if !e.pinned {
			l.file(e)
		}
		e.dirty, e.since, e.at = true, l.lastPos.Load(), l.now
		l.dirty = append(l.dirty, e)
		weight = entryBytes + e.Unsaved()
	}
	e.weight += weight
	l.dirtyBytes += weight
	l.resize(e)
}

// change changes a register's header and content.
func (l *Lane) change(e *entry, c *register.Change) {
	if c.Kind != register.None && c.Stage != 0 {
		e.adoptStaged(c)
		return
	}
	if err := e.Apply(l.db, &e.rec, c); err != nil {
		// The vote stands in the changelog and must not be shown before its
		// effect is: the process ends and replays it.
		l.engine.fail(err)
	}
}

// Above implements acceptor.Store.
func (l *Lane) Above(b ballot.Ballot, f func(*durable.Record)) ballot.Ballot {
	for _, e := range l.cache {
		if !e.absent && b.Less(e.rec.Accepted) {
			f(&e.rec)
		}
	}
	return l.evictedMax
}

// Maintain keeps the lane within its bounds: it sends old changes to the disk,
// evicts registers that have not been used for long, and runs what other goroutines
// asked for. It returns after which time it must be called again even if nothing
// happens; zero means never.
func (l *Lane) Maintain(now instant.Mono) time.Duration {
	l.now = now
	l.last = nil
	l.runPosted()
	if err := l.endReads(); err != nil {
		l.engine.opts.Log.Warn("cannot end reading", zap.Error(err))
	}
	l.finishBatch()
	if l.sending == nil {
		l.send()
	}
	l.evict()
	l.held.Store(int64(l.bytes))
	l.entries.Store(int64(len(l.cache)))
	if l.sending != nil || len(l.dirty) > 0 || len(l.sweeps) > 0 || len(l.votes) > 0 {
		return applyAfter / 8
	}
	return 0
}

// do has f called by the lane's goroutine, in its next Maintain.
func (l *Lane) do(f func()) {
	l.postMu.Lock()
	l.posted = append(l.posted, f)
	l.postMu.Unlock()
	l.post.Store(true)
	l.engine.opts.Wake(l.number)
}

func (l *Lane) runPosted() {
	if !l.post.Swap(false) {
		return
	}
	l.postMu.Lock()
	posted := l.posted
	l.posted = nil
	l.postMu.Unlock()
	for _, f := range posted {
		f()
	}
}

// touch moves an entry to the front of the list.
func (l *Lane) touch(e *entry) {
	e.used = false
	e.prev.next, e.next.prev = e.next, e.prev
	l.link(e)
}

func (l *Lane) link(e *entry) {
	first := l.recent.next
	e.prev, e.next = &l.recent, first
	l.recent.next, first.prev = e, e
}

func (l *Lane) resize(e *entry) {
	size := e.estimate()
	l.bytes += size - e.size
	e.size = size
}

// evict drops registers until the lane fits its share of the cache, by the clock
// algorithm: what was used since the last pass is skipped once. (A list in the
// order of use would cost every hit three cache misses.) What the disk does not
// have yet stays.
func (l *Lane) evict() {
	tries := 64 + len(l.cache)/64
	for e := l.recent.prev; l.bytes > l.engine.laneBytes && e != &l.recent && tries > 0; tries-- {
		older := e
		e = e.prev
		if older.used || older.dirty || older.pinned {
			l.touch(older)
			continue
		}
		l.drop(older)
	}
}

func (l *Lane) drop(e *entry) {
	if !e.absent {
		l.evictedMax = ballot.Max(l.evictedMax, e.rec.Accepted)
		l.sinceFloor = max(l.sinceFloor, e.rec.Since)
	}
	delete(l.cache, e.rec.Register.Key)
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
	l.bytes -= e.size
}
