package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/storaged/changelog"
	"synod/storaged/content"
	"synod/storaged/rowcodec"
	"synod/storaged/tables"
)

// A large state that comes in chunks is staged: before anybody votes for it, its
// elements become rows, in tables that Pebble ingests as they are. No record points
// to their incarnation yet, so nobody sees them. The vote is then a change of a few
// bytes, which says that the elements are there already (register.Change.Stage):
// neither the lane nor the changelog nor a memtable ever holds them.
//
// What keeps stagings apart. A staging's incarnation has the ballot of its Accept
// and a number that no other staging of the process has. Nor does one of an earlier
// life have the same incarnation: what that life voted for is accepted, and a ballot
// that was voted for is not staged again (acceptor.Acceptor.Foresee); what it did
// not vote for is deleted before anybody is served (clearStages). So rows of two
// stagings never mix, and a second staging never overwrites rows that deltas have
// changed since a first one.
//
// What survives a crash. Pebble has no log: what is ingested is durable when Ingest
// returns, what batches wrote is durable when their memtable is flushed, and
// memtables are flushed in order.
//
//   - A marker (rowcodec.StageRow) is ingested together with the rows. The lane's
//     batch with the record that points to the rows deletes it. So as long as the
//     disk has the marker, it does not have the record.
//   - After a crash before the vote is in the changelog, there is a marker for an
//     incarnation that is no register's content. The start deletes rows and marker.
//   - After a crash later, before the record is on disk, the replay makes the rows
//     the content again. They exist, since Ingest returned before the vote was
//     logged. The marker proves it; without it, the store is damaged.
//   - After a crash once a record at this ballot or a later one is on disk, the
//     replay skips the entry, whatever has happened to the rows since: they are
//     deleted in the same batch as such a record, or in a later one.
//   - Rows of a staging that may still be voted for have a ballot above the accepted
//     one. Deleting the rows of earlier contents stops below it.
type Staging struct {
	engine      *Engine
	register    register.ID
	incarnation rowcodec.Incarnation
	change      register.Change
	needed      bool // the space kept free may be used (message.Request.Needed)

	rows   *content.Builder
	marker tables.Writer

	mu       sync.Mutex // of all calls
	sealed   bool       // the tables are closed
	ingested bool
	ended    bool // held, discarded, or left to the next start
}

var errStaged = errors.New("a staged state takes no more elements")

var errStages = errors.New("no numbers are left for large states: restart the node")

// Stage begins to stage the state that an Accept of a ballot brings, to which the
// lane of the register has said that it would vote for it (Foresee). It ends with
// Discard, or when its register's lane holds it.
func (e *Engine) Stage(r register.ID, b ballot.Ballot, h register.Header, needed bool) (*Staging, error) {
	if err := e.admitsStaging(needed); err != nil {
		return nil, fmt.Errorf("stage a state: %w", err)
	}
	number := e.stages.Add(1)
	if number > math.MaxUint32 {
		return nil, fmt.Errorf("stage a state: %w", errStages)
	}
	h.Aux = bytes.Clone(h.Aux)
	s := &Staging{engine: e, register: r, needed: needed, incarnation: rowcodec.Incarnation{Ballot: b, Stage: uint32(number)}}
	s.change = register.Change{Kind: register.Full, Header: h, Stage: s.incarnation.Stage}
	s.rows = content.NewBuilder(e.db, r, s.incarnation, h.Type)
	s.marker = e.db.NewWriter(nil)
	return s, nil
}

// Change returns what the lane is to vote for once Ingest has returned.
func (s *Staging) Change() register.Change { return s.change }

// Add stages elements: Puts, in the order of their keys, after those of earlier
// calls.
func (s *Staging) Add(ops []register.Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed || s.ended {
		return errStaged
	}
	if err := s.engine.admitsStaging(s.needed); err != nil {
		return fmt.Errorf("stage a state: %w", err)
	}
	before := s.rows.Written()
	defer func() { s.engine.space.AddStaged(s.rows.Written() - before) }()
	if err := s.rows.Add(ops); err != nil {
		return fmt.Errorf("stage a state: %w", err)
	}
	return nil
}

// Seal finishes the files: all elements are in them, and durable. Ingest calls it if
// need be.
func (s *Staging) Seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seal()
}

func (s *Staging) seal() error {
	if s.ended {
		return fmt.Errorf("stage a state: %w", errStaged)
	}
	if s.sealed {
		return nil
	}
	s.sealed = true
	err := s.finish()
	if err != nil {
		s.discard()
		return fmt.Errorf("stage a state: %w", err)
	}
	return nil
}

// finish finishes the tables.
func (s *Staging) finish() error {
	if err := s.rows.Close(); err != nil {
		return err
	}
	if err := s.marker.Put(rowcodec.StageRow(s.register, s.incarnation), nil); err != nil {
		return err
	}
	return s.marker.Close()
}

