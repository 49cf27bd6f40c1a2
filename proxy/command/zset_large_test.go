package command

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"synod/protocol/operation"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/zset"
)

// TestLargeSortedSet runs commands on a sorted set of 5,000 members and
// compares the replies with a sorted list.
func TestLargeSortedSet(t *testing.T) {
	const size = 5000
	m, rng := newMachine(t), rand.New(rand.NewPCG(1, 1))
	model := make([]zset.Member, size)
	for i := range model {
		model[i] = zset.Member{Name: fmt.Append(nil, "m", i), Score: float64(rng.IntN(1000))}
	}
	m.put("k", model)
	slices.SortFunc(model, zset.Compare)
	names := func(from, to int) string { // in the format of ZRANGE
		return string(zset.List(model[max(0, from):min(to, len(model))], false).AppendTo(nil, 3))
	}
	for range 60 {
		at, n := rng.IntN(len(model)), rng.IntN(20)
		low, high := model[at].Score, model[min(at+n, len(model)-1)].Score
		from, _ := slices.BinarySearchFunc(model, low, func(m zset.Member, s float64) int { return int(m.Score - s) })
		to, _ := slices.BinarySearchFunc(model, high+1, func(m zset.Member, s float64) int { return int(m.Score - s) })
		for request, want := range map[string]string{
			fmt.Sprint("ZRANGE k ", at, " ", at+n):                                           names(at, at+n+1),
			fmt.Sprint("ZRANGE k ", at-len(model), " ", at+n):                                names(at, at+n+1),
			fmt.Sprint("ZRANGE k ", at-len(model), " ", min(-1, at+n-len(model))):            names(at, at+n+1),
			fmt.Sprint("ZRANGEBYSCORE k ", low, " ", high):                                   names(from, to),
			fmt.Sprint("ZRANGEBYSCORE k ", low, " ", high, " LIMIT ", n, " 5"):               names(min(from+n, to), min(from+n+5, to)),
			fmt.Sprint("ZCOUNT k ", low, " ", high):                                          fmt.Sprintf(":%d\r\n", to-from),
			fmt.Sprintf("ZRANK k %s", model[at].Name):                                        fmt.Sprintf(":%d\r\n", at),
			fmt.Sprintf("ZREVRANK k %s", model[at].Name):                                     fmt.Sprintf(":%d\r\n", len(model)-1-at),
			fmt.Sprint("ZREVRANGE k ", len(model)-1-at, " ", len(model)-1-at, " WITHSCORES"): fmt.Sprintf("*1\r\n*2\r\n$%d\r\n%s\r\n,%v\r\n", len(model[at].Name), model[at].Name, low),
		} {
			if got := string(m.do(splitWords(t, request)...).AppendTo(nil, 3)); got != want {
				t.Fatalf("%s: %q, want %q", request, got, want)
			}
		}
		request := fmt.Sprint("ZREMRANGEBYRANK k ", at, " ", at+n)
		if got, want := m.do(splitWords(t, request)...).Int, min(n+1, len(model)-at); int(got) != want {
			t.Fatalf("%s: %d, want %d", request, got, want)
		}
		model = slices.Delete(model, at, min(at+n+1, len(model)))
	}
	if got := zset.Items(m.state([]byte("k"))); !slices.EqualFunc(got, model, func(a, b zset.Member) bool { return zset.Compare(a, b) == 0 }) {
		t.Errorf("%d members are left, want %d", len(got), len(model))
	}
}

// put stores a sorted set at a key.
func (m *machine) put(key string, members []zset.Member) {
	h, ops := zset.Build(members)
	m.keys[key] = register.Nothing().Apply(register.Change{Kind: register.Full, Header: h, Ops: ops})
}

