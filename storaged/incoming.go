package storaged

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/transfer"
	"synod/protocol/wire"
	"synod/storaged/changelog"
	"synod/storaged/content"
	"synod/storaged/engine"
)

// An Accept of a large state comes in chunks, which are on disk before its lane votes.
// Each such state has a goroutine, which writes it, asks the lane, and answers. The
// goroutine that reads the session's bulk traffic passes the chunks through a short
// queue and waits only when that is full. So the session's window slows down a peer that
// is faster than the disk, and a slow lane or file delays nothing else in the session.

// incomingLimits bound the incoming large states. None waits: what is admitted runs.
var incomingLimits = transfer.Limits{Open: 16, OpenEach: 4, Reserved: 4}

const (
	// incomingQueue is how many bytes of chunks of a state wait for the disk at most.
	incomingQueue = 4 * message.ChunkBytes
	// incomingBytes is how large a state may be: several times what one command
	// can bring.
	incomingBytes = 8 << 30
	// foreseeBytes is how much is written before the lane is asked again whether it
	// would still vote for the state.
	foreseeBytes = 16 << 20
)

// incoming is an incoming large state: what the session's reader and the goroutine
// that writes it share.
type incoming struct {
	incomingID
	lane    *lane
	request *message.Request
	inbox   *transfer.Inbox[*wire.Chunk]
	ctx     context.Context // until it ends, for whatever reason
	end     context.CancelCauseFunc

	// Of the session's reader.
	reader  *transfer.Reader
	next    uint32 // the number of the chunk that should come
	ended   bool   // the last one has come
	skipped bool   // there was no memory for one
}

type incomingID struct {
	session *rpc.Session
	id      uint64
}

// incomings are the incoming large states.
type incomings struct {
	scheduler *transfer.Scheduler[*rpc.Session, *incoming]

	mu   sync.Mutex
	open map[incomingID]*incoming
}

func (t *incomings) init(spawn func(func())) {
	t.open = make(map[incomingID]*incoming)
	t.scheduler = transfer.New[*rpc.Session, *incoming](incomingLimits, spawn)
}

// admit adds one, which run handles to its end. It returns false if there are too
// many.
func (t *incomings) admit(in *incoming, run func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, _ := t.scheduler.Admit(in.session, in, 0, nil)
	if place == nil {
		return false
	}
	in.reader = new(transfer.Reader)
	for _, other := range t.open {
		if other.session == in.session {
			in.reader = other.reader
		}
	}
	in.inbox = transfer.NewInbox(in.reader, incomingQueue, message.ChunkBytes, chunkBytes)
	t.open[in.incomingID] = in
	t.scheduler.Start(place, func() {
		run()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, in.incomingID)
	})
	return true
}

func (t *incomings) find(id incomingID) *incoming {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[id]
}

func (t *incomings) all() (out []*incoming) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, in := range t.open {
		out = append(out, in)
	}
	return out
}

// len returns how many there are.
func (t *incomings) len() int {
	n, _ := t.scheduler.Open()
	return n
}

// chunkBytes is the size of a chunk's content.
func chunkBytes(p *wire.Chunk) int64 { return int64(register.Change{Ops: p.Ops}.Bytes()) }

// expects reports whether a chunk may be the next one. It notes that it has come.
func (in *incoming) expects(p *wire.Chunk) bool {
	empty := len(p.Ops) == 0 && !(p.Number == 0 && p.Last)
	large := len(p.Ops) > 1 && chunkBytes(p) > 2*message.ChunkBytes
	if in.ended || p.Number != in.next || empty || large {
		return false
	}
	in.next, in.ended = in.next+1, p.Last
	return true
}

var (
	errTwice    = errors.New("a request that is in progress begins again")
	errNothing  = errors.New("an empty large state")
	errOddChunk = errors.New("the chunk is out of order, empty or too large")
)

// chunk takes one chunk, on the goroutine that reads the session's bulk traffic.
// An error means that the peer is broken.
func (d *Daemon) chunk(s *rpc.Session, class rpc.Class, p *wire.Chunk) error {
	if class != rpc.Bulk {
		return fmt.Errorf("a chunk of a state came as %s", class)
	}
	in := d.incoming.find(incomingID{s, p.ID})
	switch {
	case p.Number > 0 && in == nil:
		return nil // it was answered already: further chunks are ignored
	case p.Number == 0 && in != nil:
		return errTwice
	case p.Number == 0 && !p.Accept.Change.Header.Exists():
		return errNothing
	case p.Number == 0:
		in = &incoming{incomingID: incomingID{s, p.ID}, request: p.Accept}
	}
	if in.skipped {
		return nil
	}
	if !in.expects(p) {
		return fmt.Errorf("chunk %d of a state: %w", p.Number, errOddChunk)
	}
	if p.Number == 0 && !d.beginIncoming(in) {
		return nil
	}
	in.inbox.Put(in.ctx, p, p.Last, d.monotonic)
	return nil
}

// monotonic is the node's monotonic clock.
func (d *Daemon) monotonic() time.Duration { return time.Duration(d.now().Mono) }

// beginIncoming starts a state's goroutine, unless the request is refused.
func (d *Daemon) beginIncoming(in *incoming) bool {
	in.lane = d.lanes[partition.Lane(in.request.Register.Key, uint32(len(d.lanes)))]
	in.ctx, in.end = context.WithCancelCause(d.stopped)
	admitted := !d.draining.Load() && d.incoming.admit(in, func() {
		defer in.end(nil) // the reader stops waiting
		d.takeIn(in)
	})
	if !admitted {
		in.end(nil)
		d.refuse(in.session, []item{{request: in.request}}, message.Busy)
		return false
	}
	if in.session.Err() != nil { // endIncoming may have missed it
		in.end(errGone)
	}
	return true
}

