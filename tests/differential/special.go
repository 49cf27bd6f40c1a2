package differential

import (
	"bytes"
	"strconv"

	"synod/proxy/command"
)

// specials are generators for commands whose arguments have a meaning that
// their declaration does not tell.
var specials = map[string]func(*generator) [][]byte{
	"set":         (*generator).set,
	"getex":       (*generator).getex,
	"append":      func(g *generator) [][]byte { return g.on("APPEND", string(g.value())) },
	"setrange":    func(g *generator) [][]byte { return g.on("SETRANGE", g.offset(), string(g.value())) },
	"getrange":    func(g *generator) [][]byte { return g.on("GETRANGE", g.offset(), g.offset()) },
	"substr":      func(g *generator) [][]byte { return g.on("SUBSTR", g.offset(), g.offset()) },
	"setbit":      func(g *generator) [][]byte { return g.on("SETBIT", g.bitOffset(), pick(g.source, "0", "1", "1", "2")) },
	"getbit":      func(g *generator) [][]byte { return g.on("GETBIT", g.bitOffset()) },
	"bitcount":    (*generator).bitcount,
	"bitpos":      (*generator).bitpos,
	"bitfield":    func(g *generator) [][]byte { return g.bitfield("BITFIELD", true) },
	"bitfield_ro": func(g *generator) [][]byte { return g.bitfield("BITFIELD_RO", false) },
	"incrby":      func(g *generator) [][]byte { return g.on("INCRBY", g.amount()) },
	"decrby":      func(g *generator) [][]byte { return g.on("DECRBY", g.amount()) },
	"incrbyfloat": func(g *generator) [][]byte { return g.on("INCRBYFLOAT", pick(g.source, g.float(), g.amount())) },
	"lcs":         (*generator).lcs,
	"scan":        (*generator).scan,
	"restore":     (*generator).restoreJunk,
	"flushall":    func(g *generator) [][]byte { return g.flush("FLUSHALL") },
	"flushdb":     func(g *generator) [][]byte { return g.flush("FLUSHDB") },
	"hello":       (*generator).hello,
	"object":      func(g *generator) [][]byte { return text("OBJECT", string(g.junk())) },
	"config|get":  func(g *generator) [][]byte { return text("CONFIG", "GET", "nosuch*", string(g.junk())) },
	"client|list": func(g *generator) [][]byte {
		return text("CLIENT", "LIST", pick(g.source, "TYPE", "ID", "FOO"), pick(g.source, "normal", "pubsub", "x", "1", "-1"))
	},
	"client|setname": func(g *generator) [][]byte {
		return text("CLIENT", "SETNAME", pick(g.source, "me", "", "a b", "ä", "\n", "x!"))
	},
	"client|caching":          func(g *generator) [][]byte { return text("CLIENT", "CACHING", pick(g.source, "YES", "NO", "x")) },
	"client|no-evict":         func(g *generator) [][]byte { return text("CLIENT", "NO-EVICT", pick(g.source, "on", "OFF", "x")) },
	"command|getkeys":         func(g *generator) [][]byte { return g.getKeys("GETKEYS") },
	"command|getkeysandflags": func(g *generator) [][]byte { return g.getKeys("GETKEYSANDFLAGS") },
}

// on returns a request on a random key.
func (g *generator) on(name string, words ...string) [][]byte {
	return append([][]byte{[]byte(name), g.key()}, text(words...)...)
}

func (g *generator) set() [][]byte {
	args := append(g.on("SET"), g.value())
	for _, option := range []string{"NX", "XX", "GET", "KEEPTTL"} {
		if g.oneIn(6) {
			args = append(args, g.recase([]byte(option)))
		}
	}
	if g.oneIn(3) {
		args = append(args, g.expiration()...)
	}
	if g.oneIn(8) {
		args = append(args, []byte(pick(g.source, "NX", "GET", "GET", "PERSIST")))
	}
	return args
}

func (g *generator) getex() [][]byte {
	args := g.on("GETEX")
	if !g.oneIn(4) {
		args = append(args, g.expiration()...)
	}
	if g.oneIn(4) {
		args = append(args, []byte("PERSIST"))
	}
	return args
}

func (g *generator) expiration() [][]byte {
	switch g.IntN(4) {
	case 0:
		return text("EX", g.seconds())
	case 1:
		return text("PX", g.millis())
	case 2:
		return text("EXAT", g.unixTime(1))
	default:
		return text("PXAT", g.unixTime(1000))
	}
}