// TestCostOfSortedSets checks that a command on a large sorted set reads and
// changes only what it needs.
func TestCostOfSortedSets(t *testing.T) {
	m := newMachine(t)
	members, level := make([]zset.Member, large), make([]zset.Member, large)
	for i := range members {
		members[i] = zset.Member{Name: fmt.Append(nil, "m", i), Score: float64(i)}
		level[i] = zset.Member{Name: members[i].Name}
	}
	m.put("k", members)
	m.put("l", level)
	checkCosts(t, m.keys["k"], map[string]cost{
		"ZADD k 1.5 new": {1, 1, 150}, "ZADD k 1.5 m4000": {1, 1, 200}, "ZADD k XX 1.5 none": {1, 1, 32}, "ZINCRBY k 10 m77": {1, 1, 200},
		"ZADD k 4000 m4000 4001 m4001": {1, 2, 32}, "ZREM k m1 none": {1, 2, 150}, "ZSCORE k m2": {1, 1, 32}, "ZMSCORE k m2 m3": {1, 2, 32}, "ZCARD k": {1, 0, 32},
		"ZRANK k m2500": {2, 1, 32}, "ZREVRANK k m2500 WITHSCORE": {2, 1, 32}, "ZCOUNT k 100 4900": {1, 0, 32},
		"ZRANGE k 2500 2509": {1, 10, 32}, "ZRANGE k -3000 -2991 WITHSCORES": {1, 10, 32}, "ZRANGE k 2500 -17491": {2, 10, 32}, "ZREVRANGE k 0 9": {1, 10, 32}, "ZREVRANGE k -10 -1": {1, 10, 32},
		"ZRANGE k -10 10": {2, 0, 32}, "ZRANGE k 0 -19990 REV": {2, 11, 32}, "ZRANGE k 9 1": {1, 0, 32}, "ZRANGE k 19990 -1": {1, 10, 32},
		"ZRANGEBYSCORE k 1000 2000 LIMIT 500 10": {1, 10, 32}, "ZREVRANGEBYSCORE k 2000 1000 LIMIT 500 10": {1, 10, 32}, "ZRANGE k (1000 1010 BYSCORE": {1, 10, 32},
		"ZRANGEBYSCORE k 5 1": {1, 0, 32}, "ZRANGEBYSCORE k 1 5 LIMIT -1 9": {1, 0, 32}, "ZRANGEBYSCORE k 1 5 LIMIT 0 0": {1, 0, 32},
		"ZPOPMIN k": {1, 1, 150}, "ZPOPMAX k 3": {1, 3, 300}, "ZPOPMIN k 0": {1, 0, 32}, "ZREMRANGEBYSCORE k 100 104": {1, 5, 500}, "ZREMRANGEBYRANK k 0 -19980": {2, 21, 1500},
		"ZRANDMEMBER k": {2, 32, 32}, "ZRANDMEMBER k 3 WITHSCORES": {3, 100, 32}, "ZSCAN k 0 COUNT 20": {1, 21, 32},
	})
	checkCosts(t, m.keys["l"], map[string]cost{
		"ZLEXCOUNT l [m2 [m3": {2, 1, 32}, "ZRANGEBYLEX l [m2 + LIMIT 500 10": {2, 11, 32}, "ZREVRANGEBYLEX l [m2 - LIMIT 5 10": {2, 11, 32},
		"ZREMRANGEBYLEX l [m100 [m1002": {2, 40, 4000}, "ZRANGE l + - BYLEX": {2, 1, 32},
	})
}

func TestCostOfPlaces(t *testing.T) {
	m := newMachine(t)
	args := []string{"GEOADD", "g"}
	for i := range large { // on a grid of about 100 m
		args = append(args, strconv.FormatFloat(10+float64(i%140)/1000, 'f', 3, 64), strconv.FormatFloat(45+float64(i/140)/1000, 'f', 3, 64), "p"+strconv.Itoa(i))
	}
	m.text(args...)
	checkCosts(t, m.keys["g"], map[string]cost{
		"GEOADD g 10 45 new": {1, 1, 150}, "GEOPOS g p7": {1, 1, 32}, "GEODIST g p7 p8": {1, 2, 32}, "GEOHASH g p7 none": {1, 2, 32},
		"GEOSEARCH g FROMLONLAT 10.03 45.03 BYRADIUS 150 m": {1, 60, 32}, "GEOSEARCH g FROMMEMBER p2300 BYBOX 300 200 m ASC COUNT 2": {2, 90, 32},
		"GEOSEARCH g FROMLONLAT 10.03 45.03 BYRADIUS 50 km COUNT 2 ANY": {1, 600, 32}, "GEORADIUS g 10.03 45.03 0 m": {1, 9, 32},
		"GEORADIUSBYMEMBER g none 1 m": {1, 1, 32}, "GEOSEARCH g FROMLONLAT 10 45 BYRADIUS 50 km COUNT x": {1, 0, 32},
	})
	if n := len(m.text("GEOSEARCH", "g", "FROMLONLAT", "10.07", "45.07", "BYRADIUS", "50", "km", "COUNT", "15000", "ANY").Elems); n != 15000 {
		t.Errorf("any 15000 places are %d", n)
	}
}

