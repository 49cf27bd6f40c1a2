package number

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseInt(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1": 1, "-1": -1, "10": 10, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
		"1234567890123456789": 1234567890123456789,
	} {
		if got, ok := ParseInt([]byte(s)); !ok || got != want {
			t.Errorf("%q: %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{
		"", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1\x00", "a", "1a", "1.0", "0x1", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "18446744073709551617", "99999999999999999999", "-99999999999999999999", "100000000000000000000",
	} {
		if got, ok := ParseInt([]byte(s)); ok {
			t.Errorf("%q: %d", s, got)
		}
	}
}

func FuzzParseInt(f *testing.F) {
	f.Add([]byte("-9223372036854775808"))
	f.Add([]byte("18446744073709551616"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := strconv.ParseInt(string(b), 10, 64)
		want := err == nil && strconv.FormatInt(n, 10) == string(b)
		if got, ok := ParseInt(b); ok != want || (ok && got != n) {
			t.Errorf("%q: %d, %v", b, got, ok)
		}
	})
}

// Sums as Redis 7.0.15 on x86 prints them.
func TestFloats(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"0.1", "0.2", "0.3"},
		{"3.0e3", "200", "3200"},
		{"0", "3.14159265358979323846", "3.14159265358979324"},
		{"0", "1e20", "100000000000000000000"},
		{"1e20", "1", "100000000000000000000"},
		{"9223372036854775807", "1", "9223372036854775808"},
		{"18446744073709551615", "0", "18446744073709551615"},
		{"18446744073709551617", "0", "18446744073709551616"},
		{"0x10", "0x1.8p3", "28"},
		{"-1.5", "1.5", "0"},
		{"-0", "-0.0", "0"},
		{"1e-18", "0", "0"},
		{"-1e-18", "0", "0"},
		{"1e-4940", "1", "1"},
		{"5.", ".5", "5.5"},
	} {
		a, ok1 := ParseFloat([]byte(c.a))
		b, ok2 := ParseFloat([]byte(c.b))
		sum, ok3 := a.Add(b)
		if got := string(sum.Append(nil)); !ok1 || !ok2 || !ok3 || got != c.want {
			t.Errorf("%s + %s = %s (%v, %v, %v), want %s", c.a, c.b, got, ok1, ok2, ok3, c.want)
		}
	}
}

func TestBadFloats(t *testing.T) {
	for _, s := range []string{
		"", "-", "+", ".", "e5", "1e", "1e+", "nan", "-nan", "0x", "0x.", "0xp1", "1.1.1", " 1", "1 ", "1\x00", "infinit", "1e5000", "-1e5000", "1e-5000",
		"1e999999999999999999999", "1e-999999999999999999999", strings.Repeat("1", maxFloat),
	} {
		if f, ok := ParseFloat([]byte(s)); ok {
			t.Errorf("%q: %s", s, f.Append(nil))
		}
	}
}

func TestFloatLimits(t *testing.T) {
	parse := func(s string) Float {
		f, ok := ParseFloat([]byte(s))
		if !ok {
			t.Fatalf("%q is no number", s)
		}
		return f
	}
	largest := parse("1.18973149535723176502e4932")
	if _, ok := largest.Add(largest); ok {
		t.Error("twice the largest number is finite")
	}
	if _, ok := parse("inf").Add(parse("1")); ok {
		t.Error("infinity is finite")
	}
	if got := string(parse("0e999999999").Append(nil)); got != "0" {
		t.Errorf("zero with an exponent: %s", got)
	}
}

func FuzzParseFloat(f *testing.F) {
	for _, s := range []string{"-1.5e10", "0x1.8p-3", "infinity", "1e4932", "1e-4940"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, ok := ParseFloat(b)
		if !ok || x.inf != 0 {
			return
		}
		text := x.Append(nil)
		if len(text) >= maxFloat {
			t.Fatalf("%q prints as %d bytes", b, len(text))
		}
		again, ok := ParseFloat(text)
		if !ok {
			t.Fatalf("%q prints as %q, which is no number", b, text)
		}
		if got := again.Append(nil); string(got) != string(text) {
			t.Errorf("%q prints as %q, and that as %q", b, text, got)
		}
	})
}
