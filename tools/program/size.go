package program

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a flag in bytes, written as an integer and a unit: 64MB, 256MiB, 1gb.
// As in Redis, units are not case-sensitive, and kb, mb and gb are multiples of
// 1024. So are units with an i; k, m, g and t alone are multiples of 1000.
type Size int64

var units = map[string]int64{
	"": 1, "b": 1,
	"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
	"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.ToLower(strings.TrimSpace(string(text)))
	digits := strings.TrimRight(t, "bkmgti ")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, known := units[strings.TrimSpace(t[len(digits):])]
	if err != nil || n < 0 || !known || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is no size; expected something like 256MiB", text)
	}
	*s = Size(n * unit)
	return nil
}
