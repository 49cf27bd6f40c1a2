package command

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/resp"
)

// dumps creates values of all types in a real Redis.
type dumps struct {
	*rand.Rand
	p *peer
}

// text returns a member, field or value: a number, text or bytes, usually
// short.
func (d dumps) text() string {
	switch d.IntN(6) {
	case 0:
		return strconv.FormatInt(int64(d.Uint64())>>d.IntN(64), 10)
	case 1:
		return strconv.Itoa(d.IntN(300) - 100)
	case 2:
		b := make([]byte, d.IntN(90))
		for i := range b {
			b[i] = byte(d.IntN(256))
		}
		return string(b)
	case 3:
		return pick(script{Rand: d.Rand}, "", "0", "-0", "007", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
			strings.Repeat("long ", d.IntN(20)), strings.Repeat("x", 60+d.IntN(8)), strings.Repeat("y", 4090+d.IntN(12)))
	}
	return fmt.Sprintf("item:%d", d.IntN(1e6))
}

func (d dumps) score() string {
	return pick(script{Rand: d.Rand}, "0", "-0", "1", "-1.5", "inf", "-inf", "1e300", "3.0000000000000004", "4503599627370496", "9007199254740993", "1e-310",
		strconv.FormatFloat(d.NormFloat64()*1000, 'g', -1, 64), strconv.Itoa(d.IntN(100)))
}

// fill creates a value of the kind with about n elements.
func (d dumps) fill(key, kind string, n int) {
	var args []string
	add := func(command string, each func() []string) {
		for len(args) < n {
			args = append(args, each()...)
		}
		d.p.text(append([]string{command, key}, args...)...)
	}
	switch kind {
	case "string":
		d.p.text("SET", key, strings.Repeat(d.text(), n))
	case "list":
		add("RPUSH", func() []string { return []string{d.text()} })
	case "lpush":
		add("LPUSH", func() []string { return []string{d.text()} })
	case "ints":
		shift := d.IntN(64)
		add("SADD", func() []string { return []string{strconv.FormatInt(int64(d.Uint64())>>shift, 10)} })
	case "set":
		add("SADD", func() []string { return []string{d.text()} })
	case "hash":
		add("HSET", func() []string { return []string{d.text(), d.text()} })
	case "small hash":
		add("HSET", func() []string { return []string{strconv.Itoa(d.IntN(1e5)), "v"} })
	case "zset":
		add("ZADD", func() []string { return []string{d.score(), d.text()} })
	case "small zset":
		add("ZADD", func() []string { return []string{d.score(), strconv.Itoa(d.IntN(1e5))} })
	case "stream":
		d.stream(key, n, false)
	case "deleted stream":
		d.stream(key, n, true)
	}
}

func (d dumps) stream(key string, n int, deletes bool) {
	id := 0
	for range n {
		id += 1 + d.IntN(3)
		args := []string{"XADD", key, fmt.Sprintf("%d-%d", 1e12+id/4*d.IntN(2), 1+id), "a", d.text(), "b", d.text()}
		if d.IntN(10) == 0 {
			args = append(args, d.text(), d.text())
		}
		d.p.text(args...)
	}
	if n == 0 {
		d.p.text("XADD", key, "1-1", "a", "b")
		d.p.text("XDEL", key, "1-1")
	}
	if deletes {
		d.p.text("XDEL", key, "1000000000000-2", "1000000000000-3", "1000000000000-5")
		d.p.text("XTRIM", key, "MAXLEN", fmt.Sprint(n-n/8))
	}
	for g := range d.IntN(3) {
		group := fmt.Sprint("group", g)
		d.p.text("XGROUP", "CREATE", key, group, pick(script{Rand: d.Rand}, "0", "$", "1000000000000-7"))
		d.p.text("XGROUP", "CREATECONSUMER", key, group, "idle")
		for range 3 {
			d.p.text("XREADGROUP", "GROUP", group, d.text(), "COUNT", fmt.Sprint(1+d.IntN(5)), "STREAMS", key, ">")
		}
	}
}

