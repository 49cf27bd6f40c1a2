package engine

import "synod/storaged/changelog"

// CatchUp waits until Pebble has everything that the lanes have appended so far.
func (e *Engine) CatchUp() error {
	waiting := false
	for _, l := range e.lanes {
		target := l.lastPos.Load()
		if l.applied.Load() >= target {
			continue
		}
		waiting = true
		for old := l.want.Load(); old < target && !l.want.CompareAndSwap(old, target); old = l.want.Load() {
		}
		e.opts.Wake(l.number)
	}
	if !waiting {
		return nil
	}
	e.changes.Kick()
	for _, l := range e.lanes {
		if err := e.awaitApplied(l); err != nil {
			return err
		}
	}
	return nil
}

// awaitApplied waits until a lane has applied everything up to its want.
func (e *Engine) awaitApplied(l *Lane) error {
	target := l.want.Load()
	e.appliedMu.Lock()
	defer e.appliedMu.Unlock()
	for l.applied.Load() < target {
		if e.ending.Load() || e.failure.Load() != nil {
			return changelog.ErrClosed
		}
		e.appliedCond.Wait()
	}
	return nil
}

// beginRead keeps Pebble open until reading is unlocked.
func (e *Engine) beginRead() error {
	if !e.reading.TryRLock() { // end has it, or waits for it
		return changelog.ErrClosed
	}
	if e.ending.Load() {
		e.reading.RUnlock()
		return changelog.ErrClosed
	}
	return nil
}
