package command

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/stream"
)

// streamForms are templates of stream commands; words after "~" are generated
// by streamWord.
var streamForms = []string{
	"XADD ~s ~new ~fv", "XADD ~s ~new ~fv", "XADD ~s ~new ~fv", "XADD ~s ~new ~fv ~fv", "XADD ~s ~new ~fv ~fv", "XADD ~s ~new ~fv ~fv ~fv",
	"XADD ~s ?NOMKSTREAM ~trim ~new ~fv", "XADD ~s ~trim ~new ~fv", "XADD ~s ~trim ?~trim ~id ~fv", "XADD ~s ~id ~fv", "XADD ~s ~new f",
	"~bulk", "~bulk", "XTRIM ~s ~trim", "XTRIM ~s ~trim", "XTRIM ~s ~trim ?~trim ~trim",
	"XLEN ~s", "XRANGE ~s ~start ~end ?~count", "XREVRANGE ~s ~end ~start ?~count", "XRANGE ~s - +", "XREVRANGE ~s + - COUNT 3",
	"XDEL ~s ~had", "XDEL ~s ~had ~had ?~had", "XDEL ~s ~had ~id", "~delrange", "~deltail", "~star",
	"XSETID ~s ~far", "XSETID ~s ~id ?ENTRIESADDED ?~i ?MAXDELETEDID ?~had", "XSETID ~s ~far ENTRIESADDED ~i", "XSETID ~s ~far MAXDELETEDID ~had",
	"XREAD ?~count STREAMS ~s ~after", "XREAD ~count STREAMS ~s ~s ~after ~after", "XREAD STREAMS ~s ~s ~s ~after ~after ~after",
	"XREAD ?~count ?BLOCK|NOACK|GROUP ?~i STREAMS ~s ~after", "XREAD BLOCK 5 STREAMS ~s 0",
	"XREADGROUP GROUP ~g ~c ?~count STREAMS ~s >", "XREADGROUP GROUP ~g ~c ?~count STREAMS ~s >", "XREADGROUP GROUP ~g ~c ?~count STREAMS ~s >",
	"XREADGROUP GROUP ~g ~c ~count NOACK STREAMS ~s >", "XREADGROUP GROUP ~g ~c ?~count STREAMS ~s ~after", "XREADGROUP GROUP ~g ~c ?~count STREAMS ~s 0",
	"XREADGROUP GROUP ~g ~c ?~count ?BLOCK|NOACK ?~i STREAMS ~s ~after", "XREADGROUP ~count STREAMS ~s 0 1 2",
	"XACK ~s ~g ~had", "XACK ~s ~g ~had ~had ~had", "XACK ~s ~g ~id ~had",
	"XCLAIM ~s ~g ~c ~idle ~had", "XCLAIM ~s ~g ~c 0 ~had ~had ?JUSTID ?FORCE", "XCLAIM ~s ~g ~c ~idle ~had ~had ~claimopt ~claimopt ~claimopt",
	"XCLAIM ~s ~g ~c ~idle ~id ~claimopt ?~claimopt", "XCLAIM ~s ~g ~c 0 ~had ~had ~had FORCE IDLE|TIME|RETRYCOUNT ~i", "XCLAIM ~s ~g ~c 0 ~had ~had FORCE LASTID ~had",
	"XAUTOCLAIM ~s ~g ~c ~idle ~start ?~count ?JUSTID", "XAUTOCLAIM ~s ~g ~c 0 0 ~count", "XAUTOCLAIM ~s ~g ~c 0 - ?COUNT ?~i ?JUSTID",
	"XPENDING ~s ~g", "XPENDING ~s ~g", "XPENDING ~s ~g ~start ~end ~n ?~c", "XPENDING ~s ~g - + 100", "XPENDING ~s ~g IDLE ~idle - + ~n ?~c", "XPENDING ~s ~g - + 5 ~c",
	"XPENDING ~s ~g ?IDLE ?~i ?- ?+ ?~n ?~c",
	"XGROUP CREATE ~s ~g ~gid ?MKSTREAM ?ENTRIESREAD ?~i", "XGROUP CREATE ~s ~g 0 MKSTREAM", "XGROUP CREATE ~s ~g ~gid", "XGROUP CREATE ~s ~g $ MKSTREAM ENTRIESREAD ~n",
	"XGROUP SETID ~s ~g ~gid", "XGROUP SETID ~s ~g ~gid ?ENTRIESREAD ?~i", "XGROUP SETID ~s ~g 0", "XGROUP DESTROY ~s ~g",
	"XGROUP CREATECONSUMER ~s ~g ~c", "XGROUP DELCONSUMER ~s ~g ~c", "XGROUP DELCONSUMER ~s ~g c1", "XGROUP nope ~s", "XGROUP DESTROY ~s",
	"XINFO STREAM ~s", "XINFO STREAM ~s FULL ?COUNT ?~n", "XINFO STREAM ~s FULL COUNT 0", "XINFO GROUPS ~s", "XINFO CONSUMERS ~s ~g", "XINFO STREAM ~s ?FULL ?COUNT|x ?~i",
	"DEL ~s", "OBJECT ENCODING ~s", "TYPE ~s",
}

