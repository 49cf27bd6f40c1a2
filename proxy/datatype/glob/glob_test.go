package glob

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", false}, // as in Redis
		{"*", "a", true},
		{"h?llo", "hello", true},
		{"h?llo", "hllo", false},
		{"h*llo", "hllo", true},
		{"h*llo", "heeello", true},
		{"h*l*o*", "hello", true},
		{"*a*b", "xaxbxab", true},
		{"*a*b", "xaxbxa", false},
		{"h[ae]llo", "hallo", true},
		{"h[ae]llo", "hillo", false},
		{"h[^e]llo", "hallo", true},
		{"h[^e]llo", "hello", false},
		{"h[a-c]llo", "hbllo", true},
		{"h[c-a]llo", "hbllo", true},
		{"[\x80-\x01]", "\xff", true}, // -128 to 1
		{"[\x01-\x7f]", "\xff", false},
		{`h\*llo`, "h*llo", true},
		{`h\*llo`, "hello", false},
		{`h\`, `h\`, true},
		{`[\]]`, "]", true},
		{"[a", "a", true},
		{"[a", "b", false},
		{"[", "a", false},
		{"[^", "a", true},
		{"[]a", "a", false},
		{"a**", "a", true},
		{"HELLO", "hello", false},
	} {
		if got := Match([]byte(c.pattern), []byte(c.s)); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

func TestMatchFold(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"HeLLo", "hEllO", true},
		{"[A-C]x", "bX", true},
		{"[xY]", "y", true},
		{`[\Y]`, "y", false}, // as in Redis
		{`\Y`, "y", true},
		{"\xc3", "\xe3", false},
	} {
		if got := MatchFold([]byte(c.pattern), []byte(c.s)); got != c.want {
			t.Errorf("MatchFold(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// TestWorstCase would run forever if all combinations of stars were tried.
func TestWorstCase(t *testing.T) {
	s := []byte(strings.Repeat("a", 5000))
	if Match([]byte(strings.Repeat("a*", 30)+"b"), s) {
		t.Error("found a match")
	}
}

// naive matches by trying everything.
func naive(p, s []byte) bool {
	switch {
	case len(s) == 0:
		return len(p) == 0
	case len(p) == 0:
		return false
	case p[0] == '*':
		rest := p[skipStars(p, 0):]
		for i := range s {
			if naive(rest, s[i:]) {
				return true
			}
		}
		return len(rest) == 0
	}
	next, ok := one(p, 0, s[0], same)
	if !ok {
		return false
	}
	if len(s) == 1 {
		next = skipStars(p, next)
	}
	return naive(p[next:], s[1:])
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte("h*l[^a-c]?\\*"), []byte("hello*"))
	f.Add([]byte("**[]"), []byte("]"))
	f.Fuzz(func(t *testing.T, pattern, s []byte) {
		if len(pattern) > 12 || len(s) > 12 { // naive is slow
			Match(pattern, s)
			return
		}
		if got, want := Match(pattern, s), naive(pattern, s); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}
