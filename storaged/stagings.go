package storaged

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/storaged/engine"
)

// An Accept of a large state comes in pieces, and is on the disk before its lane
// votes for it. The goroutine that reads the session's bulk traffic writes piece
// after piece, so that the session's window holds back a peer that is faster than
// the disk.
const (
	// stagingsMost is how many may be under way, stagingsEach how many of one
	// session; further ones are refused.
	stagingsMost = 16
	stagingsEach = 4
	// stagingPatience is how long the next piece may be late.
	stagingPatience = 10 * time.Second
)

// stagings are the large states that are coming in.
type stagings struct {
	mu    sync.Mutex
	open  map[stagingKey]*staging
	count map[*rpc.Session]int
}

type stagingKey struct {
	session *rpc.Session
	id      uint64
}

// staging is one of them.
type staging struct {
	stagingKey
	lane    *lane
	request *caspaxos.Request

	mu     sync.Mutex
	store  *engine.Staging // nil: not begun
	next   uint32          // the number of the piece that should come
	heard  caspaxos.Mono   // when the last one came
	whole  bool            // all have come: it goes on by itself
	closed bool            // it has ended
}

func (t *stagings) init() {
	t.open, t.count = make(map[stagingKey]*staging), make(map[*rpc.Session]int)
}

var errTwice = errors.New("a request that is under way begins again")

// admit takes a new one in. It returns false if there are too many.
func (t *stagings) admit(st *staging) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[st.stagingKey] != nil {
		return false, errTwice
	}
	if len(t.open) == stagingsMost || t.count[st.session] == stagingsEach {
		return false, nil
	}
	t.open[st.stagingKey] = st
	t.count[st.session]++
	return true, nil
}

func (t *stagings) find(k stagingKey) *staging {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[k]
}

func (t *stagings) remove(st *staging) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, st.stagingKey)
	if t.count[st.session]--; t.count[st.session] == 0 {
		delete(t.count, st.session)
	}
}

// those returns the ones that f chooses.
func (t *stagings) those(f func(*staging) bool) (out []*staging) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, st := range t.open {
		if f(st) {
			out = append(out, st)
		}
	}
	return out
}

func (t *stagings) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// piece takes one piece. An error means that the peer is broken.
func (d *Daemon) piece(s *rpc.Session, class rpc.Class, p *wire.Piece) error {
	if class != rpc.Bulk {
		return fmt.Errorf("a piece of a state came as %s", class)
	}
	k := stagingKey{s, p.ID}
	if p.Number > 0 {
		st := d.stagings.find(k)
		if st == nil {
			return nil // it was answered: what is under way still is of no use
		}
		return d.takePiece(st, p)
	}
	if !p.Accept.Change.Header.Exists() {
		return errors.New("a large state of nothing")
	}
	st := &staging{stagingKey: k, request: p.Accept}
	st.lane = d.lanes[caspaxos.Part(p.Accept.Register.Key, uint32(len(d.lanes)))]
	admitted, err := d.stagings.admit(st)
	switch {
	case err != nil:
		return err
	case !admitted:
		d.refuse(s, []item{{request: p.Accept}})
		return nil
	case !d.beginStaging(st):
		d.stagings.remove(st)
		return nil
	}
	return d.takePiece(st, p)
}

// beginStaging asks the lane whether it would vote for the state. If not, the
// request has been answered.
func (d *Daemon) beginStaging(st *staging) bool {
	q := st.request
	if d.draining.Load() {
		d.refuse(st.session, []item{{request: q}})
		return false
	}
	if !d.ask(st) {
		return false
	}
	store, err := d.engine.Stage(q.Register, q.Ballot, q.Change.Header)
	if err != nil {
		d.stageFails(st, err)
		return false
	}
	// From here on nothing of the piece's memory is needed.
	q.Change = store.Change()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.store, st.heard = store, d.now().Mono
	return true
}

// ask has the lane foresee whether it would vote.
func (d *Daemon) ask(st *staging) bool {
	answer := make(chan bool, 1)
	l := st.lane
	asked := l.push([]item{{do: func() {
		var reply caspaxos.Reply
		votes, err := l.acceptor.Foresee(d.now(), st.request, &reply)
		if err != nil || !votes {
			l.answer(st.session, st.request, &reply, err)
		}
		answer <- votes && err == nil
	}}}, 0)
	if !asked {
		d.refuse(st.session, []item{{request: st.request}})
		return false
	}
	select {
	case votes := <-answer:
		return votes
	case <-d.stopped.Done():
		return false
	}
}