// amount returns what to add to a number: anything goes.
func (g *generator) amount() string {
	return pick(g.source, g.integer(), "2147483647", "2147483648", "-2147483649", "4294967295", "16777217", strconv.Itoa(g.IntN(1000)))
}

func (g *generator) bitOffset() string {
	switch g.IntN(6) {
	case 0:
		return strconv.Itoa(8*chunk*(1+g.IntN(3)) + g.IntN(17) - 8)
	case 1:
		return g.integer()
	}
	return strconv.Itoa(g.IntN(200))
}

func (g *generator) unit() [][]byte {
	if g.oneIn(2) {
		return nil
	}
	return text(pick(g.source, "BYTE", "BIT", "bit", "BITS", ""))
}

func (g *generator) bitcount() [][]byte {
	args := g.on("BITCOUNT")
	if g.oneIn(4) {
		return args
	}
	args = append(args, text(g.offset(), g.offset())...)
	return append(args, g.unit()...)
}

func (g *generator) bitpos() [][]byte {
	args := g.on("BITPOS", pick(g.source, "0", "1", "1", "2", "x"))
	for n := g.IntN(3); n > 0; n-- {
		args = append(args, []byte(g.offset()))
	}
	if len(args) == 5 {
		args = append(args, g.unit()...)
	}
	return args
}

func (g *generator) bitfield(name string, writes bool) [][]byte {
	args := g.on(name)
	for range g.IntN(5) {
		offset := pick(g.source, "", "#") + g.bitOffset()
		switch what := g.IntN(7); {
		case what < 3 || !writes && !g.oneIn(8):
			args = append(args, text(pick(g.source, "GET", "get"), g.fieldType(), offset)...)
		case what == 3:
			args = append(args, text("OVERFLOW", pick(g.source, "WRAP", "SAT", "FAIL", "fail", "x"))...)
		case what == 4:
			args = append(args, text("SET", g.fieldType(), offset, g.amount())...)
		default:
			args = append(args, text("INCRBY", g.fieldType(), offset, g.amount())...)
		}
	}
	return args
}

func (g *generator) lcs() [][]byte {
	args := append(g.on("LCS"), g.key())
	for _, option := range []string{"LEN", "IDX", "IDX", "WITHMATCHLEN"} {
		if g.oneIn(4) {
			args = append(args, []byte(option))
		}
	}
	if g.oneIn(4) {
		args = append(args, text("MINMATCHLEN", g.offset())...)
	}
	return args
}

func (g *generator) scan() [][]byte {
	args := text("SCAN", pick(g.source, "0", "0", "0", "0", "0", "1", "-1", "x", "18446744073709551615", "18446744073709551616", " 0", ""))
	if g.oneIn(2) {
		args = append(args, []byte("MATCH"), g.pattern())
	}
	if g.oneIn(2) {
		args = append(args, text("COUNT", pick(g.source, "1", "2", "10", "1000", "0", "-1", "x", "9223372036854775807"))...)
	}
	if g.oneIn(3) {
		args = append(args, text("TYPE", pick(g.source, "string", "STRING", "list", "zset", "nosuch", ""))...)
	}
	return args
}

func (g *generator) restoreJunk() [][]byte {
	payload := pick(g.source, "", "x", "\x00\x05hello", "\x00\x03abc\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x03abc\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00")
	args := g.on("RESTORE", g.millis(), payload)
	for _, option := range []string{"REPLACE", "ABSTTL", "IDLETIME", "FREQ", "x"} {
		if g.oneIn(5) {
			args = append(args, []byte(option))
		}
	}
	return args
}

func (g *generator) flush(name string) [][]byte {
	if g.oneIn(2) {
		return text(name)
	}
	return text(name, pick(g.source, "ASYNC", "SYNC", "sync", "x", "ASYNC SYNC"))
}

func (g *generator) hello() [][]byte {
	args := text("HELLO")
	if !g.oneIn(4) {
		args = append(args, []byte(pick(g.source, "2", "3", "3", "1", "4", "x", "-1", "99999999999999999999")))
	}
	for _, option := range []string{"SETNAME me", "SETNAME", "AUTH default x", "AUTH nobody x", "AUTH default", "FOO"} {
		if g.oneIn(10) {
			args = append(args, bytes.Fields([]byte(option))...)
		}
	}
	return args
}

// getKeys asks for the keys of some other request.
func (g *generator) getKeys(name string) [][]byte {
	for {
		spec := pick(g.source, command.All()...)
		if inner := g.documented(spec); len(spec.Subcommands) == 0 && !newer[spec.FullName] {
			return append(text("COMMAND", name), inner...)
		}
	}
}
