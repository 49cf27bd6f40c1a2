package caspaxos_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/message"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// Foresee says what Step then does, of doubled, late and refused Accepts, old
// epochs, clocks ahead and flushed ranges, and changes nothing itself.
func TestForeseeIsWhatStepDoes(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		node := acceptor.NewNode(limits.Default(), partition.Slots, durable.NodeState{Floor: ballotAt(3)}, 0)
		node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 5, Member: true}})
		store := memstore.New()
		a := acceptor.New(node, store, 0, 1, instant.Now{})
		now := instant.Now{Wall: 1000, Mono: 1}
		step := func(q *message.Request) (reply message.Reply) {
			t.Helper()
			if _, err := a.Step(now, q, &reply); err != nil {
				t.Fatal(err)
			}
			return reply
		}
		outcomes := make(map[message.Outcome]int)
		for range 300 {
			now.Wall++
			id := register.ID{Slot: 7, Key: fmt.Sprint("\x00", rnd.IntN(3))}
			b := ballotAt(now.Wall - 20 + rnd.Int64N(24))
			switch rnd.IntN(12) {
			case 0:
				step(&message.Request{Kind: message.KindPrepare, Register: id, Epoch: 5, Ballot: b})
				continue
			case 1:
				if _, err := a.Flush(now, &message.FlushRequest{Ballot: b, Epoch: 5, Last: 100}); err != nil {
					t.Fatal(err)
				}
				continue
			case 2:
				b = ballotAt(now.Wall + 60_000)
			}
			q := &message.Request{ID: 9, Kind: message.KindAccept, Register: id, Epoch: 5, Ballot: b, Prepared: rnd.IntN(2) == 0,
				Change: register.Change{Kind: register.Full, Header: register.Header{Type: register.Set}}}
			if rnd.IntN(12) == 0 {
				q.Epoch = 4
			}
			seen := step(&message.Request{Kind: message.KindRead, Register: id, Epoch: 5}).Accepted
			before := store.View(id.Key)
			var told message.Reply
			votes, err := a.CanAccept(now, q, &told)
			if err != nil {
				t.Fatal(err)
			}
			if after := store.View(id.Key); !reflect.DeepEqual(before, after) {
				t.Fatalf("seed %d: the state changed from %v to %v", seed, before, after)
			}
			did := step(q)
			outcomes[did.Outcome]++
			switch {
			case votes && (did.Outcome != message.Acked || seen == b):
				t.Fatalf("seed %d: a vote foreseen for %v at %v became %+v", seed, b, seen, did)
			case !votes && !reflect.DeepEqual(told, did):
				t.Fatalf("seed %d: foreseen %+v, then %+v", seed, told, did)
			}
		}
		for _, o := range []message.Outcome{message.Acked, message.Nacked, message.WrongEpoch, message.ClockAhead} {
			if outcomes[o] == 0 {
				t.Errorf("seed %d: no outcome %d", seed, o)
			}
		}
	}
}

func ballotAt(ms int64) ballot.Ballot {
	return ballot.Ballot{Time: ballot.MakeTime(ms, 0), Proposer: 3}
}
