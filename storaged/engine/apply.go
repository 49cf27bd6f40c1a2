package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/layout"
	"synod/protocol/register"
	"synod/storaged/rowcodec"
	"synod/storaged/rules"
)

// A lane writes its registers to the disk some time after they change, oldest
// change first, as they are when a batch is made. The batch carries the position
// from which a restart must replay for this lane. The entries after it belong to
// registers that are still unwritten, or that the batch holds in a later state: for
// these, replaying has no effect, as their ballots are at or below the accepted
// one. A batch is committed once the log is synced up to the lane's last entry, so
// that the disk never shows what the log may lose.

// frozenBatch is a batch on its way to the disk.
type frozenBatch struct {
	lane    *Lane
	batch   *pebble.Batch
	need    uint64 // the log must be synced up to here first
	applied uint64 // the lane's replay position afterwards
	entries []*entry
	sweeps  []sweep
	done    atomic.Bool
}

// sweep is a covered register whose rows are to be deleted.
type sweep struct {
	register register.ID
	expiry   int64
	rows     bool
	last     ballot.Ballot // of contents that are covered
}

// finishBatch follows the commit of the last batch.
func (l *Lane) finishBatch() {
	s := l.sending
	if s == nil || !s.done.Load() {
		return
	}
	for _, e := range s.entries {
		e.pinned = false
		e.Stored()
		if !e.dirty {
			l.unfile(e)
		}
		l.resize(e)
	}
	for _, w := range s.sweeps {
		delete(l.swept, w.register.Key)
	}
	l.sending = nil
}

// send makes a batch of what should go to the disk now, if anything, and hands it
// to the applier.
func (l *Lane) send() {
	all := l.closing || l.want.Load() > l.applied.Load()
	if !all && !l.due() {
		return
	}
	f := &frozenBatch{lane: l, batch: l.engine.db.NewBatch(), need: l.lastPos.Load()}
	if err := l.fill(f, all); err != nil {
		l.engine.fail(err)
		return
	}
	l.sending = f
	l.batches.Add(1)
	l.more.Store(l.due())
	l.engine.applier <- f // holds one of each lane
}

// due reports whether something should go to the disk although nobody waits for
// it.
func (l *Lane) due() bool {
	switch n := len(l.dirty); {
	case len(l.votes)+len(l.sweeps) > 0, l.tallies.MustWrite():
		return true
	case n == 0:
		return false
	default:
		pressed := l.dirtyBytes > l.engine.dirtyMax || n > dirtyCountMax
		return pressed || l.now-l.dirty[0].at >= instant.Mono(applyAfter)
	}
}

func (l *Lane) fill(f *frozenBatch, all bool) error {
	if all {
		// Everything of this lane is written: its position can move past the entries
		// of other lanes.
		f.need = max(f.need, min(l.want.Load(), l.engine.changes.Appended()))
	}
	for _, s := range l.sweeps {
		if err := l.writeSweep(f.batch, s); err != nil {
			return err
		}
	}
	f.sweeps, l.sweeps = l.sweeps, nil
	n := l.oldest(all)
	f.entries = append(f.entries, l.dirty[:n]...)
	// In the order of rows, each insert into the memtable is next to the last.
	slices.SortFunc(f.entries, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.rec.Register.Slot, b.rec.Register.Slot),
			strings.Compare(a.rec.Register.Key, b.rec.Register.Key))
	})
	for _, e := range f.entries {
		if err := l.write(f.batch, e); err != nil {
			return err
		}
		l.dirtyBytes -= e.weight
		e.dirty, e.pinned, e.weight = false, true, 0
	}
	clear(l.dirty[:n])
	f.applied = l.applied.Load()
	if l.dirty = l.dirty[n:]; len(l.dirty) == 0 {
		l.dirty = nil
		f.applied = max(f.applied, f.need)
	} else if since := l.dirty[0].since; since > 0 {
		f.applied = max(f.applied, since-1)
	}
	for _, v := range l.votes {
		if err := v.Put(f.batch); err != nil {
			return err
		}
	}
	l.votes = nil
	var err error
	if l.scratch, err = l.tallies.Write(f.batch, l.scratch, !l.omits(rules.TallyRows)); err != nil {
		return err
	}
	return f.batch.Set(rowcodec.LaneRow(l.number), rowcodec.AppendLaneRow(nil, f.applied, l.maxAcc), nil)
}

// oldest returns how many of the dirty registers go into the next batch. They go in
// the order in which they became dirty, so that one position describes what is
// written.
func (l *Lane) oldest(all bool) int {
	if all {
		return len(l.dirty)
	}
	n, size := 0, 0
	for n < min(len(l.dirty), l.engine.opts.applyStep) && size <= applyStepSize {
		size += l.dirty[n].weight
		n++
	}
	return n
}

// write puts a register's rows into a batch.
func (l *Lane) write(b *pebble.Batch, e *entry) error {
	l.key = rowcodec.AppendRegister(l.key[:0], e.rec.Register)
	if err := e.writeAdopted(b); err != nil {
		return err
	}
	if err := e.State.Write(b, l.key, e.rec.Accepted); err != nil {
		return err
	}
	l.scratch = rowcodec.AppendRow(l.scratch[:0], &e.rec, &e.Content)
	if err := b.Set(append(l.key, rowcodec.RowRecord), l.scratch, nil); err != nil {
		return fmt.Errorf("write register: %w", err)
	}
	l.tallyRow(e)
	return l.writeExpiry(b, e)
}

func (l *Lane) writeExpiry(b *pebble.Batch, e *entry) error {
	was, is := e.diskExpiry, layout.Due(e.rec.Header)
	if was == is {
		return nil
	}
	if was != 0 {
		if err := b.Delete(rowcodec.AppendExpiry(nil, e.rec.Register, was), nil); err != nil {
			return fmt.Errorf("write expiry: %w", err)
		}
	}
	if is != 0 {
		if err := b.Set(rowcodec.AppendExpiry(nil, e.rec.Register, is), nil, nil); err != nil {
			return fmt.Errorf("write expiry: %w", err)
		}
	}
	e.diskExpiry = is
	return nil
}

// writeSweep deletes a covered register's rows. The register may be written again
// later in the same batch.
func (l *Lane) writeSweep(b *pebble.Batch, s sweep) error {
	key := rowcodec.AppendRegister(nil, s.register)
	err := b.Delete(append(key, rowcodec.RowRecord), nil)
	if err == nil && s.rows {
		err = rowcodec.DeleteRows(b, key, nil, rowcodec.Above(s.last))
	}
	if err == nil && s.expiry != 0 {
		err = b.Delete(rowcodec.AppendExpiry(nil, s.register, s.expiry), nil)
	}
	if err != nil {
		return fmt.Errorf("sweep register: %w", err)
	}
	return nil
}

// apply is the applier: the goroutine that commits the lanes' batches.
func (e *Engine) apply() {
	defer e.routines.Done()
	for {
		select {
		case f := <-e.applier:
			if !e.changes.Wait(f.need) {
				return // the log ended: a restart replays it
			}
			err := e.db.Apply(f.batch, pebble.NoSync)
			if err == nil {
				err = f.batch.Close()
			}
			if err != nil {
				e.fail(fmt.Errorf("apply to the store: %w", err))
				return
			}
			e.appliedMu.Lock()
			f.lane.applied.Store(f.applied)
			f.done.Store(true)
			e.appliedMu.Unlock()
			e.appliedCond.Broadcast()
			if f.lane.more.Load() || f.lane.want.Load() > f.applied {
				e.opts.Wake(f.lane.number)
			}
		case <-e.stop:
			return
		}
	}
}
