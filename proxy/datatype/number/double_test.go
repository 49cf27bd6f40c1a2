package number

import (
	"math"
	"strings"
	"testing"
)

// TestDoubles compares with what redis-server accepts as a score and as the end
// of a range of scores.
func TestDoubles(t *testing.T) {
	inf, minus := math.Inf(1), math.Copysign(0, -1)
	none := math.NaN()
	for text, want := range map[string]struct{ score, bound float64 }{
		"1": {1, 1}, "-1.5": {-1.5, -1.5}, "+1": {1, 1}, ".5": {0.5, 0.5}, "5.": {5, 5}, "-0": {minus, minus}, "1e3": {1000, 1000}, "1E-3": {0.001, 0.001},
		"0x1": {1, 1}, "0X1p3": {8, 8}, "0x.8": {0.5, 0.5}, "-0x1.8P-1": {-0.75, -0.75}, "0x1.": {1, 1}, "0x1ffffffffffffff": {0x1p57, 0x1p57},
		"inf": {inf, inf}, "INFinity": {inf, inf}, "+inf": {inf, inf}, "-iNf": {-inf, -inf},
		"1e400": {none, inf}, "-1e400": {none, -inf}, "1e-400": {none, 0}, "0e-400": {0, 0}, "1e-320": {1e-320, 1e-320}, "1e99999999999999999999": {none, inf},
		"": {none, 0}, " 1": {none, 1}, "\t\v\r\n\f1": {none, 1}, "1\x00x": {none, 1}, "\x00": {none, 0}, " ": {none, none},
		"1 ": {none, none}, "nan": {none, none}, "-nan": {none, none}, "nan(1)": {none, none}, "0x": {none, none}, "0x.": {none, none}, "0xp1": {none, none},
		"0x1p": {none, none}, ".": {none, none}, "-": {none, none}, "e5": {none, none}, "1e": {none, none}, "1e+": {none, none}, "1_0": {none, none},
		"0x_1": {none, none}, "0b1": {none, none}, "0o7": {none, none}, "infin": {none, none}, "--1": {none, none}, "1p3": {none, none},
		"0." + strings.Repeat("0", 400) + "1e400": {0.1, 0.1},
	} {
		for i, parse := range []func([]byte) (float64, bool){ParseDouble, ParseBound} {
			expect := []float64{want.score, want.bound}[i]
			got, ok := parse([]byte(text))
			if ok == math.IsNaN(expect) || (ok && math.Float64bits(got) != math.Float64bits(expect)) {
				t.Errorf("%q, bound %v: %v %v, want %v", text, i == 1, got, ok, expect)
			}
		}
	}
}

func FuzzParseDouble(f *testing.F) {
	for _, s := range []string{"1.5", "0x1p3", "inf", "-", "1e400"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		x, ok := ParseDouble(text)
		y, too := ParseBound(text)
		if math.IsNaN(x) || math.IsNaN(y) || (ok && (!too || x != y)) {
			t.Errorf("%q: %v %v, as a bound %v %v", text, x, ok, y, too)
		}
	})
}
