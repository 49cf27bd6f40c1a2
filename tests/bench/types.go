package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"synod/tests/harness"
)

// subject is a command on a collection, or several that together leave its size
// unchanged and are sent together; they count as one operation.
type subject struct {
	name string
	kind string // of the collection
	do   func(r *rand.Rand, size int) [][]string
}

const typesKey = "collection"

func element(i int) string { return fmt.Sprintf("element:%09d", i) }

func one(words ...string) [][]string { return [][]string{words} }

// subjects are typical uses of collections. Fields and members are random ones
// from the collection.
var subjects = []subject{
	{"HGET", "hash", func(r *rand.Rand, n int) [][]string { return one("HGET", typesKey, element(r.IntN(n))) }},
	{"HSET", "hash", func(r *rand.Rand, n int) [][]string { return one("HSET", typesKey, element(r.IntN(n)), value64) }},
	{"HDEL, HSET", "hash", func(r *rand.Rand, n int) [][]string {
		f := element(r.IntN(n))
		return [][]string{{"HDEL", typesKey, f}, {"HSET", typesKey, f, value64}}
	}},
	{"HINCRBY", "hash", func(r *rand.Rand, n int) [][]string { return one("HINCRBY", typesKey, "counter", "1") }},
	{"HLEN", "hash", func(*rand.Rand, int) [][]string { return one("HLEN", typesKey) }},
	{"SISMEMBER", "set", func(r *rand.Rand, n int) [][]string { return one("SISMEMBER", typesKey, element(r.IntN(n))) }},
	{"SREM, SADD", "set", func(r *rand.Rand, n int) [][]string {
		m := element(r.IntN(n))
		return [][]string{{"SREM", typesKey, m}, {"SADD", typesKey, m}}
	}},
	{"SRANDMEMBER", "set", func(*rand.Rand, int) [][]string { return one("SRANDMEMBER", typesKey) }},
	{"ZADD", "zset", func(r *rand.Rand, n int) [][]string {
		return one("ZADD", typesKey, strconv.Itoa(r.IntN(n)), element(r.IntN(n)))
	}},
	{"ZINCRBY", "zset", func(r *rand.Rand, n int) [][]string { return one("ZINCRBY", typesKey, "1", element(r.IntN(n))) }},
	{"ZSCORE", "zset", func(r *rand.Rand, n int) [][]string { return one("ZSCORE", typesKey, element(r.IntN(n))) }},
	{"ZRANK", "zset", func(r *rand.Rand, n int) [][]string { return one("ZRANK", typesKey, element(r.IntN(n))) }},
	{"ZCOUNT, a half", "zset", func(r *rand.Rand, n int) [][]string {
		from := r.IntN(n / 2)
		return one("ZCOUNT", typesKey, strconv.Itoa(from), strconv.Itoa(from+n/2))
	}},
	{"ZRANGE by rank, 10", "zset", func(r *rand.Rand, n int) [][]string {
		from := r.IntN(n)
		return one("ZRANGE", typesKey, strconv.Itoa(from), strconv.Itoa(from+9))
	}},
	{"LPUSH, RPOP", "list", func(*rand.Rand, int) [][]string {
		return [][]string{{"LPUSH", typesKey, value64}, {"RPOP", typesKey}}
	}},
	{"LINDEX near an end", "list", func(r *rand.Rand, n int) [][]string {
		return one("LINDEX", typesKey, strconv.Itoa(r.IntN(10)-5))
	}},
	{"LINDEX in the middle", "list", func(r *rand.Rand, n int) [][]string {
		return one("LINDEX", typesKey, strconv.Itoa(n/2))
	}},
	{"XADD", "stream", func(*rand.Rand, int) [][]string { return one("XADD", typesKey, "*", "field", value64) }},
	{"XRANGE COUNT 10", "stream", func(r *rand.Rand, n int) [][]string {
		return one("XRANGE", typesKey, strconv.Itoa(1+r.IntN(n)), "+", "COUNT", "10")
	}},
}

const value64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// fillers return the command that adds elements from to to of a collection.
var fillers = map[string]func(from, to int) []string{
	"hash": func(from, to int) []string {
		return filler("HSET", from, to, func(i int) []string { return []string{element(i), value64} })
	},
	"set": func(from, to int) []string {
		return filler("SADD", from, to, func(i int) []string { return []string{element(i)} })
	},
	"zset": func(from, to int) []string {
		return filler("ZADD", from, to, func(i int) []string { return []string{strconv.Itoa(i), element(i)} })
	},
	"list": func(from, to int) []string {
		return filler("RPUSH", from, to, func(int) []string { return []string{value64} })
	},
	"stream": func(from, _ int) []string {
		return []string{"XADD", typesKey, strconv.Itoa(from+1) + "-0", "field", value64}
	},
}

func filler(name string, from, to int, of func(i int) []string) []string {
	words := []string{name, typesKey}
	for i := from; i < to; i++ {
		words = append(words, of(i)...)
	}
	return words
}

const (
	fillStep     = 500 // elements in one command
	fillPipeline = 64  // commands on their way
)

// fillCollection makes the key a collection of so many elements.
func fillCollection(addr, kind string, size int) error {
	c, err := harness.TryDial(addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Do("DEL", typesKey); err != nil {
		return err
	}
	step := fillStep
	if kind == "stream" {
		step = 1
	}
	for at := 0; at < size; {
		var batch []byte
		sent := 0
		for ; sent < fillPipeline && at < size; sent++ {
			to := min(at+step, size)
			batch = append(batch, harness.Command(fillers[kind](at, to)...)...)
			at = to
		}
		if err := c.Send(batch); err != nil {
			return err
		}
		for range sent {
			if err := expectNoError(c); err != nil {
				return fmt.Errorf("fill a %s: %w", kind, err)
			}
		}
	}
	return nil
}

func expectNoError(c *harness.Conn) error {
	reply, err := c.Reply()
	if err == nil && reply[0] == '-' {
		err = fmt.Errorf("answered %s", reply)
	}
	return err
}

// drive has clients do a subject for a while, one request after the other each.
func (s subject) drive(ctx context.Context, addr string, size, clients int, length time.Duration) (rate, error) {
	conns := make([]*harness.Conn, clients)
	for i := range conns {
		c, err := harness.TryDial(addr)
		if err != nil {
			return rate{}, err
		}
		defer func() { _ = c.Close() }()
		conns[i] = c
	}
	counts, problems := make([]int, clients), make([]error, clients)
	begin := time.Now()
	end := begin.Add(length)
	var running sync.WaitGroup
	for i, c := range conns {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for (counts[i] == 0 || time.Now().Before(end)) && ctx.Err() == nil && problems[i] == nil {
				problems[i] = request(c, s.do(r, size))
				counts[i]++
			}
		})
	}
	running.Wait()
	took := time.Since(begin)
	done := 0
	for i := range conns {
		if problems[i] != nil {
			return rate{}, fmt.Errorf("%s: %w", s.name, problems[i])
		}
		done += counts[i]
	}
	return rate{operations: done, perSecond: float64(done) / took.Seconds()}, ctx.Err()
}

// request sends commands together and waits for all replies.
func request(c *harness.Conn, commands [][]string) error {
	var b []byte
	for _, words := range commands {
		b = append(b, harness.Command(words...)...)
	}
	if err := c.Send(b); err != nil {
		return err
	}
	for range commands {
		if err := expectNoError(c); err != nil {
			return err
		}
	}
	return nil
}
