package differential

import (
	"bytes"
	"fmt"
	"strings"
)

// Step is one thing that is done to both servers.
type Step struct {
	// Conn is the connection that it is done on.
	Conn int
	// More: the next step is sent without waiting for this one's reply.
	More bool

	// Args is a request, sent as an array. If it has the element Payload, that
	// is replaced by what DUMP says of the key Dump.
	Args [][]byte
	Dump *Dump

	// Raw is sent as it is instead, followed by an ECHO; all that comes back is
	// compared. Open: the bytes may be the beginning of a request only, which
	// takes the ECHO for the rest, so they are followed by the end of what this
	// connection sends.
	Raw  []byte
	Open bool

	// Expire is a key that gets a value which is gone soon; the step is over
	// when it is, on both servers.
	Expire []byte
}

// Dump says which payload a RESTORE is given.
type Dump struct {
	Key []byte
	// Mine: the payload comes from the server under test, not from Redis.
	Mine bool
	// Flip is the index of a byte that is damaged, from the end; 0 is none.
	Flip int
}

// Payload stands for a dump in Args.
var Payload = []byte("\x00payload\x00")

// String prints the step like a line of redis-cli.
func (s *Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d> ", s.Conn)
	switch {
	case s.Expire != nil:
		fmt.Fprintf(&b, "(until it has expired) SET %s expires PX 40", word(s.Expire))
	case s.Raw != nil:
		fmt.Fprintf(&b, "(raw) %s", word(s.Raw))
	default:
		for i, a := range s.Args {
			if i > 0 {
				b.WriteByte(' ')
			}
			if bytes.Equal(a, Payload) && s.Dump != nil {
				fmt.Fprintf(&b, "(DUMP %s, mine %v, flip %d)", word(s.Dump.Key), s.Dump.Mine, s.Dump.Flip)
				continue
			}
			b.WriteString(word(a))
		}
	}
	if s.More {
		b.WriteString("   (…)")
	}
	return b.String()
}

// word prints an argument, in quotes if need be, and only the ends of long ones.
func word(b []byte) string {
	if len(b) > 200 {
		return fmt.Sprintf("%q…%q(%d bytes)", b[:60], b[len(b)-20:], len(b))
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

// text makes arguments of words.
func text(words ...string) [][]byte {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	return args
}

// show prints a sequence.
func show(steps []Step) string {
	var b strings.Builder
	for i := range steps {
		fmt.Fprintf(&b, "    %s\n", &steps[i])
	}
	return b.String()
}
