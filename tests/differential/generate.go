package differential

import (
	"bytes"
	"fmt"
	"strings"

	"synod/proxy/command"
	"synod/proxy/command/commandtest"
)

// length is how many steps a sequence has.
const length = 300

// Sequence returns the sequence of a seed.
func Sequence(seed uint64) []Step {
	g := &generator{Generator: commandtest.New(seed, command.All())}
	for len(g.steps) < length {
		g.step()
	}
	return g.steps
}

// generator makes steps: those on data, and what connections are about.
type generator struct {
	*commandtest.Generator
	steps []Step
}

func (g *generator) step() {
	conn := g.IntN(conns)
	switch n := g.IntN(100); {
	case n == 0:
		raw, unfinished := g.raw()
		g.steps = append(g.steps, Step{Conn: conn, Raw: raw, Open: unfinished})
	case n == 1:
		g.add(conn, "HELLO", commandtest.Pick(g.Source, "2", "3", "3", "3", "4", "1", "x", ""))
	case n == 2:
		g.add(conn, "SELECT", commandtest.Pick(g.Source, "0", "0", "0", "0", "0", "1", "2", "15", "15", "16", "-1", "x"))
	case n < 30:
		g.pipeline(conn)
	default:
		g.steps = append(g.steps, Step{Conn: conn, Step: g.Next()})
	}
}

func (g *generator) add(conn int, words ...string) {
	g.steps = append(g.steps, Step{Conn: conn, Step: commandtest.Step{Args: commandtest.Words(words...)}})
}

// pipeline adds steps that are sent together, as far as they can be.
func (g *generator) pipeline(conn int) {
	for range 2 + g.IntN(30) {
		s := Step{Conn: conn, Step: g.Next(), More: true}
		if !s.joins() {
			g.end()
			s.More = false
		}
		g.steps = append(g.steps, s)
	}
	g.end()
}

// end ends a pipeline.
func (g *generator) end() {
	if len(g.steps) > 0 {
		g.steps[len(g.steps)-1].More = false
	}
}

// raw returns bytes that are not a plain request, and whether they may be only
// the beginning of one.
func (g *generator) raw() (raw []byte, unfinished bool) {
	switch g.IntN(4) {
	case 0:
		return []byte(commandtest.Pick(g.Source, protocolErrors...)), true
	case 1: // inline
		return []byte(commandtest.Pick(g.Source, inlines...) + commandtest.Pick(g.Source, "\r\n", "\n")), false
	}
	var b bytes.Buffer
	for range 1 + g.IntN(4) {
		args := g.Request()
		for len(args) > 50 || !commandtest.Exact(args) { // of a raw step all bytes are compared
			args = g.Request()
		}
		for i, a := range args {
			if i > 0 {
				b.WriteString(commandtest.Pick(g.Source, " ", "  ", "\t "))
			}
			b.WriteString(g.quote(a[:min(len(a), 200)]))
		}
		b.WriteString(commandtest.Pick(g.Source, "\r\n", "\n"))
	}
	return b.Bytes(), false
}

// quote writes a word as an inline request may have it.
func (g *generator) quote(b []byte) string {
	if !g.OneIn(2) {
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