// streamScript generates stream commands. It remembers IDs that it has seen, so
// that later commands refer to them.
type streamScript struct {
	script
	calm  bool           // commands are mostly meaningful
	top   map[string]int // approximate time of each stream's last ID
	key   string         // the last key used
	added []string
}

func newStreamScript(seed uint64) *streamScript {
	s := &streamScript{script: newScript(seed), calm: seed%2 == 0, top: map[string]int{}, key: "s"}
	s.script.forms = streamForms
	return s
}

func (s *streamScript) next() [][]byte { return madeUp(s.script, s.streamWord) }

// calmWords are the usual words in calm sequences.
var calmWords = map[string][]string{
	"s": {"s", "s", "s", "s", "s", "s2"}, "g": {"g", "g", "g", "g", "g2"}, "c": {"c1", "c2", "c2"}, "n": {"1", "2", "3", "10", "30"},
	"idle": {"0", "0", "100000"}, "i": {"0", "1", "7", "1000"}, "start": {"-", ""}, "end": {"+", ""}, "after": {"0", "", "$"}, "gid": {"0", "", "$"}, "id": {""},
}

func (s *streamScript) streamWord(kind string) []string {
	words := s.wordFor(kind)
	if kind == "s" {
		s.key = words[0]
	}
	return words
}

func (s *streamScript) wordFor(kind string) []string {
	one := func(of ...string) []string { return []string{pick(s.script, of...)} }
	if of := calmWords[kind]; s.calm && of != nil && s.IntN(20) > 0 {
		if word := pick(s.script, of...); word != "" {
			return []string{word}
		}
		return s.wordFor("had")
	}
	switch kind {
	case "s":
		return one("s", "s", "s", "s", "s", "s2", "s2", "none", pick(s.script, "str", "str", ""))
	case "g":
		return one("g", "g", "g", "g", "g2", "", pick(s.script, "gx\x00y", "gone", "\r\n"))
	case "c":
		return one("c1", "c1", "c1", "c2", "c2", "", "c", "consumer with a name")
	case "new":
		return []string{s.newID(s.key)}
	case "had":
		if len(s.added) > 0 && (s.calm || s.IntN(10) > 0) {
			return []string{s.added[len(s.added)-1-s.IntN(min(len(s.added), 40))]}
		}
		return s.wordFor("id")
	case "id":
		return one("0", "0-0", "1", "5", "5-*", "18446744073709551615-18446744073709551615", "18446744073709551615", "18446744073709551616", "007-01", " 3", "3--02", "+1-+2",
			"-", "+", "(5", "x", "", "1-", "-1", "1-x", "4-2\x00zzz", "99999999999999", strings.Repeat("0", 127), strings.Repeat("0", 128), strconv.Itoa(s.IntN(60)), fmt.Sprintf("%d-%d", s.IntN(60), s.IntN(3)))
	case "far":
		return one(fmt.Sprintf("%d-%d", 90_000_000_000_000+s.IntN(1000), s.IntN(3)), s.wordFor("had")[0])
	case "start", "end":
		usual := map[string]string{"start": "-", "end": "+"}[kind]
		return one(usual, usual, "("+s.wordFor("had")[0], s.wordFor("had")[0], s.wordFor("id")[0], "(", "(-")
	case "after":
		return one("0", "0", "$", s.wordFor("had")[0], s.wordFor("had")[0], s.wordFor("id")[0], ">")
	case "gid":
		return one("0", "0", "$", s.wordFor("had")[0], s.wordFor("id")[0])
	case "n", "i", "idle":
		return s.numberWord(kind)
	case "count":
		return []string{"COUNT", s.numberWord("n")[0]}
	}
	return s.streamOption(kind)
}

func (s *streamScript) numberWord(kind string) []string {
	one := func(of ...string) []string { return []string{pick(s.script, of...)} }
	switch kind {
	case "n":
		return one("1", "2", "3", "3", "5", "10", "0", "1000", "100", pick(s.script, "-1", "-2", "x", "9223372036854775807", "576460752303423488", "1000000"))
	case "idle":
		return one("0", "0", "0", "100000", "-1", "9223372036854775807", "x", "1000000000")
	}
	return one("0", "1", "2", "5", "-1", "-2", "100", "x", "10", strconv.Itoa(s.IntN(100)), "9223372036854775807", "-9223372036854775808")
}

