package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var (
	digests   = flag.Bool("digests", false, "have TestDigests compare all runs with those recorded")
	recording = flag.Bool("record-digests", false, "have TestDigests record them")
)

const (
	digestFile  = "testdata/digests"
	digestSeeds = 2000
)

// TestDigests runs seeds and compares their digests with the recorded ones. It
// is for changes that must not alter behaviour; after other changes, record the
// digests anew.
func TestDigests(t *testing.T) {
	if !*digests && !*recording {
		t.Skip("make sim-digest")
	}
	var got []string
	for seed := uint64(1); seed <= digestSeeds; seed++ {
		w := New(Random(seed), seed)
		w.digest = newDigest()
		if why := w.Run(); why != "" {
			report(t, Random(seed), seed, why)
		}
		got = append(got, fmt.Sprintf("%d %s", seed, w.digest.end(w)))
	}
	if *recording {
		if err := os.WriteFile(digestFile, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(digestFile)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	want := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(want) != len(got) {
		t.Fatalf("%d runs are recorded, want %d", len(want), len(got))
	}
	for i := range got {
		if got[i] != want[i] {
			if differ++; differ <= 10 {
				t.Errorf("seed %d: the run is another than the one recorded", i+1)
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d runs differ", differ, digestSeeds)
	}
}

// TestDigestTells checks that a run always has the same digest, and that a run
// with any difference has another one.
func TestDigestTells(t *testing.T) {
	run := func(seed uint64, change func(*World)) string {
		w := New(Random(seed), seed)
		w.digest = newDigest()
		change(w)
		_ = w.Run()
		return w.digest.end(w)
	}
	same := func(*World) {}
	first := run(7, same)
	if again := run(7, same); again != first {
		t.Error("a run has two digests")
	}
	if other := run(7, func(w *World) { w.Delay++ }); other == first {
		t.Error("messages that take a nanosecond longer are not seen")
	}
}
