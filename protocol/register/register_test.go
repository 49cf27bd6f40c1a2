package register_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"synod/protocol/register"
)

// keys are few, so that changes meet, and lie as close to each other as keys can.
var keys = [][]byte{{}, {0}, {'a'}, {'a', 0}, {'a', 0, 0}, {'b'}, {0xff}}

func genKey(t *rapid.T) []byte { return rapid.SampledFrom(keys).Draw(t, "key") }

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

// TestApplyFollowsAMap: a view that knows everything follows a map; two changes as one do
// what they do one after the other; the view that was changed stays as it was.
func TestApplyFollowsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, m := register.Nothing(), map[string][]byte{}
		for range rapid.IntRange(1, 5).Draw(t, "pairs") {
			c, d := genChange(t), genChange(t)
			before := show(v)
			after := v.Apply(c).Apply(d)
			if show(v) != before {
				t.Fatalf("Apply changed the view that it was called on: %s, then %s", before, show(v))
			}
			both := register.NewDraft(v)
			both.Apply(c)
			both.Apply(d)
			if one := v.Apply(both.Change()); show(one) != show(after) {
				t.Fatalf("%+v then %+v\n one by one %s\n at once    %s", c, d, show(after), show(one))
			}
			if again := register.Nothing().Apply(after.Full()); show(again) != show(after) {
				t.Fatalf("Full of %s makes %s", show(after), show(again))
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

// genSpan draws a span, seldom an empty one.
func genSpan(t *rapid.T) register.Span {
	var s register.Span
	if rapid.Bool().Draw(t, "from") {
		s.From = genKey(t)
	}
	if rapid.Bool().Draw(t, "to") {
		s.To = genKey(t)
	}
	return s
}

func genRange(t *rapid.T) register.Range {
	s := genSpan(t)
	return register.Range{From: s.From, To: s.To, Reverse: rapid.Bool().Draw(t, "reverse"),
		Skip: rapid.Uint64Range(0, 3).Draw(t, "skip"), Limit: rapid.IntRange(0, 3).Draw(t, "limit")}
}

func genProjection(t *rapid.T) register.Projection {
	p := register.Projection{All: rapid.IntRange(0, 9).Draw(t, "all") == 0}
	for range rapid.IntRange(0, 2).Draw(t, "keys") {
		p.Keys = append(p.Keys, genKey(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "ranges") {
		p.Ranges = append(p.Ranges, genRange(t))
	}
	for range rapid.IntRange(0, 2).Draw(t, "counts") {
		p.Counts = append(p.Counts, genSpan(t))
	}
	return p
}

// ranged is View.Range on a whole state, the plain way.
func ranged(whole register.View, r register.Range) (out []string) {
	for _, e := range whole.Elements() {
		if r.Span().Contains(e.Key) {
			out = append(out, string(e.Key)+"="+string(e.Value))
		}
	}
	if r.Reverse {
		slices.Reverse(out)
	}
	out = out[min(int(r.Skip), len(out)):]
	if r.Limit > 0 {
		out = out[:min(r.Limit, len(out))]
	}
	return out
}

func texts(elems []register.Element) (out []string) {
	for _, e := range elems {
		out = append(out, string(e.Key)+"="+string(e.Value))
	}
	return out
}

// TestPartialViewsKnowWhatTheySay: what a view of a part says it knows, it knows right, also
// after changes, after more of the same state was added, after being made
// smaller.
func TestPartialViewsKnowWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := register.Nothing()
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			whole = whole.Apply(genChange(t))
		}
		asked := genProjection(t)
		v := whole.Project(asked)
		if !v.Covers(asked) {
			t.Fatalf("%+v of %s does not cover what was asked for: %+v", asked, show(whole), v)
		}
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			v = register.Join(v, whole.Project(genProjection(t)))
		}
		if !v.Covers(asked) {
			t.Fatalf("after Join, %+v is not covered", asked)
		}
		draft := register.NewDraft(v)
		for range rapid.IntRange(0, 3).Draw(t, "more changes") {
			c := genChange(t)
			draft.Apply(c)
			whole = whole.Apply(c)
		}
		v = draft.View()
		if rapid.Bool().Draw(t, "trim") {
			v = v.Trimmed(draft.Change(), rapid.IntRange(128, 400).Draw(t, "size"))
		}
		compare(t, v, whole)
	})
}