// TestCostOfScoreAlgebra checks how much is read of each key, and in how many
// steps.
func TestCostOfScoreAlgebra(t *testing.T) {
	m := newMachine(t)
	for key, size := range map[string]int{"big": large, "mid": 1000, "few": 3} {
		members := make([]zset.Member, size)
		for i := range members {
			members[i] = zset.Member{Name: fmt.Append(nil, i), Score: float64(i)}
		}
		m.put(key, members)
	}
	fill(m, "set", 900, 2000)
	for request, most := range map[string]cost{
		"ZINTER 2 big few":         {2, 6 + 128 + 3, 0},
		"ZINTERCARD 3 big set few": {2, 6 + 128 + 3 + 128 + 3, 0},
		"ZINTER 3 big mid set":     {3, 3*128 + 2*1000 + 2000 + 1000, 0},
		"ZDIFF 2 few big":          {2, 6 + 128 + 3, 0},
		"ZINTER 2 none big":        {1, 128, 0},
		"ZDIFF 2 none big":         {1, 128, 0},
		"ZINTER 2 big big FOO":     {1, 256, 0},
		"ZUNION 2 few mid":         {1, 6 + 2000, 0},
	} {
		args := splitWords(t, request)
		spec, _ := Resolve(args)
		s, _ := spec.Split(args)
		var results []*resp.Value
		var read cost
		for keys, ops := s.Keys, s.Ops; len(ops) > 0; read.rounds++ {
			for i, op := range ops {
				v := m.state(keys[i])
				read.elements += costOf(t, v, op).elements
				results = append(results, op.Execute(v, m.now).Result.(*resp.Value))
			}
			keys, ops = s.Then(results)
		}
		if read.rounds > most.rounds || read.elements > most.elements {
			t.Errorf("%s: %+v, at most %+v", request, read, most)
		}
	}
}

// TestSortedSetScan walks over a sorted set in pages.
func TestSortedSetScan(t *testing.T) {
	m := newMachine(t)
	members := make([]zset.Member, 1000)
	for i := range members {
		members[i] = zset.Member{Name: fmt.Append(nil, i), Score: float64(i) / 2}
	}
	m.put("k", members)
	seen, cursor := map[string]string{}, "0"
	for {
		page := m.text("ZSCAN", "k", cursor, "COUNT", "37", "MATCH", "*[0-4]")
		list := page.Elems[1].Elems
		for i := 0; i < len(list); i += 2 {
			seen[string(list[i].Str)] = string(list[i+1].Str)
		}
		if cursor = string(page.Elems[0].Str); cursor == "0" {
			break
		}
	}
	if len(seen) != 500 || seen["13"] != "6.5" {
		t.Errorf("%d members were found", len(seen))
	}
	m.put("k", members[:128])
	if page := m.text("ZSCAN", "k", "77", "COUNT", "1"); string(page.Elems[0].Str) != "0" || len(page.Elems[1].Elems) != 256 {
		t.Error("a compact sorted set comes in pages")
	}
}

// TestPopsAhead checks that consecutive pops use what the first one fetched.
func TestPopsAhead(t *testing.T) {
	m := newMachine(t)
	members := make([]zset.Member, 5000)
	for i := range members {
		members[i] = zset.Member{Name: fmt.Append(nil, "m", i), Score: float64(i % 700)}
	}
	m.put("k", members)
	for _, request := range []string{"ZPOPMIN k", "ZPOPMAX k", "ZPOPMIN k 6", "ZPOPMAX k 6"} {
		spec, _ := Resolve(splitWords(t, request))
		op, _ := spec.Key(splitWords(t, request))
		whole := register.NewDraft(m.state([]byte("k")))
		part := register.NewDraft(whole.View().Project(op.(operation.Prefetcher).Prefetch(2)))
		for range 3 {
			got, want := op.Execute(part.View(), m.now), op.Execute(whole.View(), m.now)
			if !sameEffect(got, want) {
				t.Fatalf("%s: %s, want %s", request, show(got), show(want))
			}
			part.Apply(got.Change)
			whole.Apply(want.Change)
		}
	}
}
