package command

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"synod/protocol/layout"
	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/hash"
)

// The expected replies come from the source and documentation of Redis 7.4,
// because no server of that version was available.
func TestHashExpire(t *testing.T) {
	play(t, `
		SET s v => +OK
		HSET h a 1 b 2 c 3 => :3
		HTTL h FIELDS 2 a x => *2 :-1 :-2
		HPERSIST h FIELDS 2 a x => *2 :-1 :-2
		HTTL none FIELDS 2 a a => *2 :-2 :-2
		HPERSIST none FIELDS 1 a => *1 :-2
		HEXPIRE none 10 FIELDS 2 a b => *2 :-2 :-2
		EXISTS none => :0
		HPEXPIRE h 1500 fields 2 a x => *2 :1 :-2
		HTTL h FIELDS 1 a => *1 :2
		HPTTL h FIELDS 2 a b => *2 :1500 :-1
		HEXPIRETIME h FIELDS 1 a => *1 :1700000002
		HPEXPIRETIME h FIELDS 1 a => *1 :1700000001500
		HEXPIRE h 1 GT FIELDS 2 a b => *2 :0 :0
		HEXPIRE h 2 GT FIELDS 1 a => *1 :1
		HEXPIRE h 2 GT FIELDS 1 a => *1 :0
		HEXPIRE h 2 LT FIELDS 1 a => *1 :0
		HEXPIRE h 1 lt FIELDS 2 a b => *2 :1 :1
		HEXPIRE h 5 NX FIELDS 4 a b c x => *4 :0 :0 :1 :-2
		HEXPIRE h 6 XX FIELDS 2 a c => *2 :1 :1
		HSET h d 1 => :1
		HEXPIRE h 6 XX FIELDS 1 d => *1 :0
		HEXPIRE h 6 NX FIELDS 2 d d => *2 :1 :0
		HPERSIST h FIELDS 3 d d x => *3 :1 :-1 :-2
		HPEXPIREAT h 1700000009000 FIELDS 1 a => *1 :1
		HEXPIREAT h 1700000008 FIELDS 1 a => *1 :1
		HPTTL h FIELDS 1 a => *1 :8000
		@+999
		HGET h b => $1 2
		@+1
		HGET h b => _
		HLEN h => :3
		HTTL h FIELDS 4 a b c d => *4 :7 :-2 :5 :-1
		HEXPIRE h 0 GT FIELDS 2 a d => *2 :0 :0
		HEXPIRE h 0 FIELDS 3 a a d => *3 :2 :-2 :2
		HGETALL h => %1 $1 c $1 3
		HPEXPIREAT h 1 FIELDS 1 c => *1 :2
		TYPE h => +none
	`)
}

