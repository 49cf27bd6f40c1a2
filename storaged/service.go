package storaged

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/message"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/storaged/changelog"
)

const (
	// listers is how many pages of registers are made at a time; listQueue is how many
	// requests may wait for one.
	listers   = 2
	listQueue = 256
	// tellers and tallyQueue are the same for tallies, which are fast.
	tellers    = 2
	tallyQueue = 256
	// votesBacklog is how many bytes of replies may wait in a session while more
	// requests are read from it: a peer must take its answers before it asks more.
	votesBacklog = 8 << 20
	// droppedEvery is the least time between two warnings about dropped replies.
	droppedEvery = 10 * time.Second
)

// pageRequest is a request for a page.
type pageRequest struct {
	session *rpc.Session
	request *listing.Request
}

// tallying is a request for tallies.
type tallying struct {
	session *rpc.Session
	request *listing.TallyRequest
}

func (d *Daemon) opened(s *rpc.Session) {
	d.log.Debug("session begins", zap.Stringer("peer", s.Peer()))
	d.sessMu.Lock()
	defer d.sessMu.Unlock()
	d.sessions[s] = struct{}{}
	d.ids[s.Peer().Claim.Proposer]++
}

func (d *Daemon) closed(s *rpc.Session, err error) {
	d.sessMu.Lock()
	delete(d.sessions, s)
	if id := s.Peer().Claim.Proposer; d.ids[id] > 1 {
		d.ids[id]--
	} else {
		delete(d.ids, id)
	}
	d.sessMu.Unlock()
	d.endIncoming(s)
	d.reaping.ends(s)
	if errors.Is(err, rpc.ErrHungUp) || errors.Is(err, rpc.ErrClosed) {
		d.log.Debug("session ends", zap.Error(err))
		return
	}
	if suppressed, write := d.ended.Next(s.Peer().Name, time.Now()); write {
		d.log.Warn("session ends", zap.Error(err), zap.Int("more_before", suppressed))
	}
}

// sorter sorts a frame's requests by lane. Frames are read by one goroutine
// per session and class, each of which borrows one.
type sorter struct{ byLane [][]item }

var sorters = sync.Pool{New: func() any { return new(sorter) }}

// handle handles one frame.
func (d *Daemon) handle(s *rpc.Session, class rpc.Class, payload []byte) {
	if s.Backlog(rpc.Votes) > votesBacklog && s.Room(d.stopped, rpc.Votes, votesBacklog/2) != nil {
		return // the session or the node ends
	}
	sort := sorters.Get().(*sorter)
	defer sorters.Put(sort)
	sort.byLane = slices.Grow(sort.byLane[:0], len(d.lanes))[:len(d.lanes)]
	b := wire.NewBatch(payload)
	for b.Next() {
		if err := d.message(s, class, &b, sort); err != nil {
			d.malformed(s, class, err)
			break
		}
	}
	if err := b.Err(); err != nil {
		d.malformed(s, class, err)
	}
	for i, items := range sort.byLane {
		if len(items) == 0 {
			continue
		}
		// A frame's bytes stay in memory as long as any of its requests, so it counts for
		// each of its lanes.
		if d.draining.Load() || !d.lanes[i].push(items, len(payload)) {
			d.refuse(s, items, message.Busy)
		}
		clear(items)
		sort.byLane[i] = items[:0]
	}
}

// noRoom answers a frame for which there was no memory.
func (d *Daemon) noRoom(s *rpc.Session, _ rpc.Class, head []byte) {
	kind, id, ok := wire.Beginning(head)
	switch {
	case !ok:
	case kind == wire.KindRequest:
		d.refuse(s, []item{{request: &message.Request{ID: id, Kind: message.KindAccept}}}, message.Busy)
	case kind == wire.KindChunk:
		if in := d.incoming.find(incomingID{s, id}); in != nil {
			in.skipped = true
			in.end(errNoRoom)
			return
		}
		d.refuse(s, []item{{request: &message.Request{ID: id, Kind: message.KindAccept}}}, message.Busy)
	}
}

