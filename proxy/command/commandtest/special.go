package commandtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"synod/proxy/command"
)

// specials generate requests for commands whose arguments have a meaning, or
// depend on each other, in ways that their declaration does not show.
var specials map[string]func(*Generator) [][]byte

// The map refers to functions that look into it.
func init() {
	specials = map[string]func(*Generator) [][]byte{
		"set":         (*Generator).set,
		"getex":       (*Generator).getex,
		"setbit":      func(g *Generator) [][]byte { return g.on("SETBIT", g.bitOffset(), Pick(g.Source, "0", "1", "1", "2")) },
		"getbit":      func(g *Generator) [][]byte { return g.on("GETBIT", g.bitOffset()) },
		"bitcount":    (*Generator).bitcount,
		"bitpos":      (*Generator).bitpos,
		"bitfield":    func(g *Generator) [][]byte { return g.bitfield("BITFIELD", true) },
		"bitfield_ro": func(g *Generator) [][]byte { return g.bitfield("BITFIELD_RO", false) },
		"lcs":         (*Generator).lcs,
		"zadd":        (*Generator).zadd,
		"zrange":      (*Generator).zrange,
		"xadd":        (*Generator).xadd,
		"xtrim":       func(g *Generator) [][]byte { return append(g.on("XTRIM"), g.trim()...) },
		"xreadgroup":  (*Generator).xreadgroup,
		"xgroup|create": func(g *Generator) [][]byte {
			return append(Words("XGROUP", "CREATE", g.subject(), g.group(), Pick(g.Source, "0", "0", "$", "$", g.knownID())), g.sometimes(2, "MKSTREAM")...)
		},
		"sort":     func(g *Generator) [][]byte { return g.sort("SORT") },
		"sort_ro":  func(g *Generator) [][]byte { return g.sort("SORT_RO") },
		"restore":  (*Generator).restoreJunk,
		"flushall": func(g *Generator) [][]byte { return g.flush("FLUSHALL") },
		"flushdb":  func(g *Generator) [][]byte { return g.flush("FLUSHDB") },
		"hello":    (*Generator).hello,
		"select":   func(g *Generator) [][]byte { return Words("SELECT", Pick(g.Source, "0", "0", "0", "1", g.integer())) },
		"object":   func(g *Generator) [][]byte { return Words("OBJECT", g.Junk()) },
		"config|get": func(g *Generator) [][]byte {
			return Words("CONFIG", "GET", "nosuch*", g.Junk())
		},
		"client|list": func(g *Generator) [][]byte {
			return Words("CLIENT", "LIST", Pick(g.Source, "TYPE", "ID", "FOO"), Pick(g.Source, "normal", "pubsub", "x", "1", "-1"))
		},
		"client|setname": func(g *Generator) [][]byte {
			return Words("CLIENT", "SETNAME", Pick(g.Source, "me", "", "a b", "ä", "\n", "x!"))
		},
		"client|caching":          func(g *Generator) [][]byte { return Words("CLIENT", "CACHING", Pick(g.Source, "YES", "NO", "x")) },
		"client|no-evict":         func(g *Generator) [][]byte { return Words("CLIENT", "NO-EVICT", Pick(g.Source, "on", "OFF", "x")) },
		"command|getkeys":         func(g *Generator) [][]byte { return g.getKeys("GETKEYS") },
		"command|getkeysandflags": func(g *Generator) [][]byte { return g.getKeys("GETKEYSANDFLAGS") },
	}
}

// on returns a request on a key.
func (g *Generator) on(name string, words ...string) [][]byte {
	return append(Words(name, g.subject()), Words(words...)...)
}

// sometimes returns the words with probability 1/n, otherwise none.
func (g *Generator) sometimes(n int, words ...string) [][]byte {
	if !g.OneIn(n) {
		return nil
	}
	return Words(words...)
}

