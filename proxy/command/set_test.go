package command

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/register"
	"synod/protocol/resp"
	sets "synod/proxy/datatype/set"
)

func TestSets(t *testing.T) {
	play(t, `
		SET s v => +OK
		SADD a 1 2 2 3 => :3
		SADD a 1 => :0
		SADD s 1 => `+wrongType+`
		SCARD a => :3
		SCARD none => :0
		SCARD s => `+wrongType+`
		OBJECT ENCODING a => $6 intset
		SADD a 10 => :1
		SMEMBERS a => ~4 $1 1 $1 2 $1 3 $2 10
		SMEMBERS none => ~0
		SMEMBERS s => `+wrongType+`
		SADD a x => :1
		SREM a x x y => :1
		OBJECT ENCODING a => $9 hashtable
		SISMEMBER a 1 => :1
		SISMEMBER a x => :0
		SISMEMBER none x => :0
		SMISMEMBER a x 1 x => *3 :0 :1 :0
		SMISMEMBER none x y => *2 :0 :0
		SMISMEMBER s x y => `+wrongType+`
		EXPIRE a 100 => :1
		SREM a 1 2 3 => :3
		TTL a => :100
		SMEMBERS a => ~1 $2 10
		SSCAN a 0 => *2 $1 0 *1 $2 10
		SSCAN a 0 MATCH 2* => *2 $1 0 *0
		SSCAN a x => -ERR invalid cursor
		SSCAN none 0 x => *2 $1 0 *0
		SSCAN s 0 x => `+wrongType+`
		SSCAN a 0 x => -ERR syntax error
		SRANDMEMBER a => $2 10
		SRANDMEMBER a 0 => *0
		SRANDMEMBER a 3 => *1 $2 10
		SRANDMEMBER a -3 => *3 $2 10 $2 10 $2 10
		SRANDMEMBER a x => -ERR value is not an integer or out of range
		SRANDMEMBER a x x => -ERR syntax error
		SRANDMEMBER a -9223372036854775808 => -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
		SRANDMEMBER none => _
		SRANDMEMBER none -1 => *0
		SRANDMEMBER s 0 => `+wrongType+`
		SPOP a 0 => ~0
		SPOP a -1 => -ERR value is out of range, must be positive
		SPOP a x => -ERR value is out of range, must be positive
		SPOP a 1 x => -ERR syntax error
		SPOP s 0 => `+wrongType+`
		SPOP none => _
		SPOP none 5 => ~0
		SPOP a => $2 10
		TYPE a => +none
		SADD a 9223372036854775807 -9223372036854775808 => :2
		OBJECT ENCODING a => $6 intset
		SPOP a 5 => ~2 $20 -9223372036854775808 $19 9223372036854775807
		TYPE a => +none
		SREM a x => :0
		SREM s x => `+wrongType+`
	`)
}

func TestSetAlgebra(t *testing.T) {
	play(t, `
		SET s v => +OK
		SADD a 1 2 3 4 => :4
		SADD b 3 4 5 => :3
		SADD c 4 1 => :2
		SUNION a b none => ~5 $1 1 $1 2 $1 3 $1 4 $1 5
		SUNION none => ~0
		SUNION b => ~3 $1 3 $1 4 $1 5
		SINTER a b => ~2 $1 3 $1 4
		SINTER b a c => ~1 $1 4
		SINTER a a => ~4 $1 1 $1 2 $1 3 $1 4
		SINTER a none => ~0
		SDIFF a b => ~2 $1 1 $1 2
		SDIFF a b c => ~1 $1 2
		SDIFF a a => ~0
		SDIFF a => ~4 $1 1 $1 2 $1 3 $1 4
		SDIFF none a => ~0
		SUNION none s => `+wrongType+`
		SINTER none s => `+wrongType+`
		SDIFF none s => `+wrongType+`
		SINTERCARD 2 a b => :2
		SINTERCARD 2 a b LIMIT 1 => :1
		SINTERCARD 2 a b LIMIT 0 => :2
		SINTERCARD 2 a b limit 1 LIMIT 5 => :2
		SINTERCARD 1 a => :4
		SINTERCARD 2 a none => :0
		SINTERCARD 2 s none => `+wrongType+`
		SINTERCARD 0 a => -ERR numkeys should be greater than 0
		SINTERCARD x a => -ERR numkeys should be greater than 0
		SINTERCARD 2 a => -ERR Number of keys can't be greater than number of args
		SINTERCARD 9223372036854775807 a => -ERR Number of keys can't be greater than number of args
		SINTERCARD 1 a LIMIT -1 => -ERR LIMIT can't be negative
		SINTERCARD 1 a LIMIT x => -ERR LIMIT can't be negative
		SINTERCARD 1 a LIMIT => -ERR syntax error
		SINTERCARD 1 a b => -ERR syntax error
	`)
}

func TestCostOfSets(t *testing.T) {
	h, ops := sets.Build(numbered("m%d"))
	v := register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
	checkCosts(t, v, map[string]cost{
		"SADD k a b":              {1, 2, 80},
		"SADD k m1":               {1, 1, 32},
		"SREM k m1 x":             {1, 2, 60},
		"SCARD k":                 {1, 0, 32},
		"SISMEMBER k m5":          {1, 1, 32},
		"SMISMEMBER k m5 x":       {1, 2, 32},
		"SPOP k":                  {2, 16, 60},
		"SPOP k 3":                {3, 100, 150},
		"SRANDMEMBER k":           {2, 16, 32},
		"SRANDMEMBER k -2":        {2, 32, 32},
		"SSCAN k 0":               {1, 11, 32},
		"SSCAN k 0 MATCH nope":    {1, 11, 32},
		"SSCAN k 140737488355328": {1, 11, 32},
	})
}

