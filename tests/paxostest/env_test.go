package paxostest

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestMistakesInTranscriptsAreTold: a directive that would do something else than
// it says is an error.
func TestMistakesInTranscriptsAreTold(t *testing.T) {
	for line, says := range map[string]string{
		"begin P0 APPEND k0":           "begins with cluster",
		"cluster; prepare P0":          "no directive prepare",
		"cluster; begin P0 PUSH k0":    `no operation "PUSH"`,
		"cluster; begin n0 APPEND k0":  "none of P0, P1",
		"cluster; deliver P0 at=(x0)":  "at=x0 is not expected",
		"cluster; deliver P0 to=(P1)":  "none of x0, x1",
		"cluster; tick soon":           "no duration",
		"cluster; finish append":       "nothing was begun",
		"cluster nodes=three":          "is a number",
		"cluster; room plenty x0":      "no room",
		"cluster; epoch next at=(x0)":  "invalid syntax",
		"cluster; deliver-late append": "nothing was delayed",
	} {
		var e Env
		var err error
		for _, directive := range strings.Split(line, "; ") {
			if err == nil {
				cmd, args, bad := datadriven.ParseLine(directive)
				if bad != nil {
					t.Fatal(bad)
				}
				_, err = e.Handle(cmd, args, "")
			}
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", line, err, says)
		}
	}
}
