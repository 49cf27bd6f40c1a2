package caspaxos_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"synod/protocol/caspaxos"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/register"
)

// Foresee says what Step then does, of doubled, late and refused Accepts, old
// epochs, clocks ahead and flushed ranges, and changes nothing itself.
func TestForeseeIsWhatStepDoes(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		node := caspaxos.NewNode(caspaxos.DefaultLimits(), caspaxos.NodeState{Floor: ballotAt(3)}, 0)
		node.SetSlots([]caspaxos.SlotRange{{Last: caspaxos.Slots - 1, Epoch: 5, Member: true}})
		store := memstore.New()
		a := caspaxos.NewAcceptor(node, store, 0, 1, caspaxos.Now{})
		now := caspaxos.Now{Wall: 1000, Mono: 1}
		step := func(q *caspaxos.Request) (reply caspaxos.Reply) {
			t.Helper()
			if _, err := a.Step(now, q, &reply); err != nil {
				t.Fatal(err)
			}
			return reply
		}
		outcomes := make(map[caspaxos.Outcome]int)
		for range 300 {
			now.Wall++
			id := caspaxos.Register{Slot: 7, Key: fmt.Sprint("\x00", rnd.IntN(3))}
			b := ballotAt(now.Wall - 20 + rnd.Int64N(24))
			switch rnd.IntN(12) {
			case 0:
				step(&caspaxos.Request{Kind: caspaxos.KindPrepare, Register: id, Epoch: 5, Ballot: b})
				continue
			case 1:
				if _, err := a.Flush(now, &caspaxos.FlushRequest{Ballot: b, Epoch: 5, Last: 100}); err != nil {
					t.Fatal(err)
				}
				continue
			case 2:
				b = ballotAt(now.Wall + 60_000)
			}
			q := &caspaxos.Request{ID: 9, Kind: caspaxos.KindAccept, Register: id, Epoch: 5, Ballot: b, Prepared: rnd.IntN(2) == 0,
				Change: register.Change{Kind: register.Full, Header: register.Header{Type: register.Set}}}
			if rnd.IntN(12) == 0 {
				q.Epoch = 4
			}
			seen := step(&caspaxos.Request{Kind: caspaxos.KindRead, Register: id, Epoch: 5}).Accepted
			before := store.View(id.Key)
			var told caspaxos.Reply
			votes, err := a.Foresee(now, q, &told)
			if err != nil {
				t.Fatal(err)
			}
			if after := store.View(id.Key); !reflect.DeepEqual(before, after) {
				t.Fatalf("seed %d: the state changed from %v to %v", seed, before, after)
			}
			did := step(q)
			outcomes[did.Outcome]++
			switch {
			case votes && (did.Outcome != caspaxos.Acked || seen == b):
				t.Fatalf("seed %d: a vote foreseen for %v at %v became %+v", seed, b, seen, did)
			case !votes && !reflect.DeepEqual(told, did):
				t.Fatalf("seed %d: foreseen %+v, then %+v", seed, told, did)
			}
		}
		for _, o := range []caspaxos.Outcome{caspaxos.Acked, caspaxos.Nacked, caspaxos.WrongEpoch, caspaxos.ClockAhead} {
			if outcomes[o] == 0 {
				t.Errorf("seed %d: no outcome %d", seed, o)
			}
		}
	}
}

func ballotAt(ms int64) caspaxos.Ballot {
	return caspaxos.Ballot{Time: caspaxos.MakeTime(ms, 0), Proposer: 3}
}
