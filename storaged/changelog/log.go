package changelog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/storaged/disk"
	"synod/storaged/rules"
)

// Why an append is refused. Nothing was written; it may be retried later.
var (
	// ErrNoSpace: the disk is full, or nearly so.
	ErrNoSpace = errors.New("no space left for the changelog")
	// ErrBacklog: too much waits for a sync.
	ErrBacklog = errors.New("too much is waiting for the disk")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store is closed")
)

// Log is the write-ahead log: every lane appends to it, and one goroutine
// writes and syncs what came since it last looked, for all lanes at once. While
// it syncs, appends go to the other of two buffers.
//
// The position of a record is its number. A record is durable when synced has
// reached its position. After a failed sync, what is on disk is unknown: it ends
// the log and, through Fatal, the process. A full disk does not: the flusher
// retries until there is space, and until then appends are refused.
type Log struct {
	Config

	mu       sync.Mutex
	buf      []byte // what waits to be written, records only
	spare    []byte // the other buffer, while it is not being written
	pending  int    // bytes appended and not synced
	next     uint64 // position of the next record
	segments []Segment
	closed   bool
	failed   bool

	synced  atomic.Uint64
	full    atomic.Bool
	pressed atomic.Bool  // space is short: nothing is kept for others, segments are small
	bytes   atomic.Int64 // ever written, for metrics and checkpoints

	kicked   chan struct{}
	noted    chan struct{} // the position file has something to be synced
	stop     chan struct{}
	routines sync.WaitGroup

	waitMu sync.Mutex
	moved  *sync.Cond // synced moved, or the log ended
	ended  bool

	sealed   int64 // where the last segment ends that was found
	position *positionFile

	// The flusher's own.
	file   *os.File // nil: the first segment waits for space
	offset int64
	size   int64 // up to which offset file is written
}

// Config is what a log needs. Everything is required.
type Config struct {
	Dir          string
	Store        uint64 // the id of the store, part of every file and marker
	SegmentBytes int64
	MaxUnsynced  int   // bytes that may wait for a sync
	RetainBytes  int64 // kept though nothing here needs them
	Disk         disk.Disk
	Omit         rules.Set
	Log          *zap.Logger
	OnSync       func(Synced) // called by the flusher, which waits for it
	Fatal        func(error)  // the state of the disk is unknown
	Short        bool         // there is little space when the log is opened
	DiskFull     func() bool  // a write has failed for lack of space; whether to retry
}

// Synced describes one sync of the changelog.
type Synced struct {
	Position uint64 // everything up to here is durable
	Entries  int
	Bytes    int
	Took     time.Duration // write and sync
}

// New returns the log that continues after what Recover found. Nothing is
// written before Begin.
func New(cfg Config, found Found) *Log {
	l := &Log{
		Config: cfg, segments: found.segments, next: found.Next, sealed: found.end,
		kicked: make(chan struct{}, 1), stop: make(chan struct{}), noted: make(chan struct{}, 1),
	}
	l.moved = sync.NewCond(&l.waitMu)
	l.synced.Store(found.Next - 1)
	l.pressed.Store(cfg.Short)
	return l
}

// Begin accepts what was found: it cuts off an unfinished write, begins a new
// segment, and starts the flusher.
func (l *Log) Begin() (err error) {
	if err := removeUnfinished(l.Dir); err != nil {
		return err
	}
	if n := len(l.segments); n > 0 {
		if err := sealSegment(l.Config, l.segments[n-1].Path, l.sealed); err != nil {
			return err
		}
	}
	if l.position, err = openPosition(filepath.Dir(l.Dir), l.Store, l.next-1, &l.Disk); err != nil {
		return err
	}
	// Without space, the flusher waits for it; until then nothing can be appended.
	err = l.noteRoom(l.tryTwice(func() error { return l.beginSegment(l.next) }))
	if err != nil && !disk.IsFull(err) {
		return err
	}
	l.routines.Go(l.flusher)
	l.routines.Go(l.keepPosition)
	return nil
}

