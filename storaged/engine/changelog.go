package engine

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Why an append is refused. Nothing was written; it may be tried again later.
var (
	// ErrNoSpace: the disk is full, or nearly so.
	ErrNoSpace = errors.New("no space left for the changelog")
	// ErrBacklog: too much waits for a sync.
	ErrBacklog = errors.New("too much is waiting for the disk")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store is closed")
)

// changelog is the write-ahead log: every lane appends to it, and one goroutine
// writes and syncs what came since it last looked, for all lanes at once. While
// it syncs, appends go to the other of two buffers.
//
// The position of a record is its number. A record is durable when synced has
// reached its position. A failed sync leaves unknown what is on disk, so it
// ends the log, and by fatal the process. A full disk does not: the flusher
// tries again until there is room, and until then appends are refused.
type changelog struct {
	logConfig

	mu       sync.Mutex
	buf      []byte // what waits to be written, records only
	spare    []byte // the other buffer, while it is not being written
	pending  int    // bytes appended and not synced
	next     uint64 // position of the next record
	segments []segment
	closed   bool
	failed   bool

	synced atomic.Uint64
	full   atomic.Bool
	bytes  atomic.Int64 // ever written, for metrics and checkpoints

	kicked chan struct{}
	stop   chan struct{}
	done   chan struct{}

	waitMu sync.Mutex
	moved  *sync.Cond // synced moved, or the log ended
	ended  bool

	// The flusher's own.
	file   *os.File
	offset int64
}

type logConfig struct {
	dir          string
	store        uint64
	segmentBytes int64
	maxUnsynced  int
	retainBytes  int64
	disk         Disk
	log          *zap.Logger
	onSync       func(Synced)
	fatal        func(error)
}

// Synced describes one sync of the changelog.
type Synced struct {
	Position uint64 // everything up to here is durable
	Entries  int
	Bytes    int
	Took     time.Duration // write and sync
}

const fullRetry = 200 * time.Millisecond

// openLog opens the log for appending behind what recoverLog found. It begins
// a new segment, which seals the one before.
func openLog(cfg logConfig, segments []segment, next uint64) (*changelog, error) {
	l := &changelog{
		logConfig: cfg, segments: segments, next: next,
		kicked: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.moved = sync.NewCond(&l.waitMu)
	l.synced.Store(next - 1)
	if err := l.beginSegment(next); err != nil {
		return nil, err
	}
	go l.flusher()
	return l, nil
}

// recoverLog reads the log and calls f for its records from position from on,
// or from where the log begins if that is later. A torn tail is cut off; damage
// to anything that was acknowledged is ErrCorrupt. It returns the position of
// the next record.
func recoverLog(cfg logConfig, from uint64, f func(pos uint64, payload []byte) error) ([]segment, uint64, error) {
	segments, err := listSegments(cfg.dir)
	if err != nil {
		return nil, 0, err
	}
	if len(segments) == 0 {
		if from > 1 {
			return nil, 0, fmt.Errorf("%w: there is none, entries from %d on are needed", ErrCorrupt, from)
		}
		return nil, 1, nil
	}
	if segments[0].first > max(from, 1) {
		return nil, 0, fmt.Errorf("%w: it begins at %d, entries from %d on are needed", ErrCorrupt, segments[0].first, from)
	}
	next := segments[0].first
	for i := range segments {
		s := &segments[i]
		if i+1 < len(segments) && segments[i+1].first <= from {
			next = segments[i+1].first // applied long since, kept for others
			continue
		}
		next, err = recoverSegment(cfg, s, i == len(segments)-1, limitOf(segments, i), from, f)
		if err != nil {
			return nil, 0, err
		}
	}
	if next < from {
		return nil, 0, fmt.Errorf("%w: it ends before %d, entries from %d on are needed", ErrCorrupt, next, from)
	}
	return segments, next, nil
}

func limitOf(segments []segment, i int) uint64 {
	if i+1 < len(segments) {
		return segments[i+1].first
	}
	return 0
}

func recoverSegment(cfg logConfig, s *segment, last bool, limit, from uint64, f func(uint64, []byte) error) (uint64, error) {
	got, err := scanSegment(*s, cfg.store, limit, func(pos uint64, payload []byte) error {
		if pos < from {
			return nil
		}
		return f(pos, payload)
	})
	if err != nil {
		return 0, err
	}
	s.size = got.end
	if !last {
		if got.next != limit {
			return 0, fmt.Errorf("%w: %s ends at position %d, the next segment begins at %d", ErrCorrupt, s.path, got.next, limit)
		}
		return got.next, nil
	}
	if got.torn {
		durable, err := vouched(s.path, cfg.store, got.end)
		if err != nil {
			return 0, err
		}
		if durable >= got.next {
			return 0, fmt.Errorf("%w: %s: entry %d at byte %d cannot be read, though entries up to %d were acknowledged", ErrCorrupt, s.path, got.next, got.end, durable)
		}
		cfg.log.Warn("the changelog ends in an unfinished write, as after a crash; it is cut off, nothing acknowledged is lost",
			zap.String("segment", s.path), zap.Int64("offset", got.end), zap.Uint64("next_entry", got.next))
	}
	return got.next, sealSegment(cfg, s.path, got.end)
}

// sealSegment makes durable what a dead process may only have written, and
// gives back what was reserved behind it.
func sealSegment(cfg logConfig, path string, end int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("seal changelog segment: %w", err)
	}
	defer file.Close()
	if err := file.Truncate(end); err != nil {
		return fmt.Errorf("seal changelog segment: %w", err)
	}
	if err := cfg.disk.Sync(file); err != nil {
		return fmt.Errorf("seal changelog segment: %w", err)
	}
	return nil
}

