package engine

import (
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/wire"
	"synod/storaged/changelog"
	"synod/storaged/flushes"
	"synod/storaged/rowcodec"
	"synod/storaged/rules"
)

// A changelog payload is the number of the lane whose entry it is, or nodeTag,
// and the entry.
const nodeTag = 0xff

func appendPayload(b []byte, tag byte, e *durable.LogEntry) []byte {
	return wire.AppendLogEntry(append(b, tag), e)
}

// loadMeta reads the node's own rows and then what the changelog adds to them,
// and makes the changelog.
func (e *Engine) loadMeta() error {
	if err := e.node.Load(e.db); err != nil {
		return err
	}
	from := e.node.Loaded()
	durable := from
	for _, l := range e.lanes {
		value, err := rowcodec.Get(e.db, rowcodec.LaneRow(l.number))
		if err != nil {
			return err
		}
		if value != nil {
			applied, highest, err := rowcodec.ParseLaneRow(value)
			if err != nil {
				return err
			}
			l.applied.Store(applied)
			l.lastPos.Store(applied)
			l.maxAcc, l.evictedMax = highest, highest
		}
		from = min(from, l.applied.Load())
		durable = max(durable, l.applied.Load())
	}
	e.flushes = flushes.NewSet(len(e.lanes))
	if err := e.flushes.Load(e.db); err != nil {
		return err
	}
	if e.flushes.Count() > 0 {
		notify(e.sweeps)
	}
	if e.opts.omit.Omits(rules.Applied) {
		durable = 0
	}
	if err := e.loadCounts(); err != nil {
		return err
	}
	witnessed, err := e.witnessed()
	if err != nil {
		return err
	}
	e.checkFree()
	cfg := changelog.Config{
		Dir: e.logPath(), Store: e.identity.Number(), SegmentBytes: e.opts.SegmentBytes,
		MaxUnsynced: e.opts.MaxUnsynced, RetainBytes: e.opts.RetainBytes,
		Disk: *e.opts.Disk, Omit: e.opts.omit, Log: e.opts.Log, OnSync: e.synced, Fatal: e.fail, DiskFull: e.space.Exhausted,
		Short: e.space.Pressed(),
	}
	found, err := changelog.Recover(cfg, from+1, max(durable, witnessed), e.recoverNode)
	if err != nil {
		return err
	}
	e.recovered = found.Next - 1
	e.marked.Store(from)
	e.changes = changelog.New(cfg, found)
	return nil
}

// recoverNode takes the node's own entries; the lanes' are replayed later, when
// their acceptors are there.
func (e *Engine) recoverNode(pos uint64, payload []byte) error {
	if payload[0] != nodeTag || pos <= e.node.Loaded() {
		return nil
	}
	entry, err := decodePayload(pos, payload)
	if err != nil {
		return err
	}
	e.node.Recover(&entry, pos)
	return nil
}

func decodePayload(pos uint64, payload []byte) (durable.LogEntry, error) {
	entry, err := wire.DecodeLogEntry(payload[1:])
	if err != nil {
		return entry, fmt.Errorf("%w: entry %d: %w", changelog.ErrCorrupt, pos, err)
	}
	return entry, nil
}

// Replay repeats the entries that the lanes have not applied, in order: redo is
// the Redo of the lane's acceptor. Lanes may be used once it has returned.
func (e *Engine) Replay(redo func(lane int, entry *durable.LogEntry, pos uint64) error) error {
	if err := e.replay(redo); err != nil {
		return e.explain(fmt.Errorf("replay: %w", err))
	}
	if c := e.recount; c != nil {
		c.running = true
		e.routines.Add(1)
		go c.run()
	}
	return nil
}

func (e *Engine) replay(redo func(lane int, entry *durable.LogEntry, pos uint64) error) error {
	if err := e.begin(); err != nil {
		return err
	}
	e.routines.Add(1)
	go e.apply()
	from := e.lanes[0].applied.Load()
	for _, l := range e.lanes {
		from = min(from, l.applied.Load())
	}
	began := make([]uint64, len(e.lanes))
	for i, l := range e.lanes {
		began[i] = l.applied.Load()
	}
	n := 0
	err := e.changes.Read(from+1, func(pos uint64, payload []byte) error {
		if payload[0] == nodeTag {
			return nil
		}
		number := int(payload[0])
		if number >= len(e.lanes) {
			return fmt.Errorf("%w: entry %d is of lane %d", changelog.ErrCorrupt, pos, number)
		}
		if pos <= began[number] {
			return nil
		}
		n++
		return e.redo(e.lanes[number], pos, payload, redo)
	})
	if err != nil {
		return err
	}
	if n > 0 {
		e.opts.Log.Info("replayed the changelog", zap.Int("entries", n), zap.Uint64("from", from+1))
	}
	if err := e.clearStages(); err != nil {
		return err
	}
	if err := e.failed(); err != nil { // what is left of the last life may be needed
		return err
	}
	e.routines.Add(3)
	go e.keep()
	go e.watchRoom()
	go e.squeezer()
	if err := e.db.Release(); err != nil {
		return err
	}
	return e.failed()
}

func (e *Engine) redo(l *Lane, pos uint64, payload []byte, redo func(int, *durable.LogEntry, uint64) error) error {
	entry, err := decodePayload(pos, payload)
	if err != nil {
		return err
	}
	l.lastPos.Store(pos)
	if entry.Flush != nil {
		l.noteFlush(*entry.Flush, pos)
	}
	if err := redo(l.number, &entry, pos); err != nil {
		return err
	}
	if entry.Accept != nil && entry.Accept.Change.Stage != 0 {
		if err := l.checkAdopted(entry.Accept); err != nil {
			return err
		}
	}
	l.Maintain(l.now)
	for l.dirtyBytes > 2*e.dirtyMax && l.sending != nil {
		if !e.awaitBatch(l.sending) {
			return changelog.ErrClosed
		}
		l.Maintain(l.now)
	}
	return nil
}

// FlushVote is one that the store kept.
type FlushVote = flushes.Vote

// Flushes returns the lane's votes that are in force, oldest first: for
// RestoreFlush of its acceptor, before Replay.
func (l *Lane) Flushes() []FlushVote { return l.engine.flushes.OfLane(l.number) }

// noteFlush keeps a vote, and drops those that it makes redundant. One that is
// repeated after a restart is known if a batch brought it to the disk.
func (l *Lane) noteFlush(vote durable.FlushVote, pos uint64) {
	known, writes := l.engine.flushes.Add(vote, pos)
	l.votes = append(l.votes, writes...)
	notify(l.engine.sweeps)
	if known {
		return
	}
	if err := l.tallyFlush(&vote); err != nil {
		l.engine.fail(err) // the vote stands in the changelog
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// witnessed returns up to which position the position file says that the
// changelog is durable.
func (e *Engine) witnessed() (uint64, error) {
	if e.opts.omit.Omits(rules.Position) {
		return 0, nil
	}
	slots, err := changelog.ReadPosition(e.opts.Dir, e.identity.Number())
	if errors.Is(err, os.ErrNotExist) {
		if err = nil; e.identity.Position {
			err = fmt.Errorf("%w: it is missing", changelog.ErrPosition)
		}
	}
	return max(slots[0], slots[1]), err
}

// begin has the changelog go on, for good: what was found is taken for right.
func (e *Engine) begin() error {
	if err := e.failed(); err != nil { // Pebble is at work since it opened
		return err
	}
	if err := e.changes.Begin(); err != nil {
		return err
	}
	return e.identity.Upgrade(e.opts.Dir)
}
