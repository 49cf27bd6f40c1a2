package number

import (
	"bytes"
	"math/big"
)

// The limits of the x87 extended format, as exponents of a mantissa in
// [0.5, 1), which is how math/big counts.
const (
	precision   = 64
	maxExponent = 16384
	// Values up to half the smallest denormal number, 2^-16445, round to zero.
	minExponent = -16444
)

// maxFloat is the text length from which Redis rejects a number.
const maxFloat = 5 * 1024

// decimals is the number of digits that Redis prints after the point.
const decimals = 17

// Float is a C long double: 64 bits of mantissa. The zero Float is zero.
type Float struct {
	f   *big.Float // nil: zero
	inf int        // sign of infinity
}

// ParseFloat parses a long double strictly, like strtold: decimal or
// hexadecimal digits with an exponent, "inf" and "infinity", but not "nan" and
// no leading space. Numbers that overflow or underflow are rejected.
func ParseFloat(b []byte) (Float, bool) {
	if len(b) == 0 || len(b) >= maxFloat {
		return Float{}, false
	}
	negative := false
	if b[0] == '-' || b[0] == '+' {
		negative, b = b[0] == '-', b[1:]
	}
	if bytes.EqualFold(b, []byte("inf")) || bytes.EqualFold(b, []byte("infinity")) {
		if negative {
			return Float{inf: -1}, true
		}
		return Float{inf: 1}, true
	}
	s := scanner{text: b, base: 10}
	if len(b) > 2 && b[0] == '0' && (b[1] == 'x' || b[1] == 'X') {
		s.text, s.base = b[2:], 16
	}
	f, ok := s.number()
	if !ok || f == nil {
		return Float{}, ok
	}
	if e := f.MantExp(nil); e > maxExponent || e < minExponent {
		return Float{}, false
	}
	if negative {
		f.Neg(f)
	}
	return Float{f: f}, true
}

// scanner reads an unsigned number after its prefix.
type scanner struct {
	text []byte
	base int
}

// number returns the nearest float (nil for zero), and whether all of the text
// is a number.
func (s *scanner) number() (*big.Float, bool) {
	digits, fraction, ok := s.mantissa()
	if !ok {
		return nil, false
	}
	exponent, ok := s.exponent()
	if !ok || len(s.text) > 0 {
		return nil, false
	}
	mantissa, ok := new(big.Int).SetString(string(digits), s.base)
	if !ok {
		return nil, false
	}
	if mantissa.Sign() == 0 {
		return nil, true
	}
	if s.base == 16 {
		f := new(big.Float).SetPrec(precision).SetInt(mantissa)
		return f.SetMantExp(f, exponent-4*fraction), true
	}
	exponent -= fraction
	if top := len(bytes.TrimLeft(digits, "0")) + exponent; top > maxPower || top < -maxPower {
		return nil, false // stop early; converting the digits would be expensive
	}
	// Exactly mantissa * 10^exponent, rounded once.
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent >= 0 {
		return new(big.Float).SetPrec(precision).SetInt(mantissa.Mul(mantissa, scale)), true
	}
	num, den := new(big.Float).SetInt(mantissa), new(big.Float).SetInt(scale)
	return new(big.Float).SetPrec(precision).Quo(num, den), true
}

// mantissa consumes the digits, and returns how many of them follow the point.
func (s *scanner) mantissa() (digits []byte, fraction int, ok bool) {
	point := false
	for len(s.text) > 0 {
		c := s.text[0]
		switch {
		case c == '.' && !point:
			point = true
		case s.isDigit(c):
			digits = append(digits, c)
			if point {
				fraction++
			}
		default:
			return digits, fraction, len(digits) > 0
		}
		s.text = s.text[1:]
	}
	return digits, fraction, len(digits) > 0
}

func (s *scanner) isDigit(c byte) bool {
	if '0' <= c && c <= '9' {
		return true
	}
	c |= 0x20
	return s.base == 16 && 'a' <= c && c <= 'f'
}

// maxPower is a power of ten above every Float; -maxPower is below.
const maxPower = 5000

// exponentLimit is so large that no text has enough digits to compensate for
// it.
const exponentLimit = 100_000

// exponent consumes the exponent, if there is one.
func (s *scanner) exponent() (int, bool) {
	mark := byte('e')
	if s.base == 16 {
		mark = 'p'
	}
	if len(s.text) == 0 || s.text[0]|0x20 != mark {
		return 0, true
	}
	s.text = s.text[1:]
	negative := false
	if len(s.text) > 0 && (s.text[0] == '-' || s.text[0] == '+') {
		negative, s.text = s.text[0] == '-', s.text[1:]
	}
	n, count := 0, 0
	for len(s.text) > 0 && '0' <= s.text[0] && s.text[0] <= '9' {
		n = min(n*10+int(s.text[0]-'0'), exponentLimit)
		s.text, count = s.text[1:], count+1
	}
	if negative {
		n = -n
	}
	return n, count > 0
}

// Add returns the sum, and false if it is not finite.
func (x Float) Add(y Float) (Float, bool) {
	switch {
	case x.inf != 0 || y.inf != 0:
		return Float{}, false
	case x.f == nil:
		return y, true
	case y.f == nil:
		return x, true
	}
	f := new(big.Float).SetPrec(precision).Add(x.f, y.f)
	if f.Sign() == 0 {
		return Float{}, true
	}
	return Float{f: f}, f.MantExp(nil) <= maxExponent
}

// Append appends a finite number as Redis prints it: 17 digits after the point,
// without trailing zeros.
func (x Float) Append(dst []byte) []byte {
	if x.f == nil {
		return append(dst, '0')
	}
	start := len(dst)
	dst = x.f.Append(dst, 'f', decimals)
	dst = bytes.TrimRight(dst, "0")
	dst = bytes.TrimSuffix(dst, []byte("."))
	if text := string(dst[start:]); text == "-0" || text == "" {
		return append(dst[:start], '0')
	}
	return dst
}
