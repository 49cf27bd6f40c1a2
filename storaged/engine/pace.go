package engine

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// How long Pebble's background work waits before it is tried again: twice as
// long with every failure, up to a bound.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// pace keeps Pebble from trying background work that fails, on a full disk for
// one, again and again without a pause, and from saying so each time. Pebble
// begins a flush or a compaction by creating a file, with none of its locks
// held: that is where it is made to wait.
type pace struct {
	vfs.FS
	log *zap.Logger

	mu       sync.Mutex
	failures int // since the last success
	pause    time.Duration
}

// Create makes a file, after the pause that the last failures call for.
func (p *pace) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	p.mu.Lock()
	pause := p.pause
	p.mu.Unlock()
	if pause > 0 {
		<-time.After(pause)
	}
	return p.FS.Create(name, category)
}

// Unwrap returns the file system behind.
func (p *pace) Unwrap() vfs.FS { return p.FS }

// listen adds to Pebble's events what pace has to know.
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
		p.log.Warn("the store's background work fails; it is tried again until it succeeds", zap.String("error", err.Error()))
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
		p.log.Info("the store's background work goes on", zap.Int("failures", p.failures))
	}
	p.failures, p.pause = 0, 0
}
