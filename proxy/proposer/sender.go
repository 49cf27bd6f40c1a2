package proposer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
	"synod/protocol/wire"
	"synod/proxy/router"
)

// A request with a large state leaves piece by piece, each encoded when the
// connection has room for it: no lane is held up by it, nor does memory have to
// hold it in its encoded form, once for each node. Other large changes leave
// whole, but by the same way.
const (
	// sendersEach is how many are sent at a time to one node, sendBytes how many
	// bytes of requests may be under way to it when one more is taken; further ones
	// are refused.
	sendersEach = 4
	sendBytes   = 512 << 20
	// sendBacklog is how many bytes may wait in a connection when the next piece
	// is encoded for it, sendPatience how long it may leave it at that, and how
	// long the node may take to answer until the next one has its turn.
	sendBacklog  = 4 << 20
	sendPatience = 10 * time.Second
)

// parcel is a large request. Those who send it share it.
type parcel struct {
	request *caspaxos.Request
	bytes   int // of its change
	once    sync.Once
	ops     []register.Op // of the request, in the order in which pieces have them
	whole   []byte        // the request, encoded, if it must not be divided
}

// large returns a parcel of a request that the senders should send, else nil.
func large(q *caspaxos.Request, bytes int) *parcel {
	if q.Kind != caspaxos.KindAccept || bytes <= caspaxos.PageBytes {
		return nil
	}
	return &parcel{request: q, bytes: bytes}
}

// prepare finds out how the request goes.
func (p *parcel) prepare() {
	c := &p.request.Change
	switch {
	case wire.Divisible(c):
		p.ops = c.Ops
	case c.Kind == register.Full:
		p.ops = ordered(*c)
	}
	if p.ops == nil {
		p.whole = wire.AppendRequest(make([]byte, 0, p.bytes+p.bytes/16), p.request)
	}
}

// ordered returns Puts in the order of their keys, each once, that make what a
// full change makes.
func ordered(c register.Change) []register.Op {
	c.Ops = slices.Clone(c.Ops)
	register.Sort(c.Ops) // in which order many are applied at the least cost
	return register.Nothing().Apply(c).Full().Ops
}

// sending is a parcel on its way to one node.
type sending struct {
	id     uint64 // of the request
	parcel *parcel
	bytes  int // as long as it has the parcel
	link   *router.Link
	lane   *Lane
	ctx    context.Context
	end    context.CancelCauseFunc // with errAnswered: the node wants no more of it
}

// senders send parcels, by a queue for each node.
type senders struct {
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
	most int // bytes under way to one node when one more is taken

	queues sync.Map // of *queue, by caspaxos.NodeID

	count                             atomic.Int32  // under way: not answered yet
	bytes                             atomic.Int64  // of these, what has not been sent to its end
	sent, failed, refused, superseded atomic.Uint64 // how they have ended
}

func (s *senders) init() {
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.most = sendBytes
}

func (s *senders) close() {
	s.stop()
	s.wg.Wait()
}

// queue returns what goes to a node.
func (s *senders) queue(to caspaxos.NodeID) *queue {
	q, ok := s.queues.Load(to)
	if !ok {
		q, _ = s.queues.LoadOrStore(to, &queue{senders: s, to: to, open: make(map[uint64]*sending)})
	}
	return q.(*queue)
}

// add has a parcel sent. It returns false if there is no connection, or too much
// else is being sent to the node, and the ids of the lane's requests that will not
// be sent because of it.
func (s *senders) add(l *Lane, to caspaxos.NodeID, p *parcel) (gone []uint64, ok bool) {
	link := l.net.Link(to)
	if link == nil {
		return nil, false
	}
	return s.queue(to).add(&sending{id: p.request.ID, parcel: p, bytes: p.bytes, link: link, lane: l})
}

// supersede takes notice of a request that goes to a node by another way, and
// returns the ids of the lane's requests that will not be sent because of it.
func (s *senders) supersede(to caspaxos.NodeID, r *caspaxos.Request) []uint64 {
	if s.count.Load() == 0 || r.Kind != caspaxos.KindAccept || r.Change.Kind != register.Full {
		return nil
	}
	return s.queue(to).supersede(r)
}

// answered notes replies of a node.
func (s *senders) answered(from caspaxos.NodeID, replies []*caspaxos.Reply) {
	if s.count.Load() > 0 {
		s.queue(from).answered(replies)
	}
}

var (
	errAnswered = errors.New("the node has answered")
	errPatience = errors.New("the node takes nothing")
)

// send sends all pieces. Unless the node has answered, an error means that it will
// not.
func (one *sending) send() error {
	q := one.parcel.request
	one.parcel.once.Do(one.parcel.prepare)
	if whole := one.parcel.whole; whole != nil {
		return one.put(whole)
	}
	for rest, number := one.parcel.ops, uint32(0); ; number++ {
		n := wire.Cut(rest, caspaxos.PageBytes)
		p := wire.Piece{ID: q.ID, Number: number, Last: n == len(rest), Ops: rest[:n]}
		if number == 0 {
			p.Accept = q
		}
		if err := one.put(encode(&p)); err != nil || p.Last {
			return err
		}
		rest = rest[n:]
	}
}

func encode(p *wire.Piece) []byte {
	const head = 4 << 10 // what else piece zero has, mostly
	content := register.Change{Ops: p.Ops}
	return wire.AppendPiece(make([]byte, 0, content.Bytes()+head), p)
}

// put sends a payload when there is room for it.
func (one *sending) put(payload []byte) error {
	ctx, cancel := context.WithTimeoutCause(one.ctx, sendPatience, errPatience)
	defer cancel()
	if err := one.link.Room(ctx, sendBacklog); err != nil {
		return fmt.Errorf("send a large state: %w", err)
	}
	return one.link.Send(payload)
}

// await waits for the answer, but not for ever: what is sent next to the node
// should not meet there what it is still busy with.
func (one *sending) await() {
	patience := time.NewTimer(sendPatience)
	defer patience.Stop()
	select {
	case <-one.ctx.Done():
	case <-one.link.Done():
	case <-patience.C:
	}
}
