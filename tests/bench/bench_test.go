package bench

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"synod/tests/harness"
)

var (
	size     = flag.String("measure", "smoke", "how much to measure: full, brief or smoke")
	out      = flag.String("out", "", "file for the report; printed in any case")
	only     = flag.String("only", "", "measure only the loads that match this regular expression")
	slice    = flag.Duration("slice", 0, "how long one load runs on one system at a time, if not as the size says")
	profiles = flag.String("profile", "", "directory for CPU profiles of the proxy and a node, by load")
)

func TestMain(m *testing.M) { harness.Main(m) }

// plans returns what to compare, and what to measure on one core and on two.
func plans(size string) (comparison, scaling plan, err error) {
	var wide []load
	for _, c := range []command{set, get} {
		for _, clients := range []int{1, 64, 256} {
			wide = append(wide, load{c, clients, 1, false}, load{c, clients, 16, false})
		}
	}
	wide = append(wide, load{set, 64, 1, true}, load{set, 64, 16, true}, load{get, 64, 1, true}, load{get, 64, 16, true})
	central := []load{plain(set), piped(set), plain(get), piped(get)}
	withOne := append([]load{single(set), single(get)}, central...)
	switch size {
	case "full":
		return plan{loads: wide, rounds: 3, slice: 2 * time.Second, fill: 300_000},
			plan{loads: central, rounds: 3, slice: 2 * time.Second, fill: 300_000}, nil
	case "brief":
		return plan{loads: withOne, rounds: 3, slice: time.Second, fill: 200_000},
			plan{loads: central, rounds: 2, slice: time.Second, fill: 100_000}, nil
	case "smoke":
		return plan{loads: withOne, rounds: 1, slice: 50 * time.Millisecond, fill: 1000},
			plan{loads: central[:1], rounds: 1, slice: 50 * time.Millisecond, fill: 1000}, nil
	}
	return plan{}, plan{}, fmt.Errorf("-measure %q: there is full, brief and smoke", size)
}

// adjust restricts a plan to some loads and changes its slices.
func (p *plan) adjust(only string, slice time.Duration) error {
	matches, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	p.loads = slices.DeleteFunc(p.loads, func(l load) bool { return !matches.MatchString(l.String()) })
	if slice > 0 {
		p.slice = slice
	}
	return nil
}

// TestBenchmark measures, and checks that the report has all that it should.
func TestBenchmark(t *testing.T) {
	comparison, scaling, err := plans(*size)
	if err != nil {
		t.Fatal(err)
	}
	comparison.profiles = *profiles
	for _, p := range []*plan{&comparison, &scaling} {
		if err := p.adjust(*only, *slice); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	progress := io.Discard
	if *size != "smoke" {
		progress = os.Stderr
	}
	r := report{out: &text}
	r.machine(comparison, t.TempDir())

	compared := false
	t.Run("Comparison", func(t *testing.T) {
		found, err := measure(t.Context(), comparison, []system{startRedis(t), startEtcd(t, t.Context()), startSynod(t)}, progress)
		if err != nil {
			t.Fatal(err)
		}
		r.comparison(comparison, found)
		compared = true
	})
	t.Run("Scaling", func(t *testing.T) {
		found, err := measure(t.Context(), scaling, []system{startLocal(t, 1), startLocal(t, 2)}, progress)
		if err != nil {
			t.Fatal(err)
		}
		r.scaling(scaling, found)
	})
	if r.err != nil {
		t.Fatal(r.err)
	}
	if compared && *only == "" && strings.Count(text.String(), "| yes |")+strings.Count(text.String(), "| no |") != len(goals) {
		t.Errorf("the report does not judge %d goals:\n%s", len(goals), &text)
	}
	if *size != "smoke" {
		fmt.Print(&text)
	}
	if *out != "" {
		if err := os.WriteFile(*out, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
