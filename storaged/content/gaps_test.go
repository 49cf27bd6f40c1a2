package content

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// A gap is where it was last known to be, whatever is put into it or removed
// beside it.
func TestGaps(t *testing.T) {
	const n = 60
	name := func(i int) string { return fmt.Sprintf("%02d", i) }
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var g gaps
		var there [n]bool
		for i := range there {
			there[i] = rnd.IntN(3) == 0
		}
		for range 100 {
			i, j := rnd.IntN(n), rnd.IntN(n)
			switch rnd.IntN(4) {
			case 0:
				there[i] = true
				g.put([]byte(name(i)))
			case 1:
				there[i] = false
				g.removed([]byte(name(i)))
			default: // what a walk from i to j finds
				for ; i < j && !there[i]; i++ {
					if k := i + 1; k == j || there[k] {
						g.add(name(i), name(k))
					}
				}
			}
			last := ""
			for k := range n {
				if from, to, ok := g.at(name(k)); ok && there[k] {
					t.Fatalf("seed %d: %s is there, between %q and %q", seed, name(k), from, to)
				}
			}
			if g.len() == 0 {
				continue
			}
			g.spans.Scan(func(from, to string) bool {
				if from <= last && last != "" || from >= to {
					t.Fatalf("seed %d: the gap from %q to %q follows one to %q", seed, from, to, last)
				}
				last = to
				return true
			})
		}
	}
}

// However elements are put into a gap, a register has so many gaps at most.
func TestGapsAreBounded(t *testing.T) {
	var g gaps
	g.add("", "")
	for i := range 4 * gapsMost {
		g.put(binary.BigEndian.AppendUint32(nil, uint32(i*7919%(4*gapsMost))))
		if g.len() > gapsMost {
			t.Fatalf("%d gaps after %d elements", g.len(), i+1)
		}
	}
}