func TestHashExpireErrors(t *testing.T) {
	const (
		position = "-ERR Mandatory argument FIELDS is missing or not at the right position"
		count    = "-ERR Parameter `numFields` should be greater than 0"
		positive = "-ERR Number of fields must be a positive integer"
		match    = "-ERR The `numfields` parameter must match the number of arguments"
		integer  = "-ERR value is not an integer or out of range"
	)
	play(t, `
		SET s v => +OK
		HSET h a 1 => :1
		HEXPIRE h 1 FIELDS 1 => -ERR wrong number of arguments for 'hexpire' command
		HTTL h FIELDS 1 => -ERR wrong number of arguments for 'httl' command
		HEXPIRE s x FIELD 0 a => `+wrongType+`
		HTTL s FIELD 0 a => `+wrongType+`
		HPERSIST s FIELD 0 a => `+wrongType+`
		HEXPIRE h x FIELD 0 a => `+integer+`
		HEXPIRE none x FIELD 0 a => `+integer+`
		HEXPIRE h -1 FIELD 0 a => -ERR invalid expire time, must be >= 0
		HEXPIRE h 70368744178 FIELD 0 a => -ERR invalid expire time in 'hexpire' command
		HEXPIRE h 68668744178 FIELD 0 a => -ERR invalid expire time in 'hexpire' command
		HEXPIRE h 68668744177 FIELDS 1 a => *1 :1
		HPEXPIRE h 70368744177664 FIELD 0 a => -ERR invalid expire time in 'hpexpire' command
		HPEXPIRE h 68668744177664 FIELD 0 a => -ERR invalid expire time in 'hpexpire' command
		HPEXPIRE h 68668744177663 FIELDS 1 a => *1 :1
		HEXPIREAT h 70368744178 FIELD 0 a => -ERR invalid expire time in 'hexpireat' command
		HEXPIREAT h 70368744177 FIELDS 1 a => *1 :1
		HPEXPIREAT h 70368744177664 FIELD 0 a => -ERR invalid expire time in 'hpexpireat' command
		HPEXPIREAT h 70368744177663 FIELDS 1 a => *1 :1
		HPEXPIRE h 9223372036854775807 FIELDS 1 a => -ERR invalid expire time in 'hpexpire' command
		HEXPIRE h 1 FIELD 0 a => `+position+`
		HEXPIRE h 1 NX XX FIELDS 1 a => `+position+`
		HEXPIRE h 1 FIELDS 0 a => `+count+`
		HEXPIRE h 1 FIELDS x a => `+count+`
		HEXPIRE h 1 FIELDS -1 a => `+count+`
		HEXPIRE h 1 FIELDS 2 a => `+match+`
		HEXPIRE h 1 FIELDS 1 a b => `+match+`
		HEXPIRE h 1 NX FIELDS 1 => `+match+`
		HEXPIRE h 1 FIELDS 9223372036854775807 a => `+match+`
		HTTL h FIELD 0 a => `+position+`
		HTTL h FIELDS 0 a => `+positive+`
		HPTTL h FIELDS x a => `+positive+`
		HEXPIRETIME h FIELDS 2 a => `+match+`
		HPEXPIRETIME none FIELDS 1 a b => `+match+`
		HPERSIST h FIELDS 0 a => `+positive+`
		HPERSIST h FIELDS 2 a => `+match+`
		HPERSIST none FIELD 2 a => `+position+`
	`)
}

// TestExpiredFields checks that an expired field is absent for every command
// except HLEN.
func TestExpiredFields(t *testing.T) {
	for request, want := range map[string]string{
		"HGET h a":                     "_",
		"HMGET h a a b":                "*3 _ _ $1 2",
		"HEXISTS h a":                  ":0",
		"HSTRLEN h a":                  ":0",
		"HGETALL h":                    "%1 $1 b $1 2",
		"HKEYS h":                      "*1 $1 b",
		"HVALS h":                      "*1 $1 2",
		"HSCAN h 0":                    "*2 $1 0 *2 $1 b $1 2",
		"HSCAN h 0 MATCH a":            "*2 $1 0 *0",
		"HRANDFIELD h":                 "$1 b",
		"HRANDFIELD h 5":               "*1 $1 b",
		"HRANDFIELD h -2 WITHVALUES":   "*2 *2 $1 b $1 2 *2 $1 b $1 2",
		"HSET h a 5 b 6":               ":1",
		"HSET h a 1":                   ":1",
		"HSETNX h a 1":                 ":1",
		"HMSET h a 1":                  "+OK",
		"HINCRBY h a 5":                ":5",
		"HINCRBYFLOAT h a 1.5":         "$3 1.5",
		"HDEL h a":                     ":0",
		"HDEL h a b":                   ":1",
		"HEXPIRE h 5 FIELDS 2 a a":     "*2 :-2 :-2",
		"HEXPIRE h 0 FIELDS 1 a":       "*1 :-2",
		"HTTL h FIELDS 2 a b":          "*2 :-2 :-1",
		"HPERSIST h FIELDS 1 a":        "*1 :-2",
		"SORT l BY nosort GET *->a":    "*1 _",
		"SORT l BY *->a GET *->b":      "*1 $1 2",
		"EXISTS h":                     ":1",
		"HLEN h":                       ":2",
		"OBJECT ENCODING h":            "$10 listpackex",
		"HSTRLEN h b":                  ":1",
		"HPEXPIRETIME h FIELDS 1 a":    "*1 :-2",
		"HEXPIRE h 9 NX FIELDS 2 b a":  "*2 :1 :-2",
		"HRANDFIELD h -1":              "*1 $1 b",
		"HEXPIRE h 10 GT FIELDS 1 a":   "*1 :-2",
		"HEXPIRE h 10 XX FIELDS 1 a":   "*1 :-2",
		"HPEXPIREAT h 1 FIELDS 2 a b":  "*2 :-2 :2",
		"HPERSIST h FIELDS 3 a b none": "*3 :-2 :-1 :-2",
	} {
		t.Run(request, func(t *testing.T) {
			m := play(t, `
				RPUSH l h => :1
				HSET h a 1 b 2 => :2
				HPEXPIRE h 10 FIELDS 1 a => *1 :1
				@+10
				`+request+" => "+want)
			checkHash(t, m.keys["h"])
			// Any command that reported or removed the field as expired made
			// that final for all clients, even those with slow clocks.
			m.now -= 10
			switch name, _, _ := strings.Cut(request, " "); name {
			case "HSET", "HMSET", "HSETNX", "HINCRBY", "HINCRBYFLOAT":
				if got := m.text("HTTL", "h", "FIELDS", "1", "a"); got.Elems[0].Int != -1 {
					t.Errorf("the new field has the old one's time: %d", got.Elems[0].Int)
				}
			case "EXISTS", "HLEN", "OBJECT":
				m.text("HLEN", "h")
			default:
				if got := m.text("HEXISTS", "h", "a"); got.Int != 0 && request != "HSTRLEN h b" {
					t.Errorf("it is there again: %d", got.Int)
				}
			}
		})
	}
}

