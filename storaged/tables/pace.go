package tables

import (
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"synod/storaged/disk"
)

// How long Pebble's background work waits before a retry: twice as long with
// every failure, up to a bound.
const (
	// roomRetry is how long a write that finds no space waits until it is retried.
	roomRetry = 200 * time.Millisecond

	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// pace keeps Pebble from retrying failing background work, on a full disk for
// example, without a pause, and from logging each failure. Pebble begins a flush
// or a compaction by creating a file while it holds no locks: there it waits.
//
// A write that finds no space is retried once the reserved space has been freed,
// unless it is for a compaction: that space is for others. If there is still none,
// a table is given up, which frees some. Pebble takes any error at its manifest as
// fatal, though, so files that are no tables wait until there is space.
// (Pebble's own vfs.OnDiskFull retries once, whatever the file is for. Like it,
// pace never retries a sync: success after a failure says nothing about what the
// first sync should have written.)
type pace struct {
	vfs.FS
	log   *zap.Logger
	full  func() bool     // a write has failed for lack of space; whether to retry
	spare func(int) error // nil if compactions may write so many bytes more
	stop  <-chan struct{} // ends the wait for space

	mu       sync.Mutex
	failures int // since the last success
	pause    time.Duration
}

// Create makes a file, after a pause if the last attempts have failed.
func (p *pace) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	p.mu.Lock()
	pause := p.pause
	p.mu.Unlock()
	if pause > 0 {
		<-time.After(pause)
	}
	f := &pacedFile{pace: p, waits: !strings.HasSuffix(name, tableSuffix), optional: category == compaction}
	err := f.withRoom(func() (err error) {
		f.File, err = p.FS.Create(name, category)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

const (
	tableSuffix                       = ".sst"
	compaction  vfs.DiskWriteCategory = "pebble-compaction"
)

// pacedFile is a file whose writes are retried when they find no space.
type pacedFile struct {
	vfs.File
	pace     *pace
	waits    bool // until there is some
	optional bool // may not use the reserved space
}

// Write writes all of b, which may have been written in part when the disk was
// found full.
func (f *pacedFile) Write(b []byte) (n int, err error) {
	if f.optional {
		if err := f.pace.spare(len(b)); err != nil {
			return 0, err
		}
	}
	err = f.withRoom(func() error {
		k, err := f.File.Write(b[n:])
		n += k
		return err
	})
	return n, err
}

// withRoom retries do if there is space now, or until there is.
func (f *pacedFile) withRoom(do func() error) error {
	err := f.tryTwice(do)
	if !disk.IsFull(err) || !f.waits {
		return err
	}
	f.pace.log.Error("the disk is full: the store's own records wait for space", zap.Error(err))
	tick := time.NewTicker(roomRetry)
	defer tick.Stop()
	for disk.IsFull(err) {
		select {
		case <-f.pace.stop:
			return err
		case <-tick.C:
			err = f.tryTwice(do)
		}
	}
	return err
}

// tryTwice retries do if there is space now.
func (f *pacedFile) tryTwice(do func() error) error {
	err := do()
	if disk.IsFull(err) && !f.optional && f.pace.full() {
		err = do()
	}
	return err
}

// Unwrap returns the file system behind.
func (p *pace) Unwrap() vfs.FS { return p.FS }

// listen has Pebble report the success and failure of background work to pace.
func (p *pace) listen(l *pebble.EventListener) {
	l.BackgroundError = p.failed
	l.FlushEnd = func(i pebble.FlushInfo) { p.ended(i.Err) }
	l.CompactionEnd = func(i pebble.CompactionInfo) { p.ended(i.Err) }
}

func (p *pace) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	p.pause = min(max(2*p.pause, firstPause), lastPause)
	if p.failures == 1 {
		p.log.Warn("the store's background work fails; it is retried until it succeeds", zap.String("error", err.Error()))
	}
}

// ended hears of the end of background work.
func (p *pace) ended(err error) {
	if err != nil {
		return // failed hears of it too
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 0 {
		p.log.Info("the store's background work succeeds again", zap.Int("failures", p.failures))
	}
	p.failures, p.pause = 0, 0
}
