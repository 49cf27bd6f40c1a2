package engine

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"synod/storaged/changelog"
	"synod/storaged/datadir"
)

var (
	damageSeed  = flag.Uint64("damage.seed", 1, "the first life whose directory is damaged")
	damageLives = flag.Uint64("damage.lives", 3, "how many lives")
	damageTimes = flag.Int("damage.times", 80, "how often each directory is damaged")
)

// harm damages an image, and says how.
type harm func(rnd *rand.Rand, p *past, m image) string

// block is a place in a file: device blocks, cut short where the file ends.
type block struct {
	name     string
	from, to int
}

func (b block) String() string { return fmt.Sprintf("%s %d-%d", b.name, b.from, b.to) }

// anyFile returns a file: mostly one that holds something of what is stored.
func anyFile(rnd *rand.Rand, m image) string {
	kinds := make([][]string, 6)
	for _, name := range m.names() {
		kind := 5
		switch base := filepath.Base(name); {
		case filepath.Dir(name) == datadir.LogDir:
			kind = 0
		case filepath.Ext(base) == ".sst":
			kind = 1
		case strings.HasPrefix(base, "MANIFEST"):
			kind = 2
		case base == changelog.PositionFile:
			kind = 3
		case base == datadir.IdentityFile:
			kind = 4
		}
		kinds[kind] = append(kinds[kind], name)
	}
	for {
		if files := kinds[[]int{0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5}[rnd.IntN(11)]]; len(files) > 0 {
			return files[rnd.IntN(len(files))]
		}
	}
}

// anyBlock returns a block of a file, one with anything in it if there is one.
func anyBlock(rnd *rand.Rand, m image, name string) block {
	size := []int{512, 4096}[rnd.IntN(2)]
	b := m[name]
	used := len(bytes.TrimRight(b, "\x00"))
	if used == 0 {
		return block{name: name, to: min(size, len(b))}
	}
	from := rnd.IntN((used+size-1)/size) * size
	return block{name, from, min(from+size, len(b))}
}

func (m image) at(b block) []byte { return m[b.name][b.from:b.to] }

var harms = map[string]harm{
	"zeroed": func(rnd *rand.Rand, _ *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		clear(m.at(b))
		return b.String()
	},
	"flipped bit": func(rnd *rand.Rand, _ *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		if b.from == b.to {
			return "nothing"
		}
		i := b.from + rnd.IntN(b.to-b.from)
		m[b.name][i] ^= 1 << rnd.IntN(8)
		return fmt.Sprintf("%s byte %d", b.name, i)
	},
	"flipped block": func(rnd *rand.Rand, _ *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		for i := range m.at(b) {
			m.at(b)[i] ^= 0xff
		}
		return b.String()
	},
	"garbage": func(rnd *rand.Rand, _ *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		for i := range m.at(b) {
			m.at(b)[i] = byte(rnd.Uint32())
		}
		return b.String()
	},
	"cut": func(rnd *rand.Rand, _ *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		if b.to > b.from && rnd.IntN(2) == 0 {
			b.from += rnd.IntN(b.to - b.from)
		}
		m[b.name] = m[b.name][:b.from]
		return b.String()
	},
	"doubled": func(rnd *rand.Rand, _ *past, m image) string {
		a := anyBlock(rnd, m, anyFile(rnd, m))
		b := anyBlock(rnd, m, []string{a.name, anyFile(rnd, m)}[rnd.IntN(2)])
		copy(m.at(b), m.at(a))
		return fmt.Sprint(a, " over ", b)
	},
	"inserted": func(rnd *rand.Rand, _ *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		m[b.name] = slices.Insert(m[b.name], b.from, bytes.Clone(m.at(b))...)
		return b.String()
	},
	"swapped": func(rnd *rand.Rand, _ *past, m image) string {
		a := anyBlock(rnd, m, anyFile(rnd, m))
		b := anyBlock(rnd, m, []string{a.name, anyFile(rnd, m)}[rnd.IntN(2)])
		was := bytes.Clone(m.at(a))
		copy(m.at(a), m.at(b))
		copy(m.at(b), was)
		return fmt.Sprint(a, " and ", b)
	},
	"stale block": func(rnd *rand.Rand, p *past, m image) string {
		b := anyBlock(rnd, m, anyFile(rnd, m))
		if old := p.older[b.name]; len(old) > b.from {
			copy(m.at(b), old[b.from:])
		}
		return b.String()
	},
	"stale file": func(rnd *rand.Rand, p *past, m image) string {
		name := anyFile(rnd, m)
		if old, ok := p.older[name]; ok {
			m[name] = bytes.Clone(old)
		}
		return name
	},
	"missing file": func(rnd *rand.Rand, _ *past, m image) string {
		name := anyFile(rnd, m)
		delete(m, name)
		return name
	},
	"emptied file": func(rnd *rand.Rand, _ *past, m image) string {
		name := anyFile(rnd, m)
		m[name] = nil
		return name
	},
	"swapped files": func(rnd *rand.Rand, _ *past, m image) string {
		a, b := anyFile(rnd, m), anyFile(rnd, m)
		for _, other := range m.names() { // of the same kind, if there is one
			if other != a && filepath.Ext(other) == filepath.Ext(a) && rnd.IntN(2) == 0 {
				b = other
			}
		}
		m[a], m[b] = m[b], m[a]
		return fmt.Sprint(a, " and ", b)
	},
	"doubled file": func(rnd *rand.Rand, _ *past, m image) string {
		a, b := anyFile(rnd, m), anyFile(rnd, m)
		m[b] = bytes.Clone(m[a])
		return fmt.Sprint(a, " as ", b)
	},
	"renamed segment": func(rnd *rand.Rand, _ *past, m image) string {
		logs := m.logs()
		from := logs[rnd.IntN(len(logs))]
		to := filepath.Join(datadir.LogDir, fmt.Sprintf("%020d%s", 1+rnd.IntN(400), changelog.SegmentSuffix))
		m[to] = m[from]
		if from != to && rnd.IntN(2) == 0 {
			delete(m, from)
		}
		return fmt.Sprint(from, " as ", to)
	},
}

