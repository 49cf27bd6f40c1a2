package element_test

import (
	"fmt"
	"math"
	"testing"

	"synod/protocol/register"
	"synod/proxy/datatype/element"
)

// clump has elements with chosen hashes: all share hash, except every step-th.
func clump(prefix string, count, step int, hash byte) register.View {
	var elems []register.Element
	for i := range count {
		key := append([]byte(prefix), hash, 0, 0, 0, 0, 0)
		if i%step == 0 {
			key[len(prefix)+4], key[len(prefix)+5] = byte(i>>8), byte(i)
		}
		elems = append(elems, register.Element{Key: fmt.Appendf(key, "member %d", i)})
	}
	v := register.Nothing()
	for _, e := range elems {
		v = v.Apply(register.Change{Kind: register.Delta, Ops: []register.Op{{Kind: register.Put, Key: e.Key}}})
	}
	return v
}

// walk scans a view page by page, showing the scan only what it asks for, and
// returns how often it found each member.
func walk(t *testing.T, v register.View, prefix string, count int) map[string]int {
	t.Helper()
	found := map[string]int{}
	for cursor, pages := uint64(0), 0; cursor != 0 || pages == 0; pages++ {
		if pages > len(v.Elements()) {
			t.Fatal("the walk does not end")
		}
		part := register.View{}
		elems, next, need := element.Scan(part, prefix, cursor, count)
		for need != nil {
			part = register.Join(part, v.Project(*need))
			elems, next, need = element.Scan(part, prefix, cursor, count)
		}
		for _, e := range elems {
			found[string(element.Member(prefix, e.Key))]++
		}
		cursor = next
	}
	return found
}

func TestScanOfEqualHashes(t *testing.T) {
	for _, prefix := range []string{"", "m"} {
		for _, step := range []int{1, 2, 3, 50, 1000} {
			v := clump(prefix, 100, step, 7)
			for _, count := range []int{1, 3, 10, 99, 1000} {
				found := walk(t, v, prefix, count)
				for i := range 100 {
					if name := fmt.Sprint("member ", i); found[name] != 1 {
						t.Errorf("prefix %q, step %d, count %d: %s was found %d times", prefix, step, count, name, found[name])
					}
				}
			}
		}
	}
}

// TestDistinctOfEqualHashes checks that a draw ends even if hashes were chosen
// to be equal.
func TestDistinctOfEqualHashes(t *testing.T) {
	v := clump("m", 1000, 1000, 7)
	for seed := range uint64(20) {
		elems, need := element.Distinct(v, "m", 1000, seed, 40)
		seen := map[string]bool{}
		for _, e := range elems {
			seen[string(e.Key)] = true
		}
		if need != nil || len(elems) != 40 || len(seen) != 40 {
			t.Fatalf("seed %d: %d members, %d different ones", seed, len(elems), len(seen))
		}
	}
}

// spread has members with their real hashes.
func spread(count int) register.View {
	var ops []register.Op
	for i := range count {
		ops = append(ops, register.Op{Kind: register.Put, Key: element.Key("", fmt.Append(nil, i))})
	}
	return register.Nothing().Apply(register.Change{Kind: register.Full, Ops: element.Last(ops)})
}

// TestDrawIsFair checks that no member is drawn much less often than others.
func TestDrawIsFair(t *testing.T) {
	const members, draws = 1000, 50_000
	v := spread(members)
	counts := map[string]int{}
	for seed := range uint64(draws) {
		elems, _ := element.Draw(v, "", members, seed, 1)
		counts[string(elems[0].Key)]++
	}
	for _, e := range v.Elements() {
		if n := counts[string(e.Key)]; n < draws/members/5 || n > draws/members*5/2 {
			t.Errorf("%s was drawn %d times of %d", element.Member("", e.Key), n, draws)
		}
	}
}

// TestPlaces checks that a draw needs no more than Places predicted, except for
// draws at the end of the order.
func TestPlaces(t *testing.T) {
	v := spread(5000)
	more := 0
	for seed := range uint64(100) {
		for n := range 4 {
			part := v.Project(element.Places("", seed, n))
			if _, need := element.Draw(part, "", 5000, seed, n); need != nil {
				more++
			}
		}
	}
	if more > 10 {
		t.Errorf("%d of 400 draws need more", more)
	}
}

func TestParseCursor(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "": 0, "17": 17, "+5": 5, "-1": math.MaxUint64, "007": 7, "5\x00x": 5, "18446744073709551615": math.MaxUint64,
	} {
		if got, err := element.ParseCursor([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", " 1", "1 ", "-", "+", "1x", "18446744073709551616", "1e3"} {
		if got, err := element.ParseCursor([]byte(text)); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestLast(t *testing.T) {
	put := func(k, v string) register.Op {
		return register.Op{Kind: register.Put, Key: []byte(k), Value: []byte(v)}
	}
	got := element.Last([]register.Op{put("b", "1"), put("a", "1"), put("b", "2"), put("c", "1"), put("a", "3"), put("b", "3")})
	text := ""
	for _, op := range got {
		text += string(op.Key) + string(op.Value) + " "
	}
	if text != "a3 b3 c1 " {
		t.Error(text)
	}
	v := register.Nothing().Apply(register.Change{Kind: register.Full, Ops: []register.Op{put("a", "1"), put("c", "1")}})
	news, created := element.News(v, []register.Op{put("a", "2"), put("b", "1"), put("c", "1"), put("d", "1")})
	if len(news) != 3 || created != 2 || string(news[2].Key) != "d" {
		t.Errorf("%d new, %+v", created, news)
	}
}
