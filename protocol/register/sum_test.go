package register_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"synod/protocol/register"
)

// TestSumDoesWhatItsChangesDo: one change that several amount to does what they do one after the
// other, also when it is made as small as it can be.
func TestSumDoesWhatItsChangesDo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		state := register.Nothing().Apply(register.Change{Kind: register.Full, Header: register.Header{Type: register.Hash, Size: 1},
			Ops: []register.Op{{Key: []byte("k0"), Value: []byte("some value")}, {Key: []byte("k2"), Value: []byte("v")}}})
		want := state
		var sum register.Sum
		var all [][]register.Op
		for i := range rng.IntN(8) {
			c := register.Change{Kind: register.Delta, Header: register.Header{Type: register.Hash, Size: uint64(i + 2)}}
			switch rng.IntN(12) {
			case 0:
				c.Kind = register.None
			case 1:
				c.Kind = register.Full
			}
			for range rng.IntN(12) {
				c.Ops = append(c.Ops, register.Op{Kind: register.OpKind(rng.IntN(3)), Key: fmt.Append(nil, "k", rng.IntN(5)),
					Offset: uint32(rng.IntN(4)), Value: fmt.Append(nil, rng.IntN(1000))})
			}
			all = append(all, c.Ops, slices.Clone(c.Ops))
			sum.Add(c)
			want = want.Apply(c)
		}
		one := sum.Change()
		if got := state.Apply(one); !equal(got, want) {
			t.Fatalf("round %d: %v, want %v", round, got, want)
		}
		compact := one
		compact.Ops = register.Compact(slices.Clone(one.Ops))
		if got := state.Apply(compact); !equal(got, want) || len(compact.Ops) > len(one.Ops) {
			t.Fatalf("round %d, compact: %v, want %v", round, got, want)
		}
		for i := 0; i < len(all); i += 2 {
			if !slices.EqualFunc(all[i], all[i+1], func(a, b register.Op) bool {
				return a.Kind == b.Kind && a.Offset == b.Offset && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
			}) {
				t.Fatalf("round %d: an operand was changed", round)
			}
		}
	}
}

func equal(a, b register.View) bool {
	return a.Header.Size == b.Header.Size && slices.EqualFunc(a.Elements(), b.Elements(), func(x, y register.Element) bool {
		return bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value)
	})
}
