// Package element has what hashes, sets and sorted sets have in common: members
// that are found by name, walked over by a cursor that needs no memory, and
// drawn at random.
//
// A member's element key is a prefix that the type chooses (it may be empty),
// the member's 48-bit hash, big end first, and the member itself. So the order
// of elements is that of the hashes: a cursor is a hash, and any place in the
// order is as good as any other to draw a member from.
package element

import (
	"math/rand/v2"
	"slices"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

const hashBytes = 6

// Key returns the element key of a member.
func Key(prefix string, member []byte) []byte {
	return append(appendHash(make([]byte, 0, len(prefix)+hashBytes+len(member)), prefix, caspaxos.Hash48(string(member))), member...)
}

// Member returns the member that an element key is of.
func Member(prefix string, key []byte) []byte { return key[len(prefix)+hashBytes:] }

func appendHash(b []byte, prefix string, hash uint64) []byte {
	b = append(b, prefix...)
	return append(b, byte(hash>>40), byte(hash>>32), byte(hash>>24), byte(hash>>16), byte(hash>>8), byte(hash))
}

func hashOf(prefix string, key []byte) (hash uint64) {
	for _, c := range key[len(prefix) : len(prefix)+hashBytes] {
		hash = hash<<8 | uint64(c)
	}
	return hash
}

// All returns the span of all members.
func All(prefix string) register.Span {
	if prefix == "" {
		return register.Span{}
	}
	return register.Prefixed([]byte(prefix))
}

// from returns the range of members from a hash on.
func from(prefix string, hash uint64, limit int) register.Range {
	return register.Range{From: appendHash(nil, prefix, hash), To: All(prefix).To, Limit: limit}
}

// Scan returns about count members from a cursor on, and the cursor to go on
// from, zero at the end. Every member that is there during a whole walk is
// returned, some perhaps twice. If the view does not have what it takes, need
// says what is missing, and nothing else counts.
func Scan(v register.View, prefix string, cursor uint64, count int) (elems []register.Element, next uint64, need *register.Projection) {
	if cursor >= 1<<(8*hashBytes) {
		return nil, 0, nil
	}
	for limit := count + 1; ; limit *= 2 {
		r := from(prefix, cursor, limit)
		elems, ok := v.Range(r)
		if !ok {
			return nil, 0, &register.Projection{Ranges: []register.Range{r}}
		}
		if len(elems) < limit {
			return elems, 0, nil
		}
		// The last one is where the next page begins. If its hash is that of
		// the first, that would be here.
		next := hashOf(prefix, elems[len(elems)-1].Key)
		if next != hashOf(prefix, elems[0].Key) {
			return elems[:len(elems)-1], next, nil
		}
	}
}

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
