package differential

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"synod/proxy/command"
)

// length is how many steps a sequence has.
const length = 150

// Sequence returns the sequence of a seed.
func Sequence(seed uint64) []Step {
	g := &generator{source: newSource(seed)}
	for len(g.steps) < length {
		g.step()
	}
	return g.steps
}

// generator makes steps.
type generator struct {
	source
	steps []Step
}

// add appends a request. More often than not in a pipeline if the last was.
func (g *generator) add(conn int, args [][]byte) {
	g.steps = append(g.steps, Step{Conn: conn, Args: args})
}

func (g *generator) step() {
	conn := g.IntN(conns)
	switch g.IntN(60) {
	case 0:
		g.steps = append(g.steps, Step{Conn: conn, Expire: g.key()})
	case 1:
		raw, unfinished := g.raw()
		g.steps = append(g.steps, Step{Conn: conn, Raw: raw, Open: unfinished})
	case 2:
		g.add(conn, text("HELLO", pick(g.source, "2", "3", "3", "3", "4", "1", "x", "")))
	case 3:
		g.add(conn, text("SELECT", pick(g.source, "0", "0", "0", "1", "2", "15", "15", g.integer())))
	case 4, 5:
		g.add(conn, [][]byte{[]byte("DEL"), g.key()}) // keeps values from growing for ever
	case 6:
		g.restore(conn)
	case 7, 8, 9:
		g.pipeline(conn)
	default:
		g.add(conn, g.request())
	}
}

// pipeline adds requests that are sent together.
func (g *generator) pipeline(conn int) {
	for range 2 + g.IntN(12) {
		args := g.request()
		alone := ruleOf(args).alone
		if alone && len(g.steps) > 0 {
			g.steps[len(g.steps)-1].More = false
		}
		g.steps = append(g.steps, Step{Conn: conn, Args: args, More: !alone})
	}
	g.steps[len(g.steps)-1].More = false
}

// restore adds a RESTORE of some key's dump.
func (g *generator) restore(conn int) {
	args := [][]byte{[]byte("RESTORE"), g.key(), []byte("0"), Payload}
	if g.oneIn(3) {
		args[2] = []byte(g.millis())
	}
	for _, option := range []string{"REPLACE", "REPLACE", "ABSTTL", "IDLETIME 10", "FREQ 5", "FREQ 256", "IDLETIME -1"} {
		if g.oneIn(4) {
			args = append(args, text(strings.Fields(option)...)...)
		}
	}
	d := &Dump{Key: g.key(), Mine: g.oneIn(2)}
	if g.oneIn(6) {
		d.Flip = 1 + g.IntN(12)
	}
	g.steps = append(g.steps, Step{Conn: conn, Args: args, Dump: d})
}

// request returns a request: mostly sound, sometimes not.
func (g *generator) request() [][]byte {
	for {
		args := g.sound()
		if g.oneIn(12) {
			args = g.damage(args)
		}
		if g.oneIn(5) {
			args[0] = g.recase(args[0])
		}
		if !excluded(args) {
			return args
		}
	}
}

// sound returns a request as its documentation has it.
func (g *generator) sound() [][]byte {
	spec := pick(g.source, frequent()...)
	if len(spec.Subcommands) > 0 && !g.oneIn(10) {
		spec = pick(g.source, spec.Subcommands...)
	}
	if special := specials[spec.FullName]; special != nil && !g.oneIn(8) {
		return special(g)
	}
	return g.documented(spec)
}

// documented returns a request that follows from the command's declaration.
func (g *generator) documented(spec *command.Spec) [][]byte {
	args := text(strings.Split(strings.ToUpper(spec.FullName), "|")...)
	required, optional := [][]byte{}, [][][]byte{}
	for i := range spec.Args {
		words := g.argument(&spec.Args[i])
		if spec.Args[i].Flags&command.Optional != 0 {
			optional = append(optional, words)
		} else {
			required = append(required, words...)
		}
	}
	if g.oneIn(2) {
		g.Shuffle(len(optional), func(i, j int) { optional[i], optional[j] = optional[j], optional[i] })
	}
	return append(append(args, required...), slices.Concat(optional...)...)
}

// argument returns the words of a documented argument, none if it is optional
// and left out.
func (g *generator) argument(a *command.Arg) (words [][]byte) {
	if a.Flags&command.Optional != 0 && !g.oneIn(3) {
		return nil
	}
	n := 1
	if a.Flags&command.Multiple != 0 {
		n = 1 + g.IntN(4)
	}
	for i := range n {
		if a.Token != "" && a.Type != command.PureToken && (i == 0 || a.Flags&command.MultipleToken != 0) {
			words = append(words, []byte(a.Token))
		}
		words = append(words, g.typed(a)...)
	}
	return words
}

func (g *generator) typed(a *command.Arg) [][]byte {
	switch a.Type {
	case command.KeyArg:
		return [][]byte{g.key()}
	case command.PatternArg:
		return [][]byte{g.pattern()}
	case command.IntegerArg:
		return text(g.numberFor(a.Name))
	case command.DoubleArg:
		return text(g.float())
	case command.UnixTime:
		return text(g.unixTime(unitOf(a.Name)))
	case command.PureToken:
		return text(a.Token)
	case command.OneOf:
		return g.argument(&a.Args[g.IntN(len(a.Args))])
	case command.Block:
		var words [][]byte
		for i := range a.Args {
			words = append(words, g.argument(&a.Args[i])...)
		}
		return words
	}
	switch a.Name {
	case "command-name":
		return text(g.commandName())
	case "value", "message", "element":
		return [][]byte{g.value()}
	}
	return [][]byte{g.junk()}
}

