package zset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// of returns members named by single letters, with the given scores.
func of(names string, scores ...float64) (out []Member) {
	for i, name := range names {
		out = append(out, Member{Name: []byte(string(name)), Score: scores[i]})
	}
	return out
}

func input(weight float64, members []Member) Input {
	return Input{Members: members, Size: uint64(len(members)), Weight: weight}
}

func TestAlgebra(t *testing.T) {
	inf := math.Inf(1)
	a, b := of("xyz", 1, 2, 3), of("wyz", 30, 10, 20)
	for name, c := range map[string]struct{ got, want []Member }{
		"union":                    {Union([]Input{input(1, a), input(1, b)}, Sum), of("xyzw", 1, 12, 23, 30)},
		"weights":                  {Union([]Input{input(2, a), input(-1, b)}, Sum), of("wzyx", -30, -14, -6, 2)},
		"least":                    {Union([]Input{input(1, a), input(1, b)}, Min), of("xyzw", 1, 2, 3, 30)},
		"greatest":                 {Inter([]Input{input(1, a), input(1, b)}, Max), of("yz", 10, 20)},
		"intersection":             {Inter([]Input{input(1, a), input(1, b), input(1, a)}, Sum), of("yz", 14, 26)},
		"of one":                   {Inter([]Input{input(3, a)}, Sum), of("xyz", 3, 6, 9)},
		"of nothing":               {Inter([]Input{input(1, a), input(1, nil)}, Sum), []Member{}},
		"union of nothing":         {Union([]Input{input(1, nil)}, Sum), nil},
		"difference":               {Diff([]Input{input(1, a), input(1, b)}), of("x", 1)},
		"difference of one":        {Diff([]Input{input(5, b)}), of("yzw", 10, 20, 30)},
		"infinities cancel out":    {Union([]Input{input(inf, a), input(-inf, a)}, Sum), of("xyz", 0, 0, 0)},
		"zero times infinity":      {Union([]Input{input(0, of("x", inf))}, Sum), of("x", 0)},
		"which no minimum sees":    {Inter([]Input{input(1, of("x", 7)), input(0, of("x", inf))}, Min), of("x", 7)},
		"and zero is of any sum":   {Inter([]Input{input(1, of("x", 7)), input(0, of("x", inf))}, Sum), of("x", 0)},
		"the smaller is first":     {Union([]Input{input(1, of("xy", 1e16, 0)), input(1, of("x", 1)), input(1, of("x", 1))}, Sum), of("yx", 0, 1e16+2)},
		"equal ones are as listed": {Union([]Input{input(1, of("x", 1e16)), input(1, of("x", 1)), input(1, of("x", 1))}, Sum), of("x", 1e16)},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

// TestRandomAlgebra compares with a naive implementation, using scores whose
// sums are exact.
func TestRandomAlgebra(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		inputs := make([]Input, 1+rng.IntN(4))
		scores := make([]map[string]float64, len(inputs))
		for i := range inputs {
			scores[i] = map[string]float64{}
			for range rng.IntN(30) {
				scores[i][fmt.Sprint(rng.IntN(40))] = float64(rng.IntN(10))
			}
			var members []Member
			for name, score := range scores[i] {
				members = append(members, Member{[]byte(name), score})
			}
			inputs[i] = input(float64(rng.IntN(5)-2), members)
		}
		var union, inter, diff []Member
		for n := range 40 {
			name, sum, in := fmt.Sprint(n), 0.0, 0
			for i := range inputs {
				if score, ok := scores[i][name]; ok {
					sum, in = sum+score*inputs[i].Weight, in+1
				}
			}
			m := Member{[]byte(name), sum}
			if in > 0 {
				union = append(union, m)
			}
			if in == len(inputs) {
				inter = append(inter, m)
			}
			if score, ok := scores[0][name]; ok && in == 1 {
				diff = append(diff, Member{[]byte(name), score})
			}
		}
		for what, c := range map[string]struct{ got, want []Member }{
			"union": {Union(inputs, Sum), union}, "intersection": {Inter(inputs, Sum), inter}, "difference": {Diff(inputs), diff},
		} {
			slices.SortFunc(c.want, Compare)
			if !slices.EqualFunc(c.got, c.want, func(a, b Member) bool { return Compare(a, b) == 0 }) {
				t.Fatalf("%s of %v: %v, want %v", what, inputs, c.got, c.want)
			}
		}
	}
}
