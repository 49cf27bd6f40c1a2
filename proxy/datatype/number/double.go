package number

import (
	"bytes"
	"math"
	"strconv"
)

// ParseDouble parses a double strictly, as Redis does: decimal or hexadecimal
// digits with an exponent, "inf" and "infinity", but not "nan" and no leading
// space. Numbers that overflow or underflow are rejected.
func ParseDouble(b []byte) (float64, bool) {
	f, n, exact := leadingDouble(b)
	return f, exact && n > 0 && n == len(b)
}

// ParseBound parses a double like Redis parses the ends of a range, with the C
// library's rules: leading white space is allowed, empty text is zero, overflow
// gives infinity, underflow zero. The text ends at its first zero byte.
func ParseBound(b []byte) (float64, bool) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	digits := bytes.TrimLeft(b, " \t\n\v\f\r")
	f, n, _ := leadingDouble(digits)
	return f, len(b) == 0 || (n > 0 && n == len(digits))
}

// leadingDouble returns the number at the start of text, its length (0: no
// number), and whether it is in a double's range.
func leadingDouble(text []byte) (f float64, length int, within bool) {
	sign := 0
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		sign = 1
	}
	for _, word := range []string{"infinity", "inf"} {
		if end := sign + len(word); len(text) >= end && bytes.EqualFold(text[sign:end], []byte(word)) {
			return math.Inf(1 - 2*bytes.Count(text[:sign], []byte("-"))), end, true
		}
	}
	s := scanner{text: text[sign:], base: 10}
	if len(s.text) > 2 && s.text[0] == '0' && s.text[1]|0x20 == 'x' {
		if hex := (scanner{text: s.text[2:], base: 16}); hex.startsNumber() {
			s = hex
		}
	}
	digits, _, ok := s.mantissa()
	if !ok {
		return 0, 0, false
	}
	mantissa := len(text) - len(s.text)
	rest := s
	if _, ok := rest.exponent(); ok {
		length = len(text) - len(rest.text)
	} else {
		length = mantissa
	}
	number := string(text[:length])
	if length == mantissa && s.base == 16 {
		number += "p0" // required by strconv for hexadecimal digits
	}
	f, err := strconv.ParseFloat(number, 64)
	isZero := len(bytes.Trim(digits, "0")) == 0
	return f, length, err == nil && (f != 0 || isZero)
}

// startsNumber reports whether the text starts with a digit, or a point and a
// digit.
func (s *scanner) startsNumber() bool {
	t := bytes.TrimPrefix(s.text, []byte("."))
	return len(t) > 0 && s.isDigit(t[0])
}
