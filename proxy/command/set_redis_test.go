package command

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/hash"
	"synod/proxy/datatype/number"
)

// memberForms are commands on hashes and sets, in the way of forms. Words that
// begin with "~" are made up by memberWord.
var memberForms = []string{
	"HSET ~h ~m ~v", "HSET ~h ~m ~v", "HSET ~h ~m ~v ~m ~v ~m ~v", "HSET ~h ~m ~v ~m", "HMSET ~h ~m ~v ~m ~v", "HMSET ~h ~m ~v ~m", "HSET ~h ~pairs",
	"HSETNX ~h ~m ~v", "HSETNX ~h ~m ~v", "HGET ~h ~m", "HGET ~h ~m", "HMGET ~h ~m ~m ~m", "HDEL ~h ~m", "HDEL ~h ~m ~m ?~many", "HEXISTS ~h ~m", "HLEN ~h",
	"HSTRLEN ~h ~m", "HGETALL ~h", "HGETALL ~h", "HKEYS ~h", "HVALS ~h", "HINCRBY ~h ~m int", "HINCRBY ~h ~m small", "HINCRBYFLOAT ~h ~m float", "HINCRBYFLOAT ~h ~m small",
	"HRANDFIELD ~h", "HRANDFIELD ~h ~count", "HRANDFIELD ~h ~count WITHVALUES|withvalues", "HRANDFIELD ~h ~count ?~m ?WITHVALUES",
	"HSCAN ~h ~cursor", "HSCAN ~h ~cursor ?MATCH ?~pattern ?COUNT ?~count", "HSCAN ~h ~cursor MATCH ~pattern", "HSCAN ~h ~cursor COUNT ~count ?TYPE ?hash", "DEL ~h", "DEL ~s",
	"SADD ~s ~m", "SADD ~s ~m ~m ~m", "SADD ~s ~i ~i ~i", "SADD ~s ~i ~i", "SADD ~s ~many", "SREM ~s ~m ~m", "SREM ~s ~i ~i ~i", "SREM ~s ~many", "SISMEMBER ~s ~m", "SISMEMBER ~s ~i",
	"SMISMEMBER ~s ~m ~i ~m", "SMEMBERS ~s", "SMEMBERS ~s", "SCARD ~s", "SPOP ~s", "SPOP ~s ~count", "SPOP ~s ~count ?~m", "SRANDMEMBER ~s", "SRANDMEMBER ~s ~count", "SRANDMEMBER ~s ~count ?~m",
	"SSCAN ~s ~cursor", "SSCAN ~s ~cursor MATCH ~pattern ?COUNT ?~count", "SSCAN ~s ~cursor COUNT ~count",
	"SUNION ~s", "SINTER ~s", "SDIFF ~s", "SUNION ~s ~s ?~s", "SINTER ~s ~s ?~s", "SDIFF ~s ~s ?~s ?~s", "SINTERCARD ~n ~s ~s", "SINTERCARD 2 ~s ~s LIMIT ~count", "SINTERCARD ~n ~s ?~s ?~s ?LIMIT ?~count ?LIMIT",
	"SET str x", "EXPIRE ~s 1000",
}

type memberScript struct{ script }

func newMemberScript(seed uint64) memberScript {
	return memberScript{script{Rand: rand.New(rand.NewPCG(seed, 2)), forms: memberForms}}
}

func (s memberScript) next() [][]byte {
	for {
		args := madeUp(s.script, s.memberWord)
		if spec, err := Resolve(args); err == nil && spec.Key == nil && spec.Split == nil {
			continue // a word that happens to be a command
		}
		n := int64(0)
		if len(args) > 2 && strings.Contains(strings.ToLower(string(args[0])), "rand") {
			n, _ = number.ParseInt(args[2])
		}
		if n > -100_000 || n == math.MinInt64 { // Redis would draw till it has no memory left
			return args
		}
	}
}

func (s memberScript) memberWord(kind string) []string {
	one := func(of ...string) []string { return []string{pick(s.script, of...)} }
	switch kind {
	case "h":
		return one("h", "h", "h", "h", "h2", "none", pick(s.script, "s", "str"))
	case "s":
		return one("s", "s", "s2", "s2", "s3", "s4", "none", pick(s.script, "h", "str", "s", "s"))
	case "i":
		return one("1", "2", "3", "4", "5", "-1", "-100", "9223372036854775807", "-9223372036854775808", strconv.Itoa(s.IntN(40)))
	case "m":
		return one("a", "b", "c", "d", "e", "f", "", "\x00", "01", "+1", "-0", "9223372036854775808", "1", "2", strings.Repeat("m", 64), strings.Repeat("m", 65), s.value())
	case "v":
		return one("v", "w", "1", "10", "-3", s.int(), s.float(), "9223372036854775807", strings.Repeat("v", 64), strings.Repeat("v", 65), s.value())
	case "count":
		return one("0", "1", "2", "3", "-1", "-2", "5", "-7", "100", "-100", "1000", "2147483648", "4611686018427387904", "-9223372036854775808", "x", "1e3", "9223372036854775808")
	case "cursor":
		return one("0", "0", "0", "0", "5", "-1", "x", "", "281474976710656", "99999999999999999999")
	case "n":
		return one("1", "2", "2", "3", "0", "-1", "x")
	case "pattern":
		return one("*", "a*", "[a-c]", "1*", "?", "*m", "-*", "")
	case "pairs":
		return s.several([]int{3, 100, 510, 512, 513}, 2)
	case "many":
		return s.several([]int{2, 5, 509, 511, 513}, 1)
	}
	return []string{"~" + kind}
}

