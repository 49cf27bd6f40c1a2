package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"synod/protocol/register"
	"synod/protocol/resp"
)

// comparison says how to compare random commands of a family with a real Redis,
// in both protocols.
type comparison struct {
	script func(seed uint64) func() [][]byte
	// commands is the number of script commands per seed.
	commands int
	// expand, if not nil, returns the commands that a script command stands
	// for.
	expand func(args [][]byte) [][][]byte
	// open reports whether Redis's reply is undefined, or Redis lacks the
	// command.
	open func(m *machine, args [][]byte) bool
	// besides, if not nil, returns a command to compare afterwards.
	besides func(m *machine, args [][]byte) [][][]byte
	// differ returns what is wrong with a reply that differs from Redis's, or
	// "". Without it, any difference is an error.
	differ func(d difference) string
	// after, if not nil, checks a command's reply and the state afterwards.
	after func(m *machine, args [][]byte, reply *resp.Value)
}

// difference is a reply that differs from Redis's.
type difference struct {
	m         *machine
	p         *peer
	before    register.View // the state of the first key
	args      [][]byte
	got, want []byte
}

// run fails the test at the first difference.
func (c *comparison) run(t *testing.T) {
	t.Helper()
	server := startRedis(t)
	peers := map[int]*peer{2: server.dial(2, 0), 3: server.dial(3, 1)}
	for seed := *differentialFirst; seed < *differentialFirst+uint64(*differentialSeeds); seed++ {
		peers[2].text("FLUSHALL")
		m, next := newMachine(t), c.script(seed)
		var history []string
		for range c.commands {
			commands := [][][]byte{next()}
			if c.expand != nil {
				commands = c.expand(commands[0])
			}
			for _, args := range commands {
				if skip(args) || c.open(m, args) {
					continue
				}
				history = append(history, fmt.Sprintf("%.200q", args))
				if problem := c.both(m, peers, args); problem != "" {
					t.Fatalf("seed %d, %s\nafter %s", seed, problem, strings.Join(history[max(0, len(history)-30):len(history)-1], "\n      "))
				}
			}
		}
	}
}

// both runs a command, and the commands to compare afterwards, on both sides.
func (c *comparison) both(m *machine, peers map[int]*peer, args [][]byte) string {
	m.now = time.Now().UnixMilli()
	commands, reply := [][][]byte{args}, (*resp.Value)(nil)
	for i := 0; i < len(commands); i++ {
		args := commands[i]
		d := difference{m: m, before: m.state(args[min(1, len(args)-1)]), args: args}
		mine := m.do(args...)
		for version, p := range peers {
			d.p, d.got, d.want = p, mine.AppendTo(nil, version), p.do(args...)
			if bytes.Equal(d.got, d.want) {
				continue
			}
			problem := "they differ"
			if c.differ != nil {
				problem = c.differ(d)
			}
			if problem != "" {
				at := parting(d.got, d.want)
				return fmt.Sprintf("RESP%d: %.300q: %s\n got %.700q\nwant %.700q", version, args, problem, d.got[at:], d.want[at:])
			}
		}
		if i == 0 {
			if reply = mine; c.besides != nil {
				commands = append(commands, c.besides(m, args)...)
			}
		}
	}
	if c.after != nil {
		c.after(m, args, reply)
	}
	return ""
}

// parting returns a position shortly before two texts differ.
func parting[T ~string | ~[]byte](a, b T) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return max(0, n-100)
}

// madeUp returns a script command in which words that start with "~" are
// replaced by random ones from words.
func madeUp(s script, words func(kind string) []string) (out [][]byte) {
	for _, word := range s.next() {
		kind, ok := strings.CutPrefix(string(word), "~")
		if !ok {
			out = append(out, word)
			continue
		}
		for _, w := range words(kind) {
			out = append(out, []byte(w))
		}
	}
	return out
}
