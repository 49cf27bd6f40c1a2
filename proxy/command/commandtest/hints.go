package commandtest

import (
	"fmt"
	"strconv"
	"strings"

	"synod/proxy/command"
)

// newMember returns a word that may be a member, a field or an element.
func (g *Generator) newMember() string {
	switch g.IntN(8) {
	case 0, 1:
		return strconv.Itoa(g.IntN(8))
	case 2:
		return g.value()
	case 3:
		return Pick(g.Source, "", "\x00\xff", "-9223372036854775808", "9223372036854775807", "32768", "1.5", strings.Repeat("x", 64), strings.Repeat("x", 65), "w 1", "a\nb")
	}
	return fmt.Sprintf("m%d", g.IntN(10))
}

// member returns a member, field or element: usually a common one, or
// consecutive ones if the request has many.
func (g *Generator) member() string {
	if g.req.bulk > 0 {
		if g.req.bulk%4 == 0 {
			return strconv.Itoa(g.req.from) // a set of numbers
		}
		return fmt.Sprintf("m%04d", g.req.from)
	}
	if g.OneIn(25) {
		return fmt.Sprintf("m%04d", g.IntN(700))
	}
	if g.OneIn(12) {
		return g.newMember()
	}
	return Pick(g.Source, g.members...)
}

// element returns what lists and fields hold.
func (g *Generator) element() string {
	switch {
	case g.req.bulk > 0 && g.req.long && g.OneIn(40):
		return string(g.Bytes(Pick(g.Source, 30, 64, 65, 300)))
	case g.req.bulk > 0:
		return "element " + strconv.Itoa(g.IntN(100000))
	case g.OneIn(60):
		return g.long()
	case g.OneIn(2):
		return g.member()
	}
	return g.value()
}

// word returns a word that fits an argument's name or, otherwise, its type.
func (g *Generator) word(a *command.Arg) string {
	if hint := hints[g.req.spec.FullName+" "+a.Name]; hint != nil {
		return hint(g)
	}
	if hint := hints[a.Name]; hint != nil && a.Type != command.KeyArg {
		return hint(g)
	}
	switch a.Type {
	case command.KeyArg:
		return g.subject()
	case command.PatternArg:
		return g.pattern()
	case command.IntegerArg:
		return g.integer()
	case command.DoubleArg:
		return g.float()
	case command.UnixTime:
		if strings.Contains(a.Name, "milliseconds") {
			return g.unixTime(1000)
		}
		return g.unixTime(1)
	}
	return g.Junk()
}

// subject returns a key for the request.
func (g *Generator) subject() string {
	key := g.key(g.req.kind)
	if g.req.key == "" {
		g.req.key = key
	}
	return key
}

type hint = func(*Generator) string

// hints generate arguments by name, optionally qualified by the command's name.
var hints map[string]hint

func init() {
	low := func(g *Generator) string { return g.bound(true) }
	high := func(g *Generator) string { return g.bound(false) }
	lexLow := func(g *Generator) string { return g.lexical(true, g.member()) }
	lexHigh := func(g *Generator) string { return g.lexical(false, g.member()) }
	idLow := func(g *Generator) string { return g.idBound(true) }
	idHigh := func(g *Generator) string { return g.idBound(false) }
	cursor := func(g *Generator) string {
		return Pick(g.Source, "0", "0", "0", "0", "0", "0", "0", "0", "1", "-1", "x", "18446744073709551615", "18446744073709551616", " 0", "")
	}
	idle := func(g *Generator) string {
		return Pick(g.Source, "0", "0", "0", "0", "0", "0", "0", "0", "-1", "1000000000", "9223372036854775807", "x", "")
	}
	hints = map[string]hint{
		"field": (*Generator).member, "member": (*Generator).member, "member1": (*Generator).member, "member2": (*Generator).member,
		"pivot": (*Generator).member, "lpos element": (*Generator).member, "lrem element": (*Generator).member, "element": (*Generator).element, "value": (*Generator).element, "message": func(g *Generator) string { return g.value() },
		"sadd member": (*Generator).member, "pfadd element": (*Generator).member,
		"hsetnx value": (*Generator).element,

		"index": func(g *Generator) string { return g.place() }, "start": func(g *Generator) string { return Pick(g.Source, "0", "0", g.near(), g.place()) },
		"stop": func(g *Generator) string { return Pick(g.Source, "-1", "-1", "10", g.place()) }, "rank": func(g *Generator) string { return Pick(g.Source, "1", "2", "3", "-1", "-2", "-3", g.place()) },
		"lset index": (*Generator).near, "lindex index": (*Generator).near,
		"lrem count": func(g *Generator) string { return g.place() },
		"count":      func(g *Generator) string { return g.small() }, "limit": func(g *Generator) string { return g.small() },
		"len": func(g *Generator) string { return g.small() }, "num-matches": func(g *Generator) string { return g.small() },
		"srandmember count": (*Generator).drawn, "hrandfield count": (*Generator).drawn, "zrandmember count": (*Generator).drawn,
		"offset": func(g *Generator) string { return g.small() }, "cursor": cursor,
		"getrange start": func(g *Generator) string { return g.offset() }, "getrange end": func(g *Generator) string { return g.offset() },
		"substr start": func(g *Generator) string { return g.offset() }, "substr end": func(g *Generator) string { return g.offset() },
		"setrange offset": func(g *Generator) string { return g.offset() },

		"increment": func(g *Generator) string { return g.amount() }, "decrement": func(g *Generator) string { return g.amount() },
		"incrbyfloat increment": func(g *Generator) string { return g.float() }, "hincrbyfloat increment": func(g *Generator) string { return g.float() },
		"score": (*Generator).scored, "zincrby increment": (*Generator).scored,
		"min": low, "max": high, "weight": func(g *Generator) string { return Pick(g.Source, "1", "2", "0.5", "-1", "0", g.score()) },
		"zrangebylex min": lexLow, "zrangebylex max": lexHigh, "zlexcount min": lexLow, "zlexcount max": lexHigh,
		"zrevrangebylex min": lexLow, "zrevrangebylex max": lexHigh, "zremrangebylex min": lexLow, "zremrangebylex max": lexHigh,
		"numkeys": func(g *Generator) string {
			g.req.numKeys = 1 + g.IntN(3)
			return strconv.Itoa(g.req.numKeys)
		},

		"longitude": func(g *Generator) string { return g.coordinate(13, 180) }, "latitude": func(g *Generator) string { return g.coordinate(52, 85.05112878) },
		"radius": (*Generator).distance, "width": (*Generator).distance, "height": (*Generator).distance,

		"group": (*Generator).group, "groupname": (*Generator).group, "consumer": (*Generator).consumer, "consumername": (*Generator).consumer,
		"id": (*Generator).knownID, "last-id": (*Generator).lastID, "lastid": (*Generator).knownID, "max_deleted_entry_id": (*Generator).knownID,
		"entries_read": func(g *Generator) string { return Pick(g.Source, "-1", "0", "1", "5", "-2", "x") }, "entries_added": func(g *Generator) string { return Pick(g.Source, "0", "10", "100000", "-1") },
		"min-idle-time": idle, "ms": func(g *Generator) string { return Pick(g.Source, "0", "1000000000", "86400000", g.integer()) }, "xautoclaim start": idLow, "xpending start": idLow, "xpending end": idHigh,
		"xrange start": idLow, "xrange end": idHigh, "xrevrange start": idLow, "xrevrange end": idHigh, "xclaim count": func(g *Generator) string { return g.small() },

		"seconds": func(g *Generator) string { return g.seconds() }, "milliseconds": func(g *Generator) string { return g.millis() }, "ttl": func(g *Generator) string { return g.millis() },
		"command-name": (*Generator).commandName, "scan type": (*Generator).typeName,
	}
}

