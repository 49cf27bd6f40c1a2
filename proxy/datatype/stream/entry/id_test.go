package entry

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestKeysAreInTheOrderOfIDs checks that ranges of elements are intervals of
// IDs.
func TestKeysAreInTheOrderOfIDs(t *testing.T) {
	number := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64())
	id := rapid.Custom(func(t *rapid.T) ID { return ID{number.Draw(t, "ms"), number.Draw(t, "seq")} })
	rapid.Check(t, func(t *rapid.T) {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		if got, want := bytes.Compare(Key(a), Key(b)), a.Compare(b); got != want {
			t.Errorf("keys of %v and %v: %d, want %d", a, b, got, want)
		}
		if got := IDAtEnd(Key(a)); got != a {
			t.Errorf("the key of %v ends with %v", a, got)
		}
		if a != MaxID && (!a.Less(a.Next()) || a.Next().previous() != a) {
			t.Errorf("after %v comes %v", a, a.Next())
		}
	})
}

// TestEntriesDecode checks that encoded entries decode correctly, and that
// damaged ones do not panic.
func TestEntriesDecode(t *testing.T) {
	text := rapid.SliceOfN(rapid.Byte(), 0, 20)
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.SliceOfN(text, 0, 6).Draw(t, "fields")
		value := Value(fields)
		got := Fields(value)
		if len(got) != len(fields) {
			t.Fatalf("%q became %q", fields, got)
		}
		for i := range got {
			if !bytes.Equal(got[i], fields[i]) {
				t.Fatalf("%q became %q", fields, got)
			}
		}
		Fields(value[:rapid.IntRange(0, len(value)).Draw(t, "cut")])
	})
}
