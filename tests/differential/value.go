package differential

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// source makes random words. The same seed makes the same words.
type source struct {
	*rand.Rand
}

func newSource(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 0x5ee0d))} }

func (s source) oneIn(n int) bool { return s.IntN(n) == 0 }

// pick returns one of the choices.
func pick[T any](s source, choices ...T) T { return choices[s.IntN(len(choices))] }

// keys are few, so that commands meet.
var keys = []string{
	"a", "b", "c", "counter", "text", "bits", "{tag}1", "{tag}2", "", "key with spaces",
	"bin\x00\xff\r\n*", "a[b]?*\\", strings.Repeat("long", 80),
}

func (s source) key() []byte { return []byte(pick(s, keys...)) }

// chunk is the size from which Synod cuts strings into pieces.
const chunk = 8192

// value returns the value of a string.
func (s source) value() []byte {
	switch s.IntN(16) {
	case 0:
		return []byte{}
	case 1, 2, 3:
		return []byte(s.integer())
	case 4:
		return []byte(s.float())
	case 5, 6:
		return s.bytes(s.IntN(64))
	case 7:
		return s.bytes(pick(s, 43, 44, 45, 63, 64, 65)) // embstr ends at 44
	case 8:
		return s.long()
	case 9:
		return bytes.Repeat([]byte(pick(s, "a", "ab", "\x00", "\xff")), s.IntN(100))
	default:
		return []byte(pick(s, "hello", "Hello, World", "ohmytext", "mynewtext", "foobar", "\x00\xff\x00", "\xff\xf0\x00", "0", "OK", "nil", "é"))
	}
}

// long returns a value around or beyond the size of a chunk.
func (s source) long() []byte {
	if s.oneIn(8) {
		return s.bytes(pick(s, 100_000, 1<<20, 3<<20+17))
	}
	return s.bytes(pick(s, chunk-1, chunk, chunk+1, 2*chunk-1, 2*chunk, 2*chunk+1, 3*chunk+100))
}

// bytes returns n bytes, compressible or not.
func (s source) bytes(n int) []byte {
	b := make([]byte, n)
	letters := pick(s, 2, 26, 256)
	for i := range b {
		if letters == 256 {
			b[i] = byte(s.Uint32())
		} else {
			b[i] = 'a' + byte(s.IntN(letters))
		}
	}
	return b
}

// integer returns a number, often one at a border. Numbers between a few
// millions and 2^32 are left out: as an offset they would make Redis take
// hundreds of megabytes.
func (s source) integer() string {
	if s.oneIn(2) {
		return strconv.Itoa(s.IntN(40) - 10)
	}
	return pick(s,
		"0", "1", "-1", "00", "+1", "-0", " 1", "1 ", "0x10", "1e3", "1.0", "", "abc", "٣",
		"127", "128", "255", "256", "-128", "32767", "65536", "8191", "8192", "8193", "65535", "65537", "1000000",
		"4294967296", "4294967297", "-4294967296", "9223372036854775806", "9223372036854775807", "9223372036854775808",
		"-9223372036854775807", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
		"99999999999999999999999999", "1234567890123456789",
	)
}

func (s source) float() string {
	if s.oneIn(3) {
		return strconv.FormatFloat(s.NormFloat64()*1000, 'f', s.IntN(6), 64)
	}
	return pick(s,
		"0", "-0", "0.1", "0.2", "3.0e3", "1e10", "5.0e-5", "1e17", "1e-17", "1e400", "-1e400", "inf", "-inf", "+inf", "infinity", "nan",
		"0x1p3", "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "1_000", ".5", "5.", "1e", "--1", " 1.5", "1.5 ",
		"3.14159265358979323846264338327950288", "100000000000000000000", "0.1000000000000000055511151231257827", "9007199254740993", "1e18", "123456789.123456789",
	)
}

// now is the time of the run: the same for a whole test, not known to the seed.
var now = time.Now()

// seconds returns a number of seconds as an expiry: long, past or wrong, and
// hardly twice the same. Short ones would make the outcome a matter of luck.
func (s source) seconds() string { return s.expiry(1) }

// millis is seconds in milliseconds.
func (s source) millis() string { return s.expiry(1000) }

func (s source) expiry(unit int64) string {
	switch s.IntN(12) {
	case 0:
		return s.integerExpiry(unit)
	case 1:
		return "0"
	case 2:
		return strconv.Itoa(-1 - s.IntN(100))
	}
	return strconv.FormatInt((100_000+s.Int64N(1_000_000)*20)*unit, 10)
}

// integerExpiry leaves out what would expire while the test runs.
func (s source) integerExpiry(unit int64) string {
	for {
		text := s.integer()
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 || n/unit > 100_000 {
			return text
		}
	}
}

// unixTime returns a time as seconds or milliseconds since 1970.
func (s source) unixTime(unit int64) string {
	switch s.IntN(12) {
	case 0:
		return s.integer() // anything small is long past
	case 1:
		return strconv.FormatInt((now.Unix()-1-s.Int64N(1_000_000))*unit, 10)
	}
	return strconv.FormatInt((now.Unix()+100_000+s.Int64N(1_000_000)*20)*unit+s.Int64N(unit), 10)
}

func (s source) pattern() []byte {
	return []byte(pick(s, "*", "?", "a*", "*t*", "[a-c]", "[^a]", "{tag}?", "a\\[*", "a[b]?*\\", "", "\\", "[", "[a", "[]", "[z-a]", "b*n*", "**", "*\xff*", "nosuch", "k?y*s", "[^", "a\\", "*\\*", "long*long"))
}

// junk returns a word that means nothing in particular.
func (s source) junk() []byte {
	return []byte(pick(s, "", "foo", "NX", "XX", "GET", "EX", "PX", "KEEPTTL", "GT", "LT", "10", "-1", "BYTE", "BIT", "a", "\r\n", "\x00", "*", "u8", "#0", "LEN", strings.Repeat("x", 300)))
}

// fieldType returns a type of BITFIELD.
func (s source) fieldType() string {
	if s.oneIn(20) {
		return pick(s, "u64", "i65", "u0", "i0", "x8", "u", "i", "", "u-1", "i 8", "8")
	}
	return fmt.Sprintf("%s%d", pick(s, "u", "i"), 1+s.IntN(63))
}

// offset returns a place in a string, in its units.
func (s source) offset() string {
	switch s.IntN(8) {
	case 0:
		return s.integer()
	case 1:
		return strconv.Itoa(chunk*pick(s, 1, 2, 3, 8, 16) + s.IntN(3) - 1)
	case 2:
		return strconv.Itoa(-1 - s.IntN(20))
	}
	return strconv.Itoa(s.IntN(80))
}
