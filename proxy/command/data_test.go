package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/register"
	"synod/proxy/datatype/str"
)

// words splits a line of a script; quoted words are Go strings.
func splitWords(t testing.TB, line string) [][]byte {
	var out [][]byte
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			rest = line[len(quoted):]
			word, _ = strconv.Unquote(quoted)
		}
		out, line = append(out, []byte(word)), rest
	}
	return out
}

// play runs a script. A line has a command and, after "=>", its reply in RESP3,
// with spaces for line ends. "@+5" advances the clock by 5 ms.
func play(t *testing.T, script string) *machine {
	t.Helper()
	m := newMachine(t)
	for line := range strings.Lines(script) {
		request, want, _ := strings.Cut(strings.TrimSpace(line), "=>")
		request, want = strings.TrimSpace(request), strings.TrimSpace(want)
		if ms, ok := strings.CutPrefix(request, "@+"); ok {
			n, _ := strconv.Atoi(ms)
			m.now += int64(n)
			continue
		}
		if request == "" {
			continue
		}
		got := string(m.do(splitWords(t, request)...).AppendTo(nil, 3))
		got = strings.TrimSpace(strings.ReplaceAll(got, "\r\n", " "))
		if got != want {
			t.Errorf("%s => %s, want %s", request, got, want)
		}
	}
	return m
}

const wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value"

func TestSetAndGet(t *testing.T) {
	play(t, `
		GET k => _
		SET k v => +OK
		GET k => $1 v
		SET k w NX => _
		SET k w XX => +OK
		SET n w XX => _
		SET k x GET => $1 w
		SET k y NX GET => $1 x
		SET new y NX GET => _
		GET new => $1 y
		SET k v NX XX => -ERR syntax error
		SET k v EX => -ERR syntax error
		SET k v EX a => -ERR value is not an integer or out of range
		SET k v EX 0 => -ERR invalid expire time in 'set' command
		SET k v PX 9223372036854775807 => -ERR invalid expire time in 'set' command
		SET k v EX 1 PX 1 => -ERR syntax error
		SET k v EX 10 => +OK
		SET k v2 KEEPTTL => +OK
		TTL k => :10
		SET k v3 => +OK
		TTL k => :-1
		SET k gone PXAT 5 => +OK
		EXISTS k => :0
		SETNX k "" => :1
		SETNX k x => :0
		STRLEN k => :0
		SETEX k 0 v => -ERR invalid expire time in 'setex' command
		PSETEX k 1500 v => +OK
		PTTL k => :1500
		@+1499
		GET k => $1 v
		@+1
		GET k => _
		GETSET k a => _
		GETSET k b => $1 a
		GETEX k PX 50 => $1 b
		PTTL k => :50
		GETEX k PERSIST => $1 b
		PTTL k => :-1
		GETEX k EXAT 1 => $1 b
		EXISTS k => :0
		SET k "\x00\xff" => +OK
		GETDEL k => $2 `+"\x00\xff"+`
		GETDEL k => _
		SET k 1 => +OK
		MGET k n k => *3 $1 1 _ $1 1
		DEL k k n => :1
	`)
}

func TestNumbers(t *testing.T) {
	play(t, `
		INCR n => :1
		INCRBY n 9223372036854775806 => :9223372036854775807
		INCR n => -ERR increment or decrement would overflow
		DECRBY n -9223372036854775808 => -ERR decrement would overflow
		SET n -9223372036854775808 => +OK
		DECR n => -ERR increment or decrement would overflow
		SET n 01 => +OK
		INCR n => -ERR value is not an integer or out of range
		INCRBY n x => -ERR value is not an integer or out of range
		SETEX n 100 10 => +OK
		DECRBY n 3 => :7
		TTL n => :100
		INCRBYFLOAT n 0.1 => $3 7.1
		OBJECT ENCODING n => $6 embstr
		INCRBYFLOAT n -0.1 => $1 7
		OBJECT ENCODING n => $6 embstr
		SET n 3.0e3 => +OK
		INCRBYFLOAT n 200 => $4 3200
		INCRBYFLOAT n inf => -ERR increment would produce NaN or Infinity
		INCRBYFLOAT n x => -ERR value is not a valid float
		SET n 0.1 => +OK
		INCRBYFLOAT n 0.2 => $3 0.3
		INCRBYFLOAT z -0.0 => $1 0
	`)
}

