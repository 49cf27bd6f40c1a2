package command

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/resp"
)

// listForms are commands on lists, in the way of forms, sortForms commands that
// sort, and make what they sort. Words that begin with "~" are made up by
// listWord.
var (
	listForms = []string{
		"LPUSH ~l ~i", "RPUSH ~l ~i ~i ?~i", "LPUSH ~l ~i ~i ~i", "LPUSHX ~l ~i ?~i", "RPUSHX ~l ~i ?~i", "RPUSH ~l ~many",
		"LPOP ~l", "RPOP ~l", "LPOP ~l ~count", "RPOP ~l ~count", "LPOP ~l ~count ?~i", "LLEN ~l", "LLEN ~l",
		"LRANGE ~l ~at ~at", "LRANGE ~l ~at ~at", "LRANGE ~l 0 -1", "LINDEX ~l ~at", "LINDEX ~l ~at", "LSET ~l ~at ~i", "LSET ~l ~at ~i",
		"LINSERT ~l BEFORE|AFTER|before|After ~i ~i", "LINSERT ~l BEFORE ~i ~i", "LINSERT ~l AFTER ~i ~i", "LINSERT ~l ~i ~i ~i",
		"LREM ~l ~count ~i", "LREM ~l ~count ~i", "LREM ~l ~at ~i", "LTRIM ~l ~at ~at", "LTRIM ~l 1 -2", "LTRIM ~l -100 100",
		"LPOS ~l ~i", "LPOS ~l ~i RANK ~rank", "LPOS ~l ~i ?RANK ?~rank COUNT ~count", "LPOS ~l ~i RANK ~rank COUNT ~count MAXLEN ~count", "LPOS ~l ~i MAXLEN ~count", "LPOS ~l ~i ?COUNT ?~count ?MAXLEN ?~count ?RANK ?~rank",
		"DEL ~l", "TYPE ~l", "EXISTS ~l", "EXPIRE ~l 1000", "SET str x", "COPY ~l ~l",
	}
	sortForms = []string{
		"RPUSH ~l ~n ~n ~n", "RPUSH ~l ~n ~i", "LPUSH ~l ~n", "SADD s ~n ~n", "SADD t ~n ~i", "ZADD z ~score ~n ~score ~n", "ZADD y ~score ~i", "DEL ~any", "LPOP ~l 3", "SPOP t", "ZPOPMIN z",
		"SET ~w ~n", "SET ~w ~n", "SET ~w ~v", "DEL ~w", "HSET ~h f ~n", "HSET ~h f ~v g ~v", "HSET ~h -> ~v", "DEL ~h", "RPUSH ~w x",
		"SORT ~any", "SORT ~any ALPHA", "SORT ~any ?ALPHA ~opt ~opt", "SORT|SORT_RO ~any ~opt ~opt ~opt", "SORT_RO ~any ~opt ~opt", "SORT ~any BY ~by ?ALPHA GET # ?GET ?~get", "SORT ~l BY nosort ~opt ~opt ~opt", "SORT z BY nosort ~opt ~opt ~opt",
		"SORT ~any BY ~by GET ~get GET ~get ~opt", "SORT ~l ~i ~opt", "SORT ~l LIMIT 1", "SORT ~l BY", "SORT_RO ~l STORE x", "SORT ~any ~opt ~opt BY ~by ~opt GET ~get",
		"COMMAND GETKEYS SORT ~any ~opt ~opt STORE k", "COMMAND GETKEYSANDFLAGS SORT ~any STORE ~l ~opt STORE ~l", "COMMAND GETKEYS SORT_RO ~any ~opt", "COMMAND GETKEYS SORT a STORE STORE b", "COMMAND GETKEYSANDFLAGS SORT a LIMIT STORE STORE b GET STORE c",
	}
)

type listScript struct{ script }

func (s listScript) next() [][]byte {
	return slices.DeleteFunc(madeUp(s.script, s.listWord), outOfRange)
}

// outOfRange reports whether b is a number too large or too small for a double.
// From the first such one that it meets on, Redis's SORT may also refuse others,
// as it does not clear errno.
func outOfRange(b []byte) bool {
	f, err := strconv.ParseFloat(strings.Trim(string(b), " \x00"), 64)
	return errors.Is(err, strconv.ErrRange) || (f != 0 && math.Abs(f) < 0x1p-1000) || (err == nil && f == 0 && strings.Contains(string(b), "e-"))
}

