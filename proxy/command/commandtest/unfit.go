package commandtest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"synod/proxy/command"
)

// damage returns an invalid or unusual request.
func (g *Generator) damage(args [][]byte) [][]byte {
	args = slices.Clone(args)
	i := g.IntN(len(args))
	switch g.IntN(8) {
	case 0:
		return args[:max(1, len(args)-1)]
	case 1:
		if i > 0 {
			return slices.Delete(args, i, i+1)
		}
	case 2:
		return slices.Insert(args, i+1, args[i])
	case 3:
		return append(args, []byte(g.Junk()))
	case 4:
		if i > 0 {
			args[i] = []byte(g.Junk())
		}
	case 5:
		if i > 0 {
			args[i] = []byte(g.integer())
		}
	case 6:
		j := g.IntN(len(args))
		if i > 0 && j > 0 {
			args[i], args[j] = args[j], args[i]
		}
	case 7:
		if g.OneIn(3) {
			args[0] = []byte(Pick(g.Source, "NOSUCH", "", "nosuch\r\ncommand", "GETT", strings.Repeat("y", 200), "\x00\xff", "get ", "object|help", "client|id"))
		} else {
			args[i] = g.recase(args[i])
		}
	}
	return args
}

// left lists the commands that random sequences omit, with the reason.
var left = map[string]string{
	"client|kill":    "would kill what the test needs",
	"client|pause":   "stops everything",
	"client|unpause": "see client|pause",
	"client|reply":   "has no reply to compare",
	"config|set":     "the settings are not Redis's",
	"config|rewrite": "there is no file to write",
	"wait":           "waits",
	"flushall":       "only now and then, so that there is something to compare",
	"flushdb":        "only now and then",
	"quit":           "only now and then",
}

// rare lists the commands in left that are still generated occasionally.
var rare = []string{"flushall", "flushdb", "quit"}

// Newer lists the commands in the table that are newer than the Redis used for
// comparison.
var Newer = map[string]bool{
	"client|setinfo": true, "client|no-touch": true,
	"hexpire": true, "hpexpire": true, "hexpireat": true, "hpexpireat": true, "hpersist": true,
	"httl": true, "hpttl": true, "hexpiretime": true, "hpexpiretime": true,
}

// redeclared are the commands that the table declares as a later version than
// 7.0 does.
var redeclared = map[string]bool{"zrank": true, "zrevrank": true}

// Left reports whether a command is never generated.
func Left(spec *command.Spec) bool {
	return Newer[spec.FullName] || left[spec.FullName] != "" && !slices.Contains(rare, spec.FullName)
}

// unfit reports whether a request must not be sent.
func unfit(args [][]byte) bool {
	spec, failure := command.Resolve(args)
	if failure != nil {
		// Container without subcommand, wrong arity, unknown word.
		name := strings.ToLower(string(args[0]))
		return Newer[name] || len(args) > 1 && Newer[name+"|"+strings.ToLower(string(args[1]))]
	}
	for _, reason := range []func(*command.Spec, [][]byte) bool{soon, huge, later, misplaced, undefined} {
		if reason(spec, args) {
			return true
		}
	}
	return Left(spec)
}

// expiries are the positions of a command's expiry: after a word or, without a
// word, at an index.
var expiries = map[string]struct {
	index int
	unit  int64
}{
	"expire": {2, 1000}, "pexpire": {2, 1}, "expireat": {2, 1000}, "pexpireat": {2, 1},
	"setex": {2, 1000}, "psetex": {2, 1}, "restore": {2, 1},
}

// soon reports whether a request makes a key expire during the test. The
// servers would rarely delete it at the same time.
func soon(spec *command.Spec, args [][]byte) bool {
	if e, ok := expiries[spec.Name]; ok {
		return isSoon(args[e.index], e.unit)
	}
	if spec.Name != "set" && spec.Name != "getex" {
		return false
	}
	for i, a := range args[:len(args)-1] {
		switch strings.ToUpper(string(a)) {
		case "EX", "EXAT":
			if isSoon(args[i+1], 1000) {
				return true
			}
		case "PX", "PXAT":
			if isSoon(args[i+1], 1) {
				return true
			}
		}
	}
	return false
}

