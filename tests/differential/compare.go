package differential

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"synod/proxy/command"
	"synod/tests/harness"
)

// exchange is a request and the servers' replies, which are no errors.
type exchange struct {
	args        [][]byte
	want, have  []byte
	redis, mine *harness.Conn
}

// rule says how replies may differ. same returns what is wrong, or "".
type rule struct {
	always bool // same is asked even if the replies are equal
	// alone: same talks to the servers, so the step cannot be in a pipeline.
	alone bool
	same  func(*exchange) string
}

var (
	exactly  = rule{same: func(*exchange) string { return "they differ" }}
	anyReply = rule{same: kindOnly}
	anyOrder = rule{same: unordered}
	aboutNow = rule{same: clocked}
	asked    = rule{same: described}
)

// rules are the commands whose replies need not be equal byte for byte, and
// why that is so.
var rules = map[string]rule{
	"keys":        anyOrder, // no order is promised
	"command":     anyReply, // Redis knows more commands
	"ttl":         aboutNow, // the servers' clocks are read at different times
	"pttl":        aboutNow,
	"expiretime":  aboutNow, // of an expiry that was given relative to now
	"pexpiretime": aboutNow,
	"time":        anyReply,
	"info":        anyReply, // describes the server
	"lolwut":      anyReply, // art
	"dbsize":      {alone: true, same: sizes},
	"randomkey":   {always: true, alone: true, same: member},
	"scan":        {always: true, alone: true, same: wholeScan},
	"hello":       {same: helloes}, // has the client's id

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

// ruleOf returns the rule for a request.
func ruleOf(args [][]byte) rule {
	spec, failure := command.Resolve(args)
	if failure == nil {
		if r, ok := rules[spec.FullName]; ok {
			return r
		}
	}
	return exactly
}

// exact reports whether the replies to a request must be equal.
func exact(args [][]byte) bool {
	spec, failure := command.Resolve(args)
	if failure != nil {
		return true
	}
	_, ok := rules[spec.FullName]
	return !ok
}

func kindOnly(e *exchange) string {
	if e.want[0] == e.have[0] {
		return ""
	}
	return "the kinds differ"
}

// clockSlack is how far apart the servers' answers about time may be, in
// milliseconds: a step is done on one a little later than on the other.
const clockSlack = 5000

func clocked(e *exchange) string {
	a, err1 := strconv.ParseInt(string(bytes.TrimSpace(e.want[1:])), 10, 64)
	b, err2 := strconv.ParseInt(string(bytes.TrimSpace(e.have[1:])), 10, 64)
	if err1 != nil || err2 != nil || e.want[0] != ':' || e.have[0] != ':' || a < 0 || b < 0 {
		return "they differ"
	}
	if d := a - b; d < -clockSlack || d > clockSlack {
		return "the times are far apart"
	}
	return ""
}

// unordered compares replies without regard to the order of what is in them.
func unordered(e *exchange) string {
	if string(canonical(e.want)) == string(canonical(e.have)) {
		return ""
	}
	return "they differ, not only in order"
}

// described compares descriptions of commands: subcommands have no order, and
// Redis knows more commands if it is asked for all.
func described(e *exchange) string {
	if len(e.args) == 2 {
		return kindOnly(e)
	}
	return unordered(e)
}

// canonical sorts all that is within a reply.
func canonical(reply []byte) []byte {
	out, _ := canonicalNext(reply)
	return out
}

// canonicalNext returns the first reply in b in canonical form, and the rest.
func canonicalNext(b []byte) (out, rest []byte) {
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	n, _ := strconv.Atoi(string(line[1:]))
	switch line[0] {
	case '$', '=':
		if n < 0 {
			return b[:len(line)+2], rest
		}
		return b[:len(line)+2+n+2], rest[n+2:]
	case '*', '~', '>', '%':
		elems := make([][]byte, 0, max(n, 0))
		for range n {
			var elem []byte
			elem, rest = canonicalNext(rest)
			if line[0] == '%' { // a key and its value
				var value []byte
				value, rest = canonicalNext(rest)
				elem = append(bytes.Clone(elem), value...)
			}
			elems = append(elems, elem)
		}
		slices.SortFunc(elems, bytes.Compare)
		return append(append(bytes.Clone(line), "\r\n"...), bytes.Join(elems, nil)...), rest
	}
	return b[:len(line)+2], rest
}

// helloes compares replies to HELLO but for the client's id.
func helloes(e *exchange) string {
	if bytes.Equal(withoutID(e.want), withoutID(e.have)) {
		return ""
	}
	return "they differ in more than the id"
}

func withoutID(reply []byte) []byte {
	mark := []byte("$2\r\nid\r\n:")
	before, after, _ := bytes.Cut(reply, mark)
	_, after, _ = bytes.Cut(after, []byte("\r\n"))
	return slices.Concat(before, mark, after)
}

// member checks that a random key of one server is a key of the other.
func member(e *exchange) string {
	if e.want[0] != '$' || e.have[0] != '$' || e.want[1] == '-' {
		if bytes.Equal(e.want, e.have) {
			return ""
		}
		return "one has keys"
	}
	_, key, _ := bytes.Cut(e.have, []byte("\r\n"))
	reply, err := e.redis.Do("EXISTS", string(key[:len(key)-2]))
	if err != nil || string(reply) != ":1\r\n" {
		return fmt.Sprintf("redis has no such key: %q %v", reply, err)
	}
	return ""
}

// sizes gives Redis the time to remove keys that were set with an expiry in the
// past: it counts them until it has.
func sizes(e *exchange) string {
	if harness.Poll(10*time.Second, func() bool {
		want, err1 := e.redis.Do("DBSIZE")
		have, err2 := e.mine.Do("DBSIZE")
		return err1 == nil && err2 == nil && bytes.Equal(want, have)
	}) {
		return ""
	}
	return "they differ, and remain so"
}

// wholeScan goes on with both scans to their ends and compares what they found.
// Their cursors have nothing in common.
func wholeScan(e *exchange) string {
	if string(e.args[1]) != "0" {
		return kindOnly(e)
	}
	want, err1 := scanOn(e.redis, e.args, e.want)
	have, err2 := scanOn(e.mine, e.args, e.have)
	if err1 != nil || err2 != nil {
		return fmt.Sprintf("redis: %v, synod: %v", err1, err2)
	}
	if !slices.EqualFunc(want, have, bytes.Equal) {
		return fmt.Sprintf("redis has %q, synod %q", want, have)
	}
	return ""
}

// scanOn returns the keys of the scan that began with the reply, sorted, each
// once.
func scanOn(c *harness.Conn, args [][]byte, reply []byte) ([][]byte, error) {
	const most = 1_000_000 // steps
	args = slices.Clone(args)
	var keys [][]byte
	for range most {
		_, rest, _ := bytes.Cut(reply, []byte("\r\n"))
		cursor, rest, err := bulk(rest)
		if err != nil {
			return nil, fmt.Errorf("%w in %.100q", err, reply)
		}
		_, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		for len(rest) > 0 {
			var key []byte
			if key, rest, err = bulk(rest); err != nil {
				return nil, fmt.Errorf("%w in %.100q", err, reply)
			}
			keys = append(keys, key)
		}
		if string(cursor) == "0" {
			slices.SortFunc(keys, bytes.Compare)
			return slices.CompactFunc(keys, bytes.Equal), nil
		}
		args[1] = cursor
		if err := c.Send(harness.AppendCommand(nil, args...)); err != nil {
			return nil, err
		}
		if reply, err = c.Reply(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("a scan without an end")
}

// bulk takes a bulk string off the beginning.
func bulk(b []byte) (value, rest []byte, err error) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(line) < 2 || line[0] != '$' {
		return nil, nil, fmt.Errorf("no bulk string: %.50q", b)
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < 0 || n+2 > len(rest) {
		return nil, nil, fmt.Errorf("no bulk string: %.50q", b)
	}
	return rest[:n], rest[n+2:], nil
}
