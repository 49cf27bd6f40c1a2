package commandtest

import (
	"bytes"
	"fmt"
	"strings"
)

// Step is an action on both servers: that of the first field that is set.
type Step struct {
	// Expire is a key whose value (or a new one) expires soon; the step ends
	// when it is gone on both servers.
	Expire []byte
	// Inspect is a key whose type, expiry and complete value are compared.
	Inspect []byte
	// Args is a request. The element Payload is replaced by the DUMP of the key
	// Dump.
	Args [][]byte
	Dump *Dump
}

// Dump says which payload a RESTORE is given.
type Dump struct {
	Key []byte
	// Mine: the payload comes from the server under test, not from Redis.
	Mine bool
	// Flip is the index from the end of a byte to damage; 0 means none.
	Flip int
}

// Payload is a placeholder for a dump in Args.
var Payload = []byte("\x00payload\x00")

// Plain reports whether the step is just a request whose replies are compared.
func (s *Step) Plain() bool {
	return s.Expire == nil && s.Inspect == nil && s.Dump == nil && !RuleOf(s.Args).Alone
}

// Request returns the step's request, with the payload that it asks for.
func (s *Step) Request(redis, mine Server) ([][]byte, error) {
	if s.Dump == nil {
		return s.Args, nil
	}
	from := redis
	if s.Dump.Mine {
		from = mine
	}
	reply, err := ask(from, "DUMP", string(s.Dump.Key))
	if err != nil {
		return nil, err
	}
	payload := []byte("nothing")
	if reply.Kind == '$' && len(reply.Text) > 0 {
		payload = bytes.Clone(reply.Text)
	}
	if n := s.Dump.Flip; n > 0 && n <= len(payload) {
		payload[len(payload)-n] ^= 0x20
	}
	args := make([][]byte, len(s.Args))
	for i, a := range s.Args {
		if args[i] = a; bytes.Equal(a, Payload) {
			args[i] = payload
		}
	}
	return args, nil
}

// Run runs the step on both servers. what describes the difference, "" if there
// is none.
func (s *Step) Run(redis, mine Server) (what string, err error) {
	switch {
	case s.Expire != nil:
		return Vanish(s.Expire, redis, mine), nil
	case s.Inspect != nil:
		return Inspect(s.Inspect, redis, mine), nil
	}
	args, err := s.Request(redis, mine)
	if err != nil {
		return "", err
	}
	e := &Exchange{Args: args, Redis: redis, Mine: mine}
	if e.Want, err = redis.Send(args...); err != nil {
		return "", err
	}
	if e.Have, err = mine.Send(args...); err != nil {
		return "", err
	}
	if what := Compare(e); what != "" {
		return e.Difference(what), nil
	}
	return "", nil
}

// Difference shows two replies.
func (e *Exchange) Difference(what string) string {
	return fmt.Sprintf("%s\n    redis: %s\n    synod: %s", what, Word(e.Want), Word(e.Have))
}

// String prints the step like a line of redis-cli.
func (s *Step) String() string {
	switch {
	case s.Expire != nil:
		return fmt.Sprintf("(until it has expired) %s", Word(s.Expire))
	case s.Inspect != nil:
		return fmt.Sprintf("(inspect) %s", Word(s.Inspect))
	}
	words := make([]string, len(s.Args))
	for i, a := range s.Args {
		words[i] = Word(a)
		if bytes.Equal(a, Payload) && s.Dump != nil {
			words[i] = fmt.Sprintf("(DUMP %s, mine %v, flip %d)", Word(s.Dump.Key), s.Dump.Mine, s.Dump.Flip)
		}
	}
	const most = 40
	if len(words) > most {
		words = append(words[:most:most], fmt.Sprintf("… (%d words)", len(words)))
	}
	return strings.Join(words, " ")
}

// Word prints an argument or a reply, in quotes if need be, and only the ends
// of long ones.
func Word(b []byte) string {
	if len(b) > 400 {
		return fmt.Sprintf("%q…%q(%d bytes)", b[:260], b[len(b)-100:], len(b))
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\' {
			return fmt.Sprintf("%q", b)
		}
	}
	if len(b) == 0 {
		return `""`
	}
	return string(b)
}

// Minimise returns a shorter sequence that still fails, by leaving out steps,
// large blocks first. fails runs a sequence and returns the failing step; steps
// must fail and be cut off after the failing step. Minimise runs at most budget
// sequences.
func Minimise[S any](steps []S, budget int, fails func([]S) (index int, failed bool)) []S {
	for piece := max(1, len(steps)/2); piece >= 1; piece /= 2 {
		for at := 0; at < len(steps) && budget > 0; budget-- {
			fewer := append(steps[:at:at], steps[min(at+piece, len(steps)):]...)
			if index, failed := fails(fewer); failed {
				steps = fewer[:index+1]
			} else {
				at += piece
			}
		}
	}
	return steps
}
