package paxostest

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"synod/protocol/caspaxos/rules"
	"synod/tests/sim"
)

// step is a directive that has been run.
type step struct {
	cmd   string
	args  []datadriven.CmdArg
	input string
	line  string // as it was written
	out   string
}

// omitting runs a transcript again without rules. It is nil where the build has
// no switches for them.
var omitting func(t *testing.T, steps []step, rule, also rules.Set) string

// TestTranscripts runs all transcripts: what comes out is what they say, and what
// clients saw is linearizable.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var env Env
		var steps []step
		ended := false
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "omit" {
				if !ended {
					d.Fatalf(t, "omit stands behind end")
				}
				return omit(t, d, steps)
			}
			out, err := env.Handle(d.Cmd, d.CmdArgs, d.Input)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			if ended = d.Cmd == "end"; ended && env.Failure != "" {
				t.Errorf("%s: with all rules in force: %s", d.Pos, env.Failure)
			}
			steps = append(steps, step{d.Cmd, d.CmdArgs, d.Input, strings.ReplaceAll(d.FullCmd(), ", ", ","), out})
			return out
		})
		if !ended {
			t.Errorf("%s has no end", path)
		}
	})
}

// omit RuleX [also=(RuleY)]: runs the transcript again without RuleX. Others that
// would catch the same are left out in both runs, to show what this one is worth.
func omit(t *testing.T, d *datadriven.TestData, steps []step) string {
	if omitting == nil {
		return d.Expected
	}
	a := &arguments{left: d.CmdArgs}
	var rule, also rules.Set
	for i, name := range append([]string{a.word()}, a.values("also")...) {
		r, ok := named(name)
		switch {
		case !ok:
			d.Fatalf(t, "there is no %s", name)
		case i == 0:
			rule = r
		default:
			also |= r
		}
	}
	a.end()
	return omitting(t, steps, rule, also)
}

// named returns the rule of a name such as RuleGrant.
func named(name string) (rules.Set, bool) {
	rule, ok := sim.Rules[strings.TrimPrefix(name, "Rule")]
	return rule, ok && strings.HasPrefix(name, "Rule")
}
