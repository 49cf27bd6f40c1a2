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
func (s *bare) Append(LogEntry) (uint64, error)    { s.pos++; return s.pos, nil }
func (s *bare) Apply(*Record, register.Change)     {}
func (s *bare) Above(Ballot, func(*Record)) Ballot { return Ballot{} }

// TestCarriedPromisesLeaveRoom fills an acceptor's memory with the promises of
// rounds that carry one on: other registers must still find a promise for a
// round of two trips.
func TestCarriedPromisesLeaveRoom(t *testing.T) {
	now := Now{Wall: 1_700_000_000_000, Mono: 1}
	node := NewNode(DefaultLimits(), NodeState{}, 0)
	node.SetSlots([]SlotRange{{Last: Slots - 1, Epoch: 1, Member: true}})
	node.Publish(NodeState{Ceiling: MakeTime(now.Wall+1000, 0)})
	a := NewAcceptor(node, &bare{recs: make(map[string]*Record)}, 0, 1, now)
	clock := NewClock(1, func() int64 { return now.Wall })
	step := func(req Request) Reply {
		var reply Reply
		if answered, err := a.Step(now, &req, &reply); !answered || err != nil {
			t.Fatal(answered, err)
		}
		return reply
	}
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
