package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/wire"
)

// A changelog payload is the number of the lane whose entry it is, or nodeTag,
// and the entry.
const nodeTag = 0xff

func appendPayload(b []byte, tag byte, e *caspaxos.LogEntry) []byte {
	return wire.AppendLogEntry(append(b, tag), e)
}

// nodeRows is what the node as a whole holds durably. Its rows are written at
// checkpoints; between them it is the changelog's.
type nodeRows struct {
	mu      sync.Mutex
	state   caspaxos.NodeState
	epochs  [caspaxos.Slots]uint64
	met     [caspaxos.Slots]uint64 // epochs that an earlier version took from messages, or may have
	pos     uint64                 // of the last entry about these
	applied uint64                 // entries up to here are in the rows
}

var (
	rowNode   = []byte{prefixMeta, 'n', 'o', 'd', 'e'}
	rowEpochs = []byte{prefixMeta, 's', 'h', 'o', 'w', 'n'}
	rowMet    = []byte{prefixMeta, 'e', 'p', 'o', 'c', 'h'} // of earlier versions
	rowFlush  = []byte{prefixMeta, 'f', 'l', 'u', 's', 'h'}
)

// NodeState returns the last state that was logged; after Open, that of the
// node's last life.
func (e *Engine) NodeState() caspaxos.NodeState {
	e.node.mu.Lock()
	defer e.node.mu.Unlock()
	return e.node.state
}

// AppendNode logs a node state. It is durable, and may be published, once
// WaitSynced has returned for its position.
func (e *Engine) AppendNode(s caspaxos.NodeState) (uint64, error) {
	e.node.mu.Lock()
	defer e.node.mu.Unlock()
	pos, err := e.changes.append(appendPayload(nil, nodeTag, &caspaxos.LogEntry{Node: &s}))
	if err == nil {
		e.node.state, e.node.pos = s, pos
	}
	return pos, err
}

// write puts the node's rows into a batch, as they are now: with all entries
// up to appended.
func (n *nodeRows) write(b *pebble.Batch, appended uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	value := binary.BigEndian.AppendUint64(nil, appended)
	value = wire.AppendLogEntry(value, &caspaxos.LogEntry{Node: &n.state})
	if err := b.Set(rowNode, value, nil); err != nil {
		return fmt.Errorf("write node state: %w", err)
	}
	var epochs []byte
	for _, r := range runs(&n.epochs) {
		epochs = binary.BigEndian.AppendUint16(epochs, r.First)
		epochs = binary.BigEndian.AppendUint16(epochs, r.Last)
		epochs = binary.BigEndian.AppendUint64(epochs, r.Epoch)
	}
	if err := b.Set(rowEpochs, epochs, nil); err != nil {
		return fmt.Errorf("write epochs: %w", err)
	}
	if err := b.Delete(rowMet, nil); err != nil {
		return fmt.Errorf("write epochs: %w", err)
	}
	return nil
}

// getRow returns a copy of a row's value, nil if there is none.
func (e *Engine) getRow(key []byte) ([]byte, error) {
	value, closer, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	value = append([]byte{}, value...)
	return value, closer.Close()
}

