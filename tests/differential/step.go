package differential

import (
	"fmt"
	"strings"

	"synod/proxy/command/commandtest"
)

// Step is one thing that is done to both servers.
type Step struct {
	// Conn is the connection that it is done on.
	Conn int
	// More: the next step is sent without waiting for this one's reply.
	More bool

	commandtest.Step

	// Raw is sent as it is instead, followed by an ECHO; all that comes back is
	// compared. Open: the bytes may be the beginning of a request only, which
	// takes the ECHO for the rest, so they are followed by the end of what this
	// connection sends.
	Raw  []byte
	Open bool
}

// joins tells whether the step can be one of a pipeline.
func (s *Step) joins() bool { return s.Raw == nil && s.Plain() }

// String prints the step like a line of redis-cli.
func (s *Step) String() string {
	text := s.Step.String()
	if s.Raw != nil {
		text = "(raw) " + commandtest.Word(s.Raw)
	}
	if s.More {
		text += "   (…)"
	}
	return fmt.Sprintf("%d> %s", s.Conn, text)
}

// show prints a sequence.
func show(steps []Step) string {
	var b strings.Builder
	for i := range steps {
		fmt.Fprintf(&b, "    %s\n", &steps[i])
	}
	return b.String()
}
