package command

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// script makes up commands on data, most of them valid.
type script struct {
	*rand.Rand
	forms []string
}

func newScript(seed uint64) script {
	s := script{Rand: rand.New(rand.NewPCG(seed, 1))}
	for _, f := range forms {
		if strings.Contains(f, *differentialOnly) || strings.HasPrefix(f, "SET key") {
			s.forms = append(s.forms, f)
		}
	}
	return s
}

// forms are how the commands look: a word in capitals or a number stands for
// itself, "|" separates choices, "?" makes a word optional, and a word in lower
// case is made up by the function of the same name below.
var forms = []string{
	"GET key", "GET key", "GETDEL key", "STRLEN key", "STRLEN key", "MGET key key key",
	"SET key value", "SET key value", "SET key int", "SET key big",
	"SET key value ?NX|XX ?GET ?expiry", "SET key int ?expiry ?GET ?XX|NX",
	"SET key value setopt setopt setopt",
	"SETNX key value", "SETEX key seconds value", "PSETEX key millis value", "GETSET key value",
	"GETEX key ?expiry|PERSIST", "GETEX key setopt setopt",
	"APPEND key value", "APPEND key value", "APPEND key big",
	"SETRANGE key place value", "SETRANGE key place value", "GETRANGE key index index", "GETRANGE key place place",
	"SUBSTR key index index",
	"INCR key", "DECR key", "INCRBY key int", "DECRBY key int", "INCRBY key int",
	"INCRBYFLOAT key float", "INCRBYFLOAT key float", "SET key float",
	"SETBIT key bitplace bit", "SETBIT key bitplace bit", "GETBIT key bitplace", "BITCOUNT key", "BITCOUNT key index index",
	"BITCOUNT key index index BIT|BYTE|value", "BITCOUNT key bitplace bitplace BIT", "BITCOUNT key index",
	"BITPOS key bit", "BITPOS key bit index", "BITPOS key bit index index", "BITPOS key bit index index BIT|BYTE|value",
	"BITPOS key bit bitplace bitplace BIT",
	"BITFIELD key field", "BITFIELD key field field field", "BITFIELD key OVERFLOW|overflow flow field field field",
	"BITFIELD key field OVERFLOW flow field OVERFLOW flow field field", "BITFIELD key",
	"BITFIELD_RO key getfield ?getfield", "BITFIELD_RO key field",
	"LCS key key", "LCS key key ?LEN|IDX ?WITHMATCHLEN", "LCS key key IDX MINMATCHLEN small ?WITHMATCHLEN|LEN|value",
	"DEL key", "DEL key key", "UNLINK key ?key", "EXISTS key key ?key", "TYPE key", "TOUCH key ?key",
	"EXPIRE key seconds", "EXPIRE key seconds NX|XX|GT|LT ?NX|XX|GT|LT|value", "PEXPIRE key millis ?NX|XX|GT|LT",
	"EXPIREAT key unix ?NX|XX|GT|LT", "PEXPIREAT key unixms ?NX|XX|GT|LT",
	"TTL key", "PTTL key", "EXPIRETIME key", "PEXPIRETIME key", "PERSIST key",
	"OBJECT ENCODING key", "OBJECT FREQ key", "OBJECT IDLETIME key", "OBJECT ENCODING key", "OBJECT ENCODING key",
	"DUMP key", "DUMP key",
	"RESTORE key ttl payload", "RESTORE key ttl payload REPLACE", "RESTORE key ttl payload ?REPLACE ?ABSTTL ?IDLETIME|FREQ int",
	"ECHO value", "COMMAND GETKEYS word key value ?value", "COMMAND GETKEYSANDFLAGS word key value ?value",
}

// next returns a command.
func (s script) next() [][]byte {
	form := strings.Fields(s.forms[s.IntN(len(s.forms))])
	var args [][]byte
	for _, word := range form {
		if rest, optional := strings.CutPrefix(word, "?"); optional {
			if s.IntN(2) == 0 {
				continue
			}
			word = rest
		}
		choices := strings.Split(word, "|")
		args = append(args, s.word(choices[s.IntN(len(choices))])...)
	}
	switch s.IntN(60) {
	case 0: // something else in its place
		args[s.IntN(len(args))] = []byte(s.value())
	case 1:
		args = args[:1+s.IntN(len(args))]
	case 2:
		args = append(args, []byte(s.value()))
	case 3:
		i := s.IntN(len(args))
		args[i] = []byte(strings.ToLower(string(args[i])))
	}
	return args
}