// Append adds a record, without waiting for the disk. The payload is copied.
func (l *Log) Append(payload []byte) (uint64, error) {
	if l.full.Load() {
		return 0, ErrNoSpace
	}
	if len(payload) == 0 || len(payload) > maxRecord {
		return 0, fmt.Errorf("changelog entry of %d bytes", len(payload))
	}
	sum := crc32.Checksum(payload, castagnoli)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.failed:
		return 0, ErrClosed
	case l.pending > l.MaxUnsynced: // one more may pass, of any size
		return 0, ErrBacklog
	}
	pos := l.next
	l.next++
	l.buf = appendRecord(l.buf, pos, sum, payload)
	l.pending += RecordHead + len(payload)
	return pos, nil
}

// Kick makes the flusher write what was appended. Appending alone does not, so
// that a batch of appends costs one wake-up.
func (l *Log) Kick() {
	select {
	case l.kicked <- struct{}{}:
	default:
	}
}

// Durable returns the position up to which the log is durable.
func (l *Log) Durable() uint64 { return l.synced.Load() }

// Full reports that the disk is full: appends are refused.
func (l *Log) Full() bool { return l.full.Load() }

// Written returns how many bytes have been written since the log was opened.
func (l *Log) Written() int64 { return l.bytes.Load() }

// SetPressed says whether space on the disk is short: nothing is kept for others
// then, and segments are small.
func (l *Log) SetPressed(pressed bool) { l.pressed.Store(pressed) }

// Pressed reports what SetPressed has said last.
func (l *Log) Pressed() bool { return l.pressed.Load() }

// End returns the offset behind what was written to the last segment, while
// nothing is being appended.
func (l *Log) End() int64 { return l.offset }

// Files returns the number of segments.
func (l *Log) Files() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments)
}

// Abandon refuses appends from now on and wakes all who wait, after an error
// elsewhere that ends the store.
func (l *Log) Abandon() {
	l.mu.Lock()
	l.failed = true
	l.mu.Unlock()
	l.EndWaits()
}

// Appended returns the position of the last record appended.
func (l *Log) Appended() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}

// Unsynced returns the bytes that were appended and are not synced.
func (l *Log) Unsynced() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// Wait blocks until the log is durable up to pos. It returns false if the log
// ended before.
func (l *Log) Wait(pos uint64) bool {
	if l.synced.Load() >= pos {
		return true
	}
	l.waitMu.Lock()
	defer l.waitMu.Unlock()
	for l.synced.Load() < pos && !l.ended {
		l.moved.Wait()
	}
	return l.synced.Load() >= pos
}

func (l *Log) flusher() {
	defer l.EndWaits()
	if l.file == nil {
		first := l.synced.Load() + 1
		if err := l.untilRoom(func() error { return l.beginSegment(first) }); err != nil {
			l.fail(err)
			return
		}
	}
	for {
		stopping := false
		select {
		case <-l.kicked:
		case <-l.stop:
			stopping = true
		}
		for l.flush() {
		}
		if stopping {
			return
		}
	}
}

// flush writes and syncs what is waiting. It returns false if nothing was, or
// if the log has failed.
func (l *Log) flush() bool {
	l.mu.Lock()
	if len(l.buf) == 0 || l.failed {
		l.mu.Unlock()
		return false
	}
	buf, last := l.buf, l.next-1
	l.buf = l.spare[:0]
	l.mu.Unlock()

	start := time.Now()
	err := l.write(buf)
	if err == nil {
		err = l.witness(last)
	}
	if err != nil {
		l.fail(err)
		return false
	}
	before := l.synced.Load()
	l.bytes.Add(int64(len(buf)))
	l.mu.Lock()
	l.pending -= len(buf)
	const keep = 4 << 20
	if l.spare = buf; cap(buf) > keep {
		l.spare = nil
	}
	l.segments[len(l.segments)-1].Size = l.offset
	l.mu.Unlock()
	l.publish(last)
	l.OnSync(Synced{Position: last, Entries: int(last - before), Bytes: len(buf), Took: time.Since(start)})
	return true
}

