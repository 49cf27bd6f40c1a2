//go:build invariants

package paxostest

import (
	"strings"
	"testing"

	"synod/protocol/caspaxos/rules"
)

func init() { omitting = runWithout }

// runWithout runs a transcript without rules. It returns the first step that
// comes out differently, and what is wrong with the history.
func runWithout(t *testing.T, steps []step, rule, also rules.Set) string {
	if also != 0 {
		if _, why := rerun(t, steps, also); why != "" {
			t.Errorf("goes wrong with the rule in force: %s", why)
		}
	}
	differs, why := rerun(t, steps, rule|also)
	if why == "" {
		t.Error("nothing goes wrong without the rule")
	}
	return strings.TrimSpace(differs + why)
}

// rerun returns the first step that comes out differently without rules, and
// what is wrong with the history.
func rerun(t *testing.T, steps []step, omit rules.Set) (differs, why string) {
	env := Env{Omit: omit}
	for _, s := range steps {
		out, err := env.Handle(s.cmd, s.args, s.input)
		if err != nil {
			t.Fatal(err)
		}
		if out != s.out && differs == "" && s.cmd != "end" {
			differs = s.line + "\n  " + strings.ReplaceAll(out, "\n", "\n  ") + "\n"
		}
	}
	return differs, env.Failure
}
