package set

import "slices"

// The algebra of sets, on lists of members. No list has a member twice, in the
// operands as in the results, which keep the order of the first.

// bag finds the members of a list.
type bag map[string]struct{}

func bagOf(members [][]byte) bag {
	b := make(bag, len(members))
	for _, m := range members {
		b[string(m)] = struct{}{}
	}
	return b
}

// filter returns the members that b has, or those that it has not.
func (b bag) filter(members [][]byte, has bool) [][]byte {
	var out [][]byte
	for _, m := range members {
		if _, ok := b[string(m)]; ok == has {
			out = append(out, m)
		}
	}
	return out
}

// Union returns what any of the sets has.
func Union(first [][]byte, others ...[][]byte) [][]byte {
	seen := bagOf(first)
	out := slices.Clip(first)
	for _, members := range others {
		for _, m := range members {
			if _, twice := seen[string(m)]; !twice {
				seen[string(m)] = struct{}{}
				out = append(out, m)
			}
		}
	}
	return out
}

// Intersection returns what all of the sets have.
func Intersection(first [][]byte, others ...[][]byte) [][]byte {
	for _, s := range others {
		first = bagOf(s).filter(first, true)
	}
	return first
}

// Difference returns what the first set has and none of the others.
func Difference(first [][]byte, others ...[][]byte) [][]byte {
	for _, s := range others {
		if len(s) > 0 && len(first) > 0 {
			first = bagOf(s).filter(first, false)
		}
	}
	return first
}