func (g *Generator) set() [][]byte {
	args := g.on("SET", Pick(g.Source, g.amount(), g.element()))
	if g.OneIn(20) { // what LCS and SORT read
		args = Words("SET", Pick(g.Source, "lcs1", "lcs2", "{lcs}3", "w_1", "w_2", "w_m1"), Pick(g.Source, g.member(), g.value(), g.score()))
	}
	for _, option := range []string{"NX", "XX", "GET", "KEEPTTL"} {
		if g.OneIn(6) {
			args = append(args, g.recase([]byte(option)))
		}
	}
	if g.OneIn(3) {
		args = append(args, g.expiration()...)
	}
	return append(args, g.sometimes(8, Pick(g.Source, "NX", "GET", "GET", "PERSIST"))...)
}

func (g *Generator) getex() [][]byte {
	args := g.on("GETEX")
	if !g.OneIn(4) {
		args = append(args, g.expiration()...)
	}
	return append(args, g.sometimes(4, "PERSIST")...)
}

func (g *Generator) expiration() [][]byte {
	switch g.IntN(4) {
	case 0:
		return Words("EX", g.seconds())
	case 1:
		return Words("PX", g.millis())
	case 2:
		return Words("EXAT", g.unixTime(1))
	default:
		return Words("PXAT", g.unixTime(1000))
	}
}

func (g *Generator) unit() [][]byte {
	return g.sometimes(2, Pick(g.Source, "BYTE", "BIT", "bit", "BITS", ""))
}

func (g *Generator) bitcount() [][]byte {
	args := g.on("BITCOUNT")
	if g.OneIn(4) {
		return args
	}
	return append(append(args, Words(g.offset(), g.offset())...), g.unit()...)
}

func (g *Generator) bitpos() [][]byte {
	args := g.on("BITPOS", Pick(g.Source, "0", "1", "1", "2", "x"))
	for n := g.IntN(3); n > 0; n-- {
		args = append(args, []byte(g.offset()))
	}
	if len(args) == 5 {
		args = append(args, g.unit()...)
	}
	return args
}

func (g *Generator) bitfield(name string, writes bool) [][]byte {
	args := g.on(name)
	for range g.IntN(5) {
		offset := Pick(g.Source, "", "#") + g.bitOffset()
		switch what := g.IntN(7); {
		case what < 3 || !writes && !g.OneIn(8):
			args = append(args, Words(Pick(g.Source, "GET", "get"), g.fieldType(), offset)...)
		case what == 3:
			args = append(args, Words("OVERFLOW", Pick(g.Source, "WRAP", "SAT", "FAIL", "fail", "x"))...)
		case what == 4:
			args = append(args, Words("SET", g.fieldType(), offset, g.amount())...)
		default:
			args = append(args, Words("INCRBY", g.fieldType(), offset, g.amount())...)
		}
	}
	return args
}

func (g *Generator) lcs() [][]byte {
	args := Words("LCS", Pick(g.Source, "lcs1", "{lcs}3"), Pick(g.Source, "lcs2", "lcs1"))
	for _, option := range []string{"LEN", "IDX", "IDX", "WITHMATCHLEN"} {
		args = append(args, g.sometimes(4, option)...)
	}
	return append(args, g.sometimes(4, "MINMATCHLEN", g.small())...)
}

func (g *Generator) zadd() [][]byte {
	args := g.on("ZADD")
	for _, option := range []string{"NX", "XX", "GT", "LT", "CH", "CH"} {
		args = append(args, g.sometimes(10, option)...)
	}
	incr := g.sometimes(12, "INCR")
	args = append(args, incr...)
	n, from := 1, g.req.from
	for incr == nil && n < 8 && !g.OneIn(3) {
		n++
	}
	if incr == nil {
		n = max(n, g.req.bulk)
	}
	for i := range n {
		if g.req.from = from + i*g.req.stride; n != g.req.bulk {
			g.req.bulk = 0
		}
		score := g.scored()
		if g.req.bulk > 0 && g.req.kind != equals {
			score = Pick(g.Source, strconv.Itoa(g.IntN(100)), strconv.Itoa(i))
		}
		args = append(args, Words(score, g.member())...)
	}
	return args
}