// TestLastFieldExpires checks that a hash disappears with its last field, and
// so does its own expiry.
func TestLastFieldExpires(t *testing.T) {
	for request, want := range map[string]string{
		"HGET h a": "_", "HGETALL h": "%0", "HRANDFIELD h": "_", "HRANDFIELD h 5": "*0", "HRANDFIELD h -5": "*0",
		"HSCAN h 0": "*2 $1 0 *0", "HDEL h a": ":0", "HTTL h FIELDS 1 a": "*1 :-2", "DUMP h": "_",
		"HEXPIRE h 5 FIELDS 1 a": "*1 :-2",
	} {
		play(t, `
			HSET h a 1 => :1
			EXPIRE h 100 => :1
			HPEXPIRE h 10 FIELDS 1 a => *1 :1
			@+10
			`+request+" => "+want+`
			EXISTS h => :0
			HSET h b 1 => :1
			TTL h => :-1
		`)
	}
}

// TestHashExpiryStays checks how writes affect a field's expiry.
func TestHashExpiryStays(t *testing.T) {
	m := play(t, `
		HSET h a 1 b 2 c 3 => :3
		EXPIRE h 100 => :1
		HEXPIRE h 50 FIELDS 3 a b c => *3 :1 :1 :1
		HINCRBY h a 5 => :6
		HINCRBYFLOAT h a 0.5 => $3 6.5
		HINCRBYFLOAT h a 0 => $3 6.5
		HTTL h FIELDS 1 a => *1 :50
		HSETNX h a 7 => :0
		HTTL h FIELDS 1 a => *1 :50
		HSET h a 6.5 b 2 => :0
		HTTL h FIELDS 3 a b c => *3 :-1 :-1 :50
		PERSIST h => :1
		HTTL h FIELDS 3 a b c => *3 :-1 :-1 :50
		EXPIRE h 20 => :1
		HDEL h c => :1
		TTL h => :20
		OBJECT ENCODING h => $10 listpackex
	`)
	checkHash(t, m.keys["h"])
	if got := m.text("DUMP", "h"); got.Str[0] != 16 {
		t.Errorf("written as type %d, though nothing in it expires", got.Str[0])
	}
}