func TestRanges(t *testing.T) {
	play(t, `
		APPEND s Hello => :5
		OBJECT ENCODING s => $6 embstr
		APPEND s " World" => :11
		OBJECT ENCODING s => $3 raw
		GETRANGE s 0 4 => $5 Hello
		GETRANGE s -5 -1 => $5 World
		GETRANGE s -1 -5 => $0
		GETRANGE s 5 100000 => $6  World
		GETRANGE s 0 -100 => $1 H
		SUBSTR s 6 6 => $1 W
		SETRANGE s 6 Redis => :11
		GET s => $11 Hello Redis
		SETRANGE z 3 "" => :0
		EXISTS z => :0
		SETRANGE z 2 x => :3
		GET z => $3 `+"\x00\x00"+`x
		SETRANGE z -1 x => -ERR offset is out of range
		SETRANGE z 536870912 x => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
		SETRANGE z 9223372036854775807 x => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
	`)
}

func TestBits(t *testing.T) {
	play(t, `
		SETBIT b 7 1 => :0
		SETBIT b 7 0 => :1
		SETBIT b 7 2 => -ERR bit is not an integer or out of range
		SETBIT b 4294967296 1 => -ERR bit offset is not an integer or out of range
		SET b foobar => +OK
		BITCOUNT b => :26
		BITCOUNT b 1 1 => :6
		BITCOUNT b 5 30 BIT => :17
		BITCOUNT b 5 => -ERR syntax error
		SET b "\xff\xf0\x00" => +OK
		BITPOS b 0 => :12
		BITPOS b 1 2 => :-1
		BITPOS b 1 7 15 BIT => :7
		SET b "\xff\xff" => +OK
		BITPOS b 0 => :16
		BITPOS b 0 0 -1 => :-1
		BITPOS none 0 => :0
		BITPOS none 1 => :-1
		BITPOS b 2 => -ERR The bit argument must be 1 or 0.
		BITFIELD f INCRBY i5 100 1 GET u4 0 => *2 :1 :0
		BITFIELD f SET u8 #1 255 INCRBY u8 #1 10 => *2 :0 :9
		BITFIELD f OVERFLOW SAT INCRBY u8 #1 1000 OVERFLOW FAIL INCRBY u8 #1 1 => *2 :255 _
		BITFIELD f GET u64 0 => -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
		BITFIELD_RO f SET u8 0 1 => -ERR BITFIELD_RO only supports the GET subcommand
	`)
}

func TestLCS(t *testing.T) {
	play(t, `
		SET a ohmytext => +OK
		SET b mynewtext => +OK
		LCS a b => $6 mytext
		LCS a b LEN => :6
		LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN => %2 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6
		LCS a none => $0
		LCS a b IDX LEN => -ERR If you want both the length and indexes, please just use IDX.
	`)
}

func TestExpiry(t *testing.T) {
	play(t, `
		EXPIRE k 10 => :0
		TTL k => :-2
		SET k v => +OK
		EXPIRE k 10 GT => :0
		EXPIRE k 10 LT => :1
		EXPIRE k 20 NX => :0
		EXPIRE k 20 XX => :1
		EXPIRE k 10 GT => :0
		EXPIRE k 30 XX GT => :1
		TTL k => :30
		EXPIRE k 1 NX GT => -ERR NX and XX, GT or LT options at the same time are not compatible
		EXPIRE k 1 GT LT => -ERR GT and LT options at the same time are not compatible
		EXPIRE k 1 ZZ => -ERR Unsupported option ZZ
		EXPIRE k 9223372036854775 => -ERR invalid expire time in 'expire' command
		PEXPIREAT k 1700000000500 => :1
		EXPIRETIME k => :1700000001
		PEXPIRETIME k => :1700000000500
		PERSIST k => :1
		PERSIST k => :0
		PEXPIRETIME k => :-1
		EXPIRE k -1 => :1
		TYPE k => +none
	`)
}