func (s *streamScript) streamOption(kind string) []string {
	switch kind {
	case "fv":
		f := pick(s.script, "f", "f", "f", "field", "g", "1", "123456", "")
		v := pick(s.script, "v", "1", "-5", "4095", "4096", "-4097", "70000", "2147483648", "9223372036854775807", "", strings.Repeat("v", s.IntN(200)), strings.Repeat("w", 64), s.value())
		if s.IntN(40) == 0 {
			v = strings.Repeat("x", pick(s.script, 1000, 4000, 4096, 5000))
		}
		return []string{f, v}
	case "trim":
		out := pick(s.script, []string{"MAXLEN"}, []string{"MAXLEN", "~"}, []string{"MAXLEN", "~"}, []string{"MAXLEN", "="}, []string{"MINID"}, []string{"MINID", "~"}, []string{"MINID", "="}, []string{"maxlen", "~"})
		if strings.EqualFold(out[0], "maxlen") {
			out = append(out, pick(s.script, "0", "1", "5", "10", "50", "100", "150", strconv.Itoa(s.IntN(200)), "-1", "x", "9223372036854775807"))
		} else {
			out = append(out, s.wordFor("had")[0])
		}
		if s.IntN(4) == 0 {
			out = append(out, "LIMIT", pick(s.script, "0", "1", "10", "100", "150", "1000", "-1", "x"))
		}
		return out
	case "claimopt":
		return pick(s.script, []string{"JUSTID"}, []string{"FORCE"}, []string{"FORCE"}, []string{"IDLE", pick(s.script, "0", "1000000", "-5", "99999999999999", "x")},
			[]string{"TIME", pick(s.script, "1", "1000000000000", "-5", "99999999999999", "x")}, []string{"RETRYCOUNT", s.numberWord("i")[0]},
			[]string{"LASTID", s.wordFor("had")[0]}, []string{"x"}, []string{"IDLE"}, []string{"5-1"})
	case "bulk", "delrange", "deltail", "star":
		return []string{strings.ToUpper(kind)}
	}
	return []string{"~" + kind}
}

// newID returns an ID that is usually after the last one. It returns "*" only
// if the last ID is in the future; otherwise the clocks would give different
// IDs.
func (s *streamScript) newID(key string) string {
	s.top[key] += pick(s.script, 0, 1, 1, 1, 2, 1000)
	id := pick(s.script, fmt.Sprintf("%d-*", s.top[key]), fmt.Sprintf("%d-%d", s.top[key]+1, s.IntN(3)), strconv.Itoa(s.top[key]+1))
	if strings.HasSuffix(id, "-*") {
		s.added = append(s.added, strings.TrimSuffix(id, "*")+strconv.Itoa(s.IntN(3)))
	} else {
		s.top[key]++
		s.added = append(s.added, id)
	}
	return id
}

var idPattern = regexp.MustCompile(`[0-9]+-[0-9]+\r`)

// notice remembers delivered IDs for later commands.
func (s *streamScript) notice(args [][]byte, reply []byte) {
	if name := strings.ToLower(string(args[0])); name != "xreadgroup" && name != "xpending" {
		return
	}
	for _, id := range idPattern.FindAll(reply, 20) {
		s.added = append(s.added, strings.TrimSpace(string(id)))
	}
}

// expand makes many commands of a bulk word.
func (s *streamScript) expand(args [][]byte) [][][]byte {
	var out [][][]byte
	key := []byte(pick(s.script, "s", "s", "s2"))
	if s.calm && s.IntN(4) > 0 && disturbs(args) {
		return nil
	}
	switch string(args[0]) {
	case "BULK":
		for range s.IntN(150) {
			fields := s.streamOption("fv")
			if s.IntN(3) > 0 {
				fields = []string{"f", strconv.Itoa(s.IntN(10000))}
			}
			out = append(out, [][]byte{[]byte("XADD"), key, []byte(s.newID(string(key))), []byte(fields[0]), []byte(fields[1])})
		}
	case "DELRANGE":
		at := s.IntN(len(s.added) + 1)
		for _, id := range s.added[at:min(at+s.IntN(150), len(s.added))] {
			out = append(out, [][]byte{[]byte("XDEL"), key, []byte(id)})
		}
	case "DELTAIL":
		for i := range s.IntN(min(len(s.added)+1, 120)) {
			out = append(out, [][]byte{[]byte("XDEL"), key, []byte(s.added[len(s.added)-1-i])})
		}
	case "STAR":
		for _, line := range []string{"0-*", "90000000000000", "*", "NOMKSTREAM *", "MAXLEN ~ 3 *", "90000000000000-18446744073709551615", "*", "18446744073709551615-18446744073709551615", "*", "18446744073709551615-*", "1"} {
			out = append(out, append([][]byte{[]byte("XADD"), key}, bytes.Fields([]byte(line+" f v"))...))
		}
		out = append(out, [][]byte{[]byte("XREAD"), []byte("STREAMS"), key, []byte("18446744073709551615")}, [][]byte{[]byte("DEL"), key})
	default:
		out = [][][]byte{args}
	}
	return out
}

