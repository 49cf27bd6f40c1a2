package storaged

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/storaged/changelog"
	"synod/storaged/content"
	"synod/storaged/engine"
)

// An Accept of a large state comes in pieces, and is on the disk before its lane
// votes for it. Each has a goroutine of its own, which alone writes it, asks the
// lane, and answers. The goroutine that reads the session's bulk traffic hands it
// the pieces by a short queue, and waits only when that is full: so the session's
// window holds back a peer that is faster than the disk, and a lane or a file
// that takes its time holds up nothing else that the session brings.
const (
	// stagingsMost is how many may be under way, stagingsEach how many of one
	// session, stagingsKept how many places only sessions may take that have none;
	// further ones are refused.
	stagingsMost = 16
	stagingsEach = 4
	stagingsKept = 4
	// stagingQueue is how many bytes of pieces wait for the disk at most.
	stagingQueue = 4 * caspaxos.PageBytes
	// stagingBytes is how large a state may be: several times what one command
	// can bring.
	stagingBytes = 8 << 30
	// foreseeBytes is how much is written until the lane is asked again whether
	// it would vote for it still.
	foreseeBytes = 16 << 20
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

func (t *stagings) init() {
	t.open, t.count = make(map[stagingKey]*staging), make(map[*rpc.Session]int)
}

// admit takes a new one in. It returns false if there are too many.
func (t *stagings) admit(st *staging) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	each, places := t.count[st.session], stagingsMost-len(t.open)
	if each > 0 {
		places -= stagingsKept
	}
	if places <= 0 || each == stagingsEach {
		return false
	}
	st.reader = new(intake)
	for _, other := range t.open {
		if other.session == st.session {
			st.reader = other.reader
		}
	}
	t.open[st.stagingKey] = st
	t.count[st.session]++
	return true
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

func (t *stagings) all() (out []*staging) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, st := range t.open {
		out = append(out, st)
	}
	return out
}

func (t *stagings) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

var (
	errTwice    = errors.New("a request that is under way begins again")
	errNothing  = errors.New("a large state of nothing")
	errOddPiece = errors.New("the piece is not the next one, or brings nothing, or too much")
)

// piece takes one piece, on the goroutine that reads the session's bulk traffic.
// An error means that the peer is broken.
func (d *Daemon) piece(s *rpc.Session, class rpc.Class, p *wire.Piece) error {
	if class != rpc.Bulk {
		return fmt.Errorf("a piece of a state came as %s", class)
	}
	st := d.stagings.find(stagingKey{s, p.ID})
	switch {
	case p.Number > 0 && st == nil:
		return nil // it was answered: what is under way still is of no use
	case p.Number == 0 && st != nil:
		return errTwice
	case p.Number == 0 && !p.Accept.Change.Header.Exists():
		return errNothing
	case p.Number == 0:
		st = &staging{stagingKey: stagingKey{s, p.ID}, request: p.Accept, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	}
	if st.skipped {
		return nil
	}
	if !st.expects(p) {
		return fmt.Errorf("piece %d of a state: %w", p.Number, errOddPiece)
	}
	if p.Number == 0 && !d.beginStaging(st) {
		return nil
	}
	st.put(p, d.now)
	return nil
}

// beginStaging gives a state its goroutine, unless the request is refused.
func (d *Daemon) beginStaging(st *staging) bool {
	st.lane = d.lanes[caspaxos.Part(st.request.Register.Key, uint32(len(d.lanes)))]
	st.patience.left = stagingPatience
	st.ctx, st.end = context.WithCancelCause(d.stopped)
	if d.draining.Load() || !d.stagings.admit(st) {
		st.end(nil)
		d.refuse(st.session, []item{{request: st.request}}, caspaxos.Busy)
		return false
	}
	if st.session.Err() != nil { // endStagings may have missed it
		st.end(errGone)
	}
	d.routines.Go(func() {
		defer d.stagings.remove(st)
		defer st.end(nil) // the reader waits no more
		d.stage(st)
	})
	return true
}

// stage takes in a large state, from its first piece to the answer.
func (d *Daemon) stage(st *staging) {
	q := st.request
	if !d.foresee(st) {
		return
	}
	store, err := d.engine.Stage(q.Register, q.Ballot, q.Change.Header, q.Needed)
	if err != nil {
		d.stageFails(st, err)
		return
	}
	q.Change = store.Change() // nothing of the first piece's memory is needed any more
	if err := d.fill(st, store); err != nil {
		store.Discard()
		d.stageFails(st, err)
		return
	}
	result := make(chan bool, 1)
	if !st.lane.push([]item{{do: func() { result <- st.lane.voteStaged(st, store) }}}, 0) {
		store.Discard()
		d.refuse(st.session, []item{{request: q}}, caspaxos.Busy)
		return
	}
	select {
	case held := <-result:
		if !held {
			store.Discard()
		}
	case <-d.stopped.Done(): // whether it is voted for shows when the node is up again
	}
}

// errForeseen says that the lane has answered the request, or never will.
var errForeseen = errors.New("a large state will not be voted for")

// fill brings all pieces to the disk. What will not be voted for any more is not
// written on, and not ingested: that would find its rows' deletion waiting in
// memory, and have everybody wait until this is flushed.
func (d *Daemon) fill(st *staging, store *engine.Staging) error {
	var total, unasked int64
	for last := false; !last; {
		p := st.take(d.now)
		if p == nil {
			return context.Cause(st.ctx)
		}
		size := pieceBytes(p)
		if total += size; total > d.stagingBytes() {
			return errTooLarge
		}
		if err := store.Add(p.Ops); err != nil {
			return err
		}
		if unasked += size; unasked >= foreseeBytes {
			if unasked = 0; !d.foresee(st) {
				return errForeseen
			}
		}
		last = p.Last
	}
	if err := store.Seal(); err != nil {
		return err
	}
	if !d.foresee(st) {
		return errForeseen
	}
	return store.Ingest()
}

func (d *Daemon) stagingBytes() int64 {
	if d.cfg.stagingBytes > 0 {
		return d.cfg.stagingBytes
	}
	return stagingBytes
}

// foresee asks the lane whether it would vote for the state. If not, the request
// has been answered.
func (d *Daemon) foresee(st *staging) bool {
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
		d.refuse(st.session, []item{{request: st.request}}, caspaxos.Busy)
		return false
	}
	select {
	case votes := <-answer:
		return votes
	case <-d.stopped.Done():
		return false
	}
}

