package commandtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Source makes random words. The same seed makes the same words.
type Source struct {
	*rand.Rand
}

// NewSource returns the source of a seed.
func NewSource(seed uint64) Source { return Source{rand.New(rand.NewPCG(seed, 0x5ee0d))} }

// OneIn is true once in n times.
func (s Source) OneIn(n int) bool { return s.IntN(n) == 0 }

// Pick returns one of the choices.
func Pick[T any](s Source, choices ...T) T { return choices[s.IntN(len(choices))] }

// Words makes arguments of words.
func Words(words ...string) [][]byte {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return args
}

// chunk is the size of the pieces into which Synod divides strings.
const chunk = 8192

// value returns the value of a string, of a field or of an element.
func (s Source) value() string {
	switch s.IntN(16) {
	case 0:
		return ""
	case 1, 2, 3:
		return s.integer()
	case 4:
		return s.float()
	case 5, 6:
		return string(s.Bytes(s.IntN(64)))
	case 7:
		return string(s.Bytes(Pick(s, 43, 44, 45, 63, 64, 65))) // embstr ends at 44, listpacks at 64
	case 8:
		return strings.Repeat(Pick(s, "a", "ab", "\x00", "\xff"), s.IntN(100))
	}
	return Pick(s, "hello", "Hello, World", "ohmytext", "mynewtext", "foobar", "\x00\xff\x00", "\xff\xf0\x00", "0", "OK", "nil", "é")
}

// long returns a value of about one chunk or more.
func (s Source) long() string {
	if s.OneIn(20) {
		return string(s.Bytes(Pick(s, 100_000, 1<<20, 3<<20+17)))
	}
	return string(s.Bytes(Pick(s, chunk-1, chunk, chunk+1, 2*chunk-1, 2*chunk, 2*chunk+1, 3*chunk+100)))
}

// Bytes returns n bytes, compressible or not.
func (s Source) Bytes(n int) []byte {
	b := make([]byte, n)
	letters := Pick(s, 2, 26, 256)
	for i := range b {
		if letters == 256 {
			b[i] = byte(s.Uint32())
		} else {
			b[i] = 'a' + byte(s.IntN(letters))
		}
	}
	return b
}

// integer returns a number, often a boundary value. Numbers between a few
// millions and 2^32 are excluded: as offsets, they would make Redis allocate
// hundreds of megabytes.
func (s Source) integer() string {
	if s.OneIn(2) {
		return strconv.Itoa(s.IntN(40) - 10)
	}
	return Pick(s,
		"0", "1", "-1", "00", "+1", "-0", " 1", "1 ", "0x10", "1e3", "1.0", "", "abc", "٣",
		"127", "128", "255", "256", "-128", "32767", "65536", "8191", "8192", "8193", "65535", "65537", "1000000",
		"4294967296", "4294967297", "-4294967296", "9223372036854775806", "9223372036854775807", "9223372036854775808",
		"-9223372036854775807", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
		"99999999999999999999999999", "1234567890123456789",
	)
}

// amount returns an increment, without restrictions.
func (s Source) amount() string {
	if s.OneIn(2) {
		return strconv.Itoa(s.IntN(1000) - 300)
	}
	return Pick(s, s.integer(), "2147483647", "2147483648", "-2147483649", "4294967295", "16777217")
}

// small returns a count: usually small, sometimes invalid.
func (s Source) small() string {
	if s.OneIn(12) {
		return s.integer()
	}
	return Pick(s, "0", "1", "2", "3", "5", "10", "100", "1000")
}

func (s Source) float() string {
	if s.OneIn(2) {
		return strconv.FormatFloat(s.NormFloat64()*1000, 'f', s.IntN(6), 64)
	}
	return Pick(s,
		"0", "-0", "0.1", "0.2", "3.0e3", "1e10", "5.0e-5", "1e17", "1e-17", "1e308", "1e400", "-1e400", "inf", "-inf", "+inf", "infinity", "nan",
		"0x1p3", "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "4.9e-324", "1_000", ".5", "5.", "1e", "--1", " 1.5", "1.5 ", "",
		"3.14159265358979323846264338327950288", "100000000000000000000", "0.1000000000000000055511151231257827", "9007199254740993", "1e18", "123456789.123456789",
	)
}

// score returns a score, usually one of a few, so that members share it.
func (s Source) score() string {
	switch s.IntN(12) {
	case 0:
		return s.float()
	case 1:
		return s.integer()
	case 2:
		return Pick(s, "inf", "-inf", "+inf", "1e308", "-1e308", "-0", "0.1", "0.2", "0.3", "1e17", "3.3333333333333335", "1e-7")
	case 3, 4:
		return strconv.FormatFloat(s.NormFloat64()*100, 'f', s.IntN(4), 64)
	}
	return strconv.Itoa(s.IntN(20) - 5)
}

