package zset

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"synod/protocol/register"
)

// state returns a view of a whole sorted set.
func state(members []Member) register.View {
	h, ops := Build(members)
	return register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
}

func TestOrder(t *testing.T) {
	scores := []float64{math.Inf(-1), -math.MaxFloat64, -1e17, -1.5, -1, -5e-324, 0, 5e-324, 1, 1.5, 3, 1e17, math.MaxFloat64, math.Inf(1)}
	for i, s := range scores {
		if got := unorder(order(s)); got != s {
			t.Errorf("%v comes back as %v", s, got)
		}
		if i > 0 && order(scores[i-1]) >= order(s) {
			t.Errorf("%v is not before %v", scores[i-1], s)
		}
	}
	if order(math.Copysign(0, -1)) != order(0) {
		t.Error("-0 has another place than 0")
	}
}

func TestBuildAndItems(t *testing.T) {
	minus := math.Copysign(0, -1)
	few := []Member{{[]byte("b"), 1}, {[]byte("a"), 1}, {[]byte(""), math.Inf(-1)}, {[]byte("z"), minus}}
	v := state(few)
	want := []Member{{[]byte(""), math.Inf(-1)}, {[]byte("z"), 0}, {[]byte("a"), 1}, {[]byte("b"), 1}}
	if got := Items(v); !reflect.DeepEqual(got, want) || v.Header.Size != 4 || Encoding(v.Header) != "listpack" {
		t.Errorf("%v %v", got, v.Header)
	}
	v = state(append(few, Member{bytes.Repeat([]byte{'x'}, 65), minus}))
	items := Items(v)
	if Encoding(v.Header) != "skiplist" || len(items) != 5 || !math.Signbit(items[1].Score) || !math.Signbit(items[2].Score) {
		t.Errorf("a long name, or -0, is not kept: %s %v", Encoding(v.Header), items)
	}
	many := make([]Member, 129)
	for i := range many {
		many[i] = Member{fmt.Append(nil, i), float64(-i)}
	}
	if v := state(many[:128]); Encoding(v.Header) != "listpack" {
		t.Error("128 members are not compact")
	}
	v = state(many)
	slices.Reverse(many)
	if Encoding(v.Header) != "skiplist" || !slices.EqualFunc(Items(v), many, func(a, b Member) bool { return Compare(a, b) == 0 }) {
		t.Errorf("129 members came back as %v", Items(v))
	}
	if h, ops := Build(nil); h.Exists() || ops != nil {
		t.Error("something was made of nothing")
	}
}
