package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/layout"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/resp"
)

// checkHash checks the invariants of a stored hash: the index contains exactly
// the fields that expire, and the header has the right number of fields and a
// lower bound of their expiry times.
func checkHash(t *testing.T, v register.View) {
	t.Helper()
	if v.Header.Type != register.Hash {
		return
	}
	var fields, index int
	want, have := map[string]bool{}, map[string]bool{}
	earliest := int64(0)
	end := bytes.Repeat([]byte{0xff}, 6)
	for _, e := range v.Elements() {
		if bytes.HasPrefix(e.Key, end) {
			have[string(e.Key)] = true
			if index++; len(e.Value) != 0 {
				t.Fatalf("a value in the index: %q", e.Value)
			}
			continue
		}
		fields++
		switch {
		case partition.Hash48(string(e.Key[6:])) != binary.BigEndian.Uint64(append([]byte{0, 0}, e.Key...)):
			t.Fatalf("a field with another's hash: %q", e.Key)
		case len(e.Value) == 0 || e.Value[0] > 1 || e.Value[0] == 1 && len(e.Value) < 9:
			t.Fatalf("%q has the value %q", e.Key, e.Value)
		case e.Value[0] == 1:
			want[string(end)+string(e.Value[1:9])+string(e.Key)] = true
			if at := int64(binary.BigEndian.Uint64(e.Value[1:])); earliest == 0 || at < earliest {
				earliest = at
			}
		}
	}
	if len(want) != len(have) || index != len(have) {
		t.Fatalf("%d fields expire, %d are in the index", len(want), len(have))
	}
	for key := range want {
		if !have[key] {
			t.Fatalf("%q is not in the index", key)
		}
	}
	bound := layout.Due((register.Header{Type: register.Hash, Aux: v.Header.Aux}))
	if int(v.Header.Size) != fields || fields == 0 || earliest != 0 && (bound == 0 || bound > earliest) {
		t.Fatalf("%d fields, the earliest expires at %d; the header says %d and %d", fields, earliest, v.Header.Size, bound)
	}
}

// hashModel is the expected hash: plain maps and a clock. Its replies are
// words.
type hashModel struct {
	*rand.Rand
	values map[string]string
	times  map[string]int64
	now    int64
}

// expire forgets expired fields.
func (h *hashModel) expire() {
	for f, at := range h.times {
		if at <= h.now {
			h.remove(f)
		}
	}
}

func (h *hashModel) remove(f string) int64 {
	_, had := h.values[f]
	delete(h.values, f)
	delete(h.times, f)
	if had {
		return 1
	}
	return 0
}

func (h *hashModel) set(f, v string) int64 {
	fresh := 1 - h.remove(f)
	h.values[f] = v
	return fresh
}

func (h *hashModel) get(f string) string {
	if v, ok := h.values[f]; ok {
		return "=" + v
	}
	return "nil"
}

// when returns a field's expiry, -1 or -2.
func (h *hashModel) when(f string) int64 {
	if _, ok := h.values[f]; !ok {
		return -2
	}
	if at, ok := h.times[f]; ok {
		return at
	}
	return -1
}

// hexpire does what HEXPIRE does to one field.
func (h *hashModel) hexpire(f, condition string, at int64) int64 {
	old := h.when(f)
	switch {
	case old == -2:
		return -2
	case condition == "NX" && old != -1, condition == "XX" && old == -1,
		condition == "GT" && (old == -1 || at <= old), condition == "LT" && old != -1 && at >= old:
		return 0
	case at <= h.now:
		h.remove(f)
		return 2
	}
	h.times[f] = at
	return 1
}

