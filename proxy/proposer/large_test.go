package proposer

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
	"synod/protocol/wire"
)

// What leaves in chunks makes what the change made, whatever is in it.
func TestOrderedPutsMakeTheSame(t *testing.T) {
	same := func(a, b register.Element) bool { return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) }
	rapid.Check(t, func(t *rapid.T) {
		before := register.Change{Kind: register.Full, Header: register.Header{Type: register.Hash}}
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			op := register.Op{Kind: register.OpKind(rapid.IntRange(0, 2).Draw(t, "kind")), Key: rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "key")}
			if op.Kind == register.Patch {
				op.Offset = rapid.Uint32Range(0, 5).Draw(t, "offset")
			}
			if op.Kind != register.Remove {
				op.Value = rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")
			}
			before.Ops = append(before.Ops, op)
		}
		was := slices.Clone(before.Ops)
		after := before
		after.Ops = ordered(before)
		if !wire.Divisible(&after) {
			t.Fatalf("%v is not in order", after.Ops)
		}
		want, got := register.Nothing().Apply(before).Elements(), register.Nothing().Apply(after).Elements()
		if !slices.EqualFunc(got, want, same) {
			t.Fatalf("%v became %v", want, got)
		}
		for i := range was {
			if !bytes.Equal(was[i].Key, before.Ops[i].Key) || was[i].Kind != before.Ops[i].Kind {
				t.Fatal("the change itself has changed")
			}
		}
	})
}
