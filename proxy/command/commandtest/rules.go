package commandtest

import (
	"bytes"
	"fmt"
	"strconv"

	"synod/proxy/command"
)

// Exchange is a request and the servers' replies.
type Exchange struct {
	Args        [][]byte
	Want, Have  []byte
	Redis, Mine Server
}

// Rule says how replies may differ. Same returns what is wrong, or "".
type Rule struct {
	Always bool // call Same even if the replies are equal
	// Alone: Same sends requests, so the request cannot be in a pipeline.
	Alone bool
	Same  func(*Exchange) string
	// Settle, if not nil, runs before the comparison and reverts effects that
	// only Redis has. It returns what is wrong, or "".
	Settle func(*Exchange) string
}

var (
	exactly  = Rule{Same: func(*Exchange) string { return "they differ" }}
	anyReply = Rule{Same: kindOnly}
	anyOrder = Rule{Same: func(e *Exchange) string { return sameElements(parse(e.Want), parse(e.Have), 1) }}
	anyPairs = Rule{Same: func(e *Exchange) string { return sameElements(parse(e.Want), parse(e.Have), 2) }}
	aboutNow = Rule{Same: clocked}
	asked    = Rule{Same: described}
	random   = Rule{Always: true, Alone: true, Same: drawnFrom}
	walk     = Rule{Always: true, Alone: true, Same: wholeScan}
	times    = Rule{Same: timed}
)

// rules lists the commands whose replies may differ, with the reason.
var rules = map[string]Rule{
	"keys":        anyOrder, // no order is promised
	"smembers":    anyOrder,
	"sinter":      anyOrder,
	"sunion":      anyOrder,
	"sdiff":       anyOrder,
	"hkeys":       anyOrder,
	"hvals":       anyOrder,
	"hgetall":     anyPairs,
	"command":     anyReply, // Redis knows more commands
	"ttl":         aboutNow, // the servers' clocks are read at different times
	"pttl":        aboutNow,
	"expiretime":  aboutNow, // of an expiry that was given relative to now
	"pexpiretime": aboutNow,
	"time":        anyReply,
	"info":        anyReply, // describes the server
	"lolwut":      anyReply, // art
	"dbsize":      {Alone: true, Same: sizes},
	"hello":       {Same: helloes}, // has the client's id

	"randomkey":   random,
	"srandmember": random,
	"hrandfield":  random,
	"zrandmember": random,
	"spop":        {Alone: true, Same: popped},
	"scan":        walk, // order and cursors are a server's own
	"sscan":       walk,
	"hscan":       walk,
	"zscan":       walk,

	"pfcount":              {Alone: true, Same: exactly.Same, Settle: uncount},
	"sort":                 {Alone: true, Same: sortedSame, Settle: unsort},
	"sort_ro":              {Alone: true, Same: sortedSame, Settle: unsort},
	"geosearch":            {Same: found}, // unordered unless asked
	"georadius":            {Same: found},
	"georadius_ro":         {Same: found},
	"georadiusbymember":    {Same: found},
	"georadiusbymember_ro": {Same: found},

	"xadd":            {Always: true, Alone: true, Same: added},
	"xpending":        times, // tells for how long entries have been idle
	"xinfo|consumers": times,
	"xinfo|stream":    times,

	"client|id":     anyReply, // made up by the server
	"client|info":   anyReply,
	"client|list":   anyReply,
	"config|get":    anyReply, // the settings are not Redis's
	"client|help":   anyReply, // says less about what is not there
	"command|info":  asked,
	"command|docs":  asked,
	"command|count": anyReply, // Redis knows more commands
	"command|list":  anyReply,

	"object|idletime": aboutNow, // seconds since an access
	"object|refcount": anyReply, // an implementation's detail
}

// Comparing dumps needs the rules of other commands.
func init() {
	rules["dump"] = Rule{Always: true, Alone: true, Same: dumped} // there are several ways to write a value
}

// RuleOf returns the rule for a request.
func RuleOf(args [][]byte) Rule {
	spec, failure := command.Resolve(args)
	if failure != nil || spec.Name == "xadd" && !word(args, "*") {
		return exactly
	}
	if r, ok := rules[spec.FullName]; ok {
		return r
	}
	return exactly
}

// Exact reports whether the replies to a request must be identical.
func Exact(args [][]byte) bool {
	spec, failure := command.Resolve(args)
	if failure != nil {
		return true
	}
	_, ok := rules[spec.FullName]
	return !ok
}