// Ingest has Pebble ingest what was staged: it is durable when this returns nil.
// After an error, Pebble has none of it, unless the store has ended.
//
// Pebble undoes a failed ingest up to the point where it writes its manifest. It
// reports an error there as fatal, which ends the store.
func (s *Staging) Ingest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.engine
	if err := s.seal(); err != nil {
		return err
	}
	if err := e.Usable(); err != nil {
		return fmt.Errorf("ingest a state: %w", err)
	}
	paths := slices.Concat(s.rows.Paths(), s.marker.Paths())
	err := e.inPebble(func() error { return e.db.Ingest(context.Background(), paths) })
	if errors.Is(err, changelog.ErrClosed) {
		s.ended = true // Pebble may still be ingesting: the next start checks
	}
	if err != nil {
		return fmt.Errorf("ingest a state: %w", err)
	}
	s.ingested = true
	e.stagedBytes.Add(s.rows.Written())
	return nil
}

// Discard ends a staging that was not voted for, and never will be, and deletes what
// it has on disk.
func (s *Staging) Discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard()
}

func (s *Staging) discard() {
	if s.ended {
		return
	}
	s.ended = true
	s.rows.Abandon()
	s.marker.Abandon()
	if !s.ingested {
		return
	}
	e := s.engine
	err := e.inPebble(func() error {
		return e.deleteStages([]rowcodec.Staged{{Register: s.register, Incarnation: s.incarnation}})
	})
	if err != nil && !errors.Is(err, changelog.ErrClosed) {
		e.fail(err)
	}
}

// Holds reports whether what was staged has become the content of its register. If
// so, it can no longer be discarded. The lane's goroutine asks right after the vote.
func (l *Lane) Holds(s *Staging) bool {
	e := l.cache[s.register.Key]
	held := e != nil && e.Rows && e.Incarnation == s.incarnation
	if held {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = true
	}
	return held
}

// adoptStaged makes staged rows the content.
func (e *entry) adoptStaged(c *register.Change) {
	e.Adopt(rowcodec.Incarnation{Ballot: e.rec.Accepted, Stage: c.Stage})
	e.rec.Header = c.Header
	e.rec.Header.Aux = bytes.Clone(c.Header.Aux)
	e.adopted = append(e.adopted, e.Incarnation)
}

// writeAdopted deletes the markers of what was adopted since the last batch.
func (e *entry) writeAdopted(b *pebble.Batch) error {
	for _, i := range e.adopted {
		if err := b.Delete(rowcodec.StageRow(e.rec.Register, i), nil); err != nil {
			return fmt.Errorf("delete marker: %w", err)
		}
	}
	e.adopted = nil
	return nil
}

// deleteStages deletes what was staged, with the markers.
func (e *Engine) deleteStages(all []rowcodec.Staged) error {
	b := e.db.NewBatch()
	defer b.Close()
	for _, s := range all {
		from := rowcodec.AppendIncarnation(nil, s.Incarnation)
		err := rowcodec.DeleteRows(b, rowcodec.AppendRegister(nil, s.Register), from, rowcodec.AppendAfter(nil, from))
		if err == nil {
			err = b.Delete(rowcodec.StageRow(s.Register, s.Incarnation), nil)
		}
		if err != nil {
			return fmt.Errorf("delete a staged state: %w", err)
		}
	}
	if err := e.db.Apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("delete a staged state: %w", err)
	}
	return nil
}

// clearStages deletes what the last life staged and did not vote for. It is called
// after the replay of the changelog, before anybody is served.
func (e *Engine) clearStages() error {
	for _, l := range e.lanes {
		// A batch under way may be about to delete a marker.
		if l.sending != nil && !e.awaitBatch(l.sending) {
			return changelog.ErrClosed
		}
		l.finishBatch()
	}
	var lost []rowcodec.Staged
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: rowcodec.RowStage, UpperBound: rowcodec.AppendAfter(nil, rowcodec.RowStage)})
	if err != nil {
		return fmt.Errorf("read markers: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var s rowcodec.Staged
		if s, err = rowcodec.ParseStageRow(it.Key()); err != nil {
			break
		}
		var held bool
		if held, err = e.replayed(s); err == nil && !held {
			lost = append(lost, s)
		}
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("read markers: %w", err)
	}
	if len(lost) == 0 {
		return nil
	}
	e.opts.Log.Info("large states that were not voted for before the restart are removed", zap.Int("states", len(lost)))
	return e.deleteStages(lost)
}

// replayed reports whether the changelog had the vote for a staging. If so, its lane
// deletes the marker, and also the rows if that was not the last vote.
func (e *Engine) replayed(s rowcodec.Staged) (bool, error) {
	l := e.lanes[partition.Lane(s.Register.Key, uint32(len(e.lanes)))]
	of := l.cache[s.Register.Key]
	if of == nil {
		var err error
		if of, err = l.read(s.Register); err != nil {
			return false, err
		}
		if err := l.endReads(); err != nil {
			return false, err
		}
	}
	return slices.Contains(of.adopted, s.Incarnation), nil
}

// checkAdopted makes sure that the rows exist that a replayed vote has made the
// content of a register.
func (l *Lane) checkAdopted(q *message.Request) error {
	of := l.cache[q.Register.Key]
	i := rowcodec.Incarnation{Ballot: q.Ballot, Stage: q.Change.Stage}
	if of == nil || !slices.Contains(of.adopted, i) {
		return nil // the disk had this state, or a later one, with its record
	}
	marker, err := rowcodec.Get(l.db, rowcodec.StageRow(q.Register, i))
	if err == nil && marker == nil {
		err = fmt.Errorf("%w: the elements of a large state are missing from the store", changelog.ErrCorrupt)
	}
	return err
}