// bound returns an end of a range of scores.
func (s Source) bound(low bool) string {
	switch s.IntN(14) {
	case 0:
		return s.float()
	case 1:
		return Pick(s, "(inf", "(-inf", "(+inf", "((1", "( 1", "1(", "(", "[1", "(nan", "nan", "(1e400", "-", "+", "", "(0x10")
	case 2, 3, 4, 5:
		if low {
			return Pick(s, "-inf", "-inf", "(-inf", "-100")
		}
		return Pick(s, "+inf", "inf", "(inf", "100")
	}
	return Pick(s, "", "", "(") + s.score()
}

// lexical returns an end of a range of members.
func (s Source) lexical(low bool, member string) string {
	switch s.IntN(10) {
	case 0:
		return Pick(s, "", "a", "[", "(", "--", "-a", "+1", "inf", "((a", "[\xff", "(\x00")
	case 1, 2, 3:
		if low {
			return "-"
		}
		return "+"
	case 4:
		return Pick(s, "-", "+")
	}
	return Pick(s, "[", "[", "(") + member
}

// seconds returns an expiry in seconds: far ahead, past or invalid, and rarely
// the same twice. With short ones, results would depend on timing.
func (s Source) seconds() string { return s.expiry(1) }

// millis is seconds in milliseconds.
func (s Source) millis() string { return s.expiry(1000) }

func (s Source) expiry(unit int64) string {
	switch s.IntN(12) {
	case 0:
		return s.integer()
	case 1:
		return Pick(s, "0", strconv.Itoa(-1-s.IntN(100)))
	}
	return strconv.FormatInt((100_000+s.Int64N(1_000_000)*20)*unit, 10)
}

// unixTime returns a time in seconds or milliseconds since 1970: far ahead,
// long past, or invalid.
func (s Source) unixTime(unit int64) string {
	switch s.IntN(14) {
	case 0:
		return s.integer()
	case 1:
		return strconv.FormatInt(1+s.Int64N(1_600_000_000)*unit, 10)
	}
	return strconv.FormatInt((4_000_000_000+s.Int64N(1_000_000_000))*unit+s.Int64N(unit), 10)
}

func (s Source) pattern() string {
	if s.OneIn(3) {
		return Pick(s, "*", "m*", "*1*", "m00??", "[a-m]*", "[^m]*")
	}
	return Pick(s, "*", "?", "a*", "*t*", "[a-c]", "[^a]", "{set}?", "a\\[*", "a[b]?*\\", "", "\\", "[", "[a", "[]", "[z-a]", "s*1", "**", "*\xff*", "nosuch", "k?y*s", "[^", "a\\", "*\\*", "long*long")
}

// Junk returns a meaningless word.
func (s Source) Junk() string {
	return Pick(s, "", "foo", "NX", "XX", "GET", "EX", "PX", "KEEPTTL", "GT", "LT", "10", "-1", "BYTE", "BIT", "a", "\r\n", "\x00", "*", "u8", "#0", "LEN",
		"COUNT", "LIMIT", "WITHSCORES", "MATCH", "ASC", "BYSCORE", "(1", "[a", "-", "+", "$", ">", "0-0", "5-1", "nan", "INCR", "MAXLEN", "~", strings.Repeat("x", 300))
}

// fieldType returns a type of BITFIELD.
func (s Source) fieldType() string {
	if s.OneIn(20) {
		return Pick(s, "u64", "i65", "u0", "i0", "x8", "u", "i", "", "u-1", "i 8", "8")
	}
	return fmt.Sprintf("%s%d", Pick(s, "u", "i"), 1+s.IntN(63))
}

// offset returns a place in a string, in its units.
func (s Source) offset() string {
	switch s.IntN(8) {
	case 0:
		return s.integer()
	case 1:
		return strconv.Itoa(chunk*Pick(s, 1, 2, 3, 8, 16) + s.IntN(3) - 1)
	case 2:
		return strconv.Itoa(-1 - s.IntN(20))
	}
	return strconv.Itoa(s.IntN(80))
}

func (s Source) bitOffset() string {
	switch s.IntN(6) {
	case 0:
		return strconv.Itoa(8*chunk*(1+s.IntN(3)) + s.IntN(17) - 8)
	case 1:
		return s.integer()
	}
	return strconv.Itoa(s.IntN(200))
}

// place returns an index of a list or a rank.
func (s Source) place() string {
	switch s.IntN(12) {
	case 0:
		return s.integer()
	case 1:
		return strconv.Itoa(s.IntN(1600) - 800)
	case 2, 3, 4:
		return Pick(s, "0", "-1")
	}
	return strconv.Itoa(s.IntN(24) - 12)
}

// recase changes the case of some letters of a word.
func (s Source) recase(word []byte) []byte {
	word = bytes.Clone(word)
	for i, c := range word {
		if s.OneIn(2) && 'A' <= c && c <= 'Z' {
			word[i] = c + 'a' - 'A'
		}
	}
	return word
}
