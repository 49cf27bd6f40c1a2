package sim

import (
	"flag"
	"testing"

	"synod/protocol/caspaxos"
)

var hunt = flag.Int("hunt", 0, "how many seeds TestHunt tries on each profile")

// ruleCase says how the omission of a rule is found: by random runs of a
// profile, or, where these would take too long, by a trace. seed is one that was
// found to show it, tried first; when the code has moved on, up to tries more
// are.
type ruleCase struct {
	name    string
	rule    caspaxos.Rules
	profile func(seed uint64) Profile
	seed    uint64
	trace   string
}

// tries bounds the search of a ruleCase; the rarest are found in one of 100 runs.
const tries = 3000

// ruleCases are all rules, in the order of caspaxos.Rules. The last row of
// PROTOCOL.md's appendix (minority as quorum, base unchecked, promise ignored,
// lower ballot picked, floor not raised, retry without §5) are those that random
// runs find at once.
var ruleCases = []ruleCase{
	{name: "Quorum", rule: caspaxos.RuleQuorum, profile: Random, seed: 1},
	{name: "Promise", rule: caspaxos.RulePromise, profile: Random, seed: 1},
	{name: "Base", rule: caspaxos.RuleBase, profile: Random, seed: 1},
	{name: "Grant", rule: caspaxos.RuleGrant, trace: "doubled Accept is no grant"},
	{name: "Never", rule: caspaxos.RuleNever, trace: "vote pushed out"},
	{name: "Unused", rule: caspaxos.RuleUnused, trace: "vote pushed out, taken for an unused promise"},
	{name: "Durability", rule: caspaxos.RuleDurability, profile: crashing, seed: 45},
	{name: "FloorRaised", rule: caspaxos.RuleFloorRaised, profile: Random, seed: 9},
	{name: "Ceiling", rule: caspaxos.RuleCeiling, trace: "promise above the ceiling"},
	{name: "RestartFloor", rule: caspaxos.RuleRestartFloor, trace: "promise forgotten by a restart"},
	{name: "RestartID", rule: caspaxos.RuleRestartID, trace: "promise at the ceiling's tick"},
	{name: "CutRaised", rule: caspaxos.RuleCutRaised, trace: "cut moved back"},
	{name: "MergeLineage", rule: caspaxos.RuleMergeLineage, trace: "descendant behind a gap"},
	{name: "VotesOwn", rule: caspaxos.RuleVotesOwn, trace: "votes merged with lineage"},
	{name: "Epoch", rule: caspaxos.RuleEpoch, trace: "old epoch acked"},
	{name: "EpochShown", rule: caspaxos.RuleEpochShown, trace: "epoch made up"},
	{name: "Fetch", rule: caspaxos.RuleFetch, profile: partial, seed: 24},
	{name: "Highest", rule: caspaxos.RuleHighest, profile: Random, seed: 1},
	{name: "EarlyAttempt", rule: caspaxos.RuleEarlyAttempt, trace: "early answer under an own attempt"},
	{name: "EarlyBatch", rule: caspaxos.RuleEarlyBatch, trace: "early answer in a batch"},
	{name: "EarlyExpired", rule: caspaxos.RuleEarlyExpired, trace: "early answer from an expired state"},
	{name: "EarlyChosen", rule: caspaxos.RuleEarlyChosen, profile: Random, seed: 74},
	{name: "Granted", rule: caspaxos.RuleGranted, trace: "carried on without a grant"},
	{name: "BallotOnce", rule: caspaxos.RuleBallotOnce, profile: Random, seed: 566},
	{name: "RoundEpoch", rule: caspaxos.RuleRoundEpoch, trace: "round across epochs"},
	{name: "ReadQuorum", rule: caspaxos.RuleReadQuorum, profile: Random, seed: 13},
	{name: "Replies", rule: caspaxos.RuleReplies, trace: "promises older than the command"},
	{name: "Doubt", rule: caspaxos.RuleDoubt, profile: Random, seed: 1},
	{name: "KeepAttempts", rule: caspaxos.RuleKeepAttempts, profile: Random, seed: 20},
	{name: "Gap", rule: caspaxos.RuleGap, trace: "descendant behind a gap, unnoticed"},
	{name: "VotesNotLineage", rule: caspaxos.RuleVotesNotLineage, trace: "lineage read as votes"},
	{name: "CutUnknown", rule: caspaxos.RuleCutUnknown, trace: "nothing known below the cut"},
	{name: "Dropped", rule: caspaxos.RuleDropped, trace: "dropped lineage"},
	{name: "Held", rule: caspaxos.RuleHeld, profile: snapshots, seed: 2},
	{name: "SecondRead", rule: caspaxos.RuleSecondRead, profile: snapshots, seed: 28},
	{name: "ExpiryChosen", rule: caspaxos.RuleExpiryChosen, profile: expiring, seed: 22},
	{name: "ExpiryChosen of fields", rule: caspaxos.RuleExpiryChosen, profile: fading, seed: 1},
	{name: "ExpiredFull", rule: caspaxos.RuleExpiredFull, profile: expiring, seed: 1},
	{name: "FlushCut", rule: caspaxos.RuleFlushCut, trace: "flush forgets votes"},
	{name: "FlushAbsent", rule: caspaxos.RuleFlushAbsent, trace: "flushed where nothing was"},
	{name: "FlushRefuses", rule: caspaxos.RuleFlushRefuses, trace: "flush below a promise"},
	{name: "FlushFloor", rule: caspaxos.RuleFlushFloor, trace: "late Accept after a flush"},
	{name: "Unsent", rule: caspaxos.RuleUnsent, profile: Random, seed: 1},
	{name: "Parked", rule: caspaxos.RuleParked, trace: "parked behind a later command"},
	{name: "ParkedChosen", rule: caspaxos.RuleParkedChosen, trace: "parked, and brought up by others"},
	{name: "Order", rule: caspaxos.RuleOrder, profile: Random, seed: 1061},
	{name: "RoomOpen", rule: caspaxos.RuleRoomOpen, trace: "room for a late copy"},
	{name: "RoomOrder", rule: caspaxos.RuleRoomOrder, trace: "early answer behind a refusal"},
	{name: "RoomChosen", rule: caspaxos.RuleRoomChosen, trace: "no room for a retry"},
	{name: "OrderAside", rule: caspaxos.RuleOrderAside, profile: pipelining, seed: 298},
	{name: "Outage", rule: caspaxos.RuleOutage, profile: Random, seed: 1},
	{name: "ProposerOnce", rule: caspaxos.RuleProposerOnce, trace: "two starts under one id"},
	{name: "ProposerQuorum", rule: caspaxos.RuleProposerQuorum, trace: "ballot before a quorum has admitted the id"},
	{name: "Rollback", rule: caspaxos.RuleRollback, profile: rollingBack, seed: 165},
}

