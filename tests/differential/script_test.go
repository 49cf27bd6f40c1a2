package differential

import (
	"strings"
	"testing"

	"synod/proxy/command/commandtest"
	"synod/tests/harness"
)

// lines makes steps of inline requests, sent and answered one by one on the
// first connection; a line that begins with "3>" goes to the one that speaks
// RESP3.
func lines(text string) []Step {
	var steps []Step
	for line := range strings.Lines(text) {
		line, three := strings.CutPrefix(strings.TrimSpace(line), "3> ")
		if line == "" {
			continue
		}
		s := Step{}
		if three {
			s.Conn = 1
		}
		for _, word := range strings.Fields(line) {
			if word == `""` {
				word = ""
			}
			s.Args = append(s.Args, []byte(word))
		}
		steps = append(steps, s)
	}
	return steps
}

// raws makes one raw step of lines.
func raws(text ...string) []Step {
	return []Step{{Conn: 2, Raw: []byte(strings.Join(text, "\r\n") + "\r\n")}}
}

// scripts are about what random sequences leave out.
var scripts = map[string][]Step{
	"CLIENT REPLY OFF":  raws("SET a 1", "CLIENT REPLY OFF", "SET a 2", "GET a", "nosuch", "CLIENT REPLY ON", "GET a"),
	"CLIENT REPLY SKIP": raws("CLIENT REPLY SKIP", "SET a 2", "GET a", "CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING"),
	"CLIENT REPLY x":    lines("CLIENT REPLY x\nCLIENT REPLY\nCLIENT REPLY ON x"),
	"CLIENT PAUSE": lines(`
		CLIENT PAUSE x
		CLIENT PAUSE -1
		CLIENT PAUSE 1 x
		CLIENT PAUSE 1 WRITE x
		CLIENT UNPAUSE x
		CLIENT UNPAUSE
		CLIENT PAUSE 10 WRITE
		SET a 1
		CLIENT PAUSE 10
		GET a
		CLIENT PAUSE 100000 WRITE
		GET a
		CLIENT UNPAUSE
		SET a 2`),
	"CLIENT KILL": lines(`
		CLIENT KILL
		CLIENT KILL nosuch
		CLIENT KILL 127.0.0.1:1
		CLIENT KILL ID x
		CLIENT KILL ID 0
		CLIENT KILL ID -1
		CLIENT KILL ID 99999999999
		CLIENT KILL ID 99999999999 SKIPME maybe
		CLIENT KILL TYPE x
		CLIENT KILL TYPE replica
		CLIENT KILL TYPE pubsub
		CLIENT KILL ADDR 127.0.0.1:1
		CLIENT KILL LADDR 127.0.0.1:1
		CLIENT KILL USER nobody
		CLIENT KILL USER default ID 99999999999
		CLIENT KILL FOO x
		CLIENT KILL ID 1 ID
		3> CLIENT KILL TYPE normal LADDR 127.0.0.1:1`),
	"CLIENT": lines(`
		CLIENT
		CLIENT nosuch
		CLIENT NO-EVICT on
		CLIENT NO-EVICT OFF
		CLIENT NO-EVICT x
		CLIENT NO-EVICT
		CLIENT CACHING yes
		CLIENT GETREDIR
		CLIENT TRACKINGINFO
		3> CLIENT TRACKINGINFO
		CLIENT SETNAME me
		CLIENT GETNAME
		CLIENT SETNAME ""
		CLIENT GETNAME
		3> CLIENT GETNAME
		HELLO 3 SETNAME you
		CLIENT GETNAME
		RESET
		CLIENT GETNAME
		HELLO 2 SETNAME first FOO
		CLIENT GETNAME
		RESET x
		AUTH
		AUTH x
		AUTH default x
		AUTH nobody x
		AUTH a b c`),
	"CONFIG": lines(`
		CONFIG
		CONFIG nosuch
		CONFIG GET
		CONFIG GET nosuch
		CONFIG SET
		CONFIG SET nosuch
		CONFIG SET nosuch 1
		CONFIG SET maxclients abc
		CONFIG SET maxclients 0
		CONFIG SET timeout -1
		CONFIG SET client-output-buffer-limit x
		CONFIG SET client-output-buffer-limit normal
		CONFIG SET timeout 0 timeout 0
		CONFIG RESETSTAT
		CONFIG RESETSTAT x
		CONFIG REWRITE
		CONFIG REWRITE x`),
	"WAIT": lines(`
		WAIT
		WAIT x 0
		WAIT 0 x
		WAIT 0 -1
		WAIT 0 0 0
		WAIT 99999999999999999999 0`),
	"COMMAND": lines(`
		COMMAND x
		COMMAND COUNT x
		COMMAND INFO x
		COMMAND DOCS x
		3> COMMAND INFO x
		3> COMMAND DOCS x
		COMMAND GETKEYS GET
		COMMAND GETKEYS nosuch x
		COMMAND GETKEYS PING x
		COMMAND GETKEYS MGET a b c
		COMMAND GETKEYS SET a
		COMMAND GETKEYS OBJECT ENCODING a
		COMMAND GETKEYSANDFLAGS SET a b GET
		COMMAND LIST FILTERBY
		COMMAND LIST FILTERBY x y
		COMMAND LIST FILTERBY PATTERN nosuch*
		COMMAND LIST FILTERBY ACLCAT nosuch
		COMMAND LIST FILTERBY MODULE nosuch`),
	"expiry": append(lines("SET a 1\nSET b 2"), append([]Step{{Step: commandtest.Step{Expire: []byte("a")}}, {Conn: 1, Step: commandtest.Step{Expire: []byte("b")}}}, lines(`
		GET a
		3> GET b
		EXISTS a b
		MGET a b
		TTL a
		PERSIST a
		INCR a
		TTL a
		APPEND b x
		TTL b
		KEYS *
		DBSIZE`)...)...),
	"databases": lines(`
		SET a zero
		SELECT 15
		GET a
		SET a fifteen
		3> SELECT 15
		3> GET a
		FLUSHDB
		3> GET a
		SELECT 0
		GET a
		SELECT 16
		SELECT -1
		SELECT x
		SELECT 9999999999
		SELECT
		GET a
		RESET
		GET a
		3> FLUSHALL
		GET a`),
}