// TestHashDump checks that fields keep their expiry, in the format of Redis
// 7.4.
func TestHashDump(t *testing.T) {
	m := play(t, `
		HSET h a 1 b 2 c 3 => :3
		HPEXPIREAT h 1700000000100 FIELDS 1 b => *1 :1
		HPEXPIREAT h 1700000000200 FIELDS 1 c => *1 :1
	`)
	payload := m.text("DUMP", "h")
	if kind, version := payload.Str[0], payload.Str[len(payload.Str)-10]; kind != 24 || version != 12 {
		t.Errorf("a payload of type %d, version %d", kind, version)
	}
	m.do([]byte("RESTORE"), []byte("copy"), []byte("0"), payload.Str)
	checkHash(t, m.keys["copy"])
	for _, want := range []string{"*3 :-1 :100 :200", "*3 :-1 :-2 :100"} {
		r := m.text("HPTTL", "copy", "FIELDS", "3", "a", "b", "c")
		if got := strings.TrimSpace(strings.ReplaceAll(string(r.AppendTo(nil, 3)), "\r\n", " ")); got != want {
			t.Errorf("HPTTL says %s, want %s", got, want)
		}
		m.now += 100
	}
	m.text("DEL", "copy")
	m.do([]byte("RESTORE"), []byte("copy"), []byte("0"), payload.Str)
	if n := m.text("HLEN", "copy").Int; n != 3 {
		t.Errorf("%d fields are restored", n)
	}
	if r := m.text("HGETALL", "copy"); len(r.Elems) != 2 {
		t.Errorf("%d of them are not past their time", len(r.Elems)/2)
	}
}

// reap runs one background step on a key.
func (m *machine) reap(key string, again bool) *resp.Value {
	return m.run([][]byte{[]byte("reap")}, []byte(key), hash.Reap{Again: again}, !again)
}

// dueHash creates a large hash in which all but a few fields expire in a
// second.
func dueHash(t *testing.T, m *machine, keep int) {
	t.Helper()
	names := numbered("f%d")[:5000]
	set := [][]byte{[]byte("HSET"), []byte("h")}
	for _, name := range names {
		set = append(set, name, []byte("value"))
	}
	m.do(set...)
	request := [][]byte{[]byte("HEXPIRE"), []byte("h"), []byte("1"), []byte("FIELDS"), fmt.Append(nil, len(names)-keep)}
	m.do(append(request, names[keep:]...)...)
	checkHash(t, m.keys["h"])
}

// TestReap checks that the background removes a limited number of fields at a
// time, until no expired field is left.
func TestReap(t *testing.T) {
	for _, keep := range []int{0, 1000} {
		m := newMachine(t)
		dueHash(t, m, keep)
		if got := m.reap("h", false).Int; got != 0 || m.size([]byte("h")) != 5000 {
			t.Fatalf("before the time: %d, %d fields", got, m.size([]byte("h")))
		}
		m.now += 1000
		for steps := 1; ; steps++ {
			before := m.size([]byte("h"))
			c := costOf(t, m.keys["h"], hash.Reap{Again: steps > 1})
			if c.elements > 1040 || c.change > 1024*2*60 || steps > 1 && c.rounds > 1 {
				t.Fatalf("a step costs %+v", c)
			}
			more := m.reap("h", steps > 1).Int != 0
			if more { // reads have nothing left to remove
				spec, _ := Resolve(splitWords(t, "HGETALL h"))
				op, _ := spec.Key(splitWords(t, "HGETALL h"))
				if e := op.Execute(m.keys["h"], m.now-1000); e.Change.Kind != register.None || len(e.Result.(*resp.Value).Elems) != 2*keep {
					t.Fatalf("a read changes %.200s", show(e))
				}
			}
			if v, exists := m.keys["h"]; exists {
				checkHash(t, v)
			}
			if gone := before - m.size([]byte("h")); gone > 1024 {
				t.Fatalf("%d fields at once", gone)
			}
			if !more {
				break
			}
			if steps > 40 {
				t.Fatal("it does not end")
			}
		}
		v := m.keys["h"]
		if int(v.Header.Size) != keep || layout.Due(v.Header) != 0 {
			t.Errorf("%d fields are left, due at %d", v.Header.Size, layout.Due(v.Header))
		}
	}
	m := newMachine(t)
	m.text("SET", "s", "v")
	if got := m.reap("s", false).Int + m.reap("s", true).Int + m.reap("none", false).Int + m.reap("none", true).Int; got != 0 {
		t.Errorf("strings: %d", got)
	}
}