func pick[T any](s script, of ...T) T { return of[s.IntN(len(of))] }

func (s script) word(kind string) [][]byte {
	one := func(v string) [][]byte { return [][]byte{[]byte(v)} }
	number := func(n ...int64) [][]byte { return one(strconv.FormatInt(pick(s, n...), 10)) }
	switch kind {
	case "key":
		return one(pick(s, "a", "b", "c", "d", "e", "list", "", "\x00\xff"))
	case "value":
		return one(s.value())
	case "big":
		return one(s.big())
	case "int":
		return one(s.int())
	case "float":
		return one(s.float())
	case "small":
		return number(-1, 0, 1, 2, 3, 10)
	case "bit":
		return number(0, 1, 0, 1, 0, 1, 2, -1)
	case "index":
		return number(0, 0, -1, 1, 2, -2, 5, -5, 10, 100, -100, 8191, 8192, 8193, 20000, -20000, 1<<62, -1<<62, s.Int64N(50)-25)
	case "place":
		return number(0, 1, 5, 8190, 8191, 8192, 8193, 16383, 16384, 30000, s.Int64N(40000), 1<<30, 1<<40, -1)
	case "bitplace":
		return number(0, 1, 7, 8, 9, 65535, 65536, 8*8192-1, 8*8192+7, s.Int64N(300000), 1<<32, -1, 1<<50, s.Int64N(100))
	case "field":
		return s.field()
	case "getfield":
		return [][]byte{[]byte("GET"), []byte(s.fieldType()), []byte(s.fieldPlace())}
	case "flow":
		return one(pick(s, "WRAP", "SAT", "FAIL", "sat", "wrap", "nope"))
	case "seconds":
		return number(100, 1000, 5000, 100000, 1000000, 0, -1, 1<<53, 1<<62)
	case "millis":
		return number(100000, 1000000, 5000000, 0, -5, 1<<62, 1<<63-1)
	case "unix":
		return number(4000000000, 5000000000, 1, 0, -1, 1<<62, 1<<50)
	case "unixms":
		return number(4000000000000, 4100000000000, 1, 0, -1, 1<<62, 1<<63-1)
	case "ttl":
		return number(0, 0, 0, 1000000, -1, 4000000000000, 1<<62, 1<<63-1)
	case "expiry":
		return s.expiry()
	case "setopt":
		return pick(s, s.expiry(), s.expiry(), one("NX"), one("XX"), one("GET"), one("KEEPTTL"), one("PERSIST"), one("ex"), one("NX\x00x"), nil, nil)
	case "payload":
		return one(s.payload())
	}
	if kind == "word" {
		return one(pick(s, "get", "SET", "del", "OBJECT", "mget", "lcs", "ping", "nope", "bitfield"))
	}
	return one(kind)
}

