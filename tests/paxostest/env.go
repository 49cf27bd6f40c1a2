package paxostest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/datadriven"

	"synod/protocol/caspaxos/rules"
	"synod/tests/sim"
)

// Env is one run of a transcript.
type Env struct {
	// Omit are rules that the run leaves out.
	Omit rules.Set
	// Failure is what is wrong with the history, once the run has ended.
	Failure string

	script *sim.Script
	names  map[string]command // that were begun under a name
}

// command is an operation that is under way.
type command struct{ id, proxy int }

// verbs are the directives, each with what it does.
var verbs map[string]func(*Env, *arguments)

func init() { // repeat refers to verbs
	verbs = map[string]func(*Env, *arguments){
		"cluster": (*Env).cluster,

		"begin":  (*Env).begin,
		"run":    (*Env).run,
		"finish": (*Env).finish,
		"retry":  (*Env).retry,
		"prefer": (*Env).prefer,

		"deliver":      (*Env).deliver,
		"reply":        (*Env).reply,
		"round-trip":   (*Env).roundTrip,
		"lose":         (*Env).lose,
		"delay":        (*Env).delay,
		"deliver-late": (*Env).deliverLate,
		"gossip":       (*Env).gossip,
		"forge-read":   (*Env).forgeRead,
		"copy":         (*Env).copy,

		"tick":    (*Env).tick,
		"await":   (*Env).await,
		"silence": (*Env).silence,
		"clock":   (*Env).clock,

		"hold-sync":       (*Env).holdSync,
		"sync":            (*Env).sync,
		"crash":           (*Env).crash,
		"restart":         (*Env).restart,
		"take-id":         (*Env).takeID,
		"disconnect":      (*Env).disconnect,
		"room":            (*Env).room,
		"purge-tombstone": (*Env).purgeTombstone,
		"epoch":           (*Env).epoch,

		"state":  (*Env).state,
		"node":   (*Env).node,
		"repeat": (*Env).repeat,
		"end":    (*Env).end,
	}
}

// moves are the directives after which something is expected to happen.
var moves = map[string]bool{"deliver": true, "reply": true, "round-trip": true, "deliver-late": true, "gossip": true,
	"delay": true, "lose": true, "tick": true, "await": true, "retry": true, "silence": true, "finish": true}

// Handle runs one directive and returns what has happened, line by line.
func (e *Env) Handle(cmd string, args []datadriven.CmdArg, input string) (out string, err error) {
	verb := verbs[cmd]
	if verb == nil {
		return "", fmt.Errorf("there is no directive %s, only %s", cmd, slices.Sorted(maps.Keys(verbs)))
	}
	if e.script == nil && cmd != "cluster" {
		return "", fmt.Errorf("a transcript begins with cluster, not %s", cmd)
	}
	a := &arguments{left: slices.Clone(args), input: input}
	quiet := a.flag("quiet")
	defer func() {
		switch why := recover().(type) {
		case nil:
		case badArgument:
			err = fmt.Errorf("%s: %s", cmd, string(why))
		default:
			panic(why)
		}
	}()
	if e.script != nil {
		e.script.Quiet(quiet)
	}
	verb(e, a)
	a.end()
	lines := e.script.Lines()
	switch {
	case len(lines) == 0 && moves[cmd]:
		return "(nothing)", nil
	case len(lines) == 0:
		return "ok", nil
	}
	return strings.Join(lines, "\n"), nil
}

// say adds a line to what comes out.
func (e *Env) say(format string, args ...any) { e.script.Say(format, args...) }
