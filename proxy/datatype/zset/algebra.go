package zset

import (
	"cmp"
	"math"
	"slices"
)

// Input is one of the sets to combine.
type Input struct {
	// Members, in any order; members of a plain set have score 1. For an
	// intersection, members missing from the smallest input may be left out;
	// for a difference, those missing from the first.
	Members []Member
	Size    uint64 // number of members, including those left out
	Weight  float64
}

// Aggregate combines two scores of the same member.
type Aggregate func(a, b float64) float64

// Sum adds two scores; opposite infinities give zero.
func Sum(a, b float64) float64 { return orZero(a + b) }

// Min returns the lower score.
func Min(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

// Max returns the higher score.
func Max(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// orZero returns f, or zero if f is NaN.
func orZero(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// bySize returns the inputs in the order in which Redis combines scores. The
// order can affect a sum.
func bySize(inputs []Input) []Input {
	inputs = slices.Clone(inputs)
	slices.SortStableFunc(inputs, func(a, b Input) int { return cmp.Compare(a.Size, b.Size) })
	return inputs
}

// Union returns the members of all inputs, sorted, with their weighted scores
// aggregated.
func Union(inputs []Input, aggregate Aggregate) []Member {
	places := map[string]int{}
	var out []Member
	for _, in := range bySize(inputs) {
		for _, m := range in.Members {
			score := orZero(in.Weight * m.Score)
			if at, ok := places[string(m.Name)]; ok {
				out[at].Score = aggregate(out[at].Score, score)
				continue
			}
			places[string(m.Name)] = len(out)
			out = append(out, Member{Name: m.Name, Score: score})
		}
	}
	slices.SortFunc(out, Compare)
	return out
}

// Inter returns the members that all inputs share, sorted, with their weighted
// scores aggregated. There must be at least one input.
func Inter(inputs []Input, aggregate Aggregate) []Member {
	inputs = bySize(inputs)
	first := inputs[0]
	common := make(map[string]*standing, len(first.Members))
	for _, m := range first.Members {
		common[string(m.Name)] = &standing{score: orZero(first.Weight * m.Score), exists: true}
	}
	for _, in := range inputs[1:] {
		// Keep those found; the others are not in all inputs.
		found := make(map[string]*standing, len(common))
		for _, m := range in.Members {
			if s := common[string(m.Name)]; s != nil {
				s.score = aggregate(s.score, float64(in.Weight*m.Score))
				found[string(m.Name)] = s
			}
		}
		common = found
	}
	out := make([]Member, 0, len(common))
	for _, m := range first.Members {
		if s := common[string(m.Name)]; s != nil {
			out = append(out, Member{Name: m.Name, Score: s.score})
		}
	}
	slices.SortFunc(out, Compare)
	return out
}

// Diff returns the members of the first input that no other input has, sorted,
// with their scores in the first. There must be at least one input.
func Diff(inputs []Input) []Member {
	gone := map[string]struct{}{}
	for _, in := range inputs[1:] {
		for _, m := range in.Members {
			gone[string(m.Name)] = struct{}{}
		}
	}
	var out []Member
	for _, m := range inputs[0].Members {
		if _, ok := gone[string(m.Name)]; !ok {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, Compare)
	return out
}