func (s script) expiry() [][]byte {
	unit := pick(s, "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "pX")
	kind, ok := map[string]string{"EX": "seconds", "PX": "millis", "pX": "millis", "EXAT": "unix", "PXAT": "unixms"}[unit]
	if !ok {
		return [][]byte{[]byte(unit)}
	}
	if s.IntN(20) == 0 {
		kind = "value"
	}
	return append([][]byte{[]byte(unit)}, s.word(kind)...)
}

func (s script) field() [][]byte {
	f := [][]byte{[]byte(pick(s, "GET", "SET", "INCRBY", "set", "incrby")), []byte(s.fieldType()), []byte(s.fieldPlace())}
	if string(f[0]) != "GET" {
		f = append(f, []byte(s.int()))
	}
	return f
}

func (s script) fieldType() string {
	return pick(s, "u8", "i8", "u63", "i64", "u1", "i1", "i16", "u32", "i5", "u0", "u64", "i65", "x8", "i", "u8\x00",
		fmt.Sprintf("%s%d", pick(s, "i", "u"), 1+s.IntN(63)))
}

func (s script) fieldPlace() string {
	place := string(s.word("bitplace")[0])
	return pick(s, place, strconv.Itoa(s.IntN(100)), strconv.Itoa(s.IntN(100)), "#"+strconv.Itoa(s.IntN(30)), "#-1", "#", "#"+place, "#1152921504606846976")
}

func (s script) int() string {
	return pick(s, "0", "1", "-1", "10", "100", "255", "256", "-128", "32767", "32768", "-32769", "2147483647", "2147483648", "-2147483649",
		"9223372036854775807", "-9223372036854775808", "9223372036854775806", "9223372036854775808", "-9223372036854775809",
		strconv.Itoa(s.IntN(1000)), strconv.FormatInt(int64(s.Uint64()), 10), "+1", "01", "-0", " 1", "1 ", "", "1e3", "-", "12345678901234567890123")
}

func (s script) float() string {
	return pick(s, "0.1", "1.5", "-2.25", "3", "1e5", "1e-5", "5.0e3", "1e20", "1e300", "-1e300", "1e4932", "-1e4932", "1e5000", "1e-5000", "1e-4940",
		"3.14159265358979323846", "0.3", "-0", "-0.0", "+5", ".5", "5.", ".", "e5", "1e", "1e+", "inf", "-Infinity", "nan", "0x10", "0x1.8p3", "0x", "0xp1", "0x.8", "0X1P-3",
		"100000000000000000000.00000000000000001", "12345678901234567890.12345", "1.1e1.1", " 1", "1 ", "1\x00", "infinit", "0x1e5",
		strconv.FormatFloat(s.NormFloat64()*1e3, 'g', -1, 64), strconv.FormatFloat(s.NormFloat64()*1e15, 'f', 5, 64), s.int())
}

func (s script) value() string {
	switch s.IntN(8) {
	case 0:
		return s.int()
	case 1:
		return s.float()
	case 2:
		return strings.Repeat(pick(s, "x", "ab", "abc", "\x00"), s.IntN(60))
	case 3:
		b := make([]byte, s.IntN(70))
		for i := range b {
			b[i] = byte(s.IntN(256))
		}
		return string(b)
	case 4:
		b := make([]byte, 15+s.IntN(200))
		for i := range b {
			b[i] = "abcd"[s.IntN(4)]
		}
		return string(b)
	}
	return pick(s, "", "hello", "hello world", "ohmytext", "mynewtext", strings.Repeat("x", 44), strings.Repeat("y", 45), "\xff\xff\xff", "\x00\x00\x01")
}

// big returns a string of some chunks.
func (s script) big() string {
	n := pick(s, 8191, 8192, 8193, 16384, 20000, s.IntN(30000))
	b := make([]byte, n)
	switch s.IntN(4) {
	case 0:
		for i := range b {
			b[i] = 0xff
		}
	case 1:
		for i := range b {
			b[i] = byte(s.IntN(256))
		}
	case 2:
		for i := range b {
			b[i] = "abc"[s.IntN(3)]
		}
	}
	return string(b)
}

// payloads are values as DUMP writes them, brokenPayloads what RESTORE refuses.
// Redis takes a value that ends within the payload's version or checksum for
// complete; that is left out.
var payloads = []string{
	"\x00\xc0\x7b\x0a\x00", "\x00\x03abc\x0a\x00", "\x00\xc1\x39\x30\x0a\x00", "\x00\xc2\x00\x00\x00\x80\x0a\x00",
	"\x00\xc3\x0b\x1e\x03abca\xe0\x0f\x02\x01bc\x0a\x00", "\x00\x00\x0a\x00", "\x00\x80\x00\x00\x00\x02hi\x09\x00",
	"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x02hi\x06\x00", "\x00\x03abc\x0d\x00", "\x00\x40\x03abc\x0a\x00", "\x00\x03abcdef\x0a\x00",
}

var brokenPayloads = []string{
	"\x00\x0fabc\x0a\x00", "\x00\xc4\x0a\x00", "\x00\xc3\x0b\x1e\x03abca\xe0\x0f\x20\x01bc\x0a\x00", "\x00\xc3\x05\x05\x03abca\x0a\x00",
	"\xc8\x00\x0a\x00", "\x0a\x00", "\x00\x82\x01\x01a\x0a\x00",
}

func (s script) payload() string {
	p := pick(s, payloads...)
	if s.IntN(5) == 0 {
		p = pick(s, brokenPayloads...)
	}
	switch s.IntN(20) {
	case 0:
		return p
	case 1:
		return sealed(p)[1:]
	}
	return sealed(p)
}
