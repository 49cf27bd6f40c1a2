package register_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
)

// genKey draws one of a few keys, so that changes meet.
func genKey(t *rapid.T) []byte {
	return []byte{byte(rapid.IntRange('a', 'e').Draw(t, "key"))}
}

func genChange(t *rapid.T) register.Change {
	c := register.Change{Kind: register.ChangeKind(rapid.IntRange(0, 2).Draw(t, "kind"))}
	if c.Kind == register.None {
		return c
	}
	c.Header = register.Header{Type: register.String, Size: rapid.Uint64Range(0, 99).Draw(t, "size")}
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		c.Ops = append(c.Ops, register.Op{
			Kind:   register.OpKind(rapid.IntRange(0, 2).Draw(t, "op")),
			Key:    genKey(t),
			Offset: uint32(rapid.IntRange(0, 5).Draw(t, "offset")),
			Value:  rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "value"),
		})
	}
	return c
}

func show(v register.View) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%+v", v.Header)
	for _, e := range v.Elements() {
		fmt.Fprintf(&b, " %s=%x", e.Key, e.Value)
	}
	return b.String()
}

// model applies a change to a map, the plain way.
func model(m map[string][]byte, c register.Change) map[string][]byte {
	if c.Kind == register.None {
		return m
	}
	out := make(map[string][]byte)
	if c.Kind == register.Delta {
		for k, v := range m {
			out[k] = v
		}
	}
	for _, op := range c.Ops {
		old := out[string(op.Key)]
		switch op.Kind {
		case register.Put:
			out[string(op.Key)] = op.Value
		case register.Remove:
			delete(out, string(op.Key))
		case register.Patch:
			grown := append([]byte(nil), old...)
			for len(grown) < int(op.Offset)+len(op.Value) {
				grown = append(grown, 0)
			}
			copy(grown[op.Offset:], op.Value)
			out[string(op.Key)] = grown
		}
	}
	return out
}

// TestApply: a view that knows everything follows a map; two changes as one do
// what they do one after the other; the view that was changed stays as it was.
func TestApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, m := register.Nothing(), map[string][]byte{}
		for range rapid.IntRange(1, 5).Draw(t, "pairs") {
			c, d := genChange(t), genChange(t)
			before := show(v)
			after := v.Apply(c).Apply(d)
			if show(v) != before {
				t.Fatalf("Apply changed the view that it was called on: %s, then %s", before, show(v))
			}
			if one := v.Apply(c.Then(d)); show(one) != show(after) {
				t.Fatalf("%+v then %+v\n one by one %s\n at once    %s", c, d, show(after), show(one))
			}
			if again := register.Nothing().Apply(after.Whole()); show(again) != show(after) {
				t.Fatalf("Whole of %s makes %s", show(after), show(again))
			}
			v, m = after, model(model(m, c), d)
		}
		if len(m) != len(v.Elements()) {
			t.Fatalf("%d elements, want %d", len(v.Elements()), len(m))
		}
		for _, e := range v.Elements() {
			if want, ok := m[string(e.Key)]; !ok || !bytes.Equal(want, e.Value) {
				t.Fatalf("%s holds %x, want %x", e.Key, e.Value, want)
			}
		}
	})
}

// TestPartialViews: what a view of a part says it knows, it knows right, also
// after changes and after more of the same state was added.
func TestPartialViews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := register.Nothing().Apply(genChange(t)).Apply(genChange(t))
		part := func(key []byte) register.View {
			p := register.Projection{Keys: [][]byte{key}}
			if value, ok := whole.Get(key); ok {
				return register.NewView(whole.Header, p, []register.Element{{Key: key, Value: value}})
			}
			return register.NewView(whole.Header, p, nil)
		}
		v := part(genKey(t))
		if rapid.Bool().Draw(t, "more") {
			v = v.Add(part(genKey(t)))
		}
		c := genChange(t)
		v, whole = v.Apply(c), whole.Apply(c)
		for k := byte('a'); k <= 'e'; k++ {
			key := []byte{k}
			if !v.Covers(register.Projection{Keys: [][]byte{key}}) {
				continue
			}
			got, there := v.Get(key)
			want, exists := whole.Get(key)
			if there != exists || !bytes.Equal(got, want) {
				t.Fatalf("%c: the part says %x %v, the whole %x %v", k, got, there, want, exists)
			}
		}
	})
}

func TestCovers(t *testing.T) {
	at := func(s string) []byte { return []byte(s) }
	v := register.NewView(register.Header{}, register.Projection{
		Keys: [][]byte{at("k")}, Ranges: []register.Range{{From: at("b"), To: at("d")}}}, nil)
	for _, c := range []struct {
		want bool
		p    register.Projection
	}{
		{true, register.Projection{}},
		{true, register.Projection{Keys: [][]byte{at("k"), at("b"), at("c")}}},
		{false, register.Projection{Keys: [][]byte{at("d")}}},
		{true, register.Projection{Ranges: []register.Range{{From: at("b"), To: at("c")}}}},
		{false, register.Projection{Ranges: []register.Range{{From: at("b")}}}},
		{false, register.Projection{Ranges: []register.Range{{From: at("a"), To: at("c")}}}},
		{false, register.Projection{All: true}},
	} {
		if got := v.Covers(c.p); got != c.want {
			t.Errorf("Covers(%+v) = %v", c.p, got)
		}
	}
}

func TestExpired(t *testing.T) {
	h := register.Header{Type: register.String, Expiry: 100}
	for now, want := range map[int64]bool{99: false, 100: true, 101: true} {
		if h.Expired(now) != want {
			t.Errorf("expired at %d: %v", now, !want)
		}
	}
	if (register.Header{Expiry: 1}).Expired(2) || (register.Header{Type: register.String}).Expired(2) {
		t.Error("what is absent, or has no expiry, expired")
	}
}