// compare fails if v contradicts whole in anything it knows.
func compare(t *rapid.T, v, whole register.View) {
	for _, k := range keys {
		got, there, known := v.Lookup(k)
		want, exists := whole.Get(k)
		if known && (there != exists || !bytes.Equal(got, want)) {
			t.Fatalf("%q: the part says %x %v, the whole %x %v", k, got, there, want, exists)
		}
	}
	for range 10 {
		r := genRange(t)
		elems, known := v.Range(r)
		if got, want := texts(elems), ranged(whole, r); known && !slices.Equal(got, want) {
			t.Fatalf("%+v of %+v: %q, want %q", r, v, got, want)
		}
		s := genSpan(t)
		n, known := v.Count(s)
		if want := len(ranged(whole, register.Range{From: s.From, To: s.To})); known && int(n) != want {
			t.Fatalf("%+v holds %d, want %d", s, n, want)
		}
	}
}

// TestCountOfAnEmptySpan: that nothing lies in a span that ends before it begins
// says nothing about a range that has an end in common with it.
func TestCountOfAnEmptySpan(t *testing.T) {
	whole := register.Nothing().Apply(register.Change{Kind: register.Full, Header: register.Header{Type: register.Hash},
		Ops: []register.Op{{Key: []byte("a")}, {Key: []byte("b")}, {Key: []byte("c")}}})
	v := whole.Project(register.Projection{
		Ranges: []register.Range{{From: []byte("b"), To: []byte("d")}},
		Counts: []register.Span{{From: []byte("d"), To: []byte("b")}},
	})
	for _, r := range []register.Range{
		{To: []byte("b"), Skip: 1, Limit: 1, Reverse: true},
		{From: []byte("d"), Skip: 1, Limit: 1},
	} {
		if elems, known := v.Range(r); known {
			t.Errorf("%+v holds %q, to somebody who knows nothing of it", r, texts(elems))
		}
	}
}

// TestTrimmedKeepsNoPages: what is kept of a large state has memory of its own.
func TestTrimmedKeepsNoPages(t *testing.T) {
	page := bytes.Repeat([]byte("abc"), 1000)
	key, value := page[:1:1], page[1:2:2]
	v := register.NewView(register.Header{Type: register.Hash}, register.Knowledge{All: true},
		[]register.Element{{Key: key, Value: value}, {Key: []byte("b"), Value: page}})
	small := v.Trimmed(register.Change{Ops: []register.Op{{Key: key, Value: value}, {Kind: register.Remove, Key: page[2:3:3]}}}, 1000)
	if got := texts(small.Elements()); !slices.Equal(got, []string{"a=b"}) || len(small.Known().Absent) != 1 {
		t.Fatalf("kept %q and %q", got, small.Known().Absent)
	}
	clear(page)
	if got := texts(small.Elements()); !slices.Equal(got, []string{"a=b"}) || string(small.Known().Absent[0]) != "c" {
		t.Errorf("what was kept is part of the page: %q and %q", got, small.Known().Absent)
	}
}

// TestAllPagesJoinedAreTheWhole: a state that arrives in pages is whole when all have come.
func TestAllPagesJoinedAreTheWhole(t *testing.T) {
	var pages []register.View
	var from []byte
	for i := byte('a'); i <= 'e'; i++ {
		to := []byte{i + 1}
		if i == 'e' {
			to = nil
		}
		known := register.Knowledge{Spans: []register.Span{{From: from, To: to}}}
		pages = append(pages, register.NewView(register.Header{Size: 5}, known, []register.Element{{Key: []byte{i}}}))
		from = to
	}
	if v := register.Join(pages...); !v.Whole() || len(v.Elements()) != 5 || v.Header.Size != 5 {
		t.Errorf("joined: %+v", v)
	}
	if v := register.Join(pages[0], pages[2]); v.Whole() || v.Covers(register.Projection{Keys: [][]byte{{'b'}}}) {
		t.Errorf("joined with a gap: %+v", v)
	}
}

func TestValueLivesUpToItsExpiry(t *testing.T) {
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