// several returns a run of small integers, or groups of them.
func (s memberScript) several(counts []int, group int) (out []string) {
	first := pick(s.script, 0, 0, 1, 500)
	for i := range pick(s.script, counts...) {
		for range group {
			out = append(out, strconv.Itoa(first+i))
		}
	}
	return out
}

// TestMembersAsRedis runs random commands on hashes and sets here and on a real
// Redis, in both protocols.
func TestMembersAsRedis(t *testing.T) {
	c := comparison{commands: 1200, differ: differInMembers}
	c.script = func(seed uint64) func() [][]byte { return newMemberScript(seed).next }
	c.open = func(*machine, [][]byte) bool { return false }
	c.besides = func(m *machine, args [][]byte) [][][]byte {
		key := args[min(1, len(args)-1)]
		switch m.state(key).Header.Type {
		case register.Hash, register.Set:
			return [][][]byte{{[]byte("OBJECT"), []byte("ENCODING"), key}}
		}
		return nil
	}
	c.run(t)
}

// replyElems returns the elements of a reply, nil if it is no aggregate.
func replyElems(reply []byte) (out []string) {
	if !bytes.ContainsRune([]byte("*~%"), rune(reply[0])) {
		return nil
	}
	in := bufio.NewReader(bytes.NewReader(reply[bytes.IndexByte(reply, '\n')+1:]))
	for {
		elem, err := readReply(in)
		if err != nil {
			return out
		}
		out = append(out, string(elem))
	}
}

// sortedGroups returns groups of n elements in order.
func sortedGroups(elems []string, n int) (out []string) {
	for group := range slices.Chunk(elems, n) {
		out = append(out, strings.Join(group, ""))
	}
	slices.Sort(out)
	return out
}

// differInMembers compares replies where Redis has no order, or draws at random.
// It makes Redis pop the members that were popped here.
func differInMembers(d difference) string {
	p, before, args, got, want := d.p, d.before, d.args, d.got, d.want
	if got[0] != want[0] || got[0] == '-' {
		return "they differ"
	}
	a, b, group := replyElems(got), replyElems(want), 1
	name := strings.ToLower(string(args[0]))
	switch name {
	case "spop", "srandmember", "hrandfield":
		return drawn(p, name, before, args, got, want)
	case "hgetall":
		group = 2
	case "hscan", "sscan":
		begun := before.Header.Encoding != 0 && string(args[2]) != "0"
		if begun || a[0] != "$1\r\n0\r\n" || b[0] != "$1\r\n0\r\n" {
			return "" // each has its own pages
		}
		a, b = replyElems([]byte(a[1])), replyElems([]byte(b[1]))
		if name == "hscan" {
			group = 2
		}
	case "hkeys", "hvals", "smembers", "sunion", "sinter", "sdiff":
	default:
		return "they differ"
	}
	if !slices.Equal(sortedGroups(a, group), sortedGroups(b, group)) {
		return "they differ, not only in order"
	}
	return ""
}

// drawn compares members drawn at random.
func drawn(p *peer, name string, before register.View, args [][]byte, got, want []byte) string {
	mine, theirs := replyElems(got), replyElems(want)
	if len(args) == 2 { // a bulk string
		mine, theirs = []string{string(got)}, []string{string(want)}
	}
	if len(mine) != len(theirs) {
		return "not as many"
	}
	if name == "spop" {
		p.do(append([][]byte{[]byte("SADD"), args[1]}, bulkTexts(theirs)...)...)
		p.do(append([][]byte{[]byte("SREM"), args[1]}, bulkTexts(mine)...)...)
	}
	items, _ := hash.Items(before) // with the values of a set, which are empty
	all, pairs := map[string]bool{}, map[string]bool{}
	for i := 0; i < len(items); i += 2 {
		all[string(items[i])] = true
		pairs[string(items[i])+"="+string(items[i+1])] = true
	}
	seen := map[string]bool{}
	repeats := len(args) > 2 && args[2][0] == '-'
	step := 1
	if len(args) > 3 && want[0] == '*' && !strings.HasPrefix(theirs[0], "*") {
		step = 2 // flat pairs
	}
	for i := 0; i < len(mine); i += step {
		words := bulkTexts(mine[i : i+step])
		if strings.HasPrefix(mine[i], "*") {
			words = bulkTexts(replyElems([]byte(mine[i])))
		}
		m := string(words[0])
		if !all[m] || (seen[m] && !repeats) || (len(words) == 2 && !pairs[m+"="+string(words[1])]) {
			return fmt.Sprintf("%q was not to be drawn", words)
		}
		seen[m] = true
	}
	return ""
}

// bulkTexts returns what is in bulk strings.
func bulkTexts(elems []string) (out [][]byte) {
	for _, e := range elems {
		_, text, _ := strings.Cut(e, "\r\n")
		out = append(out, []byte(strings.TrimSuffix(text, "\r\n")))
	}
	return out
}

// TestRandomMembers needs no Redis: the machine's checks on random commands.
func TestRandomMembers(t *testing.T) {
	m, s := newMachine(t), newMemberScript(99)
	failures := 0
	for range 2000 {
		if r := m.do(s.next()...); r.Kind == resp.Failure {
			failures++
		}
	}
	if failures > 1000 {
		t.Errorf("%d of the commands fail", failures)
	}
}
