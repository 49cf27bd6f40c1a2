package element

import (
	"math/rand/v2"
	"slices"

	"synod/protocol/register"
)

// near is how many members, from a random place on, one is drawn from: the more
// the fairer, as the gaps between hashes are not equal.
const near = 16

// draw is one random place and which of the members there are to be taken.
type draw struct {
	hash uint64
	pick uint64
}

// at returns the members next to a place, the end being followed by the
// beginning. It adds what is missing to need.
func at(v register.View, prefix string, hash uint64, need *register.Projection) []register.Element {
	r := from(prefix, hash, near)
	elems, ok := v.Range(r)
	if !ok {
		need.Ranges = append(need.Ranges, r)
		return nil
	}
	if len(elems) == near {
		return elems
	}
	wrapped := register.Range{From: All(prefix).From, To: r.From, Limit: near - len(elems)}
	more, ok := v.Range(wrapped)
	if !ok {
		need.Ranges = append(need.Ranges, wrapped)
		return nil
	}
	return append(slices.Clone(elems), more...)
}

// Seed returns a seed for Draw and Distinct. It is to be taken once, when a
// command is parsed, so that the command draws equally however often it runs.
func Seed() uint64 { return rand.Uint64() }

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// Draw returns n members out of size, each drawn from all by itself; none if
// there are none. Equal seeds draw equally. If the view does not have what it
// takes, need says what is missing, and nothing else counts.
func Draw(v register.View, prefix string, size uint64, seed uint64, n int) (elems []register.Element, need *register.Projection) {
	if size == 0 || n == 0 {
		return nil, nil
	}
	rng := random(seed)
	if uint64(n) >= size/near {
		all, need := everything(v, prefix)
		if need != nil {
			return nil, need
		}
		for range n {
			elems = append(elems, all[rng.IntN(len(all))])
		}
		return elems, nil
	}
	missing := new(register.Projection)
	for range n {
		d := draw{hash: rng.Uint64N(1 << (8 * hashBytes)), pick: rng.Uint64()}
		if found := at(v, prefix, d.hash, missing); len(found) > 0 {
			elems = append(elems, found[d.pick%uint64(len(found))])
		}
	}
	if len(missing.Ranges) > 0 {
		return nil, missing
	}
	return elems, nil
}

func everything(v register.View, prefix string) ([]register.Element, *register.Projection) {
	s := All(prefix)
	r := register.Range{From: s.From, To: s.To}
	elems, ok := v.Range(r)
	if !ok {
		return nil, &register.Projection{Ranges: []register.Range{r}}
	}
	return elems, nil
}

// Distinct returns n different members out of size, or all if there are no
// more; otherwise it is like Draw.
func Distinct(v register.View, prefix string, size uint64, seed uint64, n int) (elems []register.Element, need *register.Projection) {
	if size == 0 || n == 0 {
		return nil, nil
	}
	if uint64(n) >= size/near {
		all, need := everything(v, prefix)
		if need != nil || uint64(n) >= size {
			return all, need
		}
		all = slices.Clone(all)
		random(seed).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:n], nil
	}
	for draws := n + n/8 + 2; ; draws *= 2 {
		some, need := Draw(v, prefix, size, seed, draws)
		if need != nil {
			return nil, need
		}
		taken := make(map[string]struct{}, n)
		elems = elems[:0]
		for _, e := range some {
			if _, twice := taken[string(e.Key)]; !twice {
				taken[string(e.Key)] = struct{}{}
				elems = append(elems, e)
			}
			if len(elems) == n {
				return elems, nil
			}
		}
	}
}
