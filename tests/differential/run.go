package differential

import (
	"bytes"
	"fmt"
	"net"
	"strings"

	"synod/proxy/command/commandtest"
	"synod/tests/harness"
)

// conns is how many connections a sequence uses. The second one speaks RESP3
// from the beginning.
const conns = 3

// Pair is the two servers that are compared: Redis and the one under test,
// which may have several addresses (proxies of one cluster).
type Pair struct {
	Redis string
	Mine  []string
}

// Mismatch is a step to which the servers replied differently.
type Mismatch struct {
	Index int
	Step  *Step
	What  string
}

func (m *Mismatch) String() string {
	return fmt.Sprintf("step %d: %s\n    %s", m.Index, m.Step, m.What)
}

// peer asks one of the servers.
type peer struct{ *harness.Conn }

// Send sends a request and returns the bytes of the reply.
func (p peer) Send(args ...[]byte) ([]byte, error) {
	if err := p.Conn.Send(harness.AppendCommand(nil, args...)); err != nil {
		return nil, err
	}
	return p.Reply()
}

// side is the connections to one of the servers.
type side struct {
	addrs []string
	conns [conns]*harness.Conn
}

// runner is one run of a sequence.
type runner struct {
	redis, mine side
	steps       []Step
}

// Run does the steps on both servers, from empty databases on, until they
// differ. The error says that the run itself failed.
func (p *Pair) Run(steps []Step) (*Mismatch, error) {
	r := &runner{redis: side{addrs: []string{p.Redis}}, mine: side{addrs: p.Mine}, steps: steps}
	defer r.redis.close()
	defer r.mine.close()
	for _, s := range []*side{&r.redis, &r.mine} {
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(steps); {
		end := i + 1
		for end < len(steps) && steps[end-1].More && steps[end].Conn == steps[i].Conn && steps[end].joins() {
			end++
		}
		m, err := r.batch(i, end)
		if m != nil || err != nil {
			return m, err
		}
		i = end
	}
	return nil, nil
}

// begin empties the databases and brings the connections into the state that
// every sequence begins with.
func (s *side) begin() error {
	c, err := s.conn(0)
	if err != nil {
		return err
	}
	if reply, err := c.Do("FLUSHALL"); err != nil || string(reply) != "+OK\r\n" {
		return fmt.Errorf("flush %s: %q %w", s.addrs[0], reply, err)
	}
	if c, err = s.conn(1); err != nil {
		return err
	}
	if _, err := c.Do("HELLO", "3"); err != nil {
		return fmt.Errorf("hello to %s: %w", c.RemoteAddr(), err)
	}
	return nil
}

// conn returns a connection, a new one if it has been closed.
func (s *side) conn(i int) (*harness.Conn, error) {
	if s.conns[i] == nil {
		c, err := harness.TryDial(s.addrs[i%len(s.addrs)])
		if err != nil {
			return nil, err
		}
		s.conns[i] = c
	}
	return s.conns[i], nil
}

func (s *side) drop(i int) {
	if s.conns[i] != nil {
		_ = s.conns[i].Close()
		s.conns[i] = nil
	}
}

func (s *side) close() {
	for i := range s.conns {
		s.drop(i)
	}
}

// both returns the two connections of number i.
func (r *runner) both(i int) (redis, mine *harness.Conn, err error) {
	if redis, err = r.redis.conn(i); err == nil {
		mine, err = r.mine.conn(i)
	}
	return redis, mine, err
}

// batch sends steps together and compares their replies one by one.
func (r *runner) batch(first, end int) (*Mismatch, error) {
	step := &r.steps[first]
	if step.Raw != nil {
		return r.raw(first)
	}
	redis, mine, err := r.both(step.Conn)
	if err != nil {
		return nil, err
	}
	if step.Expire != nil || step.Inspect != nil {
		what, err := step.Run(peer{redis}, peer{mine})
		return r.mismatch(first, what), err
	}
	var requests []byte
	args := make([][][]byte, end-first)
	for i := range args {
		if args[i], err = r.steps[first+i].Request(peer{redis}, peer{mine}); err != nil {
			return nil, err
		}
		requests = harness.AppendCommand(requests, args[i]...)
	}
	// Both work on it at the same time. A server that has closed the
	// connection is noticed when its reply does not come.
	sent := make(chan struct{})
	go func() { _ = redis.Send(requests); close(sent) }()
	_ = mine.Send(requests)
	defer func() { <-sent }()
	for i := range args {
		what, ended := answered(args[i], redis, mine)
		if what != "" || ended {
			r.redis.drop(step.Conn)
			r.mine.drop(step.Conn)
			return r.mismatch(first+i, what), nil
		}
	}
	return nil, nil
}

// mismatch returns what is wrong with a step, nil for nothing.
func (r *runner) mismatch(i int, what string) *Mismatch {
	if what == "" {
		return nil
	}
	return &Mismatch{Index: i, Step: &r.steps[i], What: what}
}

// answered reads and compares the replies to one request. ended tells that both
// servers closed the connection.
func answered(args [][]byte, redis, mine *harness.Conn) (what string, ended bool) {
	want, err1 := redis.Reply()
	have, err2 := mine.Reply()
	switch {
	case err1 != nil && err2 != nil && !timedOut(err1) && !timedOut(err2):
		return "", true
	case err1 != nil || err2 != nil:
		return fmt.Sprintf("redis: %v, synod: %v", err1, err2), false
	}
	if ends(args) {
		rest1, closed1 := redis.Rest()
		rest2, closed2 := mine.Rest()
		if !closed1 || !closed2 || !bytes.Equal(rest1, rest2) {
			return fmt.Sprintf("then redis: %q, closed %v, synod: %q, closed %v", rest1, closed1, rest2, closed2), true
		}
		ended = true
	}
	e := &commandtest.Exchange{Args: args, Want: want, Have: have, Redis: peer{redis}, Mine: peer{mine}}
	if what = commandtest.Compare(e); what != "" {
		what = e.Difference(what)
	}
	return what, ended
}

// ends reports whether a server closes the connection after the request.
func ends(args [][]byte) bool {
	for _, name := range []string{"quit", "post", "host:"} {
		if strings.EqualFold(string(args[0]), name) {
			return true
		}
	}
	return false
}

// raw sends bytes and compares all that comes back until the end.
func (r *runner) raw(i int) (*Mismatch, error) {
	step := &r.steps[i]
	redis, mine, err := r.both(step.Conn)
	if err != nil {
		return nil, err
	}
	defer r.redis.drop(step.Conn)
	defer r.mine.drop(step.Conn)
	want, closed := exhaust(redis, step)
	if !closed {
		return nil, fmt.Errorf("redis does not close the connection after %s", step)
	}
	have, closed := exhaust(mine, step)
	switch {
	case !closed:
		return r.mismatch(i, "the connection is not closed"), nil
	case !bytes.Equal(want, have):
		return r.mismatch(i, (&commandtest.Exchange{Want: want, Have: have}).Difference("they differ")), nil
	}
	return nil, nil
}

// exhaust sends a raw step and returns all that comes back. What Redis has not
// sent when it sees the end of its input is lost, so that comes late if it can.
func exhaust(c *harness.Conn, s *Step) (replies []byte, closed bool) {
	const mark = "still here"
	_ = c.Send(append(bytes.Clone(s.Raw), harness.Command("ECHO", mark)...))
	for last := ""; !s.Open && last != "$10\r\n"+mark+"\r\n"; {
		reply, err := c.Reply()
		replies, last = append(replies, reply...), string(reply)
		if err != nil {
			return replies, !timedOut(err)
		}
	}
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	rest, closed := c.Rest()
	return append(replies, rest...), closed
}

func timedOut(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// Minimise returns a shorter sequence on which the servers still differ, and
// how they do. It runs the sequence at most budget times.
func (p *Pair) Minimise(steps []Step, m *Mismatch, budget int) ([]Step, *Mismatch) {
	steps = commandtest.Minimise(steps[:m.Index+1], budget, func(fewer []Step) (int, bool) {
		again, err := p.Run(fewer)
		if err != nil || again == nil {
			return 0, false
		}
		m = again
		return again.Index, true
	})
	return steps, m
}
