package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/proxy/datatype/hash"
)

func TestHashes(t *testing.T) {
	play(t, `
		SET s v => +OK
		HSET h a 1 b 2 => :2
		HSET h a 3 => :0
		HSET h x 1 x 2 => :1
		HGET h x => $1 2
		HDEL h x => :1
		HSET h a => -ERR wrong number of arguments for 'hset' command
		HSET s a 1 b => -ERR wrong number of arguments for 'hset' command
		HSET s a 1 => `+wrongType+`
		HMSET h a 1 c 2 => +OK
		HMSET h a 1 c => -ERR wrong number of arguments for 'hmset' command
		HSETNX h a 5 => :0
		HSETNX h d 5 => :1
		HSETNX s d 5 => `+wrongType+`
		HMGET h a z d => *3 $1 1 _ $1 5
		HMGET none a b => *2 _ _
		HMGET s a => `+wrongType+`
		HDEL h d d x => :1
		HDEL none x => :0
		HDEL s x => `+wrongType+`
		HGET h a => $1 1
		HGET h z => _
		HGET none z => _
		HGET s z => `+wrongType+`
		HEXISTS h a => :1
		HEXISTS h z => :0
		HLEN h => :3
		HLEN none => :0
		HLEN s => `+wrongType+`
		HDEL h b c a => :3
		TYPE h => +none
		HSET h f v => :1
		EXPIRE h 100 => :1
		HSET h f v => :0
		HSET h f w => :0
		TTL h => :100
		HGETALL h => %1 $1 f $1 w
		HKEYS h => *1 $1 f
		HVALS h => *1 $1 w
		HSTRLEN h f => :1
		HSTRLEN h z => :0
		HGETALL none => %0
		HKEYS none => *0
		HVALS none => *0
		HGETALL s => `+wrongType+`
	`)
}

func TestHashPages(t *testing.T) {
	play(t, `
		SET s v => +OK
		HSET h f w => :1
		HSCAN h 0 => *2 $1 0 *2 $1 f $1 w
		HSCAN h 99 => *2 $1 0 *2 $1 f $1 w
		HSCAN h 0 MATCH g* => *2 $1 0 *0
		HSCAN h 0 MATCH f* COUNT 1 => *2 $1 0 *2 $1 f $1 w
		HSCAN h x => -ERR invalid cursor
		HSCAN s x nope => -ERR invalid cursor
		HSCAN s 0 nope => `+wrongType+`
		HSCAN none 0 nope => *2 $1 0 *0
		HSCAN h 0 nope => -ERR syntax error
		HSCAN h 0 COUNT => -ERR syntax error
		HSCAN h 0 COUNT 0 => -ERR syntax error
		HSCAN h 0 COUNT -1 => -ERR syntax error
		HSCAN h 0 COUNT x => -ERR value is not an integer or out of range
		HSCAN h 0 TYPE hash => -ERR syntax error
	`)
}

func TestHashDraws(t *testing.T) {
	long := strings.Repeat("x", 65)
	play(t, `
		SET s v => +OK
		HSET h f w => :1
		HRANDFIELD h => $1 f
		HRANDFIELD none => _
		HRANDFIELD s => `+wrongType+`
		HRANDFIELD h 5 => *1 $1 f
		HRANDFIELD h -2 => *2 $1 f $1 f
		HRANDFIELD h 0 WITHVALUES => *0
		HRANDFIELD none -2 WITHVALUES => *0
		HRANDFIELD h 5 withvalues => *1 *2 $1 f $1 w
		HRANDFIELD h -2 WITHVALUES => *2 *2 $1 f $1 w *2 $1 f $1 w
		HRANDFIELD h x y => -ERR value is not an integer or out of range
		HRANDFIELD h 2 y => -ERR syntax error
		HRANDFIELD h 2 WITHVALUES y => -ERR syntax error
		HRANDFIELD h -9223372036854775808 => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
		HRANDFIELD s 9223372036854775807 WITHVALUES => -ERR value is out of range
		HRANDFIELD h 9223372036854775807 => *1 $1 f
		HRANDFIELD h -2147483648 => -ERR value is out of range
		HRANDFIELD none -2147483648 => *0
		HSET h `+long+` 1 => :1
		HDEL h `+long+` => :1
		OBJECT ENCODING h => $9 hashtable
	`)
}

func TestHashNumbers(t *testing.T) {
	m := play(t, `
		SET s v => +OK
		HINCRBY h a 10 => :10
		HINCRBY h a -15 => :-5
		HINCRBY h a x => -ERR value is not an integer or out of range
		HINCRBY s a x => -ERR value is not an integer or out of range
		HINCRBY s a 1 => `+wrongType+`
		HSET h m 9223372036854775807 t text e "" => :3
		HINCRBY h m 1 => -ERR increment or decrement would overflow
		HINCRBY h m 0 => :9223372036854775807
		HINCRBY h t 1 => -ERR hash value is not an integer
		HINCRBY h e 1 => -ERR hash value is not an integer
		HINCRBYFLOAT h a 0.1 => $4 -4.9
		HINCRBYFLOAT h a 1e20 => $20 99999999999999999992
		HINCRBYFLOAT h f 3.14159265358979323846 => $19 3.14159265358979324
		HINCRBYFLOAT h m 1 => $19 9223372036854775808
		HINCRBYFLOAT h t 1 => -ERR hash value is not a float
		HINCRBYFLOAT h e 1 => -ERR hash value is not a float
		HINCRBYFLOAT s a x => -ERR value is not a valid float
		HINCRBYFLOAT s a nan => -ERR value is not a valid float
		HINCRBYFLOAT s a inf => -ERR value is NaN or Infinity
		HINCRBYFLOAT s a 1 => `+wrongType+`
		HSET h i inf => :1
		HINCRBYFLOAT h i 1 => -ERR increment would produce NaN or Infinity
		OBJECT ENCODING h => $8 listpack
		HINCRBYFLOAT h i2 1e100 => $100 9999999999999999999669353532207342619498699019828496079271391541752018669482644324418977840117055488
	`)
	if got := m.text("HLEN", "h").Int; got != 7 {
		t.Errorf("%d fields", got)
	}
}