func TestDumpAndRestore(t *testing.T) {
	m := play(t, `
		DUMP k => _
		SET k 10 => +OK
		RESTORE k 0 x => -BUSYKEY Target key name already exists.
		RESTORE k 0 x REPLACE => -ERR DUMP payload version or checksum are wrong
		RESTORE n -1 x => -ERR Invalid TTL value, must be >= 0
		RESTORE n 0 x IDLETIME -1 => -ERR Invalid IDLETIME value, must be >= 0
		RESTORE n 0 x FREQ 256 => -ERR Invalid FREQ value, must be >= 0 and <= 255
		RESTORE n 0 x FREQ 1 IDLETIME 1 => -ERR syntax error
	`)
	for _, value := range []string{"", "10", "-70000", "hello", strings.Repeat("abc", 5000), strings.Repeat("x", 20)} {
		m.text("SET", "k", value)
		payload := m.text("DUMP", "k").Str
		if got := m.do([]byte("RESTORE"), []byte("copy"), []byte("5000"), payload, []byte("REPLACE")); string(got.Str) != "OK" {
			t.Fatalf("RESTORE of %.20q: %s", value, got.Str)
		}
		if got := m.text("GET", "copy"); string(got.Str) != value {
			t.Errorf("%.20q came back as %.20q", value, got.Str)
		}
		if got := m.text("PTTL", "copy"); got.Int != 5000 {
			t.Errorf("PTTL of a copy: %d", got.Int)
		}
	}
	past := m.do([]byte("RESTORE"), []byte("copy"), []byte("1"), m.text("DUMP", "k").Str, []byte("REPLACE"), []byte("ABSTTL"))
	if string(past.Str) != "OK" || m.text("EXISTS", "copy").Int != 0 {
		t.Errorf("RESTORE with an expiry in the past: %s", past.Str)
	}
}

