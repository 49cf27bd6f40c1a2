package identity_test

import (
	"testing"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
)

// A proxy that ends and is started again all the time does not drive out those
// that live, though they have lower ids: not while one of them is away, nor when the
// node has been started and it is the first to be back.
func TestClaimsOfTheLivingAreKept(t *testing.T) {
	living := []identity.Claim{{Proposer: 1, Start: 10}, {Proposer: 2, Start: 20}, {Proposer: 3, Start: 30}}
	var next ballot.ProposerID = 4
	away := ballot.ProposerID(0)
	c := identity.NewClaims(0, nil, 0)
	inUse := func(id ballot.ProposerID) bool { return id <= 3 && id != away || id == next }
	for _, k := range living {
		c.Add(k, inUse)
	}
	again := func() {
		next++
		c.Add(identity.Claim{Proposer: next, Start: 1}, inUse)
	}
	for range 2 * identity.MaxClaims {
		again()
	}
	away = 2
	again()
	away = 0
	c = identity.NewClaims(c.Floor, c.All(), 0)
	inUse = func(id ballot.ProposerID) bool { return id == next }
	again()
	for _, k := range living {
		if !c.Known(k) {
			t.Errorf("proposer %d has been forgotten", k.Proposer)
		}
	}
	if n := len(c.All()); n != identity.MaxClaims {
		t.Errorf("%d claims are remembered, want %d", n, identity.MaxClaims)
	}
	for _, id := range []ballot.ProposerID{4, 5, next - identity.MaxClaims} {
		if k := (identity.Claim{Proposer: id, Start: 2}); !c.Refuses(k) {
			t.Errorf("another start is admitted under proposer id %d", id)
		}
	}
}
