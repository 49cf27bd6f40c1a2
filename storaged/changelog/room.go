package changelog

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"synod/storaged/disk"
)

// This file is about the space that the changelog takes on the disk, and what it
// does when there is none.

const (
	fullRetry = 200 * time.Millisecond
	// segmentsPressed is by how much segments are smaller while space is short,
	// LeastSegment is how small they may get.
	segmentsPressed = 8
	LeastSegment    = 64 << 10
)

// untilRoom retries do while the disk is full. Until it succeeds, nothing can be
// appended, and nothing that waits is acknowledged. Each failure is reported
// (DiskFull), so that the disk counts as full for as long as writes fail.
func (l *Log) untilRoom(do func() error) error {
	err := l.noteRoom(l.tryTwice(do))
	if !disk.IsFull(err) {
		return err
	}
	tick := time.NewTicker(fullRetry)
	defer tick.Stop()
	for disk.IsFull(err) {
		select {
		case <-l.stop:
			return fmt.Errorf("closed while the disk was full: %w", err)
		case <-tick.C:
			err = l.noteRoom(l.tryTwice(do))
		}
	}
	return err
}

// noteRoom notes by the result of a write whether the disk is full, and returns
// it. Nothing else sets full, so any success ends what a failure began.
func (l *Log) noteRoom(err error) error {
	switch {
	case disk.IsFull(err):
		if !l.full.Swap(true) {
			l.Log.Error("the disk is full: writes are refused until there is room", zap.Error(err))
		}
	case err == nil && l.full.Load():
		l.full.Store(false)
		l.Log.Info("the disk has room again: writes are accepted")
	}
	return err
}

// tryTwice retries once what has failed because the disk is full, if the space
// that was reserved for this case has been freed.
func (l *Log) tryTwice(do func() error) error {
	err := do()
	if disk.IsFull(err) && l.DiskFull() {
		err = do()
	}
	return err
}

// allocate reserves space for a segment, less if there is not enough. A disk
// without space for the smallest segment is full.
func (l *Log) allocate(file *os.File) (size int64, err error) {
	size = l.SegmentBytes
	if l.pressed.Load() {
		size = max(size/segmentsPressed, min(size, LeastSegment))
	}
	for {
		if err = l.Disk.Allocate(file, size); !disk.IsFull(err) || size <= LeastSegment {
			return size, err
		}
		if err := file.Truncate(0); err != nil { // frees what could be reserved
			return size, err
		}
		size = max(size/4, LeastSegment)
	}
}

// beginSegment makes the file that takes the records from first on and writes
// to it from now on. It appears under its name only when its header is durable.
func (l *Log) beginSegment(first uint64) error {
	path := segmentPath(l.Dir, first, SegmentSuffix)
	tmp := segmentPath(l.Dir, first, unfinished)
	file, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("begin changelog segment: %w", err)
	}
	size := int64(0)
	err = func() (err error) {
		if size, err = l.allocate(file); err != nil {
			return err
		}
		if err := l.Disk.Write(file, encodeHeader(l.Store, first), 0); err != nil {
			return err
		}
		// A full fsync: the size is new.
		if err := file.Sync(); err != nil {
			return err
		}
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
		return disk.SyncDir(l.Dir)
	}()
	if err != nil {
		file.Close()
		os.Remove(tmp)
		return fmt.Errorf("begin changelog segment: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.offset, l.size = file, SegmentHeader, size
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && l.segments[n-1].first == first {
		l.segments = l.segments[:n-1] // it was empty: replaced
	}
	l.segments = append(l.segments, Segment{Path: path, first: first, Size: SegmentHeader})
	return nil
}

// Release removes the segments whose records are all at or below pos, as long as
// the configured number of bytes is left. It returns how many it removed.
func (l *Log) Release(pos uint64) (int, error) {
	l.mu.Lock()
	var total int64
	for _, s := range l.segments {
		total += s.Size
	}
	n, retain := 0, l.RetainBytes
	if l.pressed.Load() {
		retain = 0
	}
	for n+1 < len(l.segments) && l.segments[n+1].first <= pos+1 && total-l.segments[n].Size >= retain {
		total -= l.segments[n].Size
		n++
	}
	drop := append([]Segment(nil), l.segments[:n]...)
	l.segments = l.segments[n:]
	l.mu.Unlock()
	for _, s := range drop {
		if err := os.Remove(s.Path); err != nil {
			return 0, fmt.Errorf("remove changelog segment: %w", err)
		}
	}
	return len(drop), nil
}

// Surplus reports whether there are segments besides the one that is being written.
func (l *Log) Surplus() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments) > 1
}