// voteStaged steps an Accept whose elements are on the disk, on the lane's
// goroutine. It returns whether they have become the register's content.
func (l *lane) voteStaged(st *staging, store *engine.Staging) bool {
	var reply caspaxos.Reply
	_, err := l.acceptor.Step(l.daemon.now(), st.request, &reply) // an Accept never waits
	held := l.store.Holds(store)
	l.answer(st.session, st.request, &reply, err)
	return held
}

var errTooLarge = errors.New("a state is larger than any may be")

// stageFails answers a request whose state did not get onto the disk.
func (d *Daemon) stageFails(st *staging, err error) {
	peer := zap.Stringer("peer", st.session.Peer())
	switch {
	case errors.Is(err, errForeseen), errors.Is(err, errGone), d.stopped.Err() != nil:
		return
	case errors.Is(err, content.ErrDisorder):
		d.malformed(st.session, rpc.Bulk, err)
		return
	case errors.Is(err, errLate):
		d.log.Warn("a large state did not arrive in full", peer)
	case errors.Is(err, errNoRoom):
		d.log.Warn("no memory for a part of a large state", peer)
	case !errors.Is(err, changelog.ErrNoSpace) && !errors.Is(err, changelog.ErrClosed):
		d.log.Error("cannot take in a large state", peer, zap.Error(err))
	}
	d.refuse(st.session, []item{{request: st.request}}, failed(err))
}

// errGone says that the session has ended, errLate that it brings nothing more.
var (
	errGone = errors.New("the session has ended")
	errLate = errors.New("no further piece has come")
	// errNoRoom says that there was no memory for one of its pieces.
	errNoRoom = errors.New("no memory for a piece")
)

// endStagings ends those of a session that is gone, but for what has come whole.
func (d *Daemon) endStagings(s *rpc.Session) {
	for _, st := range d.stagings.all() {
		if st.session == s {
			st.gone()
		}
	}
}

// watchStagings ends those of which nothing more comes.
func (d *Daemon) watchStagings() {
	tick := time.NewTicker(time.Duration(stagingPatience) / 4)
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
	for _, st := range d.stagings.all() {
		st.endIfLate(now)
	}
}