// malformed ends a session that sent a message which cannot be decoded. Its peer has
// the same protocol version, so it is broken.
func (d *Daemon) malformed(s *rpc.Session, class rpc.Class, err error) {
	if suppressed, write := d.ended.Next("malformed "+s.Peer().Name, time.Now()); write {
		d.log.Warn("ending a session that sent a malformed message",
			zap.Stringer("peer", s.Peer()), zap.Stringer("class", class), zap.Error(err), zap.Int("more_before", suppressed))
	}
	s.Close()
}

func (d *Daemon) message(s *rpc.Session, class rpc.Class, b *wire.Batch, sort *sorter) error {
	switch b.Kind() {
	case wire.KindRequest:
		q, err := b.Request()
		if err != nil {
			return err
		}
		i := partition.Lane(q.Register.Key, uint32(len(d.lanes)))
		sort.byLane[i] = append(sort.byLane[i], item{session: s, request: q})
	case wire.KindChunk:
		p, err := b.Chunk()
		if err != nil {
			return err
		}
		return d.chunk(s, class, p)
	case wire.KindFlushRequest:
		q, err := b.FlushRequest()
		if err != nil {
			return err
		}
		d.flush(s, q)
	case wire.KindListRequest:
		q, err := b.ListRequest()
		if err != nil {
			return err
		}
		select {
		case d.lists <- pageRequest{s, q}:
		default:
			d.sendControl(s, wire.AppendListReply(nil, &listing.Reply{ID: q.ID, Outcome: message.Busy}))
		}
	case wire.KindTallyRequest:
		q, err := b.TallyRequest()
		if err != nil {
			return err
		}
		select {
		case d.tallies <- tallying{s, q}:
		default:
			d.sendControl(s, wire.AppendTallyReply(nil, &listing.TallyReply{ID: q.ID, Outcome: message.Busy}))
		}
	default:
		return fmt.Errorf("message of kind %d is not for a node", b.Kind())
	}
	return nil
}

// refuse answers requests that are not accepted, or that failed.
func (d *Daemon) refuse(s *rpc.Session, items []item, outcome message.Outcome) {
	var b []byte
	for i := range items {
		q := items[i].request
		d.lanes[0].count(q.Kind, outcome)
		b = wire.AppendReply(b, &message.Reply{ID: q.ID, Outcome: outcome})
	}
	d.sent(s, s.Send(rpc.Votes, b))
}

// sent checks whether replies were queued for their session. If there was no room
// they are lost, as on any network, and the peer asks again. The session goes on,
// since it carries other requests, too.
func (d *Daemon) sent(s *rpc.Session, err error) {
	if err == nil || errors.Is(err, rpc.ErrClosed) {
		return
	}
	d.dropped.Add(1)
	now := int64(d.now().Mono)
	last := d.droppedSaid.Load()
	if last != 0 && now-last < int64(droppedEvery) || !d.droppedSaid.CompareAndSwap(last, now) {
		return
	}
	d.log.Warn("dropping replies: the session does not read them", zap.Stringer("peer", s.Peer()), zap.Error(err))
}

func (d *Daemon) sendControl(s *rpc.Session, b []byte) {
	class := rpc.Control
	if len(b) > class.MaxPayload() {
		class = rpc.Bulk
	}
	d.sent(s, s.SendShared(class, b))
}

// flushing is a flush on which all lanes vote.
type flushing struct {
	session *rpc.Session
	request *message.FlushRequest
	parts   []message.FlushReply
	left    atomic.Int32
}

// flush has every lane vote on a range tombstone. The last one answers.
func (d *Daemon) flush(s *rpc.Session, q *message.FlushRequest) {
	f := &flushing{session: s, request: q, parts: make([]message.FlushReply, len(d.lanes))}
	f.left.Store(int32(len(d.lanes)))
	for i, l := range d.lanes {
		if d.draining.Load() || !l.push([]item{{do: func() { l.flush(f, i) }}}, 0) {
			f.parts[i] = message.FlushReply{ID: q.ID, Outcome: message.Busy}
			l.flushed(f)
		}
	}
}

func (l *lane) flush(f *flushing, part int) {
	reply, err := l.acceptor.Flush(l.daemon.now(), f.request)
	if err != nil {
		reply = message.FlushReply{ID: f.request.ID, Outcome: message.Busy}
		l.report(err)
	}
	f.parts[part] = reply
	l.flushed(f)
}