// loadMeta reads the node's own rows and then what the changelog adds to them,
// and makes the changelog.
func (e *Engine) loadMeta() error {
	if err := e.loadNode(); err != nil {
		return err
	}
	from, durable := e.node.applied, e.node.applied
	for _, l := range e.lanes {
		value, err := e.getRow(laneRow(l.number))
		if err != nil {
			return err
		}
		if value != nil {
			applied, highest, err := parseLaneRow(value)
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
	if err := e.loadFlushes(); err != nil {
		return err
	}
	if e.opts.omit.omits(ruleApplied) {
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
	cfg := logConfig{
		dir: e.logPath(), store: e.identity.number(), segmentBytes: e.opts.SegmentBytes,
		maxUnsynced: e.opts.MaxUnsynced, retainBytes: e.opts.RetainBytes,
		disk: *e.opts.Disk, omit: e.opts.omit, log: e.opts.Log, onSync: e.synced, fatal: e.fail, diskFull: e.diskFull,
		short: e.pressed(e.space.free.Load()),
	}
	found, err := recoverLog(cfg, from+1, max(durable, witnessed), e.recoverNode)
	if err != nil {
		return err
	}
	e.recovered = found.next - 1
	e.marked.Store(from)
	e.changes = openLog(cfg, found)
	return nil
}

func (e *Engine) loadNode() error {
	n := &e.node
	value, err := e.getRow(rowNode)
	if err != nil || value == nil {
		return err
	}
	if len(value) < 8 {
		return fmt.Errorf("%w: node state", errRow)
	}
	n.applied = binary.BigEndian.Uint64(value)
	entry, err := wire.DecodeLogEntry(value[8:])
	if err != nil || entry.Node == nil {
		return fmt.Errorf("%w: node state: %w", errRow, err)
	}
	n.state = *entry.Node
	for _, row := range []struct {
		key []byte
		met bool
	}{{rowEpochs, false}, {rowMet, true}} {
		epochs, err := e.getRow(row.key)
		if err != nil {
			return err
		}
		for ; len(epochs) >= 12; epochs = epochs[12:] {
			n.take(caspaxos.EpochTaken{
				First: binary.BigEndian.Uint16(epochs), Last: binary.BigEndian.Uint16(epochs[2:]),
				Epoch: binary.BigEndian.Uint64(epochs[4:]), Met: row.met,
			})
		}
	}
	return nil
}

// recoverNode takes the node's own entries; the lanes' are replayed later, when
// their acceptors are there.
func (e *Engine) recoverNode(pos uint64, payload []byte) error {
	if payload[0] != nodeTag || pos <= e.node.applied {
		return nil
	}
	entry, err := decodePayload(pos, payload)
	if err != nil {
		return err
	}
	switch e.node.pos = pos; {
	case entry.Node != nil:
		e.node.state = *entry.Node
	case entry.Epoch != nil:
		e.node.take(*entry.Epoch)
	}
	return nil
}

func decodePayload(pos uint64, payload []byte) (caspaxos.LogEntry, error) {
	entry, err := wire.DecodeLogEntry(payload[1:])
	if err != nil {
		return entry, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, pos, err)
	}
	return entry, nil
}

// Replay repeats the entries that the lanes have not applied, in order: redo is
// the Redo of the lane's acceptor. Lanes may be used once it has returned.
func (e *Engine) Replay(redo func(lane int, entry *caspaxos.LogEntry, pos uint64) error) error {
	if err := e.replay(redo); err != nil {
		return e.explain(fmt.Errorf("replay: %w", err))
	}
	e.routines.Add(1)
	go e.keep()
	if c := e.recount; c != nil {
		c.running = true
		e.routines.Add(1)
		go c.run()
	}
	return nil
}

func (e *Engine) replay(redo func(lane int, entry *caspaxos.LogEntry, pos uint64) error) error {
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
	err := e.changes.read(from+1, func(pos uint64, payload []byte) error {
		if payload[0] == nodeTag {
			return nil
		}
		number := int(payload[0])
		if number >= len(e.lanes) {
			return fmt.Errorf("%w: entry %d is of lane %d", ErrCorrupt, pos, number)
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
	e.routines.Add(3)
	go e.keep()
	go e.watchRoom()
	go e.squeezer()
	if err := e.leftovers.release(); err != nil {
		return err
	}
	return e.failed()
}

func (e *Engine) redo(l *Lane, pos uint64, payload []byte, redo func(int, *caspaxos.LogEntry, uint64) error) error {
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
			return ErrClosed
		}
		l.Maintain(l.now)
	}
	return nil
}

// flushRow is a lane's vote for a range tombstone that is in force.
type flushRow struct {
	vote   caspaxos.FlushVote
	pos    uint64
	except map[string]struct{}
	swept  bool
}

// FlushVote is one that the store kept.
type FlushVote struct {
	Vote     caspaxos.FlushVote
	Position uint64
}

// Flushes returns the lane's votes that are in force, oldest first: for
// RestoreFlush of its acceptor, before Replay.
func (l *Lane) Flushes() []FlushVote {
	e := l.engine
	e.flushMu.RLock()
	defer e.flushMu.RUnlock()
	var out []FlushVote
	for _, f := range e.flushes {
		if int(f.vote.Part) == l.number {
			out = append(out, FlushVote{f.vote, f.pos})
		}
	}
	slices.SortFunc(out, func(a, b FlushVote) int { return a.Vote.Ballot.Compare(b.Vote.Ballot) })
	return out
}

func newFlushRow(vote caspaxos.FlushVote, pos uint64) *flushRow {
	f := &flushRow{vote: vote, pos: pos, except: make(map[string]struct{}, len(vote.Except))}
	for _, r := range vote.Except {
		f.except[r.Key] = struct{}{}
	}
	return f
}

// covers reports whether the vote makes a record at the accepted ballot as good
// as gone (caspaxos.Acceptor.Covered).
func (f *flushRow) covers(r caspaxos.Register, lanes uint32, accepted caspaxos.Ballot) bool {
	v := &f.vote
	if r.Slot < v.First || r.Slot > v.Last || r.Key[0] != v.Space || v.Ballot.Less(accepted) {
		return false
	}
	if caspaxos.Part(r.Key, lanes) != v.Part {
		return false
	}
	_, spared := f.except[r.Key]
	return !spared
}

// covered reports whether any flush covers a record.
func (e *Engine) covered(r caspaxos.Register, accepted caspaxos.Ballot) bool {
	e.flushMu.RLock()
	defer e.flushMu.RUnlock()
	for _, f := range e.flushes {
		if f.covers(r, uint32(len(e.lanes)), accepted) {
			return true
		}
	}
	return false
}

// metaWrite is a row to be written, or deleted if value is nil.
type metaWrite struct {
	key, value []byte
}

func (w metaWrite) write(b *pebble.Batch) error {
	if w.value == nil {
		return b.Delete(w.key, nil)
	}
	return b.Set(w.key, w.value, nil)
}

func (f *flushRow) key() []byte {
	k := append(append([]byte{}, rowFlush...), byte(f.vote.Part), f.vote.Space)
	k = binary.BigEndian.AppendUint16(k, f.vote.First)
	k = binary.BigEndian.AppendUint16(k, f.vote.Last)
	return appendBallot(k, f.vote.Ballot)
}

func (f *flushRow) value() []byte {
	return wire.AppendLogEntry(binary.BigEndian.AppendUint64(nil, f.pos), &caspaxos.LogEntry{Flush: &f.vote})
}

// noteFlush keeps a vote, and drops those that it makes redundant. One that is
// repeated after a restart is known, if a batch brought it to the disk.
func (l *Lane) noteFlush(vote caspaxos.FlushVote, pos uint64) {
	if l.keepFlush(vote, pos) {
		return
	}
	if err := l.tallyFlush(&vote); err != nil {
		l.engine.fail(err) // the vote stands in the changelog
	}
}

func (l *Lane) keepFlush(vote caspaxos.FlushVote, pos uint64) (known bool) {
	e := l.engine
	vote.Except = slices.Clone(vote.Except)
	f := newFlushRow(vote, pos)
	e.flushMu.Lock()
	defer e.flushMu.Unlock()
	kept := make([]*flushRow, 0, len(e.flushes)+1)
	for _, old := range e.flushes {
		o := &old.vote
		if o.Part != vote.Part || o.Space != vote.Space || o.First < vote.First || o.Last > vote.Last || vote.Ballot.Less(o.Ballot) {
			kept = append(kept, old)
			continue
		}
		known = known || o.Ballot == vote.Ballot && o.First == vote.First && o.Last == vote.Last
		l.votes = append(l.votes, metaWrite{key: old.key()})
	}
	e.flushes = append(kept, f)
	l.votes = append(l.votes, metaWrite{key: f.key(), value: f.value()})
	notify(e.sweeps)
	return known
}

func (e *Engine) loadFlushes() error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: rowFlush, UpperBound: appendAfter(nil, rowFlush)})
	if err != nil {
		return fmt.Errorf("read flushes: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value := append([]byte{}, it.Value()...)
		if len(value) < 8 {
			it.Close()
			return fmt.Errorf("%w: flush", errRow)
		}
		entry, err := wire.DecodeLogEntry(value[8:])
		if err != nil || entry.Flush == nil {
			it.Close()
			return fmt.Errorf("%w: flush: %w", errRow, err)
		}
		e.flushes = append(e.flushes, newFlushRow(*entry.Flush, binary.BigEndian.Uint64(value)))
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read flushes: %w", err)
	}
	if len(e.flushes) > 0 {
		notify(e.sweeps)
	}
	return nil
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
