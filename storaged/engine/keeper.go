package engine

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/datadir"
	"synod/storaged/flushes"
	"synod/storaged/rowcodec"
)

const (
	sweepEvery = time.Second
	sweepChunk = 256
)

func (e *Engine) logPath() string { return filepath.Join(e.opts.Dir, datadir.LogDir) }

// synced is called by the changelog's goroutine.
func (e *Engine) synced(s changelog.Synced) {
	// Staged bytes count, too: a checkpoint flushes the deletion of what they
	// replaced, which frees its space.
	written, most := e.written(), e.opts.CheckpointBytes
	if e.changes.Pressed() {
		most /= 4
	}
	if written-e.lastMark > most {
		e.lastMark = written
		notify(e.checkpoints)
	}
	if written-e.seen.Load() > lookBytes {
		e.space.WantLook()
	}
	e.opts.Synced(s)
}

// keep is the keeper: the goroutine that makes checkpoints and deletes rows that
// flushes cover.
func (e *Engine) keep() {
	defer e.routines.Done()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-e.stop:
			return
		case <-tick.C:
			err = e.sweepFlushed()
		case <-e.checkpoints:
			err = e.regularCheckpoint()
		case <-e.sweeps:
			err = e.sweepFlushed()
		}
		if err != nil && !e.ending.Load() && e.failure.Load() == nil {
			e.opts.Log.Warn("storage upkeep failed; it is retried later", zap.Error(err))
		}
	}
}

func (e *Engine) regularCheckpoint() error {
	target := e.changes.Appended()
	for _, l := range e.lanes {
		for old := l.want.Load(); old < target && !l.want.CompareAndSwap(old, target); old = l.want.Load() {
		}
		e.opts.Wake(l.number)
	}
	e.changes.Kick()
	for _, l := range e.lanes {
		if err := e.awaitApplied(l); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	return e.checkpoint(target)
}

// checkpoint makes durable in Pebble what the lanes have applied, which is
// everything up to target, and removes changelog that is no longer needed.
func (e *Engine) checkpoint(target uint64) error {
	b := e.db.NewBatch()
	defer b.Close()
	if err := e.node.Write(b, target); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	// The rows may show entries after target.
	need := max(e.node.Position(), target)
	if err := e.WaitSynced(need); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := e.db.Apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	flushed, err := e.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	select {
	case <-flushed:
	case <-e.late: // Pebble retries forever; the changelog has everything
		return fmt.Errorf("checkpoint: %w", errLate)
	case <-e.stop:
		return fmt.Errorf("checkpoint: %w", changelog.ErrClosed)
	}
	e.marked.Store(target)
	if _, err := e.changes.Release(target); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// sweepFlushed deletes the rows that flushes cover: nobody sees them, but they take
// space. If it is too early for some, they wait for the next tick.
func (e *Engine) sweepFlushed() error {
	for _, f := range e.flushes.Unswept() {
		if !e.maySweep(f) {
			continue
		}
		if err := e.WaitSynced(f.Pos); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if err := e.sweepOne(f); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		e.flushes.MarkSwept(f)
	}
	return nil
}

// maySweep asks the lane whether the history in the rows may be deleted.
func (e *Engine) maySweep(f *flushes.Flush) bool {
	if e.opts.Sweep == nil {
		return true
	}
	answer := make(chan bool, 1)
	lane := int(f.Vote.Part)
	e.lanes[lane].do(func() { answer <- e.opts.Sweep(lane, f.Vote) })
	select {
	case may := <-answer:
		return may
	case <-e.stop:
		return false
	}
}

func (e *Engine) sweepOne(f *flushes.Flush) error {
	if err := e.CatchUp(); err != nil {
		return err
	}
	it, err := e.db.NewIter(&pebble.IterOptions{
		LowerBound: rowcodec.AppendPlace(nil, f.Vote.First, 0, 0),
		UpperBound: rowcodec.AppendAfter(nil, []byte{rowcodec.PrefixRegister, byte(f.Vote.Last >> 8), byte(f.Vote.Last)}),
	})
	if err != nil {
		return err
	}
	defer it.Close()
	lane := e.lanes[f.Vote.Part]
	var chunk []register.ID
	for ok := it.First(); ok; {
		if e.ending.Load() {
			return changelog.ErrClosed
		}
		r, _, rest, err := rowcodec.ParseRegister(it.Key())
		if err != nil {
			return err
		}
		if len(rest) != 1 || rest[0] != rowcodec.RowRecord {
			ok = it.SeekGE(append(rowcodec.AppendRegister(nil, r), rowcodec.RowEnd))
			continue
		}
		top, err := rowcodec.ParseTop(it.Value())
		if err != nil {
			return err
		}
		if f.Covers(r, uint32(len(e.lanes)), top.Accepted) {
			if chunk = append(chunk, r); len(chunk) == sweepChunk {
				if err := e.sweepIn(lane, f, chunk); err != nil {
					return err
				}
				chunk = chunk[:0]
			}
		}
		ok = it.Next()
	}
	if err := it.Error(); err != nil {
		return err
	}
	return e.sweepIn(lane, f, chunk)
}

// sweepIn has a lane delete registers, unless they are no longer covered.
func (e *Engine) sweepIn(l *Lane, f *flushes.Flush, registers []register.ID) error {
	done := make(chan error, 1)
	l.do(func() { done <- l.sweep(f, registers) })
	select {
	case err := <-done:
		return err
	case <-e.stop:
		return changelog.ErrClosed
	}
}

func (l *Lane) sweep(f *flushes.Flush, registers []register.ID) error {
	for _, r := range registers {
		e := l.cache[r.Key]
		if e == nil {
			var err error
			if e, err = l.read(r); err != nil {
				return err
			}
		}
		if e.absent || e.dirty || e.pinned || !f.Covers(r, uint32(len(l.engine.lanes)), e.rec.Accepted) {
			continue
		}
		l.sweeps = append(l.sweeps, sweep{register: e.rec.Register, expiry: e.diskExpiry, rows: e.MayHaveRows(), last: f.Vote.Ballot})
		l.swept[e.rec.Register.Key] = struct{}{}
		l.engine.freed.Add(int64(e.Held(&e.rec.Header)))
		l.drop(e)
	}
	return nil
}