// numberFor returns a number that suits an argument of the name.
func (g *generator) numberFor(name string) string {
	switch {
	case strings.Contains(name, "milliseconds"):
		return g.millis()
	case strings.Contains(name, "seconds"):
		return g.seconds()
	case name == "offset" || name == "start" || name == "end":
		return g.offset()
	}
	return g.integer()
}

func unitOf(name string) int64 {
	if strings.Contains(name, "milliseconds") {
		return 1000
	}
	return 1
}

// commandName returns the name of a command in the table, or of none.
func (g *generator) commandName() string {
	spec := pick(g.source, command.All()...)
	if len(spec.Subcommands) > 0 {
		spec = pick(g.source, spec.Subcommands...)
	}
	if g.oneIn(10) || newer[spec.FullName] {
		return pick(g.source, "nosuch", "", "get|set", "client|nosuch", "GET", "a b")
	}
	return spec.FullName
}

// damage makes a request that is wrong somehow, or less usual.
func (g *generator) damage(args [][]byte) [][]byte {
	args = slices.Clone(args)
	i := g.IntN(len(args))
	switch g.IntN(7) {
	case 0:
		return args[:max(1, len(args)-1)]
	case 1:
		if i > 0 {
			return slices.Delete(args, i, i+1)
		}
	case 2:
		return slices.Insert(args, i+1, args[i])
	case 3:
		return append(args, g.junk())
	case 4:
		if i > 0 {
			args[i] = g.junk()
		}
	case 5:
		if i > 0 {
			args[i] = []byte(g.integer())
		}
	case 6:
		args[0] = []byte(pick(g.source, "NOSUCH", "", "nosuch\r\ncommand", "GETT", strings.Repeat("y", 200), "\x00\xff", "get ", "object|help", "client|id"))
	}
	return args
}

func (g *generator) recase(name []byte) []byte {
	name = bytes.Clone(name)
	for i, c := range name {
		if g.oneIn(2) && 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	return name
}

// left are the commands that random sequences leave out, and why.
var left = map[string]string{
	"client|kill":    "would kill what the test needs; see scripts",
	"client|pause":   "stops everything; see scripts",
	"client|unpause": "see client|pause",
	"client|reply":   "has no reply to compare; see scripts",
	"config|set":     "the settings are not Redis's; see scripts",
	"config|rewrite": "there is no file to write",
	"wait":           "waits; see scripts",
	"flushall":       "only now and then, so that there is something to compare",
	"flushdb":        "only now and then",
	"quit":           "only now and then",
}

// rare are the commands of left that are generated after all, now and then.
var rare = []string{"flushall", "flushdb", "quit"}

// newer are the commands that the table takes from later versions than the
// Redis that we compare with.
var newer = map[string]bool{"client|setinfo": true, "client|no-touch": true}

// excluded reports whether a request must not be sent: it is left out, or only
// Redis knows the command, or it came out as one that lets Redis take very much
// memory.
func excluded(args [][]byte) bool {
	spec, failure := command.Resolve(args)
	if failure != nil {
		// A container without its subcommand, wrong arity, an unknown word.
		name := strings.ToLower(string(args[0]))
		if command.Lookup(args[0]) != nil {
			return newer[name] || len(args) > 1 && newer[name+"|"+strings.ToLower(string(args[1]))]
		}
		return onlyRedis[name]
	}
	if newer[spec.FullName] {
		return true
	}
	_, out := left[spec.FullName]
	return out && !slices.Contains(rare, spec.FullName)
}

// onlyRedis are commands that Redis has and the table has not: what damage may
// make of others.
var onlyRedis = map[string]bool{}

// frequent returns the commands to pick from: those on data several times.
func frequent() []*command.Spec {
	if weighted != nil {
		return weighted
	}
	for _, spec := range command.All() {
		n := 2
		switch {
		case spec.Group == "string" || spec.Group == "bitmap":
			n = 8
		case spec.Group == "generic":
			n = 6
		case slices.Contains(rare, spec.Name):
			n = 1
		case left[spec.Name] != "":
			continue
		}
		for range n {
			weighted = append(weighted, spec)
		}
	}
	return weighted
}

var weighted []*command.Spec

// raw returns bytes that are not a plain request, and whether they may be only
// the beginning of one.
func (g *generator) raw() (raw []byte, unfinished bool) {
	switch g.IntN(4) {
	case 0:
		return []byte(pick(g.source, protocolErrors...)), true
	case 1: // inline
		return []byte(pick(g.source, inlines...) + pick(g.source, "\r\n", "\n")), false
	}
	var b bytes.Buffer
	for range 1 + g.IntN(4) {
		args := g.request()
		for !exact(args) { // of a raw step all bytes are compared
			args = g.request()
		}
		for i, a := range args {
			if i > 0 {
				b.WriteString(pick(g.source, " ", "  ", "\t "))
			}
			b.WriteString(g.quote(a[:min(len(a), 200)]))
		}
		b.WriteString(pick(g.source, "\r\n", "\n"))
	}
	return b.Bytes(), false
}

// quote writes a word as an inline request may have it.
func (g *generator) quote(b []byte) string {
	if !g.oneIn(2) {
		return "'" + strings.NewReplacer("'", `\'`, "\n", " ", "\r", " ", "\x00", "0").Replace(string(b)) + "'"
	}
	var q strings.Builder
	q.WriteByte('"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			q.WriteByte('\\')
			q.WriteByte(c)
		case ' ' <= c && c < 0x7f:
			q.WriteByte(c)
		default:
			fmt.Fprintf(&q, `\x%02x`, c)
		}
	}
	q.WriteByte('"')
	return q.String()
}