func (h *hashModel) pairs() string {
	var all []string
	for f, v := range h.values {
		all = append(all, f+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// hashTrial runs random commands on the model and on the table's functions.
type hashTrial struct {
	*hashModel
	t      *testing.T
	m      *machine
	names  int // how many names of fields there are
	counts map[string]int
}

func (h *hashTrial) name() string { return fmt.Sprint("f", h.IntN(h.names)) }

func (h *hashTrial) some() []string {
	names := make([]string, 1+h.IntN(5))
	for i := range names {
		names[i] = h.name()
	}
	return names
}

func (h *hashTrial) check(args []string, got, want string) {
	h.t.Helper()
	h.counts[args[0]]++
	if got != want {
		h.t.Fatalf("%d: %q answers %.200s, want %.200s", h.now, args, got, want)
	}
}

// inWords returns a reply, or its elements, in the model's format.
func inWords(v *resp.Value) string {
	switch v.Kind {
	case resp.Integer:
		return strconv.FormatInt(v.Int, 10)
	case resp.Null:
		return "nil"
	case resp.Array, resp.Map, resp.Pairs:
		var all []string
		for i := range v.Elems {
			all = append(all, inWords(&v.Elems[i]))
		}
		return strings.Join(all, " ")
	}
	return "=" + string(v.Str)
}

// couples returns pairs of a reply in the model's order.
func couples(elems []resp.Value) string {
	var all []string
	for i := 0; i+1 < len(elems); i += 2 {
		all = append(all, string(elems[i].Str)+"="+string(elems[i+1].Str))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

func numbers(n ...int64) string {
	out := make([]string, len(n))
	for i := range n {
		out[i] = strconv.FormatInt(n[i], 10)
	}
	return strings.Join(out, " ")
}

// write runs a command that changes fields.
func (h *hashTrial) write() {
	f, v := h.name(), fmt.Sprint(h.IntN(100))
	switch h.IntN(7) {
	case 0:
		args, n := []string{"HSET", "h"}, int64(0)
		for _, f := range h.some() {
			args, n = append(args, f, v), n+h.set(f, v)
		}
		h.check(args, inWords(h.m.text(args...)), numbers(n))
	case 1:
		n := int64(0)
		if h.when(f) == -2 {
			n = h.set(f, v)
		}
		h.check([]string{"HSETNX", f}, inWords(h.m.text("HSETNX", "h", f, v)), numbers(n))
	case 2:
		h.set(f, v)
		h.check([]string{"HMSET", f}, inWords(h.m.text("HMSET", "h", f, v)), "=OK")
	case 3, 4:
		name := []string{"HINCRBY", "HINCRBYFLOAT"}[h.IntN(2)]
		old, _ := strconv.Atoi(h.values[f])
		n := old + h.IntN(3)
		h.values[f] = strconv.Itoa(n)
		want := numbers(int64(n))
		if name == "HINCRBYFLOAT" {
			want = "=" + want
		}
		h.check([]string{name, f}, inWords(h.m.text(name, "h", f, strconv.Itoa(n-old))), want)
	default:
		args, n := append([]string{"HDEL", "h"}, h.some()...), int64(0)
		for _, f := range args[2:] {
			n += h.remove(f)
		}
		h.check(args, inWords(h.m.text(args...)), numbers(n))
	}
}

// time runs a command on the expiry of fields.
func (h *hashTrial) time() {
	var want []int64
	names := h.some()
	tail := append([]string{"FIELDS", strconv.Itoa(len(names))}, names...)
	args := []string{"HPERSIST", "h"}
	switch h.IntN(3) {
	case 0:
		for _, f := range names {
			n := min(h.when(f), 1)
			delete(h.times, f)
			want = append(want, n)
		}
	case 1:
		args[0] = []string{"HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME"}[h.IntN(4)]
		for _, f := range names {
			at := h.when(f)
			if at > 0 && strings.HasSuffix(args[0], "TTL") {
				at -= h.now
			}
			if at > 0 && !strings.HasPrefix(args[0], "HP") {
				at = (at + 999) / 1000
			}
			want = append(want, at)
		}
	default:
		n, unit := int64(h.IntN(4000)), int64(1)
		args[0] = []string{"HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"}[h.IntN(4)]
		if !strings.HasPrefix(args[0], "HP") {
			n, unit = n/1000, 1000
		}
		at := h.now + n*unit
		if strings.HasSuffix(args[0], "AT") {
			n = at/unit - int64(h.IntN(2))
			at = n * unit
		}
		condition := []string{"", "", "NX", "XX", "GT", "LT"}[h.IntN(6)]
		if args = append(args, strconv.FormatInt(n, 10)); condition != "" {
			args = append(args, condition)
		}
		for _, f := range names {
			want = append(want, h.hexpire(f, condition, at))
		}
	}
	args = append(args, tail...)
	h.check(args, inWords(h.m.text(args...)), numbers(want...))
}

// read runs a command that changes nothing itself.
func (h *hashTrial) read() {
	f := h.name()
	switch h.IntN(8) {
	case 0:
		args, want := append([]string{"HMGET", "h"}, h.some()...), []string{}
		for _, f := range args[2:] {
			want = append(want, h.get(f))
		}
		h.check(args, inWords(h.m.text(args...)), strings.Join(want, " "))
	case 1:
		h.check([]string{"HGET", f}, inWords(h.m.text("HGET", "h", f)), h.get(f))
		h.check([]string{"SORT", f}, inWords(h.m.text("SORT", "one", "BY", "nosort", "GET", "*->"+f)), h.get(f))
	case 2:
		h.check([]string{"HEXISTS", f}, inWords(h.m.text("HEXISTS", "h", f)), numbers(min(int64(len(h.values[f])), 1)))
		h.check([]string{"HSTRLEN", f}, inWords(h.m.text("HSTRLEN", "h", f)), numbers(int64(len(h.values[f]))))
	case 3:
		switch h.IntN(3) {
		case 0:
			h.check([]string{"HGETALL"}, couples(h.m.text("HGETALL", "h").Elems), h.pairs())
		case 1:
			h.check([]string{"HKEYS"}, fmt.Sprint(len(h.m.text("HKEYS", "h").Elems)), fmt.Sprint(len(h.values)))
		default:
			h.check([]string{"HVALS"}, fmt.Sprint(len(h.m.text("HVALS", "h").Elems)), fmt.Sprint(len(h.values)))
		}
	case 4:
		h.draw()
	case 5:
		found, cursor := []resp.Value{}, "0"
		for begun := false; !begun || cursor != "0"; begun = true {
			r := h.m.text("HSCAN", "h", cursor, "COUNT", strconv.Itoa(1+h.IntN(2000)))
			cursor, found = string(r.Elems[0].Str), append(found, r.Elems[1].Elems...)
		}
		h.check([]string{"HSCAN"}, couples(found), h.pairs())
	case 6:
		h.m.text("DEL", "copy")
		if r := h.m.text("DUMP", "h"); r.Kind != resp.Null {
			h.m.do([]byte("RESTORE"), []byte("copy"), []byte("0"), r.Str)
		}
		h.check([]string{"DUMP"}, couples(h.m.text("HGETALL", "copy").Elems), h.pairs())
		h.check([]string{"DUMP", f}, inWords(h.m.text("HPEXPIRETIME", "copy", "FIELDS", "1", f)), numbers(h.when(f)))
	default:
		if n := h.m.text("HLEN", "h").Int; n < int64(len(h.values)) {
			h.t.Fatalf("HLEN is %d, of %d fields", n, len(h.values))
		}
		h.m.reap("h", len(f)%2 == 0)
	}
}

// draw checks random draws as far as possible.
func (h *hashTrial) draw() {
	n := []int{1, 3, 50, h.names}[h.IntN(4)]
	sign := 1 - 2*h.IntN(2)
	args := []string{"HRANDFIELD", "h", strconv.Itoa(sign * n), "WITHVALUES"}
	elems := h.m.text(args...).Elems
	want := min(n, len(h.values))
	if sign < 0 && want > 0 {
		want = n
	}
	seen := map[string]bool{}
	for i := 0; i < len(elems); i += 2 {
		f := string(elems[i].Str)
		if seen[f] = true; h.get(f) != "="+string(elems[i+1].Str) {
			h.t.Fatalf("%q draws %s with %s, which is %s", args, f, elems[i+1].Str, h.get(f))
		}
	}
	h.check(args, fmt.Sprint(len(elems)/2), fmt.Sprint(want))
	if sign > 0 && len(seen) != want {
		h.t.Fatalf("%q draws %d fields twice", args, want-len(seen))
	}
	if one := inWords(h.m.text("HRANDFIELD", "h")); (one == "nil") != (want == 0) || one != "nil" && h.when(one[1:]) == -2 {
		h.t.Fatalf("HRANDFIELD draws %s out of %d", one, len(h.values))
	}
}

// TestHashModel compares the hash commands with a model of expiring fields,
// with few and many fields, while the clock advances and jumps.
func TestHashModel(t *testing.T) {
	for names, steps := range map[int]int{6: 20_000, 40: 20_000, 9000: 400} {
		m := newMachine(t)
		m.text("RPUSH", "one", "h")
		h := &hashTrial{t: t, m: m, names: names, counts: map[string]int{},
			hashModel: &hashModel{Rand: rand.New(rand.NewPCG(uint64(names), 2)), values: map[string]string{}, times: map[string]int64{}, now: m.now}}
		if names > 1000 {
			h.fill(6000)
		}
		for step := range steps {
			switch h.IntN(20) {
			case 0:
				h.now += int64(h.IntN(3000))
			case 1, 2, 3:
				h.now += int64(h.IntN(20))
			}
			m.now = h.now
			h.expire()
			switch h.IntN(3) {
			case 0:
				h.write()
			case 1:
				h.time()
			default:
				h.read()
			}
			if names < 100 || step%40 == 0 {
				checkHash(t, m.keys["h"])
			}
		}
		if len(h.counts) < 20 {
			t.Errorf("only %d commands: %v", len(h.counts), h.counts)
		}
	}
}

// fill sets many fields, most of them with an expiry.
func (h *hashTrial) fill(n int) {
	set := []string{"HSET", "h"}
	for i := range n {
		f := fmt.Sprint("f", i)
		h.set(f, "7")
		set = append(set, f, "7")
	}
	h.m.text(set...)
	for ms := int64(1); ms < 20_000; ms *= 3 {
		for range n / 500 {
			request := []string{"HPEXPIRE", "h", strconv.FormatInt(ms, 10), "FIELDS", "50"}
			for range 50 {
				f := h.name()
				h.hexpire(f, "", h.now+ms)
				request = append(request, f)
			}
			h.m.text(request...)
		}
	}
}
