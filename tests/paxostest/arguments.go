package paxostest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"synod/tests/sim"
)

// arguments are those of a directive. Each is taken once; what is left over at
// the end is a mistake.
type arguments struct {
	left  []datadriven.CmdArg
	input string
}

// badArgument is what a method of arguments panics with.
type badArgument string

func bad(format string, args ...any) {
	panic(badArgument(fmt.Sprintf(format, args...)))
}

func (a *arguments) end() {
	for _, left := range a.left {
		bad("%s is not expected", left.String())
	}
}

// word takes the next argument that has no value, or returns "".
func (a *arguments) word() string {
	i := slices.IndexFunc(a.left, func(c datadriven.CmdArg) bool { return c.Vals == nil })
	if i < 0 {
		return ""
	}
	word := a.left[i].Key
	a.left = slices.Delete(a.left, i, i+1)
	return word
}

// words takes all arguments that have no value.
func (a *arguments) words() (all []string) {
	for word := a.word(); word != ""; word = a.word() {
		all = append(all, word)
	}
	return all
}

// flag takes an argument that has no value and reports whether it was there.
func (a *arguments) flag(name string) bool {
	i := slices.IndexFunc(a.left, func(c datadriven.CmdArg) bool { return c.Key == name && c.Vals == nil })
	if i < 0 {
		return false
	}
	a.left = slices.Delete(a.left, i, i+1)
	return true
}

// values takes the values of an argument.
func (a *arguments) values(key string) []string {
	i := slices.IndexFunc(a.left, func(c datadriven.CmdArg) bool { return c.Key == key && c.Vals != nil })
	if i < 0 {
		return nil
	}
	values := a.left[i].Vals
	a.left = slices.Delete(a.left, i, i+1)
	return values
}

// value takes the only value of an argument, or returns "".
func (a *arguments) value(key string) string {
	values := a.values(key)
	if len(values) > 1 {
		bad("%s has one value", key)
	}
	return strings.Join(values, "")
}

func (a *arguments) int(key string, otherwise int) int {
	text := a.value(key)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		bad("%s is a number", key)
	}
	return n
}

func (a *arguments) duration(key string) time.Duration { return duration(a.value(key)) }

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		bad("%q is no duration", text)
	}
	return d
}

// proxy takes the next word as a proxy.
func (a *arguments) proxy() int { return numbered("P", a.word()) }

// nodes takes an argument whose values are nodes.
func (a *arguments) nodes(key string) (nodes []int) {
	for _, value := range a.values(key) {
		nodes = append(nodes, numbered("x", value))
	}
	return nodes
}

// node takes an argument whose value is a node.
func (a *arguments) node(key string) int { return numbered("x", a.value(key)) }

// numbered returns the number of a name such as x0.
func numbered(letter, name string) int {
	digits, ok := strings.CutPrefix(name, letter)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil {
		bad("%q is none of %s0, %s1, …", name, letter, letter)
	}
	return n
}

// op takes the next words as an operation: its name, then the register and its
// fields, as in k0.ab.
func (a *arguments) op() (op sim.Op) {
	name := a.word()
	kind, ok := sim.KindNamed(name)
	if !ok {
		bad("there is no operation %q", name)
	}
	op.Kind = kind
	if kind == sim.Flush || kind == sim.Snapshot {
		return op
	}
	register, fields, _ := strings.Cut(a.word(), ".")
	op.Reg = numbered("k", register)
	for i, at := range []*int{&op.F, &op.G} {
		if i < len(fields) {
			*at = int(fields[i] - 'a')
		}
	}
	return op
}
