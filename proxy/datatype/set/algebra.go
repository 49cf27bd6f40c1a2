package set

import "slices"

// Set algebra on lists of members. Operands and results have no duplicates;
// results keep the order of the first operand.

// bag is for looking up a list's members.
type bag map[string]struct{}

func bagOf(members [][]byte) bag {
	b := make(bag, len(members))
	for _, m := range members {
		b[string(m)] = struct{}{}
	}
	return b
}

// filter returns the members that are in b, or those that are not.
func (b bag) filter(members [][]byte, has bool) [][]byte {
	var out [][]byte
	for _, m := range members {
		if _, ok := b[string(m)]; ok == has {
			out = append(out, m)
		}
	}
	return out
}

// Union returns the members of any of the sets.
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

// Intersection returns the members of all sets.
func Intersection(first [][]byte, others ...[][]byte) [][]byte {
	for _, s := range others {
		first = bagOf(s).filter(first, true)
	}
	return first
}

// Difference returns the members of the first set that are in none of the
// others.
func Difference(first [][]byte, others ...[][]byte) [][]byte {
	for _, s := range others {
		if len(s) > 0 && len(first) > 0 {
			first = bagOf(s).filter(first, false)
		}
	}
	return first
}
