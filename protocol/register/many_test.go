package register_test

import (
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
)

// TestManyOpsAreTheSameAsOneByOne: many ops at once are the same as one after the other, on whole
// views and on parts.
func TestManyOpsAreTheSameAsOneByOne(t *testing.T) {
	number := func(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
	rapid.Check(t, func(t *rapid.T) {
		full := register.Change{Kind: register.Full, Header: register.Header{Type: register.List}}
		for i := range 60 {
			full.Ops = append(full.Ops, register.Op{Key: number(3 * i), Value: number(i)})
		}
		v := register.Nothing().Apply(full)
		if rapid.Bool().Draw(t, "part") {
			from, to := rapid.IntRange(0, 90).Draw(t, "from"), rapid.IntRange(90, 180).Draw(t, "to")
			var keys [][]byte
			for range rapid.IntRange(1, 30).Draw(t, "keys") {
				keys = append(keys, number(rapid.IntRange(0, 180).Draw(t, "key")))
			}
			v = v.Project(register.Projection{
				Keys:   keys,
				Ranges: []register.Range{{From: number(from), To: number(to)}},
				Counts: []register.Span{{From: number(7), To: number(100)}},
			})
		}
		before := show(v)
		many := register.Change{Kind: register.Delta, Header: v.Header}
		one := register.NewDraft(v)
		for range rapid.IntRange(16, 40).Draw(t, "ops") {
			many.Ops = append(many.Ops, register.Op{Kind: register.OpKind(rapid.IntRange(0, 2).Draw(t, "kind")),
				Key: number(rapid.IntRange(0, 180).Draw(t, "place")), Value: rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(t, "value")})
		}
		inOrder := slices.Clone(many.Ops)
		slices.SortStableFunc(inOrder, func(a, b register.Op) int { return slices.Compare(a.Key, b.Key) })
		if register.Sort(many.Ops); !reflect.DeepEqual(many.Ops, inOrder) {
			t.Fatalf("sorted\n%+v\nwant\n%+v", many.Ops, inOrder)
		}
		for _, op := range many.Ops {
			one.Apply(register.Change{Kind: register.Delta, Header: v.Header, Ops: []register.Op{op}})
		}
		got, want := v.Apply(many), one.View()
		if show(got) != show(want) || !reflect.DeepEqual(got.Known().Counts, want.Known().Counts) ||
			!slices.EqualFunc(got.Known().Absent, want.Known().Absent, slices.Equal) {
			t.Fatalf("at once\n%s %+v\none by one\n%s %+v", show(got), got.Known(), show(want), want.Known())
		}
		if show(v) != before {
			t.Fatal("Apply changed the view that it was called on")
		}
	})
}

// TestOverlappingPartsContradictNothing: parts of a state that overlap, in any order, make up a view
// that contradicts the state in nothing.
func TestOverlappingPartsContradictNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := register.Nothing()
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			whole = whole.Apply(genChange(t))
		}
		p := genProjection(t)
		for range rapid.IntRange(2, 10).Draw(t, "more") {
			p.Ranges = append(p.Ranges, genRange(t))
		}
		v := whole.Project(p)
		if !v.Covers(p) {
			t.Fatalf("%+v of %s does not cover what was asked for: %+v", p, show(whole), v)
		}
		compare(t, v, whole)
	})
}

// BenchmarkManyOps removes every other of many elements.
func BenchmarkManyOps(b *testing.B) {
	var fill, remove []register.Op
	for i := range 200_000 {
		key := binary.BigEndian.AppendUint64(nil, uint64(i))
		if fill = append(fill, register.Op{Key: key}); i%2 == 0 {
			remove = append(remove, register.Op{Kind: register.Remove, Key: key})
		}
	}
	v := register.Nothing().Apply(register.Change{Kind: register.Full, Ops: fill})
	for b.Loop() {
		v.Apply(register.Change{Kind: register.Delta, Ops: remove})
	}
}