// TestManyFieldsExpire checks that a read that finds many expired fields does
// not remove all of them in one step, but makes all of them absent for
// everyone.
func TestManyFieldsExpire(t *testing.T) {
	for _, request := range []string{"HGETALL h", "HSCAN h 0 COUNT 3000", "HRANDFIELD h 6000", "DUMP h"} {
		m := newMachine(t)
		dueHash(t, m, 10)
		m.now += 1000
		spec, _ := Resolve(splitWords(t, request))
		op, _ := spec.Key(splitWords(t, request))
		if e := op.Execute(m.keys["h"], m.now); e.Change.Kind != register.Delta || e.Change.Bytes() > 100 {
			t.Errorf("%s: a change of %d bytes", request, e.Change.Bytes())
		}
		m.do(splitWords(t, request)...)
		checkHash(t, m.keys["h"])
		m.now -= 1000
		if e := op.Execute(m.keys["h"], m.now); e.Change.Kind != register.None {
			t.Errorf("%s: another change of %d bytes", request, e.Change.Bytes())
		}
		if got := len(m.text("HGETALL", "h").Elems); got != 20 {
			t.Errorf("%s: %d fields are there for whose clock is behind", request, got/2)
		}
		m.do([]byte("RESTORE"), []byte("copy"), []byte("0"), m.text("DUMP", "h").Str)
		if got := m.text("HLEN", "copy").Int; got != 10 {
			t.Errorf("%s: %d fields are dumped", request, got)
		}
		for range 20 { // most draws find no live field at first
			if got := m.text("HRANDFIELD", "h"); len(got.Str) == 0 {
				t.Fatalf("%s: HRANDFIELD draws nothing", request)
			}
		}
		m.text("HEXPIRE", "h", "50", "FIELDS", "1", "f1")
		// Setting an expiry does not go back in time either.
		if got := m.text("HPEXPIRE", "h", "500", "FIELDS", "1", "f0").Elems[0].Int; got != 2 {
			t.Errorf("%s: HPEXPIRE answers %d", request, got)
		}
		m.now += 1000
		for m.reap("h", true).Int != 0 {
			checkHash(t, m.keys["h"])
		}
		if h := m.keys["h"].Header; h.Size != 9 || len(h.Aux) != 8 || layout.Due(h) != m.now+49_000 {
			t.Errorf("%s: %d fields are left, and %x", request, h.Size, h.Aux)
		}
	}
}

func TestCostOfHashExpiry(t *testing.T) {
	var pairs [][]byte
	expiries := make([]int64, large)
	for i, name := range numbered("f%d") {
		pairs = append(pairs, name, []byte("value"))
		if i%2 == 0 {
			expiries[i] = int64(1000 + i)
		}
	}
	h, ops := hash.Build(pairs, expiries)
	v := register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
	checkHash(t, v)
	checkCosts(t, v, map[string]cost{
		"HGET k f77":                      {1, 1, 32},
		"HSET k f78 v":                    {1, 1, 120},
		"HSET k f78 v f80 v new v":        {1, 3, 300},
		"HDEL k f78":                      {1, 1, 120},
		"HINCRBY k f77 1":                 {1, 1, 120},
		"HEXPIRE k 100 FIELDS 2 f77 f78":  {1, 2, 260},
		"HEXPIRE k 0 FIELDS 1 f78":        {1, 1, 120},
		"HPERSIST k FIELDS 2 f77 f78":     {1, 2, 120},
		"HTTL k FIELDS 3 f77 f78 x":       {1, 3, 50},
		"HPEXPIRETIME k FIELDS 1 f78":     {1, 1, 50},
		"HRANDFIELD k":                    {2, 16, 50},
		"HSCAN k 0":                       {1, 11, 50},
		"HSCAN k 281474976710655":         {1, 0, 50},
		"HPEXPIREAT k 5000 NX FIELDS 1 x": {1, 1, 50},
	})
	var op operation.Operation = hash.Reap{}
	if c := costOf(t, v, op); c.elements > 0 || c.rounds > 1 {
		t.Errorf("to see that nothing is due costs %+v", c)
	}
}