// takePiece stages the elements of a piece. With the last one the rest is no
// longer the reader's.
func (d *Daemon) takePiece(st *staging, p *wire.Piece) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil
	}
	err := engine.ErrDisorder
	if p.Number == st.next && !st.whole {
		err = st.store.Add(p.Ops)
	}
	switch {
	case errors.Is(err, engine.ErrDisorder):
		d.endStaging(st)
		return fmt.Errorf("piece %d of a state: %w", p.Number, err)
	case err != nil:
		d.endStaging(st)
		d.stageFails(st, err)
		return nil
	}
	st.next, st.heard = st.next+1, d.now().Mono
	if p.Last {
		st.whole = true
		d.routines.Go(func() { d.finishStaging(st) })
	}
	return nil
}

// finishStaging brings a state that has come whole to its lane, and takes it back
// if the lane did not vote for it.
func (d *Daemon) finishStaging(st *staging) {
	if err := st.store.Ingest(); err != nil {
		d.stageFails(st, err)
		d.endWhole(st)
		return
	}
	result := make(chan bool, 1)
	if !st.lane.push([]item{{do: func() { result <- st.lane.voteStaged(st) }}}, 0) {
		d.refuse(st.session, []item{{request: st.request}})
		d.endWhole(st)
		return
	}
	select {
	case held := <-result:
		if held {
			d.stagings.remove(st)
		} else {
			d.endWhole(st)
		}
	case <-d.stopped.Done(): // whether it is voted for shows when the node is up again
	}
}

func (d *Daemon) endWhole(st *staging) {
	st.mu.Lock()
	defer st.mu.Unlock()
	d.endStaging(st)
}

// voteStaged steps an Accept whose elements are on the disk, on the lane's
// goroutine. It returns whether they have become the register's content.
func (l *lane) voteStaged(st *staging) bool {
	var reply caspaxos.Reply
	_, err := l.acceptor.Step(l.daemon.now(), st.request, &reply) // an Accept never waits
	held := l.store.Holds(st.store)
	l.answer(st.session, st.request, &reply, err)
	return held
}

// endStaging ends one that is not voted for and never will be. st.mu is held.
func (d *Daemon) endStaging(st *staging) {
	if st.closed {
		return
	}
	st.closed = true
	st.store.Discard()
	d.stagings.remove(st)
}

// stageFails answers a request whose state the disk does not take.
func (d *Daemon) stageFails(st *staging, err error) {
	if !errors.Is(err, engine.ErrNoSpace) && !errors.Is(err, engine.ErrClosed) {
		d.log.Error("cannot take in a large state", zap.Stringer("peer", st.session.Peer()), zap.Error(err))
	}
	d.refuse(st.session, []item{{request: st.request}})
}

// endStagings ends those of a session that is gone, but for what has come whole.
func (d *Daemon) endStagings(s *rpc.Session) {
	for _, st := range d.stagings.those(func(st *staging) bool { return st.session == s }) {
		d.endUnlessWhole(st)
	}
}

func (d *Daemon) endUnlessWhole(st *staging) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.whole || st.closed || st.store == nil {
		return false
	}
	d.endStaging(st)
	return true
}

// watchStagings ends those of which nothing more comes.
func (d *Daemon) watchStagings() {
	tick := time.NewTicker(stagingPatience / 4)
	defer tick.Stop()
	for {
		select {
		case <-d.stopped.Done():
			return
		case <-tick.C:
			d.endLate(d.now().Mono)
		}
	}
}

func (d *Daemon) endLate(now caspaxos.Mono) {
	late := d.stagings.those(func(st *staging) bool {
		// One that is at work is not late.
		if !st.mu.TryLock() {
			return false
		}
		defer st.mu.Unlock()
		return st.store != nil && time.Duration(now-st.heard) > stagingPatience
	})
	for _, st := range late {
		if d.endUnlessWhole(st) {
			d.log.Warn("a large state did not arrive in full", zap.Stringer("peer", st.session.Peer()))
			d.refuse(st.session, []item{{request: st.request}})
		}
	}
}
