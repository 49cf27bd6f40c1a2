package caspaxos

import (
	"strconv"
	"testing"

	"synod/protocol/register"
)

// bare is a Store of records without states.
type bare struct {
	recs map[string]*Record
	pos  uint64
}

func (s *bare) Load(r Register) (*Record, error) { return s.recs[r.Key], nil }
func (s *bare) Create(r Register) *Record {
	s.recs[r.Key] = &Record{Register: r}
	return s.recs[r.Key]
}
func (s *bare) Pages(*Record, register.Projection) (Pages, error) { return nil, nil }
func (s *bare) Project(*Record, register.Projection, int) (register.View, bool, error) {
	return register.Nothing(), true, nil
}
func (s *bare) Append(LogEntry) (uint64, error)               { s.pos++; return s.pos, nil }
func (s *bare) Apply(*Record, register.Change)                {}
func (s *bare) Large(*Record) bool                            { return false }
func (s *bare) Room() Room                                    { return RoomEnough }
func (s *bare) Grows(*Record, *register.Change) (bool, error) { return true, nil }
func (s *bare) Above(Ballot, func(*Record)) Ballot            { return Ballot{} }

// bareAcceptor returns an acceptor over a bare store, a clock to take ballots
// from, and what has it answer.
func bareAcceptor(t *testing.T) (*Acceptor, *Clock, func(Request) Reply) {
	now := Now{Wall: 1_700_000_000_000, Mono: 1}
	node := NewNode(DefaultLimits(), NodeState{}, 0)
	node.SetSlots([]SlotRange{{Last: Slots - 1, Epoch: 1, Member: true}})
	node.Publish(NodeState{Ceiling: MakeTime(now.Wall+1000, 0)})
	a := NewAcceptor(node, &bare{recs: make(map[string]*Record)}, 0, 1, now)
	return a, NewClock(1, func() int64 { return now.Wall }), func(req Request) Reply {
		var reply Reply
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
		a.promises.set(Register{Key: "other" + strconv.Itoa(i)}, clock.Next())
	}
	for i := range 100 {
		r := Register{Key: strconv.Itoa(i)}
		b := clock.Next()
		if got := step(Request{Kind: KindPrepare, Register: r, Epoch: 1, Ballot: b}); got.Outcome != Promised {
			t.Fatalf("Prepare %d: outcome %d", i, got.Outcome)
		}
		got := step(Request{Kind: KindAccept, Register: r, Epoch: 1, Ballot: b, Prepared: true,
			Change: register.Delete(), Next: clock.Next()})
		if got.Outcome != Acked || got.Granted != (i < room-1) {
			t.Fatalf("Accept %d: outcome %d, granted %v", i, got.Outcome, got.Granted)
		}
		// The ballot counts as promised as before.
		if got := step(Request{Kind: KindPrepare, Register: r, Epoch: 1, Ballot: b}); got.Outcome != Nacked {
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
	r := Register{Key: "k"}
	first := Request{Kind: KindPrepare, Register: r, Epoch: 1, Ballot: clock.Next()}
	if got := step(first); got.Outcome != Promised {
		t.Fatal(got.Outcome)
	}
	a.promises.old = make(map[string]promised, maxPromises)
	for i := range maxPromises - 1 {
		a.promises.old[strconv.Itoa(i)] = promised{}
	}
	if got := step(Request{Kind: KindPrepare, Register: r, Epoch: 1, Ballot: clock.Next()}); got.Outcome != Busy {
		t.Fatalf("a promise without room: outcome %d", got.Outcome)
	}
	vote := Request{Kind: KindAccept, Register: r, Epoch: 1, Ballot: first.Ballot, Prepared: true, Change: register.Delete()}
	if got := step(vote); got.Outcome != Acked {
		t.Fatal(got.Outcome)
	}
	for range MaxEntries {
		later := vote
		later.Ballot = clock.Next()
		step(later)
	}
	if got := step(vote); got.Outcome != Nacked || got.Never {
		t.Errorf("outcome %d, never %v, to what was voted for", got.Outcome, got.Never)
	}
}

// TestUndoIsBounded: also changes that take next to nothing are counted with the
// memory that it takes to remember them.
func TestUndoIsBounded(t *testing.T) {
	var u undo
	const most = maxUndo / 256
	for i := range 2 * most {
		u.add(strconv.Itoa(i/2), undone{})
	}
	kept := 0
	for _, list := range u.byKey {
		kept += len(list)
	}
	if kept != len(u.order) || kept > most || kept < most/2 {
		t.Errorf("%d votes are remembered, %d in order; want at most %d", kept, len(u.order), most)
	}
	for len(u.order) > 0 {
		u.dropOldest()
	}
	if u.bytes != 0 || len(u.byKey) != 0 {
		t.Errorf("%d bytes, %d keys are left of nothing", u.bytes, len(u.byKey))
	}
}