// append puts a record behind the others, without waiting for the disk. The
// payload is copied.
func (l *changelog) append(payload []byte) (uint64, error) {
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
	case l.pending > l.maxUnsynced: // one more may pass, of any size
		return 0, ErrBacklog
	}
	pos := l.next
	l.next++
	l.buf = appendRecord(l.buf, pos, sum, payload)
	l.pending += recordHead + len(payload)
	return pos, nil
}

// kick makes the flusher write what was appended. Appending alone does not, so
// that a batch of appends costs one wake-up.
func (l *changelog) kick() {
	select {
	case l.kicked <- struct{}{}:
	default:
	}
}

// appended returns the position of the last record appended.
func (l *changelog) appended() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}

func (l *changelog) unsynced() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// wait blocks until the log is durable up to pos. It returns false if the log
// ended before.
func (l *changelog) wait(pos uint64) bool {
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

func (l *changelog) flusher() {
	defer close(l.done)
	defer l.end()
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
func (l *changelog) flush() bool {
	l.mu.Lock()
	if len(l.buf) == 0 || l.failed {
		l.mu.Unlock()
		return false
	}
	buf, last := l.buf, l.next-1
	l.buf = l.spare[:0]
	l.mu.Unlock()

	start := time.Now()
	if err := l.write(buf); err != nil {
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
	l.segments[len(l.segments)-1].size = l.offset
	l.mu.Unlock()
	l.publish(last)
	l.onSync(Synced{Position: last, Entries: int(last - before), Bytes: len(buf), Took: time.Since(start)})
	return true
}

func (l *changelog) publish(pos uint64) {
	l.waitMu.Lock()
	l.synced.Store(pos)
	l.waitMu.Unlock()
	l.moved.Broadcast()
}

// write brings the records in buf onto the disk.
func (l *changelog) write(buf []byte) error {
	if l.offset > segmentHeader && l.offset+int64(len(buf)) > l.segmentBytes {
		first := l.synced.Load() + 1
		if err := l.untilRoom(func() error { return l.beginSegment(first) }); err != nil {
			return err
		}
	}
	var marker [markerBytes]byte
	appendMarker(marker[:0], l.store, l.synced.Load())
	at := l.offset
	err := l.untilRoom(func() error {
		if err := l.disk.Write(l.file, marker[:], at); err != nil {
			return err
		}
		return l.disk.Write(l.file, buf, at+markerBytes)
	})
	if err != nil {
		return fmt.Errorf("write changelog: %w", err)
	}
	if err := l.disk.Sync(l.file); err != nil {
		return fmt.Errorf("sync changelog: %w", err)
	}
	l.offset = at + markerBytes + int64(len(buf))
	return nil
}

// untilRoom repeats do as long as the disk is full. Meanwhile nothing can be
// appended, and nothing that waits is acknowledged.
func (l *changelog) untilRoom(do func() error) error {
	err := do()
	if !isFull(err) {
		return err
	}
	l.full.Store(true)
	l.log.Error("the disk is full: writes are refused until there is room", zap.Error(err))
	tick := time.NewTicker(fullRetry)
	defer tick.Stop()
	for isFull(err) {
		select {
		case <-l.stop:
			return fmt.Errorf("closed while the disk was full: %w", err)
		case <-tick.C:
			err = do()
		}
	}
	if err == nil {
		l.full.Store(false)
		l.log.Info("the disk has room again: writes are accepted")
	}
	return err
}

// beginSegment makes the file that takes the records from first on and writes
// to it from now on. It appears under its name only when its header is durable.
func (l *changelog) beginSegment(first uint64) error {
	path := segmentPath(l.dir, first)
	tmp := path + ".tmp"
	file, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("begin changelog segment: %w", err)
	}
	err = func() error {
		if err := l.disk.Allocate(file, l.segmentBytes); err != nil {
			return err
		}
		if err := l.disk.Write(file, encodeHeader(l.store, first), 0); err != nil {
			return err
		}
		// A full fsync: the size is new.
		if err := file.Sync(); err != nil {
			return err
		}
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
		return syncDir(l.dir)
	}()
	if err != nil {
		file.Close()
		os.Remove(tmp)
		return fmt.Errorf("begin changelog segment: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.offset = file, segmentHeader
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && l.segments[n-1].first == first {
		l.segments = l.segments[:n-1] // it was empty: replaced
	}
	l.segments = append(l.segments, segment{path: path, first: first, size: segmentHeader})
	return nil
}

// fail ends the log after an error that leaves the disk's state unknown.
func (l *changelog) fail(err error) {
	l.mu.Lock()
	closing := l.closed
	l.failed = true
	l.mu.Unlock()
	l.end()
	if closing && isFull(err) {
		l.log.Warn("closed while the disk was full; what was not acknowledged is dropped", zap.Error(err))
		return
	}
	l.fatal(err)
}

func (l *changelog) end() {
	l.waitMu.Lock()
	l.ended = true
	l.waitMu.Unlock()
	l.moved.Broadcast()
}

// release removes the segments whose records are all at or below pos, as far
// as the configured number of bytes stays. It returns how many it removed.
func (l *changelog) release(pos uint64) (int, error) {
	l.mu.Lock()
	var total int64
	for _, s := range l.segments {
		total += s.size
	}
	n := 0
	for n+1 < len(l.segments) && l.segments[n+1].first <= pos+1 && total-l.segments[n].size >= l.retainBytes {
		total -= l.segments[n].size
		n++
	}
	drop := append([]segment(nil), l.segments[:n]...)
	l.segments = l.segments[n:]
	l.mu.Unlock()
	for _, s := range drop {
		if err := os.Remove(s.path); err != nil {
			return 0, fmt.Errorf("remove changelog segment: %w", err)
		}
	}
	return len(drop), nil
}

// close writes what is waiting and ends the log.
func (l *changelog) close() error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if !already {
		close(l.stop)
	}
	<-l.done
	if already || l.file == nil {
		return nil
	}
	return l.file.Close()
}

// read calls f for the records from position from on that were appended before
// this log was opened or have been synced since. payload is valid during the
// call.
func (l *changelog) read(from uint64, f func(pos uint64, payload []byte) error) error {
	l.mu.Lock()
	segments := append([]segment(nil), l.segments...)
	l.mu.Unlock()
	last := l.synced.Load()
	for i, s := range segments {
		limit := limitOf(segments, i)
		if limit == 0 || limit > last+1 {
			limit = last + 1
		}
		if limit <= from || limit <= s.first {
			continue
		}
		got, err := scanSegment(s, l.store, limit, func(pos uint64, payload []byte) error {
			if pos < from {
				return nil
			}
			return f(pos, payload)
		})
		if err != nil {
			return err
		}
		if got.next != limit {
			return fmt.Errorf("%w: %s: entry %d cannot be read", ErrCorrupt, s.path, got.next)
		}
	}
	return nil
}
