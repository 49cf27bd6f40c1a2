package caspaxos_test

import (
	"testing"

	"synod/protocol/caspaxos"
)

// A proxy that ends and is started again all the time does not drive out those
// that live, though they have lower ids: not while one of them is away, nor when the
// node has been started and it is the first to be back.
func TestClaimsOfTheLivingAreKept(t *testing.T) {
	living := []caspaxos.Claim{{Proposer: 1, Start: 10}, {Proposer: 2, Start: 20}, {Proposer: 3, Start: 30}}
	var next caspaxos.ProposerID = 4
	away := caspaxos.ProposerID(0)
	c := caspaxos.NewClaims(0, nil, 0)
	inUse := func(id caspaxos.ProposerID) bool { return id <= 3 && id != away || id == next }
	for _, k := range living {
		c.Add(k, inUse)
	}
	again := func() {
		next++
		c.Add(caspaxos.Claim{Proposer: next, Start: 1}, inUse)
	}
	for range 2 * caspaxos.MaxClaims {
		again()
	}
	away = 2
	again()
	away = 0
	c = caspaxos.NewClaims(c.Floor, c.All(), 0)
	inUse = func(id caspaxos.ProposerID) bool { return id == next }
	again()
	for _, k := range living {
		if !c.Known(k) {
			t.Errorf("proposer %d has been forgotten", k.Proposer)
		}
	}
	if n := len(c.All()); n != caspaxos.MaxClaims {
		t.Errorf("%d claims are remembered, want %d", n, caspaxos.MaxClaims)
	}
	for _, id := range []caspaxos.ProposerID{4, 5, next - caspaxos.MaxClaims} {
		if k := (caspaxos.Claim{Proposer: id, Start: 2}); !c.Refuses(k) {
			t.Errorf("another start is admitted under proposer id %d", id)
		}
	}
}
