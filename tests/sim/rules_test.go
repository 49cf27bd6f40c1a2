package sim

import (
	"flag"
	"testing"

	"synod/protocol/caspaxos"
)

var hunt = flag.Int("hunt", 0, "how many seeds TestRule tries for each rule, zero for what each needs")

// ruleCase says how the omission of a rule is found: by random runs of a
// profile. seed is one that was found to show it, tried first; when the code
// has moved on, up to tries others are tried.
type ruleCase struct {
	name    string
	rule    caspaxos.Rules
	profile func(seed uint64) Profile
	seed    uint64
	tries   int
}

var ruleCases = []ruleCase{
	{"Quorum", caspaxos.RuleQuorum, Random, 1, 100},
	{"Promise", caspaxos.RulePromise, Random, 1, 100},
	{"Base", caspaxos.RuleBase, Random, 1, 100},
	{"Grant", caspaxos.RuleGrant, Random, 1, 100},
	{"Never", caspaxos.RuleNever, Random, 1, 100},
	{"Durability", caspaxos.RuleDurability, Random, 1, 100},
	{"FloorRaised", caspaxos.RuleFloorRaised, Random, 1, 100},
	{"Ceiling", caspaxos.RuleCeiling, Random, 1, 100},
	{"RestartFloor", caspaxos.RuleRestartFloor, Random, 1, 100},
	{"RestartID", caspaxos.RuleRestartID, Random, 1, 100},
	{"CutRaised", caspaxos.RuleCutRaised, Random, 1, 100},
	{"MergeLineage", caspaxos.RuleMergeLineage, Random, 1, 100},
	{"VotesOwn", caspaxos.RuleVotesOwn, Random, 1, 100},
	{"Epoch", caspaxos.RuleEpoch, Random, 1, 100},
	{"Fetch", caspaxos.RuleFetch, Random, 1, 100},
	{"Highest", caspaxos.RuleHighest, Random, 1, 100},
	{"EarlyAttempt", caspaxos.RuleEarlyAttempt, Random, 1, 100},
	{"EarlyBatch", caspaxos.RuleEarlyBatch, Random, 1, 100},
	{"EarlyExpired", caspaxos.RuleEarlyExpired, Random, 1, 100},
	{"EarlyChosen", caspaxos.RuleEarlyChosen, Random, 1, 100},
	{"Granted", caspaxos.RuleGranted, Random, 1, 100},
	{"BallotOnce", caspaxos.RuleBallotOnce, Random, 1, 100},
	{"RoundEpoch", caspaxos.RuleRoundEpoch, Random, 1, 100},
	{"ReadQuorum", caspaxos.RuleReadQuorum, Random, 1, 100},
	{"Replies", caspaxos.RuleReplies, Random, 1, 100},
	{"Doubt", caspaxos.RuleDoubt, Random, 1, 100},
	{"KeepAttempts", caspaxos.RuleKeepAttempts, Random, 1, 100},
	{"Gap", caspaxos.RuleGap, Random, 1, 100},
	{"VotesNotLineage", caspaxos.RuleVotesNotLineage, Random, 1, 100},
	{"CutUnknown", caspaxos.RuleCutUnknown, Random, 1, 100},
	{"Dropped", caspaxos.RuleDropped, Random, 1, 100},
	{"Held", caspaxos.RuleHeld, Random, 1, 100},
	{"SecondRead", caspaxos.RuleSecondRead, Random, 1, 100},
	{"ExpiryChosen", caspaxos.RuleExpiryChosen, Random, 1, 100},
	{"ExpiredFull", caspaxos.RuleExpiredFull, Random, 1, 100},
	{"FlushCut", caspaxos.RuleFlushCut, Random, 1, 100},
	{"FlushAbsent", caspaxos.RuleFlushAbsent, Random, 1, 100},
	{"FlushRefuses", caspaxos.RuleFlushRefuses, Random, 1, 100},
	{"FlushFloor", caspaxos.RuleFlushFloor, Random, 1, 100},
}

// TestRule omits each rule of the protocol and requires that the simulator then
// finds a violation that clients can see, and none on the same seed with the
// rule in force.
func TestRule(t *testing.T) {
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) {
			seed, why := c.find()
			if why == "" {
				t.Fatalf("no violation in %d runs without the rule", c.tries)
			}
			t.Logf("seed %d: %.200s", seed, why)
			if why := New(c.profile(seed), seed).Run(); why != "" {
				report(t, c.profile(seed), seed, why)
			}
		})
	}
}

// find returns a seed that shows what the omission of the rule leads to.
func (c *ruleCase) find() (uint64, string) {
	tries := c.tries
	if *hunt > 0 {
		tries = *hunt
	}
	for n := range tries {
		seed := c.seed + uint64(n)
		p := c.profile(seed)
		p.Omit = c.rule
		if why := New(p, seed).Run(); why != "" {
			return seed, why
		}
	}
	return 0, ""
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