func (g *Generator) zrange() [][]byte {
	var by, ends [][]byte
	switch g.IntN(4) {
	case 0:
		by, ends = Words("BYSCORE"), Words(g.bound(true), g.bound(false))
	case 1:
		g.req.kind = equals
		by, ends = Words("BYLEX"), Words(g.lexical(true, g.member()), g.lexical(false, g.member()))
	default:
		ends = Words(g.place(), g.place())
	}
	options := slices.Clone(by)
	if g.OneIn(3) {
		options = append(options, []byte("REV"))
		if g.OneIn(4) == (by == nil) {
			slices.Reverse(ends)
		}
	}
	if g.OneIn(4) == (by == nil) {
		options = append(options, g.sometimes(3, "LIMIT", g.small(), Pick(g.Source, "-1", g.small()))...)
	}
	options = append(options, g.sometimes(3, "WITHSCORES")...)
	return append(append(g.on("ZRANGE"), ends...), options...)
}

// trim returns the options for trimming a stream.
func (g *Generator) trim() [][]byte {
	args := Words("MAXLEN")
	if g.OneIn(3) {
		args = Words("MINID")
	}
	args = append(args, Words(Pick(g.Source, "", "=", "~"))...)
	if len(args[1]) == 0 {
		args = args[:1]
	}
	if string(args[0]) == "MINID" {
		args = append(args, []byte(g.knownID()))
	} else {
		args = append(args, []byte(Pick(g.Source, g.small(), strconv.Itoa(g.IntN(200)))))
	}
	if len(args) == 3 && string(args[1]) == "~" || g.OneIn(20) {
		args = append(args, g.sometimes(3, "LIMIT", g.small())...)
	}
	return args
}

func (g *Generator) xadd() [][]byte {
	args := append(g.on("XADD"), g.sometimes(12, "NOMKSTREAM")...)
	key := args[1]
	args = append(args, slices.Concat(g.sometimes(8, "trim"))...)
	if string(args[len(args)-1]) == "trim" {
		args = append(args[:len(args)-1], g.trim()...)
	}
	id := Pick(g.Source, "%d-0", "%d-0", "%d-0", "%d-0", "%d", "%d-1", "%d-*")
	g.nextID(string(key))
	switch id = fmt.Sprintf(id, g.next); g.IntN(20) {
	case 0:
		id = "*"
	case 1:
		id = g.knownID()
	}
	args = append(args, []byte(id))
	for range 1 + g.IntN(3) {
		args = append(args, Words(Pick(g.Source, "f", "f", "f2", g.member()), g.element())...)
	}
	// Most group commands work on pending entries.
	switch group := Pick(g.Source, "g", "g", "h"); g.IntN(8) {
	case 0:
		g.queue = append(g.queue, Step{Args: Words("XGROUP", "CREATE", string(key), group, Pick(g.Source, "0", "0", "$"))})
	case 1, 2:
		g.queue = append(g.queue, Step{Args: Words("XREADGROUP", "GROUP", group, g.consumer(), "STREAMS", string(key), ">")})
	}
	if g.OneIn(25) { // enough for several nodes in Redis
		for range 20 + g.IntN(200) {
			g.queue = append(g.queue, Step{Args: Words("XADD", string(key), fmt.Sprintf("%d-0", g.nextID(string(key))), "f", g.member())})
		}
	}
	return args
}

// nextID returns the number of the next entry of a stream.
func (g *Generator) nextID(key string) int {
	g.next++
	g.ids[key] = append(g.ids[key], g.next)
	return g.next
}

