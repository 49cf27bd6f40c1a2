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
	// sendersEach is how many are sent at a time to one node, sendsMost how many
	// there are in all, with those that wait for it; further ones are refused.
	sendersEach = 4
	sendsMost   = 256
	// sendBacklog is how many bytes may wait in a connection when the next piece
	// is encoded for it, sendPatience how long it may leave it at that, and how
	// long the node may take to answer until the next one has its turn.
	sendBacklog  = 4 << 20
	sendPatience = 10 * time.Second
)

// parcel is a large request. Those who send it share it.
type parcel struct {
	request *caspaxos.Request
	once    sync.Once
	ops     []register.Op // of the request, in the order in which pieces have them
	whole   []byte        // the request, encoded, if it must not be divided
}

// large returns a parcel of a request that the senders should send, else nil.
func large(q *caspaxos.Request, bytes int) *parcel {
	if q.Kind != caspaxos.KindAccept || bytes <= caspaxos.PageBytes {
		return nil
	}
	return &parcel{request: q}
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
		p.whole = wire.AppendRequest(nil, p.request)
	}
}

// ordered returns Puts in the order of their keys, each once, that make what a
// full change makes.
func ordered(c register.Change) []register.Op {
	c.Ops = slices.Clone(c.Ops)
	register.Sort(c.Ops) // in which order many are applied at the least cost
	return register.Nothing().Apply(c).Full().Ops
}

// sendKey names a request to a node.
type sendKey struct {
	to caspaxos.NodeID
	id uint64
}

// sending is a parcel on its way to one node.
type sending struct {
	sendKey
	parcel *parcel
	link   *router.Link
	lane   *Lane
	ctx    context.Context
	end    context.CancelCauseFunc // with errAnswered: the node wants no more of it
}

// senders are the goroutines that send parcels, some for each node that has any.
type senders struct {
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	count atomic.Int32 // of open

	mu      sync.Mutex
	open    map[sendKey]*sending
	waiting map[caspaxos.NodeID][]*sending
	running map[caspaxos.NodeID]int
}

func (s *senders) init() {
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.open, s.waiting, s.running = make(map[sendKey]*sending), make(map[caspaxos.NodeID][]*sending), make(map[caspaxos.NodeID]int)
}

func (s *senders) close() {
	s.stop()
	s.wg.Wait()
}

// add has a parcel sent. It returns false if there is no connection, or too many
// others are being sent.
func (s *senders) add(l *Lane, to caspaxos.NodeID, p *parcel) bool {
	link := l.net.Link(to)
	if link == nil {
		return false
	}
	one := &sending{sendKey: sendKey{to, p.request.ID}, parcel: p, link: link, lane: l}
	one.ctx, one.end = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= sendsMost || s.ctx.Err() != nil {
		one.end(nil)
		return false
	}
	s.open[one.sendKey] = one
	s.count.Add(1)
	s.waiting[to] = append(s.waiting[to], one)
	if s.running[to] < sendersEach {
		s.running[to]++
		s.wg.Go(func() { s.run(to) })
	}
	return true
}

// run sends what waits for a node.
func (s *senders) run(to caspaxos.NodeID) {
	for one := s.next(to); one != nil; one = s.next(to) {
		err := one.send()
		if err == nil {
			one.await()
		} else if !errors.Is(err, errAnswered) {
			one.lane.Replies(to, []*caspaxos.Reply{{ID: one.id, Outcome: caspaxos.Unreachable}})
		}
		s.ended(one)
	}
}

// next returns the one whose turn it is, or nil if the goroutine is to end.
func (s *senders) next(to caspaxos.NodeID) *sending {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.waiting[to]
	if len(list) == 0 || s.ctx.Err() != nil {
		s.running[to]--
		return nil
	}
	one := list[0]
	list[0] = nil
	if s.waiting[to] = list[1:]; len(list) == 1 {
		delete(s.waiting, to)
	}
	return one
}

func (s *senders) ended(one *sending) {
	one.end(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(one)
}

// remove forgets a parcel, if it was not forgotten yet. s.mu is held.
func (s *senders) remove(one *sending) {
	if s.open[one.sendKey] == one {
		delete(s.open, one.sendKey)
		s.count.Add(-1)
	}
}

// answered notes replies of a node.
func (s *senders) answered(from caspaxos.NodeID, replies []*caspaxos.Reply) {
	if s.count.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range replies {
		if one := s.open[sendKey{from, r.ID}]; one != nil {
			one.end(errAnswered)
			s.remove(one)
		}
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
		return one.put(whole, true)
	}
	for rest, number := one.parcel.ops, uint32(0); ; number++ {
		n := wire.Cut(rest, caspaxos.PageBytes)
		p := wire.Piece{ID: q.ID, Number: number, Last: n == len(rest), Ops: rest[:n]}
		if number == 0 {
			p.Accept = q
		}
		if err := one.put(encode(&p), p.Last); err != nil || p.Last {
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
func (one *sending) put(payload []byte, last bool) error {
	ctx, cancel := context.WithTimeoutCause(one.ctx, sendPatience, errPatience)
	defer cancel()
	if err := one.link.Room(ctx, sendBacklog); err != nil {
		return fmt.Errorf("send a large state: %w", err)
	}
	return one.link.Send(payload, last)
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