// cost is how much a command needs and changes.
type cost struct {
	rounds   int // rounds with requests
	elements int // elements named or returned
	change   int // bytes
}

// costOf runs an operation on a state that is initially unknown to it.
func costOf(t *testing.T, v register.View, op operation.Operation) cost {
	t.Helper()
	part := v.Project(op.Needs())
	c := cost{rounds: 1}
	for ; c.rounds < 10; c.rounds++ {
		e := op.Execute(part, 0)
		if e.Need == nil {
			c.elements = len(part.Elements()) + len(part.Known().Absent)
			c.change = e.Change.Bytes()
			return c
		}
		part = register.Join(part, v.Project(*e.Need))
	}
	t.Fatal("never stops asking for data")
	return c
}

// checkCosts runs commands on one large value, which stays unchanged, and
// checks that each needs and changes little.
func checkCosts(t *testing.T, v register.View, requests map[string]cost) {
	t.Helper()
	for request, most := range requests {
		args := splitWords(t, request)
		spec, err := Resolve(args)
		if err != nil {
			t.Fatalf("%s: %s", request, err.Str)
		}
		op, err := spec.Key(args)
		if err != nil {
			t.Fatalf("%s: %s", request, err.Str)
		}
		if c := costOf(t, v, op); c.rounds > most.rounds || c.elements > most.elements || c.change > most.change {
			t.Errorf("%s: %+v, at most %+v", request, c, most)
		}
	}
}

// large is the size of a large collection; some test arguments depend on it.
const large = 20_000

func numbered(format string) (out [][]byte) {
	for i := range large {
		out = append(out, fmt.Appendf(nil, format, i))
	}
	return out
}

func TestCostOfHashes(t *testing.T) {
	var pairs [][]byte
	for _, name := range numbered("f%d") {
		pairs = append(pairs, name, []byte("value"))
	}
	h, ops := hash.Build(pairs, nil)
	v := register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
	if items, _ := hash.Items(v); len(items) != len(pairs) || hash.Encoding(v.Header) != "hashtable" {
		t.Fatalf("built a %s of %d fields", hash.Encoding(v.Header), len(items)/2)
	}
	checkCosts(t, v, map[string]cost{
		"HGET k f77":                {1, 1, 32},
		"HMGET k f77 f77 x":         {1, 2, 32},
		"HLEN k":                    {1, 0, 32},
		"HEXISTS k x":               {1, 1, 32},
		"HSET k f77 v":              {1, 1, 60},
		"HSET k f77 value":          {1, 1, 32},
		"HSET k a 1 b 2":            {1, 2, 100},
		"HSETNX k n v":              {1, 1, 60},
		"HDEL k f1 f2 x":            {1, 3, 100},
		"HINCRBY k n 1":             {1, 1, 60},
		"HINCRBYFLOAT k n 1.5":      {1, 1, 60},
		"HRANDFIELD k":              {2, 16, 32},
		"HRANDFIELD k 2":            {3, 100, 32},
		"HRANDFIELD k -3":           {2, 48, 32},
		"HRANDFIELD k 50":           {4, 2000, 32},
		"HSCAN k 0":                 {1, 11, 32},
		"HSCAN k 140737488355328":   {1, 11, 32},
		"HSCAN k 281474976710656":   {1, 0, 32},
		"HSCAN k 0 COUNT 100":       {1, 101, 32},
		"HSCAN k 0 MATCH x COUNT x": {1, 0, 32},
	})
}

// TestHashScan checks that a paged walk finds every field that exists
// throughout, while other fields are added and removed.
func TestHashScan(t *testing.T) {
	m := newMachine(t)
	set := [][]byte{[]byte("HSET"), []byte("k")}
	for _, name := range numbered("f%d")[:2000] {
		set = append(set, name, name)
	}
	m.do(set...)
	found := map[string]int{}
	pages := 0
	for cursor := "0"; pages == 0 || cursor != "0"; pages++ {
		r := m.text("HSCAN", "k", cursor, "COUNT", "50")
		cursor = string(r.Elems[0].Str)
		elems := r.Elems[1].Elems
		for i := 0; i < len(elems); i += 2 {
			if found[string(elems[i].Str)]++; !bytes.Equal(elems[i].Str, elems[i+1].Str) {
				t.Fatalf("%s has the value %s", elems[i].Str, elems[i+1].Str)
			}
		}
		m.text("HSET", "k", fmt.Sprint("new", pages), fmt.Sprint("new", pages), fmt.Sprint("f", 3*pages), fmt.Sprint("f", 3*pages))
		m.text("HDEL", "k", fmt.Sprint("new", pages-1))
		delete(found, fmt.Sprint("new", pages-1))
		if len(elems) > 100 {
			t.Fatalf("%d fields in a page of 50", len(elems)/2)
		}
	}
	for _, name := range numbered("f%d")[:2000] {
		if found[string(name)] != 1 {
			t.Errorf("%s was found %d times", name, found[string(name)])
		}
	}
	if pages < 30 {
		t.Errorf("%d pages of 2000 fields", pages)
	}
}