// TestDamagedFields is TestDamagedStates for hashes with fields that expire.
func TestDamagedFields(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	reaping := &Spec{Key: func([][]byte) (operation.Operation, *resp.Value) { return hash.Reap{Again: rng.IntN(2) == 0}, nil }}
	m := newMachine(t)
	m.now -= 50 // so that half of the fields have expired in the damaged states
	for n := range 20_000 {
		f := fmt.Sprint("f", rng.IntN(8))
		request := []string{
			"HSET h %f 1", "HINCRBY h %f 1", "HPEXPIREAT h %t FIELDS 2 %f f1", "HPEXPIREAT h %t GT FIELDS 1 %f", "HPERSIST h FIELDS 1 %f",
			"HTTL h FIELDS 2 %f f2", "HGET h %f", "HGETALL h", "HSCAN h 0", "HRANDFIELD h 3", "HRANDFIELD h", "DUMP h", "HDEL h %f f3", "HSETNX h %f 2",
		}[n%14]
		request = strings.NewReplacer("%f", f, "%t", fmt.Sprint(m.now+int64(rng.IntN(100)))).Replace(request)
		args := splitWords(t, request)
		spec, _ := Resolve(args)
		v := m.state([]byte("h"))
		executeOn(t, args, spec, damaged(rng, v))
		executeOn(t, args, reaping, damaged(rng, v))
		m.do(args...)
	}
}

// TestHashExpireIsDeclared compares COMMAND INFO and DOCS of one command of
// each form with Redis 7.4's documentation and src/commands/*.json.
func TestHashExpireIsDeclared(t *testing.T) {
	for request, want := range map[string]string{
		"INFO hpexpire": "hpexpire -6 write denyoom fast 1 1 1 @write @hash @fast flags RW update begin_search type index spec index 1 " +
			"find_keys type range spec lastkey 0 keystep 1 limit 0",
		"INFO hpttl": "hpttl -5 readonly fast 1 1 1 @read @hash @fast flags RO access begin_search type index spec index 1 " +
			"find_keys type range spec lastkey 0 keystep 1 limit 0",
		"INFO hpersist": "hpersist -5 write fast 1 1 1 @write @hash @fast flags RW update begin_search type index spec index 1 " +
			"find_keys type range spec lastkey 0 keystep 1 limit 0",
		"DOCS hpexpire": "hpexpire summary Set expiry for hash field using relative time to expire (milliseconds) since 7.4.0 group hash " +
			"complexity O(N) where N is the number of specified fields arguments name key type key key_spec_index 0 " +
			"name milliseconds type integer name condition type oneof flags optional arguments name nx type pure-token token NX " +
			"name xx type pure-token token XX name gt type pure-token token GT name lt type pure-token token LT " +
			"name fields type block token FIELDS arguments name numfields type integer name field type string flags multiple",
		"DOCS hpttl": "hpttl summary Returns the TTL in milliseconds of a hash field. since 7.4.0 group hash " +
			"complexity O(N) where N is the number of specified fields arguments name key type key key_spec_index 0 " +
			"name fields type block token FIELDS arguments name numfields type integer name field type string flags multiple",
	} {
		r := newMachine(t).text(append([]string{"COMMAND"}, strings.Fields(request)...)...)
		var words []string
		for _, line := range strings.Split(string(r.AppendTo(nil, 2)), "\r\n") {
			if line != "" && line[0] != '*' && line[0] != '$' { // lengths
				words = append(words, strings.TrimLeft(line, "+:"))
			}
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: %s", request, got)
		}
	}
}
