package proxy

import (
	"fmt"

	"synod/protocol/resp"
	"synod/proxy/command"
)

// handler runs a command about the connection or the server. It may use args
// until it returns; the reply may refer to them until the end of the batch. A
// nil reply is none.
type handler func(s *session, args [][]byte) *resp.Value

// binding is a handler and how it runs.
type binding struct {
	run handler
	// waits: the connection's earlier commands end before it runs, because it
	// looks at all keys or measures what came before.
	waits bool
}

// bindings has the functions of the commands that the table declares without
// one, by full name.
var bindings = map[string]binding{
	"auth":   {run: auth},
	"hello":  {run: hello},
	"ping":   {run: ping},
	"quit":   {run: quit},
	"reset":  {run: reset},
	"select": {run: selectDB},

	"client|caching":      {run: clientCaching},
	"client|getname":      {run: clientGetName},
	"client|getredir":     {run: clientGetRedir},
	"client|id":           {run: clientID},
	"client|info":         {run: clientInfo},
	"client|kill":         {run: clientKill, waits: true},
	"client|list":         {run: clientList},
	"client|no-evict":     {run: clientSwitch},
	"client|no-touch":     {run: clientSwitch},
	"client|pause":        {run: clientPause, waits: true},
	"client|reply":        {run: clientReply},
	"client|setinfo":      {run: clientSetInfo},
	"client|setname":      {run: clientSetName},
	"client|trackinginfo": {run: clientTrackingInfo},
	"client|unpause":      {run: clientUnpause},

	"config|get":       {run: configGet},
	"config|resetstat": {run: configResetStat, waits: true},
	"config|rewrite":   {run: configRewrite},
	"config|set":       {run: configSet},
	"info":             {run: info, waits: true},
	"lolwut":           {run: lolwut},
	"time":             {run: timeNow},
	"wait":             {run: wait, waits: true},

	"dbsize":    {run: dbSize, waits: true},
	"flushall":  {run: flushAll, waits: true},
	"flushdb":   {run: flushDB, waits: true},
	"keys":      {run: keys, waits: true},
	"randomkey": {run: randomKey, waits: true},
	"scan":      {run: scan, waits: true},
}

// entry is a command as a server runs it.
type entry struct {
	spec *command.Spec
	binding
	counts [outcomes]counter
}

func (e *entry) reset() {
	for i := range e.counts {
		e.counts[i].reset()
	}
}

// table has all commands and subcommands.
type table map[*command.Spec]*entry

// newTable joins the commands' declarations with the functions bound here.
func newTable() table {
	t := table{}
	for _, spec := range command.All() {
		t.add(spec)
	}
	return t
}

func (t table) add(spec *command.Spec) {
	e := &entry{spec: spec, binding: bindings[spec.FullName]}
	if e.run == nil && !runsByItself(spec) {
		panic(fmt.Sprintf("proxy: no function is bound to the command %q", spec.FullName))
	}
	t[spec] = e
	for _, sub := range spec.Subcommands {
		t.add(sub)
	}
}

func runsByItself(spec *command.Spec) bool {
	return spec.Key != nil || spec.Split != nil || spec.Local != nil || len(spec.Subcommands) > 0
}