// near returns an index that exists even in short lists.
func (g *Generator) near() string {
	if g.OneIn(4) {
		return g.place()
	}
	return strconv.Itoa(g.IntN(8) - 4)
}

// drawn returns how many elements are to be drawn at random.
func (g *Generator) drawn() string {
	if g.OneIn(10) {
		return g.integer()
	}
	return Pick(g.Source, "1", "2", "5", "-1", "-5", "-20", "100", "1000", "0")
}

func (g *Generator) scored() string {
	if g.req.kind == equals {
		return "0"
	}
	return g.score()
}

// coordinate returns a coordinate near a common point, rarely the same one
// twice: the order of equally distant places is undefined.
func (g *Generator) coordinate(around, most float64) string {
	switch g.IntN(60) {
	case 0:
		return g.float()
	case 1, 2, 3:
		return strconv.FormatFloat((g.Float64()*2-1)*most, 'f', 10, 64)
	case 4:
		return Pick(g.Source, "180", "-180", "180.000001", "85.05112878", "-85.05112878", "85.05112879", "0")
	}
	return strconv.FormatFloat(around+g.NormFloat64()*Pick(g.Source, 0.001, 0.1, 5), 'f', 7, 64)
}

func (g *Generator) distance() string {
	if g.OneIn(30) {
		return g.float()
	}
	return Pick(g.Source, "0", "1", "0.5", "10", "100", "1000", "5000", "20000", "300000", "1000000", "30000000")
}

func (g *Generator) group() string {
	if g.OneIn(16) {
		return Pick(g.Source, "", "nosuch")
	}
	return Pick(g.Source, "g", "g", "g", "h")
}

func (g *Generator) consumer() string { return Pick(g.Source, "c1", "c1", "c2", "c2", "\x00") }

// knownID returns the ID of an entry that may exist.
func (g *Generator) knownID() string {
	switch {
	case g.req.bulk > 0:
		return fmt.Sprintf("%d-0", g.req.from)
	case g.OneIn(8):
		return Pick(g.Source, "0", "0-0", "$", ">", "*", "5", "5-1", "-", "+", "x", "1-x", "", "18446744073709551615-18446744073709551615", "18446744073709551616", "-1", "9999999999999-7")
	}
	if ids := g.ids[g.req.key]; len(ids) > 0 && !g.OneIn(5) {
		return fmt.Sprintf("%d-0", ids[max(0, len(ids)-1-g.IntN(12))])
	}
	return fmt.Sprintf("%d-%d", 1+g.IntN(g.next+2), g.IntN(3)/2)
}

// lastID returns an ID that may be that of the last entry or later.
func (g *Generator) lastID() string {
	if g.OneIn(3) {
		return g.knownID()
	}
	return fmt.Sprintf("%d-5", g.next)
}

func (g *Generator) idBound(low bool) string {
	switch n := g.IntN(10); {
	case n < 6 && low:
		return "-"
	case n < 6:
		return "+"
	case n == 6:
		return "(" + g.knownID()
	}
	return g.knownID()
}

func (g *Generator) typeName() string {
	return Pick(g.Source, "string", "STRING", "list", "hash", "set", "zset", "stream", "nosuch", "")
}

// commandName returns the name of an existing or missing command.
func (g *Generator) commandName() string {
	spec := Pick(g.Source, g.all...)
	if len(spec.Subcommands) > 0 {
		spec = Pick(g.Source, spec.Subcommands...)
	}
	if g.OneIn(10) || Newer[spec.FullName] || redeclared[spec.FullName] {
		return Pick(g.Source, "nosuch", "", "get|set", "client|nosuch", "GET", "a b")
	}
	return spec.FullName
}
