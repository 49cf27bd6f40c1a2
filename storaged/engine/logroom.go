package engine

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// This file is the room that the changelog takes on the disk, and what it does
// when there is none.

const (
	fullRetry = 200 * time.Millisecond
	// segmentsPressed is by how much segments are smaller while room is short,
	// leastSegment how small they may be if there is no room for more.
	segmentsPressed = 8
	leastSegment    = 64 << 10
)

// untilRoom repeats do as long as the disk is full. Meanwhile nothing can be
// appended, and nothing that waits is acknowledged.
func (l *changelog) untilRoom(do func() error) error {
	err := l.tryTwice(do)
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

// tryTwice tries once more what has failed because the disk is full, if what was
// reserved for that case has been given back.
func (l *changelog) tryTwice(do func() error) error {
	err := do()
	if isFull(err) && l.diskFull() {
		err = do()
	}
	return err
}

// allocate reserves room for a segment, less if there is not enough. A disk that
// has no room for the least is full.
func (l *changelog) allocate(file *os.File) (size int64, err error) {
	size = l.segmentBytes
	if l.pressed.Load() {
		size = max(size/segmentsPressed, min(size, leastSegment))
	}
	for {
		if err = l.disk.Allocate(file, size); !isFull(err) || size <= leastSegment {
			return size, err
		}
		if err := file.Truncate(0); err != nil { // what could be reserved
			return size, err
		}
		size = max(size/4, leastSegment)
	}
}

// beginSegment makes the file that takes the records from first on and writes
// to it from now on. It appears under its name only when its header is durable.
func (l *changelog) beginSegment(first uint64) error {
	path := segmentPath(l.dir, first, segmentSuffix)
	tmp := segmentPath(l.dir, first, unfinished)
	file, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("begin changelog segment: %w", err)
	}
	size := int64(0)
	err = func() (err error) {
		if size, err = l.allocate(file); err != nil {
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
	l.file, l.offset, l.size = file, segmentHeader, size
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && l.segments[n-1].first == first {
		l.segments = l.segments[:n-1] // it was empty: replaced
	}
	l.segments = append(l.segments, segment{path: path, first: first, size: segmentHeader})
	return nil
}

// release removes the segments whose records are all at or below pos, as far
// as the configured number of bytes stays. It returns how many it removed.
func (l *changelog) release(pos uint64) (int, error) {
	l.mu.Lock()
	var total int64
	for _, s := range l.segments {
		total += s.size
	}
	n, retain := 0, l.retainBytes
	if l.pressed.Load() {
		retain = 0
	}
	for n+1 < len(l.segments) && l.segments[n+1].first <= pos+1 && total-l.segments[n].size >= retain {
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

// surplus reports whether there is more than the segment that is being written.
func (l *changelog) surplus() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments) > 1
}