// fill creates a set of consecutive integers.
func fill(m *machine, key string, first, count int) {
	args := [][]byte{[]byte("SADD"), []byte(key)}
	for i := range count {
		args = append(args, strconv.AppendInt(nil, int64(first+i), 10))
	}
	m.do(args...)
}

// TestCostOfSetAlgebra checks that, of sets much larger than the result can be,
// only some members are read.
func TestCostOfSetAlgebra(t *testing.T) {
	m := newMachine(t)
	fill(m, "tiny", 9_990, 20)
	fill(m, "mid", 9_000, 1_500)
	fill(m, "big", 0, 10_000)
	for request, want := range map[string]struct{ size, elements int }{
		"SINTER big tiny":                 {10, 20},
		"SINTER tiny big mid":             {10, 20 + 20},
		"SINTER big mid":                  {1000, 1_500 + 1_500},
		"SDIFF tiny big":                  {10, 20},
		"SDIFF mid big tiny":              {490, 3_000},
		"SDIFF none big":                  {0, 0},
		"SINTER none big":                 {0, 0},
		"SUNION tiny mid":                 {1_500, 1_500},
		"SINTERCARD 2 big tiny LIMIT 100": {10, 20},
	} {
		args := splitWords(t, request)
		spec, _ := Resolve(args)
		s, _ := spec.Split(args)
		read := 0
		var results []*resp.Value
		keys, ops := s.Keys, s.Ops
		for len(ops) > 0 {
			for i, op := range ops {
				v := m.state(keys[i])
				if c := costOf(t, v, op); v.Header.Size > 128 { // smaller sets are read whole
					read += c.elements
				}
				results = append(results, op.Execute(v, m.now).Result.(*resp.Value))
			}
			keys, ops = s.Then(results)
		}
		r := s.Combine(results)
		if size := max(len(r.Elems), int(r.Int)); size != want.size || read > want.elements {
			t.Errorf("%s: %d members out of %d that were read, want %d out of %d", request, size, read, want.size, want.elements)
		}
	}
}

// TestRandomSetAlgebra compares with a naive implementation, using set sizes
// that cover all ways of reading.
func TestRandomSetAlgebra(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := newMachine(t)
	model := map[string]map[int]bool{"none": nil}
	for i, size := range []int{0, 3, 100, 128, 129, 500, 3_000} {
		for j := range 2 {
			key := fmt.Sprint(i, "-", j)
			first := rng.IntN(size + 1)
			fill(m, key, first, size)
			model[key] = map[int]bool{}
			for n := range size {
				model[key][first+n] = true
			}
		}
	}
	var names []string
	for name := range model {
		names = append(names, name)
	}
	slices.Sort(names)
	for range 120 {
		keys := make([]string, 1+rng.IntN(4))
		count := map[int]int{}
		for i := range keys {
			keys[i] = names[rng.IntN(len(names))]
			for n := range model[keys[i]] {
				count[n]++
			}
		}
		union, inter, diff := len(count), 0, 0
		for n, c := range count {
			if c == len(keys) {
				inter++
			}
			if c == 1 && model[keys[0]][n] {
				diff++
			}
		}
		for name, want := range map[string]int{"SUNION": union, "SINTER": inter, "SDIFF": diff} {
			got := m.text(append([]string{name}, keys...)...)
			seen := map[string]bool{}
			for _, e := range got.Elems {
				n, _ := strconv.Atoi(string(e.Str))
				switch seen[string(e.Str)] = true; {
				case count[n] == 0, name == "SINTER" && count[n] < len(keys), name == "SDIFF" && !model[keys[0]][n]:
					t.Fatalf("%s %s has %s", name, keys, e.Str)
				}
			}
			if got.Kind != resp.Set || len(got.Elems) != want || len(seen) != want {
				t.Fatalf("%s %s has %d members, %d different ones, want %d", name, strings.Join(keys, " "), len(got.Elems), len(seen), want)
			}
		}
		card := m.text(append([]string{"SINTERCARD", strconv.Itoa(len(keys))}, append(keys, "LIMIT", "100")...)...)
		if card.Int != int64(min(inter, 100)) {
			t.Fatalf("SINTERCARD %s is %d, want %d", keys, card.Int, min(inter, 100))
		}
	}
}

// TestPopAll checks that popping a set until it is empty returns each member
// once.
func TestPopAll(t *testing.T) {
	m := newMachine(t)
	fill(m, "k", 0, 1_000)
	seen := map[string]bool{}
	for i := 0; m.size([]byte("k")) > 0; i++ {
		before := m.size([]byte("k"))
		popped := m.text("SPOP", "k", strconv.Itoa(1+i%20))
		for _, e := range popped.Elems {
			if seen[string(e.Str)] {
				t.Fatalf("%s was popped before", e.Str)
			}
			seen[string(e.Str)] = true
		}
		if want := min(before, uint64(1+i%20)); before-m.size([]byte("k")) != want || uint64(len(popped.Elems)) != want {
			t.Fatalf("popped %d of %d, which are %d now", len(popped.Elems), before, m.size([]byte("k")))
		}
	}
	if len(seen) != 1_000 {
		t.Errorf("%d members were popped", len(seen))
	}
}
