// Package number parses and formats numbers as Redis does: integers strictly,
// and floating point numbers with the 80-bit extended precision of the C
// library on x86, whose digits are visible to clients.
package number

import "math"

// maxInt is the length of the longest integer, "-9223372036854775808".
const maxInt = 20

// ParseInt parses a decimal integer. Each integer has only one valid form: no
// plus sign, space, leading zero or "-0".
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxInt {
		return 0, false
	}
	negative := b[0] == '-'
	digits := b
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || digits[0] < '1' || digits[0] > '9' {
		return 0, len(b) == 1 && b[0] == '0'
	}
	var n uint64 // at most 20 digits, so 99999999999999999999 overflows; checked below
	for _, c := range digits {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	switch {
	case negative && n <= -math.MinInt64:
		return -int64(n), true
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}
