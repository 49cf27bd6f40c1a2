package number

import (
	"bytes"
	"math"
	"strconv"
)

// ParseDouble reads what Redis takes for a double as a whole: decimal or
// hexadecimal digits with an exponent, "inf" and "infinity", no "nan", no
// leading space. Numbers too large, or too small to tell from zero, are
// refused.
func ParseDouble(b []byte) (float64, bool) {
	f, n, exact := leadingDouble(b)
	return f, exact && n > 0 && n == len(b)
}

// ParseBound reads a double the way Redis reads the ends of a range, as the C
// library does: white space may lead, nothing is zero, what is too large is
// infinite, too small zero. The text ends at its first zero byte.
func ParseBound(b []byte) (float64, bool) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	digits := bytes.TrimLeft(b, " \t\n\v\f\r")
	f, n, _ := leadingDouble(digits)
	return f, len(b) == 0 || (n > 0 && n == len(digits))
}

// leadingDouble returns the number that text begins with, how long it is (0: it
// does not begin with one), and whether it is within a double's range.
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
		number += "p0" // without which strconv takes no hexadecimal digits
	}
	f, err := strconv.ParseFloat(number, 64)
	isZero := len(bytes.Trim(digits, "0")) == 0
	return f, length, err == nil && (f != 0 || isZero)
}

// startsNumber reports whether the text begins with a digit, or a point and a
// digit.
func (s *scanner) startsNumber() bool {
	t := bytes.TrimPrefix(s.text, []byte("."))
	return len(t) > 0 && s.isDigit(t[0])
}
