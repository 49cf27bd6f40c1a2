package proposer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/register"
	"synod/protocol/transfer"
	"synod/proxy/router"
)

const (
	// deliveriesEach is how many large requests go to one node at a time.
	deliveriesEach = 4
	// deliveryBytes: a further request to a node is refused if more than these bytes of
	// requests are under way to it.
	deliveryBytes = 512 << 20
)

// delivery is a large request on its way to one node.
type delivery struct {
	id    uint64 // of the request
	to    quorum.NodeID
	large *largeRequest // nil when it was sent to its end
	link  *router.Link
	lane  *Lane
	self  *transfer.Transfer[quorum.NodeID, *delivery]
	ctx   context.Context
	end   context.CancelCauseFunc // with errAnswered: the node wants no more of it
}

var errAnswered = errors.New("the node has answered")

type deliveryID struct {
	to quorum.NodeID
	id uint64
}

// deliveries send large requests. A slow or silent node holds up only the requests to
// itself.
//
// A request is sent even if no client waits for it any more: after the other members
// have chosen its round, this is how the last member gets the value.
type deliveries struct {
	ctx       context.Context
	stop      context.CancelFunc
	running   sync.WaitGroup
	scheduler *transfer.Scheduler[quorum.NodeID, *delivery]

	mu    sync.Mutex
	open  map[deliveryID]*delivery // not answered yet
	count atomic.Int32             // of open

	sent, failed, refused, superseded atomic.Uint64 // how they have ended
}

func (s *deliveries) init(most int64) {
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.open = make(map[deliveryID]*delivery)
	s.scheduler = transfer.New[quorum.NodeID, *delivery](
		transfer.Limits{RunningEach: deliveriesEach, BytesEach: most}, s.running.Go)
}

func (s *deliveries) close() {
	s.scheduler.Stop()
	s.stop()
	s.running.Wait()
}

// add starts the delivery of a request and drops those that it supersedes, whose ids
// it returns. It returns false if there is no connection, or if too much is under way
// to the node.
func (s *deliveries) add(l *Lane, to quorum.NodeID, r *largeRequest) (gone []uint64, ok bool) {
	link := l.net.Link(to)
	if link == nil {
		return nil, false
	}
	return s.admit(&delivery{id: r.request.ID, to: to, large: r, link: link, lane: l}, s.run)
}

func (s *deliveries) admit(d *delivery, run func(*delivery)) (gone []uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, old := s.scheduler.Admit(d.to, d, int64(d.large.bytes), supersededBy(d.large.request))
	if t == nil {
		s.refused.Add(1)
		return nil, false
	}
	gone = s.drop(old)
	d.self = t
	d.ctx, d.end = context.WithCancelCause(s.ctx)
	s.open[deliveryID{d.to, d.id}] = d
	s.count.Add(1)
	s.scheduler.Start(t, func() { run(d) })
	return gone, true
}

// supersede notes a request that is sent to a node on another path. It returns the ids
// of the lane's requests that will not be sent because of it.
func (s *deliveries) supersede(to quorum.NodeID, r *message.Request) []uint64 {
	if s.count.Load() == 0 {
		return nil
	}
	outdated := supersededBy(r)
	if outdated == nil {
		return nil // the common case, so it must be fast
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop(s.scheduler.Withdraw(to, outdated))
}

// supersededBy returns the deliveries that a request makes pointless: if it is a full
// change, those of its register with lower ballots. Only waiting ones are dropped: the
// node is already receiving the others.
func supersededBy(r *message.Request) func(*delivery) bool {
	if r.Kind != message.KindAccept || r.Change.Kind != register.Full {
		return nil
	}
	return func(d *delivery) bool {
		o := d.large.request
		return o.Register == r.Register && o.Ballot.Less(r.Ballot)
	}
}

// drop forgets deliveries that were withdrawn and returns their ids.
func (s *deliveries) drop(old []*delivery) (ids []uint64) {
	for _, d := range old {
		ids = append(ids, d.id)
		s.forget(d)
	}
	s.superseded.Add(uint64(len(ids)))
	return ids
}

func (s *deliveries) forget(d *delivery) {
	d.end(nil)
	if id := (deliveryID{d.to, d.id}); s.open[id] == d {
		delete(s.open, id)
		s.count.Add(-1)
	}
}

// answered notes replies of a node.
func (s *deliveries) answered(from quorum.NodeID, replies []*message.Reply) {
	if s.count.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range replies {
		if d := s.open[deliveryID{from, r.ID}]; d != nil {
			d.end(errAnswered)
			s.forget(d)
		}
	}
}

// run delivers a request, and waits for the answer.
func (s *deliveries) run(d *delivery) {
	switch err := d.send(); {
	case err == nil:
		s.sent.Add(1)
		s.release(d)
		d.await()
	case errors.Is(err, errAnswered):
		s.sent.Add(1)
	default:
		s.failed.Add(1)
		d.lane.Replies(d.to, []*message.Reply{{ID: d.id, Outcome: message.Unreachable}})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(d)
}

// release drops the request's content, so that it takes no memory while waiting for
// the answer.
func (s *deliveries) release(d *delivery) {
	d.large = nil
	s.scheduler.Release(d.self)
}

// send sends all chunks. After an error the node will not answer, unless it has already.
func (d *delivery) send() error {
	room := func() error {
		if err := transfer.Room(d.ctx, d.link.Room); err != nil {
			return fmt.Errorf("send a large state: %w", err)
		}
		return nil
	}
	return d.large.chunks(room, d.link.Send)
}

// await waits a limited time for the answer, so that the next request does not reach
// the node while it is still busy with this one.
func (d *delivery) await() {
	patience := time.NewTimer(transfer.Patience)
	defer patience.Stop()
	select {
	case <-d.ctx.Done():
	case <-d.link.Done():
	case <-patience.C:
	}
}
