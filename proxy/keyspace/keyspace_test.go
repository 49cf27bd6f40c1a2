package keyspace

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/proxy/router"
)

// fakeNodes holds all slots on some nodes. Frozen nodes never answer.
type fakeNodes struct {
	cfg    *quorum.Config
	frozen quorum.Set
	keys   []string // all in slot 0, ordered by hash
	start  time.Time
	stuck  bool // commands on registers use all their time
	outage *operation.Outage
}

func newFake(nodes int) *fakeNodes {
	var ids []quorum.NodeID
	for i := range nodes {
		ids = append(ids, quorum.NodeID(i))
	}
	return &fakeNodes{cfg: quorum.NewConfig(1, ids, nil), start: time.Now()}
}

func (f *fakeNodes) keyspace() *Keyspace {
	wall := func() int64 { return time.Now().UnixMilli() }
	return &Keyspace{Nodes: f, Registers: f, Clock: ballot.NewClock(1, wall), Limits: limits.Default(), Wall: wall}
}

func (f *fakeNodes) Config(uint16) *quorum.Config    { return f.cfg }
func (f *fakeNodes) Outage(uint16) *operation.Outage { return f.outage }

func (f *fakeNodes) Ranges() []router.SlotRange {
	return []router.SlotRange{{Last: partition.Slots - 1, Config: f.cfg}}
}

func (f *fakeNodes) Prefer(cfg *quorum.Config, _ uint16) (order []int) {
	for i := range cfg.Nodes() {
		order = append(order, i)
	}
	return order
}

func (f *fakeNodes) Reachable(cfg *quorum.Config) quorum.Set { return cfg.All() }

func (f *fakeNodes) List(ctx context.Context, to quorum.NodeID, req listing.Request) (*listing.Reply, error) {
	if f.frozen.Has(int(to)) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	reply := &listing.Reply{Outcome: message.ReadOK}
	for _, key := range f.keys {
		if len(reply.Entries) == req.Limit {
			return reply, nil // continue in slot 0
		}
		reply.Entries = append(reply.Entries, listing.Entry{Register: register.ID{Key: key},
			Accepted: ballot.Ballot{Time: ballot.Time(1 + to)}, Type: uint8(register.String)})
	}
	reply.Done = true
	return reply, nil
}

func (f *fakeNodes) Tally(ctx context.Context, to quorum.NodeID, req listing.TallyRequest) (*listing.TallyReply, error) {
	if f.frozen.Has(int(to)) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	reply := &listing.TallyReply{Outcome: message.ReadOK}
	for i, span := range req.Spans {
		if n := len(f.keys); n > 0 && span.First == 0 {
			reply.Tallies = append(reply.Tallies, listing.Tallied{Span: uint16(i), Tally: listing.Tally{Keys: uint64(n)}})
		}
	}
	return reply, nil
}

func (f *fakeNodes) Flush(ctx context.Context, to quorum.NodeID, _ message.FlushRequest) (*message.FlushReply, error) {
	// Takes part of the flush's time, and leaves all keys to be deleted one by
	// one.
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	reply := &message.FlushReply{Outcome: message.Acked}
	for _, key := range f.keys {
		reply.Refused = append(reply.Refused, register.ID{Key: key})
	}
	return reply, nil
}

func (f *fakeNodes) Now() instant.Mono { return instant.Mono(time.Since(f.start)) }

// Submit deletes expired keys, as a read does.
func (f *fakeNodes) Submit(cmds []*proposer.Command) {
	for _, c := range cmds {
		if f.stuck {
			time.AfterFunc(limits.Default().Command-time.Duration(f.Now()-c.Started), func() {
				c.Err = operation.ErrNoQuorum
				c.Done(c)
			})
			continue
		}
		f.keys = slices.DeleteFunc(f.keys, func(key string) bool { return key == c.Register.Key })
		c.Result = c.Op.Execute(register.Nothing(), 0).Result
		c.Done(c)
	}
}

// within fails the test if f takes longer than a command's time limit.
func within(t *testing.T, f func() error) error {
	t.Helper()
	began := time.Now()
	err := f()
	if took, limit := time.Since(began), limits.Default().Command; took > limit+limit/10 {
		t.Errorf("took %v, more than the %v that a command may take", took, limit)
	}
	return err
}

func TestWalkEndsWithoutQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		f.frozen = 0b110
		if err := within(t, func() error { _, err := f.keyspace().Size(t.Context(), 0); return err }); !errors.Is(err, operation.ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTwoSilentNodesOfFive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(5)
		f.frozen = 0b00011
		if err := within(t, func() error { _, err := f.keyspace().Size(t.Context(), 0); return err }); err != nil {
			t.Error(err)
		}
	})
}

// TestTimeIsSharedByAllSteps uses registers that take all the time they are
// given, after the nodes have used some of it.
func TestTimeIsSharedByAllSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		f.keys, f.stuck = []string{"\x00a"}, true
		err := within(t, func() error { return f.keyspace().Flush(t.Context(), 0, 0) })
		if !errors.Is(err, operation.ErrUncertain) {
			t.Errorf("got %v", err)
		}
	})
}

// TestReapingKeepsUp lets more keys expire per second than are deleted at a
// time.
func TestReapingKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		for i := range 40 * reapPage {
			f.keys = append(f.keys, "\x00"+strconv.Itoa(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*reapEvery)
		defer cancel()
		f.keyspace().Reap(ctx)
		if len(f.keys) > 0 {
			t.Errorf("%d of %d expired keys are left after two seconds", len(f.keys), 40*reapPage)
		}
	})
}