// disturbs reports whether a command destroys what others build up.
func disturbs(args [][]byte) bool {
	switch string(args[0]) {
	case "DEL", "XSETID", "STAR":
		return true
	case "XGROUP":
		return len(args) > 1 && (string(args[1]) == "DESTROY" || string(args[1]) == "DELCONSUMER")
	}
	return false
}

// TestStreamsAsRedis compares random stream commands with a real Redis, in both
// protocols. Times are compared as far as the clocks agree.
func TestStreamsAsRedis(t *testing.T) {
	var s *streamScript
	c := comparison{commands: 400, open: func(_ *machine, args [][]byte) bool { return unfit(args) }}
	c.script = func(seed uint64) func() [][]byte {
		s = newStreamScript(seed)
		first := true
		return func() [][]byte {
			if first {
				first = false
				return bytes.Fields([]byte("SET str x"))
			}
			return s.next()
		}
	}
	c.expand = func(args [][]byte) [][][]byte { return s.expand(args) }
	c.differ = func(d difference) string {
		if timeless(d.args, d.got) == timeless(d.args, d.want) {
			return ""
		}
		return "they differ, not only in times"
	}
	c.after = func(m *machine, args [][]byte, reply *resp.Value) {
		s.notice(args, reply.AppendTo(nil, 2))
		checkStream(t, m.state(args[min(1, len(args)-1)]))
	}
	c.run(t)
}

// unfit reports whether Redis might block, or the command has several keys and
// is not supported here.
func unfit(args [][]byte) bool {
	name := strings.ToLower(string(args[0]))
	if name != "xread" && name != "xreadgroup" {
		return false
	}
	for i, a := range args {
		switch {
		case strings.EqualFold(string(a), "block"):
			return true
		case strings.EqualFold(string(a), "streams"):
			return name == "xreadgroup" && len(args)-i-1 > 2
		}
	}
	return false
}

// timeless replaces the parts of a reply that depend on the clock: current
// times, and idle times up to a minute.
func timeless(args [][]byte, reply []byte) string {
	name := strings.ToLower(string(bytes.Join(args[:min(2, len(args))], []byte(" "))))
	idle := strings.HasPrefix(name, "xpending") || name == "xinfo consumers"
	if !idle && name != "xinfo stream" {
		return string(reply)
	}
	var out strings.Builder
	var lines []string
	for in := bufio.NewScanner(bytes.NewReader(reply)); in.Scan(); {
		lines = append(lines, in.Text())
	}
	for i, line := range lines {
		n, err := strconv.ParseInt(strings.TrimPrefix(line, ":"), 10, 64)
		// An idle time precedes a delivery count, or follows its name.
		spot := i > 0 && (lines[i-1] == "idle" || (i+1 < len(lines) && strings.HasPrefix(lines[i+1], ":") && lines[i-1] != "*4"))
		switch {
		case line == "" || line[0] != ':' || err != nil:
		case name == "xinfo stream" && n > 1_500_000_000_000 && n < 3_000_000_000_000:
			line = ":now"
		case idle && spot:
			line = fmt.Sprintf(":idle/%d", (n+30_000)/60_000)
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// checkStream checks that rebuilding a stream from its content gives the same
// stream, except for the distribution of entries over nodes.
func checkStream(t *testing.T, v register.View) {
	t.Helper()
	if v.Header.Type != register.Stream {
		return
	}
	value := stream.Read(v)
	header, ops := stream.Build(value)
	again := register.Nothing().Apply(register.Change{Kind: register.Full, Header: header, Ops: ops})
	a, b := elementsText(v), elementsText(again)
	if at := parting(a, b); a != b || uint64(len(value.Entries)) != v.Header.Size {
		t.Fatalf("of %d entries\n%.500s\nand built anew\n%.500s", v.Header.Size, a[at:], b[at:])
	}
}

func elementsText(v register.View) string {
	out := fmt.Appendf(nil, "%d ", v.Header.Size)
	for _, e := range v.Elements() {
		if e.Key[0] != 'n' {
			out = fmt.Appendf(out, "%x=%x ", e.Key, e.Value)
		}
	}
	return string(out)
}