// isSoon interprets a time as relative and as absolute.
func isSoon(word []byte, unit int64) bool {
	const hour = int64(time.Hour / time.Millisecond)
	n, err := strconv.ParseInt(string(word), 10, 64)
	if err != nil || n <= 0 || n > 1<<50 {
		return false
	}
	now := time.Now().UnixMilli()
	return n*unit < hour || n*unit > now-hour && n*unit < now+hour
}

// huge reports whether a request draws millions of elements.
func huge(spec *command.Spec, args [][]byte) bool {
	switch spec.Name {
	case "srandmember", "hrandfield", "zrandmember":
		if len(args) > 2 {
			n, err := strconv.ParseInt(string(args[2]), 10, 64)
			return err == nil && n < -10_000
		}
	case "lcs":
		return !reserved(args[1], shorts) || !reserved(args[2], shorts)
	case "setrange", "setbit", "bitfield", "restore":
		return reserved(args[1], shorts)
	}
	size := 0
	for _, a := range args {
		size += len(a)
	}
	return size > 2000 && len(args) > 1 && reserved(args[1], shorts)
}

// later reports whether our version of the command cannot serve the request (it
// blocks, or writes several keys), or Redis 7.0 does not know it yet.
func later(spec *command.Spec, args [][]byte) bool {
	switch spec.Name {
	case "xread":
		return word(args, "BLOCK")
	case "xreadgroup":
		at := slices.IndexFunc(args, func(a []byte) bool { return bytes.EqualFold(a, []byte("STREAMS")) })
		return word(args, "BLOCK") || at > 0 && len(args)-at > 3
	case "sort", "georadius", "georadiusbymember":
		return word(args, "STORE") || word(args, "STOREDIST")
	case "zrank", "zrevrank":
		return len(args) > 3 // WITHSCORE
	}
	return false
}

// word reports whether a request has a word, in whatever case.
func word(args [][]byte, name string) bool {
	return slices.ContainsFunc(args, func(a []byte) bool { return bytes.EqualFold(a, []byte(name)) })
}

// lexical lists the commands whose reply is defined only for sorted sets with
// equal scores.
var lexical = map[string]bool{"zrangebylex": true, "zrevrangebylex": true, "zremrangebylex": true, "zlexcount": true}

// misplaced reports whether a request stores something unsuitable at a reserved
// key.
func misplaced(spec *command.Spec, args [][]byte) bool {
	if len(args) < 2 {
		return false
	}
	key := args[1]
	switch {
	case spec.Group == "hyperloglog":
		return slices.ContainsFunc(spec.Keys(args), func(key []byte) bool { return reserved(key, texts) || slices.Contains(shared, string(key)) })
	case reserved(key, sketches): // sketches of the wrong size
		return spec.Group == "bitmap" || spec.Name == "setrange" || spec.Name == "append"
	case !spec.Has(command.Write):
		return false
	case reserved(key, places) && spec.Group == "sorted-set":
		return spec.Has(command.DenyOOM) // would make members equally distant
	case !reserved(key, equals):
		return false
	case spec.Name == "zadd":
		return word(args, "INCR") || !zeroes(args[2:])
	}
	return spec.Name == "zincrby" || spec.Name == "geoadd" || spec.Name == "restore"
}

// zeroes reports whether all the scores of a ZADD are 0.
func zeroes(args [][]byte) bool {
	for len(args) > 0 && word([][]byte{[]byte("NX"), []byte("XX"), []byte("GT"), []byte("LT"), []byte("CH")}, string(args[0])) {
		args = args[1:]
	}
	for i := 0; i < len(args); i += 2 {
		if string(args[i]) != "0" {
			return false
		}
	}
	return true
}

// undefined reports whether Redis does not define the reply to a request.
func undefined(spec *command.Spec, args [][]byte) bool {
	switch {
	case lexical[spec.Name] || spec.Name == "zrange" && word(args[4:], "BYLEX"):
		return !reserved(args[1], equals)
	case spec.Group == "geo" && word(args, "COUNT"):
		return !reserved(args[1], places)
	case spec.Name == "sort" || spec.Name == "sort_ro":
		// Which of those that come out equal are within the limit.
		return word(args, "LIMIT") && word(args, "BY")
	}
	return false
}