func (g *Generator) xreadgroup() [][]byte {
	args := Words("XREADGROUP", "GROUP", g.group(), g.consumer())
	args = append(append(args, g.sometimes(2, "COUNT", g.small())...), g.sometimes(6, "NOACK")...)
	return append(args, Words("STREAMS", g.subject(), Pick(g.Source, ">", ">", ">", ">", "0", "0", "$", g.knownID()))...)
}

func (g *Generator) sort(name string) [][]byte {
	args := Words(name, g.key(Pick(g.Source, lists, sets, zsets)))
	args = append(args, g.sometimes(3, "BY", Pick(g.Source, "nosort", "w_*", "w_*", "hash1->*", "{hash}3->*", "*", "o_*->", "nosuch_*", ""))...)
	args = append(args, g.sometimes(3, "LIMIT", g.place(), Pick(g.Source, "-1", g.small(), g.small()))...)
	for range g.IntN(3) {
		args = append(args, g.sometimes(2, "GET", Pick(g.Source, "#", "w_*", "hash1->*", "nosuch_*", "{hash}3->m1", "*->*"))...)
	}
	args = append(args, g.sometimes(3, Pick(g.Source, "ASC", "DESC", "DESC"))...)
	if !g.OneIn(3) {
		args = append(args, []byte("ALPHA"))
	}
	return args
}

// restore makes a step of a RESTORE of some key's dump.
func (g *Generator) restore() Step {
	kind := Pick(g.Source, g.focus...)
	args := Words("RESTORE", g.keyOf(kind), "0", string(Payload))
	d := &Dump{Key: []byte(g.keyOf(kind)), Mine: g.OneIn(2)}
	if g.OneIn(6) {
		args[1] = []byte(Pick(g.Source, shared...))
	}
	if g.OneIn(3) {
		args[2] = []byte(Pick(g.Source, g.expiry(1000), "0", "-1"))
	}
	if !g.OneIn(5) {
		args = append(args, []byte("REPLACE"))
	}
	for _, option := range []string{"IDLETIME 10", "FREQ 5", "FREQ 256", "IDLETIME -1"} {
		args = append(args, g.sometimes(20, strings.Fields(option)...)...)
	}
	if g.OneIn(6) {
		args[2] = []byte(g.unixTime(1000))
		args = append(args, []byte("ABSTTL"))
	}
	if g.OneIn(8) {
		d.Flip = 1 + g.IntN(12)
	}
	if unfit(args) {
		args[2] = []byte("0")
	}
	return Step{Args: args, Dump: d}
}

func (g *Generator) restoreJunk() [][]byte {
	payload := Pick(g.Source, "", "x", "\x00\x05hello", "\x00\x03abc\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x03abc\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00")
	args := g.on("RESTORE", g.millis(), payload)
	for _, option := range []string{"REPLACE", "ABSTTL", "IDLETIME", "FREQ", "x"} {
		args = append(args, g.sometimes(5, option)...)
	}
	return args
}

func (g *Generator) flush(name string) [][]byte {
	return append(Words(name), g.sometimes(2, Pick(g.Source, "ASYNC", "SYNC", "sync", "x", "ASYNC SYNC"))...)
}

func (g *Generator) hello() [][]byte {
	args := Words("HELLO")
	if !g.OneIn(4) {
		args = append(args, []byte(Pick(g.Source, "2", "3", "3", "1", "4", "x", "-1", "99999999999999999999")))
	}
	for _, option := range []string{"SETNAME me", "SETNAME", "AUTH default x", "AUTH nobody x", "AUTH default", "FOO"} {
		args = append(args, g.sometimes(10, strings.Fields(option)...)...)
	}
	return args
}

// getKeys returns a request for the keys of another request.
func (g *Generator) getKeys(name string) [][]byte {
	for {
		spec := Pick(g.Source, g.all...)
		if len(spec.Subcommands) == 0 && !Newer[spec.FullName] && !redeclared[spec.FullName] && spec.Has(command.Write) != g.OneIn(3) {
			g.begin(spec)
			return append(Words("COMMAND", name), g.documented()...)
		}
	}
}
