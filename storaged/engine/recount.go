package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/flushes"
	"synod/storaged/rowcodec"
	"synod/storaged/tally"
)

// A store that was written by an earlier version has no tallies. Its rows are
// counted once, from a snapshot taken when the store was opened, while the lanes
// count what changes meanwhile.

// recountChunk is how many rows are counted before the processor is left to others
// for as long as that took.
const recountChunk = 4096

var errStopped = errors.New("stopped")

// recount is a count that is under way.
type recount struct {
	engine  *Engine
	rows    *pebble.Snapshot
	flushes []*flushes.Flush // in force on disk then
	lanes   []tally.Census
	counted int
	running bool // it closes the snapshot itself
	began   time.Time
	since   time.Time // of the last rest
}

// loadCounts reads the lanes' tallies, or prepares to make them.
func (e *Engine) loadCounts() error {
	missing := false
	for _, l := range e.lanes {
		if err := l.tallies.Load(e.db); err != nil {
			return err
		}
		missing = missing || !l.tallies.Known()
	}
	if !missing {
		return nil
	}
	some, err := e.holdsRecords()
	if err != nil {
		return err
	}
	if !some { // of nothing, the tallies are known
		for _, l := range e.lanes {
			l.tallies.None()
		}
		return nil
	}
	e.recount = &recount{engine: e, rows: e.db.NewSnapshot(), flushes: e.flushes.InForce(), lanes: make([]tally.Census, len(e.lanes))}
	for _, l := range e.lanes { // they are made together
		l.tallies.Forget()
	}
	return nil
}

func (e *Engine) holdsRecords() (bool, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowcodec.PrefixRegister}, UpperBound: []byte{rowcodec.PrefixRegister + 1}})
	if err != nil {
		return false, fmt.Errorf("read records: %w", err)
	}
	some := it.First()
	return some, errors.Join(it.Error(), it.Close())
}

// run counts, and gives the lanes what they lack.
func (c *recount) run() {
	e := c.engine
	defer e.routines.Done()
	c.began, c.since = time.Now(), time.Now()
	e.opts.Log.Info("counting the keys of a store of an earlier version; until that is done, DBSIZE has to walk over them")
	err := rowcodec.EachRecord(c.rows, 0, partition.Slots-1, c.take)
	if cerr := c.rows.Close(); err == nil {
		err = cerr
	}
	switch {
	case errors.Is(err, errStopped):
		return
	case err != nil:
		e.opts.Log.Error("cannot count the keys; the next start tries again", zap.Error(err))
		return
	}
	e.opts.Log.Info("counted the keys", zap.Int("keys", c.counted), zap.Duration("took", time.Since(c.began)))
	for i, l := range e.lanes {
		l.do(func() { l.tallies.Complete(&c.lanes[i]) })
	}
}

// take counts a row.
func (c *recount) take(r register.ID, top *rowcodec.RowTop) error {
	if c.counted++; c.counted%recountChunk == 0 {
		if err := c.rest(); err != nil {
			return err
		}
	}
	s := tally.StandingOf(top.Kind, top.Expiry)
	if s == 0 || r.Key[0] >= partition.Databases {
		return nil
	}
	for _, f := range c.flushes {
		if f.Covers(r, uint32(len(c.lanes)), top.Accepted) {
			return nil
		}
	}
	c.lanes[partition.Lane(r.Key, uint32(len(c.lanes)))].Move(r, 0, s)
	return nil
}

// rest leaves the processor to others for as long as the last chunk took.
func (c *recount) rest() error {
	select {
	case <-c.engine.stop:
		return errStopped
	case <-time.After(time.Since(c.since)):
		c.since = time.Now()
		return nil
	}
}
