package engine

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/register"
	"synod/storaged/changelog"
)

// How much room there is on the disk decides what is accepted (see package
// disk). This file watches it and frees what can be freed.

const (
	freeCheck = 200 * time.Millisecond
	// lookBytes is how much is written until the disk is looked at in any case.
	lookBytes = 4 << 20
)

// errLow is what Ready says of a node that accepts no more data.
var errLow = fmt.Errorf("%w: the disk is nearly full, only reads and what frees room are accepted", changelog.ErrNoSpace)

// room is how much there is at present.
func (e *Engine) room() diskroom.Room {
	if e.changes.Full() {
		return diskroom.RoomNone
	}
	return e.space.Level()
}

// watchRoom is the watcher: the goroutine that looks how full the disk is.
func (e *Engine) watchRoom() {
	defer e.routines.Done()
	tick := time.NewTicker(freeCheck)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		case <-e.space.LookDue():
		}
		e.checkFree()
	}
}

// checkFree looks how much room there is, and frees what can be freed if it is
// short.
func (e *Engine) checkFree() {
	e.looking.Lock()
	defer e.looking.Unlock()
	written := int64(0)
	if e.changes != nil { // nil while the store opens
		written = e.written()
	}
	low, ok := e.space.Look()
	if !ok {
		return
	}
	e.seen.Store(written)
	if low {
		e.wantSqueeze()
	}
	if e.space.Pressed() {
		notify(e.squeezes)
	}
	if e.changes == nil {
		return
	}
	e.freeChangelog()
	e.space.TakeBallast()
}

// freeChangelog removes changelog that nothing needs if room is short, and has a
// checkpoint made so that more can be removed.
func (e *Engine) freeChangelog() {
	pressed := e.space.Pressed()
	e.changes.SetPressed(pressed)
	if !pressed || !e.changes.Surplus() {
		return
	}
	// This needs no room, other than a checkpoint.
	if _, err := e.changes.Release(e.marked.Load()); err != nil {
		e.opts.Log.Warn("cannot remove old changelog; it is retried later", zap.Error(err))
	}
	if now := time.Now(); e.changes.Surplus() && now.Sub(e.freedLog) >= time.Second {
		e.freedLog = now
		notify(e.checkpoints)
	}
}

// written counts what comes to the disk: the changelog and large states.
func (e *Engine) written() int64 { return e.changes.Written() + e.stagedBytes.Load() }

// admitsStaging returns nil if more of a large state may be written.
func (e *Engine) admitsStaging(needed bool) error {
	if err := e.Usable(); err != nil {
		return err
	}
	if !e.space.Admits(needed) {
		return changelog.ErrNoSpace
	}
	return nil
}

// Room implements acceptor.Store.
func (l *Lane) Room() diskroom.Room { return l.engine.room() }

// Grows implements acceptor.Store.
func (l *Lane) Grows(rec *durable.Record, c *register.Change) (grows bool, err error) {
	if rec == nil {
		return register.Nothing().Grows(*c), nil
	}
	e := l.entry(rec)
	if e == nil {
		return true, nil
	}
	return e.Grows(l.db, rec, c)
}
