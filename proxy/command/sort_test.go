package command

import "testing"

func TestSort(t *testing.T) {
	play(t, `
		SORT none => *0
		RPUSH l 3 1 2 10 => :4
		SORT l => *4 $1 1 $1 2 $1 3 $2 10
		SORT l DESC => *4 $2 10 $1 3 $1 2 $1 1
		SORT l ALPHA => *4 $1 1 $2 10 $1 2 $1 3
		SORT l LIMIT 1 2 => *2 $1 2 $1 3
		SORT l LIMIT -5 2 => *2 $1 1 $1 2
		SORT l LIMIT 5 2 => *0
		SORT l LIMIT 1 -1 => *3 $1 2 $1 3 $2 10
		SORT l LIMIT 1 x => -ERR value is not an integer or out of range
		SORT l LIMIT 1 => -ERR syntax error
		SORT l BY nosort => *4 $1 3 $1 1 $1 2 $2 10
		SORT l BY nosort DESC LIMIT 1 2 => *2 $1 2 $1 1
		SORT l BY nosort GET # GET none => *8 $1 3 _ $1 1 _ $1 2 _ $2 10 _
		SET w_1 30 => +OK
		SET w_2 20 => +OK
		SET w_3 10 => +OK
		SORT l BY w_* => *4 $2 10 $1 3 $1 2 $1 1
		SORT l BY w_* GET w_* GET # => *8 _ $2 10 $2 10 $1 3 $2 20 $1 2 $2 30 $1 1
		SET w_10 x => +OK
		SORT l BY w_* => -ERR One or more scores can't be converted into double
		SORT l BY w_* ALPHA => *4 $1 3 $1 2 $1 1 $2 10
		SORT l BY w_* ALPHA DESC LIMIT 0 1 GET w_* => *1 $1 x
		SORT l STORE x => -ERR SORT with STORE writes a second key, which takes a transaction; this version has none
		SORT l STORE x y => -ERR syntax error
		SORT_RO l STORE x => -ERR syntax error
		SORT l STORE => -ERR syntax error
		SORT w_1 => `+wrongType+`
		RPUSH l x => :5
		SORT l => -ERR One or more scores can't be converted into double
		SORT_RO l ALPHA DESC LIMIT 0 1 => *1 $1 x
		HSET h_1 f one => :1
		HSET h_x f ex -> arrow => :2
		SORT l BY nosort GET h_*->f => *5 _ $3 one _ _ $2 ex
		SORT l BY nosort GET h_*->-> LIMIT 4 1 => *1 $5 arrow
		SADD s 5 -1 30 => :3
		SORT s DESC => *3 $2 30 $1 5 $2 -1
		ZADD z 1 b 2 a 3 c => :3
		SORT z ALPHA => *3 $1 a $1 b $1 c
		SORT z BY nosort => *3 $1 b $1 a $1 c
		SORT z BY nosort DESC LIMIT 0 2 => *2 $1 c $1 a
		SORT z => -ERR One or more scores can't be converted into double
	`)
}

// TestCostOfSort checks that an unsorted page of a list or sorted set reads
// only the page, and one of a set only the members up to its end.
func TestCostOfSort(t *testing.T) {
	m := newMachine(t)
	bigList(m, 5000, true)
	for i := range 500 {
		n := []string{"1", "2", "3"}[i%3] + string(rune('a'+i%26)) + string(rune('a'+i/26))
		m.text("ZADD", "z", n[:1], n)
		m.text("SADD", "s", n)
	}
	for _, key := range []string{"k", "z", "s"} {
		args := splitWords(t, "SORT "+key+" BY nosort LIMIT 3 4 DESC")
		split, _ := Lookup(args[0]).Split(args)
		whole := m.keys[key]
		need := split.Ops[0].Execute(whole.Project(split.Ops[0].Needs()), m.now).Need
		if need == nil || need.All || len(whole.Project(*need).Elements()) > 7 {
			t.Errorf("a page of %s: needs %+v", key, need)
		}
		if n := len(m.do(args...).Elems); n != 4 {
			t.Errorf("a page of %s has %d items", key, n)
		}
	}
}
