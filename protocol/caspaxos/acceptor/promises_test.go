package acceptor

import (
	"strconv"
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// bare is a Store of records without states.
type bare struct {
	recs map[string]*durable.Record
	pos  uint64
}

func (s *bare) Load(r register.ID) (*durable.Record, error) { return s.recs[r.Key], nil }
func (s *bare) Create(r register.ID) *durable.Record {
	s.recs[r.Key] = &durable.Record{Register: r}
	return s.recs[r.Key]
}
func (s *bare) Transfer(*durable.Record, register.Projection) (message.Transfer, error) {
	return nil, nil
}
func (s *bare) Project(*durable.Record, register.Projection, int) (register.View, bool, error) {
	return register.Nothing(), true, nil
}
func (s *bare) Append(durable.LogEntry) (uint64, error)                  { s.pos++; return s.pos, nil }
func (s *bare) Apply(*durable.Record, register.Change)                   {}
func (s *bare) Large(*durable.Record) bool                               { return false }
func (s *bare) Room() diskroom.Room                                      { return diskroom.RoomEnough }
func (s *bare) Grows(*durable.Record, *register.Change) (bool, error)    { return true, nil }
func (s *bare) Above(ballot.Ballot, func(*durable.Record)) ballot.Ballot { return ballot.Ballot{} }

// bareAcceptor returns an acceptor over a bare store, a clock to take ballots
// from, and what has it answer.
func bareAcceptor(t *testing.T) (*Acceptor, *ballot.Clock, func(message.Request) message.Reply) {
	now := instant.Now{Wall: 1_700_000_000_000, Mono: 1}
	node := NewNode(limits.Default(), partition.Slots, durable.NodeState{}, 0)
	node.SetSlots([]SlotRange{{Last: partition.Slots - 1, Epoch: 1, Member: true}})
	node.Publish(durable.NodeState{Ceiling: ballot.MakeTime(now.Wall+1000, 0)})
	a := New(node, &bare{recs: make(map[string]*durable.Record)}, 0, 1, now)
	return a, ballot.NewClock(1, func() int64 { return now.Wall }), func(req message.Request) message.Reply {
		var reply message.Reply
		if answered, err := a.Step(now, &req, &reply); !answered || err != nil {
			t.Fatal(answered, err)
		}
		return reply
	}
}

// TestCarriedPromisesLeaveRoom fills an acceptor's memory with the promises of
// rounds that carry one on: other registers must still find a promise for a
// round of two trips.
func TestCarriedPromisesLeaveRoom(t *testing.T) {
	a, clock, step := bareAcceptor(t)
	const room = 10 // for carried promises
	for i := range maxPromises/2 - room {
		a.promises.set(register.ID{Key: "other" + strconv.Itoa(i)}, clock.Next())
	}
	for i := range 100 {
		r := register.ID{Key: strconv.Itoa(i)}
		b := clock.Next()
		if got := step(message.Request{Kind: message.KindPrepare, Register: r, Epoch: 1, Ballot: b}); got.Outcome != message.Promised {
			t.Fatalf("Prepare %d: outcome %d", i, got.Outcome)
		}
		got := step(message.Request{Kind: message.KindAccept, Register: r, Epoch: 1, Ballot: b, Prepared: true,
			Change: register.Delete(), Piggyback: clock.Next()})
		if got.Outcome != message.Acked || got.Granted != (i < room-1) {
			t.Fatalf("Accept %d: outcome %d, granted %v", i, got.Outcome, got.Granted)
		}
		// The ballot counts as promised as before.
		if got := step(message.Request{Kind: message.KindPrepare, Register: r, Epoch: 1, Ballot: b}); got.Outcome != message.Nacked {
			t.Fatalf("a second Prepare %d: outcome %d", i, got.Outcome)
		}
	}
	if n := a.Promises(); n > maxPromises/2 {
		t.Errorf("%d promises, more than half of what there is room for", n)
	}
}

// TestPromiseWithoutRoomOvertakesNothing (§3 never): a Prepare for which there is
// no room leaves the promise before it in force. A vote under that one must not
// be denied once the lists have lost it.
func TestPromiseWithoutRoomOvertakesNothing(t *testing.T) {
	a, clock, step := bareAcceptor(t)
	r := register.ID{Key: "k"}
	first := message.Request{Kind: message.KindPrepare, Register: r, Epoch: 1, Ballot: clock.Next()}
	if got := step(first); got.Outcome != message.Promised {
		t.Fatal(got.Outcome)
	}
	a.promises.old = make(map[string]promised, maxPromises)
	for i := range maxPromises - 1 {
		a.promises.old[strconv.Itoa(i)] = promised{}
	}
	if got := step(message.Request{Kind: message.KindPrepare, Register: r, Epoch: 1, Ballot: clock.Next()}); got.Outcome != message.Busy {
		t.Fatalf("a promise without room: outcome %d", got.Outcome)
	}
	vote := message.Request{Kind: message.KindAccept, Register: r, Epoch: 1, Ballot: first.Ballot, Prepared: true, Change: register.Delete()}
	if got := step(vote); got.Outcome != message.Acked {
		t.Fatal(got.Outcome)
	}
	for range history.MaxEntries {
		later := vote
		later.Ballot = clock.Next()
		step(later)
	}
	if got := step(vote); got.Outcome != message.Nacked || got.Never {
		t.Errorf("outcome %d, never %v, to what was voted for", got.Outcome, got.Never)
	}
}
