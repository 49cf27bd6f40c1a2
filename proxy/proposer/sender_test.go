package proposer

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
	"synod/protocol/wire"
)

// Puts that are put in order make what they made before.
func TestOrderedPutsMakeTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ops []register.Op
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			ops = append(ops, register.Op{Key: rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "key"), Value: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")})
		}
		before := register.Change{Kind: register.Full, Ops: ops}
		want := register.Nothing().Apply(before).Elements()
		after := register.Change{Kind: register.Full, Ops: ordered(ops)}
		if !wire.Divisible(&after) {
			t.Fatalf("%v is not in order", after.Ops)
		}
		if got := register.Nothing().Apply(after).Elements(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v became %v", want, got)
		}
		other := rapid.SampledFrom([]register.OpKind{register.Patch, register.Remove}).Draw(t, "kind")
		ops[rapid.IntRange(0, len(ops)-1).Draw(t, "at")].Kind = other
		if ordered(ops) != nil {
			t.Fatal("other ops than Puts were put in order")
		}
	})
}