// witness records in the position file what is durable. On a full disk the file
// lags behind: what it says is still true.
func (l *Log) witness(pos uint64) error {
	if err := l.position.note(pos); err != nil && !disk.IsFull(err) {
		return err
	}
	select {
	case l.noted <- struct{}{}:
	default:
	}
	return nil
}

// keepPosition syncs the position file from time to time while it is written.
func (l *Log) keepPosition() {
	for {
		select {
		case <-l.noted:
		case <-l.stop:
			return
		}
		select {
		case <-time.After(positionSync):
		case <-l.stop:
		}
		if err := l.position.sync(); err != nil {
			l.fail(err)
			return
		}
	}
}

func (l *Log) publish(pos uint64) {
	l.waitMu.Lock()
	l.synced.Store(pos)
	l.waitMu.Unlock()
	l.moved.Broadcast()
}

// write writes the records in buf and syncs them.
func (l *Log) write(buf []byte) error {
	if l.offset > SegmentHeader && l.offset+int64(len(buf)) > l.size {
		first := l.synced.Load() + 1
		if err := l.untilRoom(func() error { return l.beginSegment(first) }); err != nil {
			return err
		}
	}
	var marker [MarkerBytes]byte
	appendMarker(marker[:0], l.Store, l.synced.Load())
	at := l.offset
	err := l.untilRoom(func() error {
		if err := l.Disk.Write(l.file, marker[:], at); err != nil {
			return err
		}
		return l.Disk.Write(l.file, buf, at+MarkerBytes)
	})
	if err != nil {
		return fmt.Errorf("write changelog: %w", err)
	}
	if err := l.Disk.Sync(l.file); err != nil {
		return fmt.Errorf("sync changelog: %w", err)
	}
	l.offset = at + MarkerBytes + int64(len(buf))
	return nil
}

// fail ends the log after an error that leaves the disk's state unknown.
func (l *Log) fail(err error) {
	l.mu.Lock()
	closing := l.closed
	l.failed = true
	l.mu.Unlock()
	l.EndWaits()
	if closing && disk.IsFull(err) {
		l.Log.Warn("closed while the disk was full; what was not acknowledged is dropped", zap.Error(err))
		return
	}
	l.Fatal(err)
}

func (l *Log) hasFailed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// EndWaits has all who wait for a sync return, now and later.
func (l *Log) EndWaits() {
	l.waitMu.Lock()
	l.ended = true
	l.waitMu.Unlock()
	l.moved.Broadcast()
}

// Close writes what is waiting and ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if !already {
		close(l.stop)
	}
	l.routines.Wait()
	if already {
		return nil
	}
	var errs []error
	if l.position != nil {
		errs = append(errs, l.position.close(!l.hasFailed()))
	}
	if l.file != nil {
		errs = append(errs, l.file.Close())
	}
	return errors.Join(errs...)
}

// Read calls f for the records from position from on that were appended before
// this log was opened or have been synced since. payload is valid during the
// call.
func (l *Log) Read(from uint64, f func(pos uint64, payload []byte) error) error {
	l.mu.Lock()
	segments := append([]Segment(nil), l.segments...)
	l.mu.Unlock()
	last := l.synced.Load()
	for i, s := range segments {
		limit := last + 1
		if i+1 < len(segments) {
			limit = min(limit, segments[i+1].first)
		}
		if limit <= from || limit <= s.first {
			continue
		}
		got, err := scanSegment(s, l.Store, limit, func(pos uint64, payload []byte) error {
			if pos < from {
				return nil
			}
			return f(pos, payload)
		})
		if err != nil {
			return err
		}
		if got.next != limit {
			return fmt.Errorf("%w: %s: entry %d cannot be read", ErrCorrupt, s.Path, got.next)
		}
	}
	return nil
}
