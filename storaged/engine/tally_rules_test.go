//go:build invariants

package engine

import (
	"testing"

	"synod/storaged/rules"
)

// TestRulesOfTallies turns off each rule of the tallies and of listing.
func TestRulesOfTallies(t *testing.T) {
	for name, rule := range map[string]rules.Set{"rows": rules.TallyRows, "flush": rules.TallyFlush, "spared": rules.TallySpared, "covered": rules.TallyCovered,
		"unwritten": rules.ListUnwritten} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(40) {
				if !newTallyLife(t, seed, rule).live(150) {
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}