func (m image) logs() []string {
	return slices.DeleteFunc(m.names(), func(s string) bool { return filepath.Dir(s) != datadir.LogDir })
}

func harmNames() []string {
	var out []string
	for name := range harms {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// TestDamage damages the directories of random lives in random ways: all that is
// read is right, or the store does not open, or ends.
func TestDamage(t *testing.T) {
	for seed := *damageSeed; seed < *damageSeed+*damageLives; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := live(t, seed, 60)
			if out, err := p.judge(t, p.image.clone(), 0); out != right {
				t.Fatalf("undamaged: %d, %v", out, err)
			}
			var mu sync.Mutex
			counts := map[string]*[3]int{}
			inParallel(*damageTimes, func(i int) {
				rnd := rand.New(rand.NewPCG(seed, 1000+uint64(i)))
				names := harmNames()
				name := names[rnd.IntN(len(names))]
				m := p.image.clone()
				where := harms[name](rnd, p, m)
				out, err := p.judge(t, m, 0)
				mu.Lock()
				defer mu.Unlock()
				if counts[name] == nil {
					counts[name] = new([3]int)
				}
				if counts[name][out]++; out == wrong {
					t.Errorf("%d: %s, %s: %v", i, name, where, err)
				}
			})
			for _, name := range harmNames() {
				if c := counts[name]; c != nil {
					t.Logf("%-16s right %3d, refused %3d", name, c[right], c[refused])
				}
			}
		})
	}
}

// TestDamageEverywhere damages one small directory at every place: every block
// of every file is zeroed, and takes the place of the one before it.
func TestDamageEverywhere(t *testing.T) {
	p := live(t, 3, 12)
	var places []block
	for _, name := range p.image.names() {
		size := 512
		if filepath.Dir(name) == datadir.PebbleDir {
			size = 4096 // Pebble has a checksum of each of its blocks
		}
		used := len(bytes.TrimRight(p.image[name], "\x00"))
		for from := 0; from < used; from += size {
			places = append(places, block{name, from, min(from+size, len(p.image[name]))})
		}
	}
	t.Logf("%d places", len(places))
	inParallel(2*len(places), func(i int) {
		b, m := places[i/2], p.image.clone()
		if before := b.from - (b.to - b.from); i%2 == 0 {
			clear(m.at(b))
		} else if before >= 0 {
			was := bytes.Clone(m[b.name][before:b.from])
			copy(m[b.name][before:], m.at(b))
			copy(m.at(b), was)
		}
		if out, err := p.judge(t, m, 0); out == wrong {
			t.Errorf("%v, damage %d: %v", b, i%2, err)
		}
	})
}

// inParallel calls f with the numbers below n. Most of it is waiting for the
// disk.
func inParallel(n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}
