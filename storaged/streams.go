package storaged

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/storaged/changelog"
)

// A large state leaves page by page, read and sent by one of the streamers, so
// that neither its lane nor anybody's memory has to hold it.
const (
	// streamers is how many are sent at a time, streamersEach how many of them to
	// one session, which may not take them. streamsMost is how many there are with
	// those that wait for it, streamsEach how many of them for one session; further
	// ones are refused.
	streamers     = 16
	streamersEach = 4
	streamsMost   = 512
	streamsEach   = 128
	// streamBacklog is how many bytes may wait in a session when the next page
	// is read for it, streamPatience how long the session may leave it at that:
	// then who asked is told that the rest does not come.
	streamBacklog  = 4 << 20
	streamPatience = 10 * time.Second
)

// stream is a reply with pages on its way to a session.
type stream struct {
	session *rpc.Session
	reply   caspaxos.Reply
}

// streams are those that have not been sent in full.
type streams struct {
	mu    sync.Mutex
	due   sync.Cond            // one may have its turn now, or none will any more
	queue []*stream            // that wait for a streamer
	busy  map[*rpc.Session]int // streamers
	each  map[*rpc.Session]int // of them, by session
	count int
	idle  chan struct{} // if not nil: to be closed when there are none
}

func (t *streams) init(ctx context.Context) {
	t.due.L, t.busy, t.each = &t.mu, make(map[*rpc.Session]int), make(map[*rpc.Session]int)
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.due.Broadcast()
	})
}

// admit makes a stream of a reply. It returns nil if there are too many.
func (t *streams) admit(s *rpc.Session, reply *caspaxos.Reply) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == streamsMost || t.each[s] == streamsEach {
		return nil
	}
	t.count++
	t.each[s]++
	return &stream{session: s, reply: *reply}
}

// push queues a stream that may leave.
func (t *streams) push(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, s)
	t.due.Signal()
}

// next waits for a stream that has its turn: the oldest whose session has not as
// many streamers as it may have. It returns nil when ctx has ended.
func (t *streams) next(ctx context.Context) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ctx.Err() == nil {
		i := slices.IndexFunc(t.queue, func(s *stream) bool { return t.busy[s.session] < streamersEach })
		if i >= 0 {
			s := t.queue[i]
			t.queue = slices.Delete(t.queue, i, i+1)
			t.busy[s.session]++
			return s
		}
		t.due.Wait()
	}
	return nil
}

// done notes that a stream has ended.
func (t *streams) done(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[s.session]--; t.busy[s.session] == 0 {
		delete(t.busy, s.session)
	}
	if t.each[s.session]--; t.each[s.session] == 0 {
		delete(t.each, s.session)
	}
	if t.count--; t.count == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// ended waits until there are none.
func (t *streams) ended(ctx context.Context) {
	t.mu.Lock()
	if t.count == 0 {
		t.mu.Unlock()
		return
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// stream is a streamer: a goroutine that sends large states.
func (d *Daemon) stream() {
	for s := d.streams.next(d.stopped); s != nil; s = d.streams.next(d.stopped) {
		d.streamed(s, s.run(d.stopped))
		d.streams.done(s)
	}
}

// run sends all pages, in order, each when the session has room.
func (s *stream) run(ctx context.Context) error {
	if err := s.room(ctx); err != nil {
		return errors.Join(err, s.reply.Pages.Close())
	}
	return s.reply.Parts(caspaxos.PageBytes, func(part *caspaxos.Reply) error {
		if err := s.session.SendShared(rpc.Bulk, wire.AppendReply(nil, part)); err != nil || !part.More {
			return err
		}
		return s.room(ctx)
	})
}

func (s *stream) room(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamPatience)
	defer cancel()
	return s.session.Room(ctx, rpc.Bulk, streamBacklog)
}

// streamed looks at how a stream ended.
func (d *Daemon) streamed(s *stream, err error) {
	switch {
	case err == nil, d.stopped.Err() != nil, s.session.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, rpc.ErrBacklog):
		d.refuse(s.session, []item{{request: &caspaxos.Request{ID: s.reply.ID, Kind: caspaxos.KindRead}}}, caspaxos.Busy)
	case !errors.Is(err, changelog.ErrClosed):
		d.log.Error("cannot read a large state", zap.Error(err))
	}
}
