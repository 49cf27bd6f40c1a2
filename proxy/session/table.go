package session

import (
	"fmt"

	"synod/protocol/resp"
	"synod/proxy/command"
	"synod/proxy/stats"
)

// Handler runs a command about the connection or the server. It may use args
// until it returns; the reply may refer to them until the end of the batch. A nil
// reply is none.
type Handler func(s *Session, args [][]byte) *resp.Value

// Binding is a handler and how it runs.
type Binding struct {
	Run Handler
	// Waits: the connection's earlier commands end first, because the handler
	// looks at all keys or at statistics.
	Waits bool
}

// Bindings has the handlers of some commands, by full name ("client|list").
type Bindings map[string]Binding

// own are the commands about the connection and its clients.
var own = Bindings{
	"auth":   {Run: auth},
	"hello":  {Run: hello},
	"ping":   {Run: ping},
	"quit":   {Run: quit},
	"reset":  {Run: reset},
	"select": {Run: selectDB},

	"client|caching":      {Run: clientCaching},
	"client|getname":      {Run: clientGetName},
	"client|getredir":     {Run: clientGetRedir},
	"client|id":           {Run: clientID},
	"client|info":         {Run: clientInfo},
	"client|kill":         {Run: clientKill, Waits: true},
	"client|list":         {Run: clientList},
	"client|no-evict":     {Run: clientSwitch},
	"client|no-touch":     {Run: clientSwitch},
	"client|pause":        {Run: clientPause, Waits: true},
	"client|reply":        {Run: clientReply},
	"client|setinfo":      {Run: clientSetInfo},
	"client|setname":      {Run: clientSetName},
	"client|trackinginfo": {Run: clientTrackingInfo},
	"client|unpause":      {Run: clientUnpause},
}

// Command is a command as a server runs it.
type Command struct {
	Spec *command.Spec
	Binding
	Counts stats.Outcomes
}

// Table has all commands and subcommands.
type Table map[*command.Spec]*Command

// NewTable joins the declarations of all commands with their handlers: those of
// this package and the given ones. It panics if a command has none, or two, or a
// handler has no command.
func NewTable(bindings Bindings) Table {
	t, rest := Table{}, Bindings{}
	for _, b := range []Bindings{own, bindings} {
		for name, binding := range b {
			if rest[name].Run != nil {
				panic(fmt.Sprintf("session: two handlers are bound to %q", name))
			}
			rest[name] = binding
		}
	}
	for _, spec := range command.All() {
		t.add(spec, rest)
	}
	for name := range rest {
		panic(fmt.Sprintf("session: a handler is bound to %q, which is not declared", name))
	}
	return t
}

// add adds a command and removes its handler from rest.
func (t Table) add(spec *command.Spec, rest Bindings) {
	c := &Command{Spec: spec, Binding: rest[spec.FullName]}
	if (c.Run == nil) != runsByItself(spec) {
		panic(fmt.Sprintf("session: the command %q needs either a handler or a function in its declaration", spec.FullName))
	}
	delete(rest, spec.FullName)
	t[spec] = c
	for _, sub := range spec.Subcommands {
		t.add(sub, rest)
	}
}

func runsByItself(spec *command.Spec) bool {
	return spec.Key != nil || spec.Split != nil || spec.Local != nil || len(spec.Subcommands) > 0
}
