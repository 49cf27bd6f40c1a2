package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func typesPlanOf(size string) (typesPlan, error) {
	switch size {
	case "full":
		return typesPlan{sizes: []int{10, 1000, 1_000_000}, clients: 32, slice: time.Second, rounds: 3}, nil
	case "brief":
		return typesPlan{sizes: []int{10, 1000, 100_000}, clients: 32, slice: 300 * time.Millisecond, rounds: 1}, nil
	case "smoke":
		return typesPlan{sizes: []int{10, 300}, clients: 4, slice: 5 * time.Millisecond, rounds: 1}, nil
	}
	return typesPlan{}, fmt.Errorf("-measure %q: there is full, brief and smoke", size)
}

// TestTypes measures commands on collections of several sizes, beside Redis,
// and checks that the report has all of them.
func TestTypes(t *testing.T) {
	p, err := typesPlanOf(*size)
	if err != nil {
		t.Fatal(err)
	}
	progress := io.Discard
	if *size != "smoke" {
		progress = os.Stderr
	}
	var text bytes.Buffer
	r := report{out: &text}
	found, err := measureTypes(t.Context(), p, []system{startRedis(t), startSynod(t)}, progress)
	if err != nil {
		t.Fatal(err)
	}
	r.typesMachine(p, t.TempDir())
	r.types(p, found)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for _, s := range subjects {
		if n := strings.Count(text.String(), "| "+s.name+" |"); n != len(p.sizes)+1 {
			t.Errorf("%s stands in %d tables, not %d", s.name, n, len(p.sizes)+1)
		}
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
