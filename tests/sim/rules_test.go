//go:build invariants

package sim

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synod/protocol/caspaxos/rules"
)

var hunt = flag.Int("hunt", 0, "how many seeds TestHunt tries on each profile")

// ruleCase says how the omission of a rule is found by random runs of a profile.
// seed is one that was found to show it, tried first; when the code has moved on,
// up to tries more are. Rules for which that would take too long have a transcript
// in tests/paxostest.
type ruleCase struct {
	name    string
	rule    rules.Set
	profile func(seed uint64) Profile
	seed    uint64
}

// tries bounds the search of a ruleCase; the rarest are found in one of 100 runs.
const tries = 3000

// ruleCases are in the order of rules.Set. The last row of the appendix of
// docs/protocol.md (minority as quorum, base unchecked, promise ignored,
// lower ballot picked, floor not raised, retry without §5) are those that random
// runs find at once.
var ruleCases = []ruleCase{
	{name: "Quorum", rule: rules.Quorum, profile: Random, seed: 1},
	{name: "Promise", rule: rules.Promise, profile: Random, seed: 1},
	{name: "Base", rule: rules.Base, profile: Random, seed: 1},
	{name: "Durability", rule: rules.Durability, profile: crashing, seed: 45},
	{name: "FloorRaised", rule: rules.FloorRaised, profile: Random, seed: 9},
	{name: "Fetch", rule: rules.Fetch, profile: partial, seed: 24},
	{name: "Highest", rule: rules.Highest, profile: Random, seed: 1},
	{name: "EarlyChosen", rule: rules.EarlyChosen, profile: Random, seed: 74},
	{name: "BallotOnce", rule: rules.BallotOnce, profile: Random, seed: 566},
	{name: "ReadQuorum", rule: rules.ReadQuorum, profile: Random, seed: 13},
	{name: "Doubt", rule: rules.Doubt, profile: Random, seed: 1},
	{name: "KeepAttempts", rule: rules.KeepAttempts, profile: Random, seed: 20},
	{name: "Held", rule: rules.Held, profile: snapshots, seed: 2},
	{name: "SecondRead", rule: rules.SecondRead, profile: snapshots, seed: 28},
	{name: "ExpiryChosen", rule: rules.ExpiryChosen, profile: expiring, seed: 22},
	{name: "ExpiryChosen of fields", rule: rules.ExpiryChosen, profile: fading, seed: 1},
	{name: "ExpiredFull", rule: rules.ExpiredFull, profile: expiring, seed: 1},
	{name: "Unsent", rule: rules.Unsent, profile: Random, seed: 1},
	{name: "Order", rule: rules.Order, profile: Random, seed: 1061},
	{name: "OrderAside", rule: rules.OrderAside, profile: pipelining, seed: 298},
	{name: "Outage", rule: rules.Outage, profile: Random, seed: 1},
	{name: "Rollback", rule: rules.Rollback, profile: rollingBack, seed: 165},
}

// TestRule omits each rule of the protocol and requires that the simulator
// finds a violation that clients can see, and finds none with the same seed
// when the rule is in force.
func TestRule(t *testing.T) {
	all := inTranscripts(t)
	for _, c := range ruleCases {
		all |= c.rule
		t.Run(c.name, func(t *testing.T) {
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
	for name, rule := range Rules {
		if all&rule == 0 {
			t.Errorf("no test omits Rule%s", name)
		}
		all |= rule
	}
	if all != rules.All {
		t.Errorf("rules %b have no name", rules.All&^all)
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

// inTranscripts returns the rules that a transcript omits.
func inTranscripts(t *testing.T) (all rules.Set) {
	files, err := filepath.Glob("../paxostest/testdata/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "omit" {
				all |= Rules[strings.TrimPrefix(words[1], "Rule")]
			}
		}
	}
	return all
}

// TestHunt looks for the profile that shows the omission of a rule soonest.
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