// flushed notes that a lane has voted. The last one sends the combined answer, once
// all of it is durable.
func (l *lane) flushed(f *flushing) {
	if f.left.Add(-1) > 0 {
		return
	}
	reply := mergeFlush(f.parts)
	l.daemon.noticeEpochs()
	l.daemon.engine.Kick()
	l.replies.dispatch(frame{session: f.session, class: rpc.Control, need: reply.After, b: wire.AppendFlushReply(nil, &reply)})
}

// mergeFlush merges the lanes' replies: an acknowledgement if all acknowledged, else
// the outcome of one that did not.
func mergeFlush(parts []message.FlushReply) message.FlushReply {
	out := parts[0]
	for _, p := range parts[1:] {
		if out.Outcome == message.Acked || (p.Outcome == message.Nacked && out.Outcome == message.Nacked) {
			out.Outcome, out.Epoch = p.Outcome, p.Epoch
			out.Promise = ballot.Max(out.Promise, p.Promise)
		}
		out.After = max(out.After, p.After)
		out.Incomplete = out.Incomplete || p.Incomplete
		out.Refused = append(out.Refused, p.Refused...)
	}
	return out
}

// list is a lister: a goroutine that makes pages of registers.
func (d *Daemon) list() {
	for {
		select {
		case <-d.stopped.Done():
			return
		case l := <-d.lists:
			reply := d.page(l.session, l.request)
			d.sendControl(l.session, wire.AppendListReply(nil, &reply))
		}
	}
}

func (d *Daemon) page(s *rpc.Session, q *listing.Request) listing.Reply {
	refused := listing.Reply{ID: q.ID, Outcome: message.Busy}
	if outcome, own := d.node.Serves(q.First, q.Last, q.Epoch); outcome != message.ReadOK {
		refused.Outcome, refused.Epoch = outcome, own
		d.noticeEpochs()
		return refused
	}
	var reply listing.Reply
	var err error
	if q.Expired {
		if !d.reaping.begins(s, d.now().Mono) {
			return refused
		}
		reply, err = d.engine.Expired(d.now().Wall, q)
		reply.Reads, reply.Votes = d.answered()
	} else {
		reply, err = d.engine.List(q)
	}
	if err != nil {
		if !errors.Is(err, changelog.ErrClosed) {
			d.log.Error("cannot list registers", zap.Error(err))
		}
		return refused
	}
	return reply
}

// reaping decides whose turn it is to delete expired registers: more than one proxy
// would only do the same work.
type reaping struct {
	mu   sync.Mutex
	who  *rpc.Session
	last instant.Mono
}

// begins reports whether it is a session's turn, and starts it.
func (r *reaping) begins(s *rpc.Session, now instant.Mono) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.who != nil && r.who != s && now-r.last < instant.Mono(listing.ReapTurn) {
		return false
	}
	r.who, r.last = s, now
	return true
}

// ends ends the turn of a session that has ended.
func (r *reaping) ends(s *rpc.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.who == s {
		r.who = nil
	}
}

// answered returns how many Reads the node has answered, and how many Prepares
// and Accepts.
func (d *Daemon) answered() (reads, votes uint64) {
	for _, l := range d.lanes {
		for kind := range l.counts {
			for outcome := range l.counts[kind] {
				if n := l.counts[kind][outcome].Load(); message.Kind(kind) == message.KindRead {
					reads += n
				} else {
					votes += n
				}
			}
		}
	}
	return reads, votes
}

// tell is a teller: a goroutine that answers how many registers there are.
func (d *Daemon) tell() {
	for {
		select {
		case <-d.stopped.Done():
			return
		case t := <-d.tallies:
			reply := d.tally(t.request)
			d.sendControl(t.session, wire.AppendTallyReply(nil, &reply))
		}
	}
}

func (d *Daemon) tally(q *listing.TallyRequest) listing.TallyReply {
	refused := listing.TallyReply{ID: q.ID, Outcome: message.Busy}
	for _, s := range q.Spans {
		if outcome, own := d.node.Serves(s.First, s.Last, q.Epoch); outcome != message.ReadOK {
			refused.Outcome, refused.Epoch = outcome, own
			return refused
		}
	}
	reply, err := d.engine.Tally(q)
	if err != nil {
		if !errors.Is(err, changelog.ErrClosed) {
			d.log.Error("cannot tell how many registers there are", zap.Error(err))
		}
		return refused
	}
	return reply
}