// TestRule omits each rule of the protocol and requires that the simulator then
// finds a violation that clients can see, and none on the same seed or trace
// with the rule in force.
func TestRule(t *testing.T) {
	all := caspaxos.Rules(0)
	for _, c := range ruleCases {
		all |= c.rule
		t.Run(c.name, func(t *testing.T) {
			if c.trace != "" {
				c.follow(t)
				return
			}
			seed, why := c.find()
			if why == "" {
				t.Fatalf("no violation in %d runs without the rule", tries)
			}
			t.Logf("seed %d: %.200s", seed, why)
			if why := New(c.profile(seed), seed).Run(); why != "" {
				report(t, c.profile(seed), seed, why)
			}
		})
	}
	if all != caspaxos.AllRules {
		t.Errorf("rules %b have no test", caspaxos.AllRules&^all)
	}
}

// find returns a seed that shows what the omission of the rule leads to.
func (c *ruleCase) find() (uint64, string) {
	for n := range uint64(tries) {
		p := c.profile(c.seed + n)
		p.Omit = c.rule
		if why := New(p, c.seed+n).Run(); why != "" {
			return c.seed + n, why
		}
	}
	return 0, ""
}

// follow does the same by a trace.
func (c *ruleCase) follow(t *testing.T) {
	for i := range traceCases {
		if tr := &traceCases[i]; tr.name == c.trace && tr.rule == c.rule {
			tr.test(t)
			return
		}
	}
	t.Fatalf("no trace is named %q", c.trace)
}

// TestHunt looks for the profile that shows a rule's omission soonest.
func TestHunt(t *testing.T) {
	if *hunt == 0 {
		t.Skip("needs -hunt")
	}
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) {
			for name, profile := range profiles {
				hits, first := 0, uint64(0)
				for seed := uint64(1); seed <= uint64(*hunt); seed++ {
					p := profile(seed)
					p.Omit = c.rule
					if why := New(p, seed).Run(); why != "" {
						if hits++; hits == 1 {
							first = seed
						}
					}
				}
				if hits > 0 {
					t.Logf("HIT %s %s: %d of %d, first %d", c.name, name, hits, *hunt, first)
				}
			}
		})
	}
}