// look returns everything visible about a key in Redis, except its encoding and
// the order of unordered elements.
func (d dumps) look(key string) string {
	var out []byte
	show := func(args ...string) { out = append(append(out, d.p.text(args...)...), '\n') }
	switch d.kind(key) {
	case "string":
		show("GET", key)
	case "list":
		show("LRANGE", key, "0", "-1")
	case "set":
		out = appendSorted(out, d.p.text("SMEMBERS", key), 1)
	case "hash":
		out = appendSorted(out, d.p.text("HGETALL", key), 2)
	case "zset":
		out = appendSorted(out, d.p.text("ZRANGE", key, "0", "-1", "WITHSCORES"), 2)
	case "stream":
		info := string(d.p.text("XINFO", "STREAM", key, "FULL", "COUNT", "0"))
		// The layout of the tree's nodes is internal to Redis.
		_, info, _ = strings.Cut(info, "last-generated-id")
		out = append(out, info...)
	}
	return string(out)
}

func (d dumps) kind(key string) string {
	return strings.TrimSpace(string(d.p.text("TYPE", key)[1:]))
}

// bulk returns the content of a bulk string.
func bulk(reply []byte) []byte {
	_, body, _ := bytes.Cut(reply, []byte("\r\n"))
	return bytes.TrimSuffix(body, []byte("\r\n"))
}

func appendSorted(out, reply []byte, step int) []byte {
	var items []string
	for chunk := range slices.Chunk(elements(reply), step) {
		items = append(items, strings.Join(chunk, "="))
	}
	slices.Sort(items)
	return fmt.Appendf(out, "%q", items)
}

// elements returns the bulk strings of an array.
func elements(reply []byte) []string {
	in := bufio.NewReader(bytes.NewReader(reply))
	_, _ = in.ReadBytes('\n')
	var out []string
	for {
		one, err := readReply(in)
		if err != nil {
			return out
		}
		out = append(out, string(bulk(one)))
	}
}

// TestDumpIsRedis moves values of all types and sizes from a real Redis to here
// and back.
func TestDumpIsRedis(t *testing.T) {
	d := dumps{Rand: rand.New(rand.NewPCG(5, 6)), p: startRedis(t).dial(2, 0)}
	kinds := []string{"string", "list", "lpush", "ints", "set", "hash", "small hash", "zset", "small zset", "stream", "deleted stream"}
	// Those that Redis always writes in the same way.
	same := []string{"string", "list", "zset", "small zset", "stream"}
	m := newMachine(t)
	for i := range 330 {
		kind := kinds[i%len(kinds)]
		n := []int{1, 2, 5, 20, 100, 130, 260, 600, 1500, 3000}[i/len(kinds)%10]
		if kind == "stream" && i > 200 {
			n = 0
		}
		d.p.text("DEL", "k", "back")
		d.fill("k", kind, n)
		there := bulk(d.p.text("DUMP", "k"))
		if got := m.do([]byte("RESTORE"), []byte("k"), []byte("0"), there, []byte("REPLACE")); got != resp.OK {
			t.Fatalf("%s of %d: %s: %.300q", kind, n, encoded(got, 2), there)
		}
		if got, want := encoded(m.text("OBJECT", "ENCODING", "k"), 2), d.p.text("OBJECT", "ENCODING", "k"); !bytes.Equal(got, want) {
			t.Errorf("%s of %d: %s, in Redis %s", kind, n, got, want)
		}
		if got, want := encoded(m.text("TYPE", "k"), 2), d.p.text("TYPE", "k"); !bytes.Equal(got, want) {
			t.Errorf("%s of %d: %s, in Redis %s", kind, n, got, want)
		}
		here := m.text("DUMP", "k").Str
		if (slices.Contains(same, kind) || kind == "ints" && n < 500) && !bytes.Equal(here, there) {
			t.Errorf("%s of %d:\n got %.400x\nwant %.400x", kind, n, here, there)
		}
		if got := d.p.do([]byte("RESTORE"), []byte("back"), []byte("0"), here); string(got) != "+OK\r\n" {
			t.Fatalf("%s of %d: back: %s: %.300q", kind, n, got, here)
		}
		if got, want := d.p.text("OBJECT", "ENCODING", "back"), d.p.text("OBJECT", "ENCODING", "k"); !bytes.Equal(got, want) {
			t.Errorf("%s of %d, back: %s, was %s", kind, n, got, want)
		}
		if got, want := d.look("back"), d.look("k"); got != want {
			t.Fatalf("%s of %d:\n got %.600q\nwant %.600q", kind, n, got, want)
		}
	}
}