// takeIn handles a large state, from its first chunk to the answer.
func (d *Daemon) takeIn(in *incoming) {
	q := in.request
	if !d.foresee(in) {
		return
	}
	store, err := d.engine.Stage(q.Register, q.Ballot, q.Change.Header, q.Needed)
	if err != nil {
		d.incomingFails(in, err)
		return
	}
	q.Change = store.Change() // the memory of the first chunk is no longer needed
	if err := d.fill(in, store); err != nil {
		store.Discard()
		d.incomingFails(in, err)
		return
	}
	result := make(chan bool, 1)
	if !in.lane.push([]item{{do: func() { result <- in.lane.voteStaged(in, store) }}}, 0) {
		store.Discard()
		d.refuse(in.session, []item{{request: q}}, message.Busy)
		return
	}
	select {
	case held := <-result:
		if !held {
			store.Discard()
		}
	case <-d.stopped.Done(): // the next start shows whether it was voted for
	}
}

// errForeseen says that the lane has answered the request, or never will.
var errForeseen = errors.New("a large state will not be voted for")

// fill writes all chunks to disk. Once it is clear that the state will not be voted for,
// nothing more is written or ingested: an ingest would overlap the deletion of its rows
// in the memtable, and everybody would wait for the flush.
func (d *Daemon) fill(in *incoming, store *engine.Staging) error {
	var total, unasked int64
	for last := false; !last; {
		p, ok := in.inbox.Take(in.ctx, d.monotonic)
		if !ok {
			return context.Cause(in.ctx)
		}
		size := chunkBytes(p)
		if total += size; total > d.incomingBytes() {
			return errTooLarge
		}
		if err := store.Add(p.Ops); err != nil {
			return err
		}
		if unasked += size; unasked >= foreseeBytes {
			if unasked = 0; !d.foresee(in) {
				return errForeseen
			}
		}
		last = p.Last
	}
	if err := store.Seal(); err != nil {
		return err
	}
	if !d.foresee(in) {
		return errForeseen
	}
	return store.Ingest()
}

func (d *Daemon) incomingBytes() int64 {
	if d.cfg.incomingBytes > 0 {
		return d.cfg.incomingBytes
	}
	return incomingBytes
}

// foresee asks the lane whether it would vote for the state. If not, the request
// has been answered.
func (d *Daemon) foresee(in *incoming) bool {
	answer := make(chan bool, 1)
	l := in.lane
	asked := l.push([]item{{do: func() {
		var reply message.Reply
		votes, err := l.acceptor.CanAccept(d.now(), in.request, &reply)
		if err != nil || !votes {
			l.answer(in.session, in.request, &reply, err)
		}
		answer <- votes && err == nil
	}}}, 0)
	if !asked {
		d.refuse(in.session, []item{{request: in.request}}, message.Busy)
		return false
	}
	select {
	case votes := <-answer:
		return votes
	case <-d.stopped.Done():
		return false
	}
}

// voteStaged steps an Accept whose elements are on disk, on the lane's goroutine. It
// returns whether they have become the register's content.
func (l *lane) voteStaged(in *incoming, store *engine.Staging) bool {
	var reply message.Reply
	_, err := l.acceptor.Step(l.daemon.now(), in.request, &reply) // an Accept never waits
	held := l.store.Holds(store)
	l.answer(in.session, in.request, &reply, err)
	return held
}

var errTooLarge = errors.New("the state is too large")

// incomingFails answers a request whose state could not be written.
func (d *Daemon) incomingFails(in *incoming, err error) {
	peer := zap.Stringer("peer", in.session.Peer())
	switch {
	case errors.Is(err, errForeseen), errors.Is(err, errGone), d.stopped.Err() != nil:
		return
	case errors.Is(err, content.ErrDisorder):
		d.malformed(in.session, rpc.Bulk, err)
		return
	case errors.Is(err, errLate):
		d.log.Warn("a large state did not arrive completely", peer)
	case errors.Is(err, errNoRoom):
		d.log.Warn("no memory for a chunk of a large state", peer)
	case !errors.Is(err, changelog.ErrNoSpace) && !errors.Is(err, changelog.ErrClosed):
		d.log.Error("cannot store a large state", peer, zap.Error(err))
	}
	d.refuse(in.session, []item{{request: in.request}}, failed(err))
}

// errGone says that the session has ended, errLate that no more chunks came in time.
var (
	errGone = errors.New("the session has ended")
	errLate = errors.New("the next chunk did not come in time")
	// errNoRoom says that there was no memory for one of its chunks.
	errNoRoom = errors.New("no memory for a chunk")
)

// endIncoming ends the states of a session that has ended, except those that have
// arrived completely.
func (d *Daemon) endIncoming(s *rpc.Session) {
	for _, in := range d.incoming.all() {
		if in.session == s && !in.inbox.Complete() {
			in.end(errGone)
		}
	}
}

// watchIncoming ends states whose peer has stopped sending.
func (d *Daemon) watchIncoming() {
	tick := time.NewTicker(transfer.Patience / 4)
	defer tick.Stop()
	for {
		select {
		case <-d.stopped.Done():
			return
		case <-tick.C:
			d.endLate(d.monotonic())
		}
	}
}

func (d *Daemon) endLate(now time.Duration) {
	for _, in := range d.incoming.all() {
		if in.inbox.Late(now) {
			in.end(errLate)
		}
	}
}
