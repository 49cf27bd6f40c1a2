package set_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
	"synod/proxy/datatype/set"
)

func genSet(t *rapid.T) [][]byte {
	return rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.ByteRange('a', 'd'), 0, 2), 0, 8, func(b []byte) string { return string(b) }).Draw(t, "set")
}

// counts returns how many of the sets contain each member.
func counts(sets ...[][]byte) map[string]int {
	n := map[string]int{}
	for _, s := range sets {
		for _, m := range s {
			n[string(m)]++
		}
	}
	return n
}

func sorted(members [][]byte) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = string(m)
	}
	slices.Sort(out)
	return out
}

func TestAlgebra(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := genSet(t)
		others := make([][][]byte, rapid.IntRange(0, 3).Draw(t, "others"))
		for i := range others {
			others[i] = genSet(t)
		}
		all := counts(append([][][]byte{first}, others...)...)
		var inter, diff []string
		for _, m := range sorted(first) {
			if all[m] == len(others)+1 {
				inter = append(inter, m)
			}
			if all[m] == 1 {
				diff = append(diff, m)
			}
		}
		before := slices.Clone(first)
		for name, c := range map[string]struct {
			got  [][]byte
			want []string
		}{
			"union":        {set.Union(first, others...), slices.Sorted(maps.Keys(all))},
			"intersection": {set.Intersection(first, others...), inter},
			"difference":   {set.Difference(first, others...), diff},
		} {
			if got := sorted(c.got); !slices.Equal(got, c.want) {
				t.Errorf("%s of %q and %q: %q, want %q", name, first, others, got, c.want)
			}
		}
		if !slices.EqualFunc(first, before, slices.Equal) {
			t.Error("an operand was changed")
		}
	})
}

func TestBuild(t *testing.T) {
	for _, c := range []struct {
		members  []string
		encoding string
	}{
		{[]string{"1", "-5", "9223372036854775807"}, "intset"},
		{[]string{"1", "01"}, "hashtable"},
		{[]string{"a"}, "hashtable"},
	} {
		var members [][]byte
		for _, m := range c.members {
			members = append(members, []byte(m))
		}
		h, ops := set.Build(members)
		v := register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
		if got := set.Items(v); set.Encoding(h) != c.encoding || h.Size != uint64(len(members)) || !slices.Equal(sorted(got), sorted(members)) {
			t.Errorf("%q: %q as %s, %d members", c.members, got, set.Encoding(h), h.Size)
		}
	}
}