// Compare returns what is wrong with a reply, or "".
func Compare(e *Exchange) string {
	rule := RuleOf(e.Args)
	if rule.Settle != nil {
		if what := rule.Settle(e); what != "" {
			return what
		}
	}
	switch equal := bytes.Equal(e.Want, e.Have); {
	case equal && (!rule.Always || e.Want[0] == '-'):
		return ""
	case e.Want[0] == '-' || e.Have[0] == '-':
		return "they differ"
	}
	return rule.Same(e)
}

func kindOnly(e *Exchange) string {
	if e.Want[0] == e.Have[0] {
		return ""
	}
	return "the kinds differ"
}

// clockSlack is how much the servers' replies about time may differ, in
// milliseconds: a step runs slightly later on one server.
const clockSlack = 5000

func clocked(e *Exchange) string {
	if e.Want[0] != ':' || e.Have[0] != ':' || !close(parse(e.Want), parse(e.Have)) {
		return "they differ"
	}
	return ""
}

// close compares two times.
func close(want, have reply) bool {
	a, err1 := strconv.ParseInt(string(want.Text), 10, 64)
	b, err2 := strconv.ParseInt(string(have.Text), 10, 64)
	d := a - b
	return err1 == nil && err2 == nil && a >= 0 && b >= 0 && d >= -clockSlack && d <= clockSlack
}

// described compares command descriptions: subcommands are unordered, and Redis
// has more commands.
func described(e *Exchange) string {
	if len(e.Args) == 2 {
		return kindOnly(e)
	}
	if !bytes.Equal(parse(e.Want).canonical(), parse(e.Have).canonical()) {
		return "they differ, not only in order"
	}
	return ""
}

// helloes compares replies to HELLO but for the client's id.
func helloes(e *Exchange) string {
	if bytes.Equal(withoutID(e.Want), withoutID(e.Have)) {
		return ""
	}
	return "they differ in more than the id"
}

func withoutID(reply []byte) []byte {
	mark := []byte("$2\r\nid\r\n:")
	before, after, _ := bytes.Cut(reply, mark)
	_, after, _ = bytes.Cut(after, []byte("\r\n"))
	return append(append(bytes.Clone(before), mark...), after...)
}

// sizes waits until Redis has deleted keys whose expiry was set in the past: it
// polls the count.
func sizes(e *Exchange) string {
	if poll(func() bool {
		want, err1 := e.Redis.Send([]byte("DBSIZE"))
		have, err2 := e.Mine.Send([]byte("DBSIZE"))
		return err1 == nil && err2 == nil && bytes.Equal(want, have)
	}) {
		return ""
	}
	return "they differ, and remain so"
}

// found compares what is near a place.
func found(e *Exchange) string {
	want, have := parse(e.Want), parse(e.Have)
	if word(e.Args, "ANY") && want.Kind == have.Kind && len(want.Elems) == len(have.Elems) {
		return "" // any of them, as many as there are
	}
	if word(e.Args, "ASC") || word(e.Args, "DESC") || word(e.Args, "COUNT") {
		return "they differ"
	}
	return sameElements(want, have, 1)
}

// timed compares replies that contain times: when pending entries and consumers
// were last active. Redis's stream layout is ignored.
func timed(e *Exchange) string { return sameBut(parse(e.Want), parse(e.Have), reply{}) }

// layout are names before server-specific values, spans those before elapsed
// times.
var (
	layout = map[string]bool{"radix-tree-keys": true, "radix-tree-nodes": true}
	spans  = map[string]bool{"idle": true, "inactive": true, "seen-time": true, "active-time": true}
)

func sameBut(want, have, before reply) string {
	switch name := before.Text; {
	case want.Kind != have.Kind || want.Null != have.Null || len(want.Elems) != len(have.Elems):
		return fmt.Sprintf("they differ: %.200q, %.200q", want.raw, have.raw)
	case layout[string(name)], spans[string(name)] && close(want, have):
		return ""
	case len(want.Elems) == 0 && !want.equal(have):
		return fmt.Sprintf("they differ: %.200q, %.200q", want.raw, have.raw)
	}
	for i := range want.Elems {
		var label reply
		switch w := want.Elems; {
		case i > 0 && w[i].Kind == ':' && isID(w[i-1]), i == 2 && isID(w[0]) && w[1].Kind == '$':
			label.Text = []byte("idle") // of a pending entry, or when it was delivered
		case i > 0:
			label = w[i-1]
		}
		if what := sameBut(want.Elems[i], have.Elems[i], label); what != "" {
			return what
		}
	}
	return ""
}

// isID reports whether a reply is the id of an entry.
func isID(r reply) bool {
	ms, seq, ok := bytes.Cut(r.Text, []byte("-"))
	return ok && r.Kind == '$' && digits(ms) && digits(seq)
}

func digits(b []byte) bool { return len(b) > 0 && len(bytes.Trim(b, "0123456789")) == 0 }