func TestOtherTypes(t *testing.T) {
	m := newMachine(t)
	for name, args := range map[string]string{
		"GET": "", "SET": "v GET", "GETSET": "v", "GETDEL": "", "GETEX": "", "APPEND": "v", "STRLEN": "", "SETRANGE": "0 v",
		"GETRANGE": "0 1", "INCR": "", "INCRBYFLOAT": "1", "SETBIT": "0 1", "GETBIT": "0", "BITCOUNT": "", "BITPOS": "1", "BITFIELD": "GET u8 0",
	} {
		m.keys["list"] = register.NewView(register.Header{Type: register.List, Size: 1}, register.Knowledge{All: true}, nil)
		reply := m.do(splitWords(t, name+" list "+args)...)
		if got := string(reply.AppendTo(nil, 2)); got != wrongType+"\r\n" {
			t.Errorf("%s on a list: %q", name, got)
		}
	}
	for request, want := range map[string]string{
		"MGET list": "*1\r\n$-1\r\n", "TYPE list": "+list\r\n", "EXISTS list": ":1\r\n", "EXPIRE list 10": ":1\r\n",
		"LCS list list": "-ERR The specified keys must contain string values\r\n", "SETNX list v": ":0\r\n",
	} {
		if got := string(m.do(splitWords(t, request)...).AppendTo(nil, 2)); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	if m.text("SET", "list", "v"); m.keys["list"].Header.Type != register.String {
		t.Error("SET left a list")
	}
}

// TestRandomCommands works without Redis: the machine checks that every
// operation reads only what it asked for and has the same result in all
// execution modes.
func TestRandomCommands(t *testing.T) {
	m, s := newMachine(t), newScript(99)
	for range 3000 {
		args := s.next()
		spec, err := Resolve(args)
		if err == nil && spec.Key == nil && spec.Split == nil && spec.Local == nil {
			continue
		}
		if err == nil && spec.Name == "lcs" && m.size(args[1])*m.size(args[2]) > 1e5 {
			continue
		}
		m.now += int64(s.IntN(1000))
		m.do(args...)
	}
}

// TestLargeString checks that a command on part of a large string needs and
// changes only that part.
func TestLargeString(t *testing.T) {
	const size = 100 << 20
	m := newMachine(t)
	last := strconv.Itoa(size - 1)
	m.text("SETRANGE", "k", last, "x")
	v := m.keys["k"]
	for i := range uint32(3) { // two full chunks and a partial one
		key := []byte{0, 0, byte(i >> 8), byte(i)}
		v = v.Apply(register.Change{Kind: register.Delta, Header: v.Header, Ops: []register.Op{
			{Kind: register.Put, Key: key, Value: slices.Repeat([]byte{'a' + byte(i)}, str.ChunkSize-int(i/2)*100)},
		}})
	}
	m.keys["k"] = v
	for _, request := range []string{
		"SETBIT k 419430400 1", "SETRANGE k 8190 abcd", "GETRANGE k 8190 8193", "GETRANGE k -3 -1", "GETBIT k 800000000",
		"BITFIELD k SET i64 8388605 -1 GET u8 419430400", "BITCOUNT k 8191 8192", "BITPOS k 1 50000000 50009000",
		"APPEND k more", "STRLEN k", "EXPIRE k 10", "OBJECT ENCODING k", "INCR k", "PERSIST k",
	} {
		args := splitWords(t, request)
		spec, _ := Resolve(args)
		op, err := spec.Key(args)
		if err != nil {
			t.Fatalf("%s: %s", request, err.Str)
		}
		state := m.keys["k"]
		e := op.Execute(state.Project(op.Needs()), m.now)
		if e.Need != nil {
			if e.Need.All || reach(*e.Need) > 3 {
				t.Errorf("%s needs %+v", request, *e.Need)
			}
		} else if n := e.Change.Bytes(); n > 500 {
			t.Errorf("%s changes %d bytes", request, n)
		}
		if n := op.Needs(); n.All || reach(n) > 3 {
			t.Errorf("%s needs %+v", request, n)
		}
		m.do(args...)
	}
	for request, want := range map[string]string{
		"STRLEN k":                 fmt.Sprintf(":%d\r\n", size+4),
		"GETRANGE k 8189 8194":     "$6\r\naabcdb\r\n",
		"GETRANGE k 24470 24480":   "$11\r\ncccccc\x00\x00\x00\x00\x00\r\n",
		"GETRANGE k -6 -1":         "$6\r\n\x00xmore\r\n",
		"GETBIT k 419430400":       ":1\r\n",
		"BITCOUNT k 0 8188":        fmt.Sprintf(":%d\r\n", 8189*3),
		"BITPOS k 1 60000 -10":     ":8388605\r\n",
		"BITPOS k 0 0":             ":0\r\n",
		"BITCOUNT k 40000 -10 BIT": ":" + strconv.Itoa(countAfter(m, 40000)) + "\r\n",
	} {
		if got := string(m.do(splitWords(t, request)...).AppendTo(nil, 2)); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

// reach is the number of chunks that a projection names.
func reach(p register.Projection) int {
	n := len(p.Keys)
	for _, r := range p.Ranges {
		for i := range r.From {
			n += (int(r.To[i]) - int(r.From[i])) << (8 * (3 - i))
		}
	}
	return n
}

// countAfter counts the one bits from a position on, except in the last 9 bits.
func countAfter(m *machine, from uint64) int {
	v := m.keys["k"]
	n := 0
	for _, e := range v.Elements() {
		base := (uint64(e.Key[1])<<16 | uint64(e.Key[2])<<8 | uint64(e.Key[3])) * str.ChunkSize * 8
		for i := range uint64(len(e.Value)) * 8 {
			if at := base + i; at >= from && at < v.Header.Size*8-9 && e.Value[i/8]>>(7-i%8)&1 == 1 {
				n++
			}
		}
	}
	return n
}

func TestHotPathAllocations(t *testing.T) {
	m := newMachine(t)
	m.text("SET", "k", "some value")
	m.text("SET", "n", "1000")
	for _, c := range []struct {
		request string
		most    float64
	}{
		{"GET k", 1},                  // the reply
		{"SET k some-other-value", 1}, // the operation
		{"SET k v EX 100", 1},
		{"INCR n", 2}, // the reply, the digits with their op
		{"STRLEN k", 0},
		{"TTL k", 1},
		{"EXPIRE k 100", 1},
	} {
		args := splitWords(t, c.request)
		spec := Lookup(args[0])
		v := m.keys[string(args[1])]
		allocs := testing.AllocsPerRun(100, func() {
			spec, _ = Resolve(args)
			op, _ := spec.Key(args)
			_ = op.Needs()
			_ = op.Execute(v, m.now)
		})
		if allocs > c.most {
			t.Errorf("%s: %v allocations, at most %v", c.request, allocs, c.most)
		}
	}
}