func TestScripts(t *testing.T) {
	p := &Pair{Redis: harness.Redis(t), Mine: underTest(t)}
	for name, steps := range scripts {
		t.Run(name, func(t *testing.T) {
			for len(steps) > 0 { // goes on behind a difference
				m, err := p.Run(steps)
				if err != nil {
					t.Fatal(err)
				}
				if m == nil {
					return
				}
				t.Error(m)
				steps = steps[m.Index+1:]
			}
		})
	}
}

// Values of many chunks, with holes, read and changed in parts.
func TestLargeValues(t *testing.T) {
	p := &Pair{Redis: harness.Redis(t), Mine: underTest(t)}
	on := func(words ...string) Step { return Step{Step: commandtest.Step{Args: commandtest.Words(words...)}} }
	five := string(commandtest.NewSource(5).Bytes(5 << 20))
	steps := []Step{
		on("SETRANGE", "a", "30000000", "the end"),
		on("STRLEN", "a"),
		on("GETRANGE", "a", "29999990", "-1"),
		on("GETRANGE", "a", "100", "130"),
		on("SETBIT", "a", "123456789", "1"),
		on("GETBIT", "a", "123456789"),
		on("BITPOS", "a", "1"),
		on("BITPOS", "a", "0"),
		on("BITCOUNT", "a"),
		on("BITCOUNT", "a", "1000000", "-3", "BYTE"),
		on("BITCOUNT", "a", "123456700", "123456800", "BIT"),
		on("SETRANGE", "a", "8190", "across a border"),
		on("GETRANGE", "a", "8180", "8210"),
		on("APPEND", "a", five),
		on("STRLEN", "a"),
		on("BITFIELD", "a", "SET", "u63", "239999999", "123456789012345678", "GET", "i64", "#3000000", "INCRBY", "u8", "65535", "300"),
		on("GETRANGE", "a", "20000000", "35000000"),
		on("OBJECT", "ENCODING", "a"),
		on("INCR", "a"),
		on("SETRANGE", "a", "536870911", "xx"),
		on("EXPIRE", "a", "100000"),
		on("GET", "a"),
		on("SET", "b", five),
		on("LCS", "a", "b"),
		on("MGET", "a", "b", "c"),
		on("SET", "a", "small", "GET"),
		on("STRLEN", "a"),
		on("GETRANGE", "a", "0", "-1"),
		on("SET", "a", five, "EX", "100000"),
		on("GETSET", "a", "1"),
		on("INCR", "a"),
		on("DEL", "a", "b"),
		// What reads such a value to work with it.
		on("SET", "w_1", five[:300_000]),
		on("SET", "w_2", five[1:300_000]),
		on("SET", "s", five[280_000:280_100]),
		on("LCS", "w_1", "s"),
		on("LCS", "s", "w_1", "IDX", "MINMATCHLEN", "20"),
		on("LCS", "w_1", "w_2", "LEN"),
		on("RPUSH", "l", "2", "1", "3"),
		on("SORT", "l", "BY", "w_*", "ALPHA"),
		on("SORT", "l", "BY", "w_*", "ALPHA", "DESC", "GET", "w_*"),
		on("SORT", "l", "BY", "w_*"),
		on("PFCOUNT", "w_1", "w_2"),
		on("PFCOUNT", "l", "w_1"),
	}
	for i := range steps {
		steps[i].Conn = i % conns
	}
	m, err := p.Run(steps)
	if err != nil {
		t.Fatal(err)
	}
	if m != nil {
		t.Fatalf("%s", m)
	}
}