func (s listScript) listWord(kind string) []string {
	one := func(of ...string) []string { return []string{pick(s.script, of...)} }
	number := strconv.Itoa(s.IntN(40) - 5)
	switch kind {
	case "l":
		return one("l", "l", "l", "l", "m", "m", "none", pick(s.script, "l", "str"))
	case "i":
		return one("a", "b", "c", "d", "1", "2", "3", "", "\x00", number, pick(s.script, "a", s.value()))
	case "many":
		return slices.Repeat([]string{"a", "b", number}, 1+s.IntN(20))
	case "count":
		return one("0", "1", "2", "3", "-1", "-2", "5", "100", "-100", pick(s.script, "1", "2147483648", "9223372036854775807", "-9223372036854775808", "x", s.int()))
	case "rank":
		return one("1", "2", "3", "-1", "-2", "-3", pick(s.script, "1", "0", "9223372036854775807", "-9223372036854775807", "-9223372036854775808", "x"))
	case "at":
		return one("0", "1", "2", "5", "-1", "-2", "-3", "10", "-10", "100", "-100", pick(s.script, "1", "9223372036854775807", "-9223372036854775808", "x", s.int()))
	case "n":
		return one(number, number, number, number+".5", strconv.Itoa(s.IntN(1000)), "0", "-0")
	case "v":
		return one(number, "a", "b", "B", "", "x\x00y", "x\x00z", " 5", "5 ", "1e3", "0x10", "inf", "-inf", "nan", "\x00", "1\x002", "+7", ".5", "1e")
	case "score":
		return one("1", "2", "2.5", "-1", "inf", number)
	case "any":
		return one("l", "l", "m", "s", "t", "z", "y", "none", pick(s.script, "l", "w_1"))
	case "w":
		return []string{"w_" + number}
	case "h":
		return []string{"h_" + number}
	case "by":
		return one("w_*", "w_*", "h_*->f", "h_*->f", "*", "h_*->", "h_*->->", "x*", "h_*", "w_*->f")
	case "get":
		return one("#", "w_*", "h_*->f", "h_*->g", "h_*->", "nothing", "#x", "*", "w_**", "h_*->->", "w_\x00*")
	case "opt":
		return pick(s.script, []string{"ASC"}, []string{"DESC"}, []string{"DESC"}, []string{"desc"}, []string{"ALPHA"}, nil,
			[]string{"LIMIT", s.listWord("at")[0], s.listWord("count")[0]}, []string{"LIMIT", s.listWord("at")[0], s.listWord("count")[0]},
			[]string{"GET", s.listWord("get")[0]}, []string{"BY", "nosort"})
	}
	return []string{kind}
}

// undefined reports whether Redis leaves the order of a reply open: that of a
// set's members, and with equal texts to sort by, which only its full sort
// leaves as they were.
func undefined(args [][]byte) bool {
	if len(args) < 2 || (!strings.EqualFold(string(args[0]), "sort") && !strings.EqualFold(string(args[0]), "sort_ro")) {
		return false
	}
	text := strings.ToLower(string(bytes.Join(args[2:], []byte(" "))))
	key := string(args[1])
	isSet, isMembers := key == "s" || key == "t", key == "z" || key == "y"
	patterns := strings.Split(text, "by ")[1:]
	alpha, constant := strings.Contains(text, "alpha"), func(s string) bool { return !strings.Contains(strings.Split(s, " ")[0], "*") }
	return isSet && slices.ContainsFunc(patterns, constant) || alpha && (isSet || isMembers) ||
		alpha && len(patterns) > 0 && strings.Contains(text, "limit")
}

// TestListsAreRedis compares random commands on lists, and that sort, with Redis.
func TestListsAreRedis(t *testing.T) {
	for n, forms := range [][]string{listForms, sortForms} {
		c := comparison{commands: 2500, open: openInLists}
		c.script = func(seed uint64) func() [][]byte {
			return listScript{script{Rand: rand.New(rand.NewPCG(seed, uint64(3+n))), forms: forms}}.next
		}
		c.after = func(m *machine, _ [][]byte, _ *resp.Value) {
			m.listed("l")
			m.listed("m")
		}
		c.run(t)
	}
}

// openInLists reports whether Redis leaves the reply open, or the command is one
// on several keys.
func openInLists(_ *machine, args [][]byte) bool {
	name := strings.ToLower(string(args[0]))
	return undefined(args) || name == "spop" || name == "copy" || (name == "sort" && storeKey(args) > 0)
}
