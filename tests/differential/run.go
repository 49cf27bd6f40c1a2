package differential

import (
	"bytes"
	"fmt"
	"net"
	"strings"

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
	Index      int
	Step       *Step
	Want, Have []byte
	What       string // if it is more than that the replies differ
}

func (m *Mismatch) String() string {
	s := fmt.Sprintf("step %d: %s\n    redis: %s\n    synod: %s", m.Index, m.Step, word(m.Want), word(m.Have))
	if m.What != "" {
		s += "\n    " + m.What
	}
	return s
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
		for end < len(steps) && steps[end-1].More && steps[end].Conn == steps[i].Conn {
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
	switch {
	case step.Raw != nil:
		return r.raw(first)
	case step.Expire != nil:
		return r.expire(first)
	}
	redis, mine, err := r.both(step.Conn)
	if err != nil {
		return nil, err
	}
	var requests []byte
	for i := first; i < end; i++ {
		args, err := r.args(&r.steps[i], redis, mine)
		if err != nil {
			return nil, err
		}
		requests = harness.AppendCommand(requests, args...)
	}
	// Both work on it at the same time. A server that has closed the
	// connection is noticed when its reply does not come.
	sent := make(chan struct{})
	go func() { _ = redis.Send(requests); close(sent) }()
	_ = mine.Send(requests)
	defer func() { <-sent }()
	for i := first; i < end; i++ {
		if m, ended := r.compare(i, redis, mine); m != nil || ended {
			r.redis.drop(step.Conn)
			r.mine.drop(step.Conn)
			return m, nil
		}
	}
	return nil, nil
}

// compare reads and compares the replies to one step. ended tells that both
// servers closed the connection.
func (r *runner) compare(i int, redis, mine *harness.Conn) (m *Mismatch, ended bool) {
	step := &r.steps[i]
	want, err1 := redis.Reply()
	have, err2 := mine.Reply()
	m = &Mismatch{Index: i, Step: step, Want: want, Have: have}
	switch {
	case err1 != nil && err2 != nil && !timedOut(err1) && !timedOut(err2):
		return nil, true
	case err1 != nil || err2 != nil:
		m.What = fmt.Sprintf("redis: %v, synod: %v", err1, err2)
		return m, false
	}
	rule := ruleOf(step.Args)
	if ends(step.Args) {
		rest1, closed1 := redis.Rest()
		rest2, closed2 := mine.Rest()
		if !closed1 || !closed2 || !bytes.Equal(rest1, rest2) {
			m.What = fmt.Sprintf("then redis: %q, closed %v, synod: %q, closed %v", rest1, closed1, rest2, closed2)
			return m, true
		}
		ended = true
	}
	if bytes.Equal(want, have) && !rule.always {
		return nil, ended
	}
	if want[0] == '-' || have[0] == '-' {
		if bytes.Equal(want, have) {
			return nil, ended
		}
		return m, ended
	}
	if m.What = rule.same(&exchange{step.Args, want, have, redis, mine}); m.What != "" {
		return m, ended
	}
	return nil, ended
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

// args returns a step's request, with the payload that it asks for.
func (r *runner) args(s *Step, redis, mine *harness.Conn) ([][]byte, error) {
	if s.Dump == nil {
		return s.Args, nil
	}
	from := redis
	if s.Dump.Mine {
		from = mine
	}
	if err := from.Send(harness.AppendCommand(nil, []byte("DUMP"), s.Dump.Key)); err != nil {
		return nil, err
	}
	reply, err := from.Reply()
	if err != nil {
		return nil, err
	}
	payload := []byte("nothing")
	if _, rest, ok := bytes.Cut(reply, []byte("\r\n")); ok && reply[0] == '$' && len(rest) > 2 {
		payload = rest[:len(rest)-2]
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

// raw sends bytes and compares all that comes back until the end.
func (r *runner) raw(i int) (*Mismatch, error) {
	step := &r.steps[i]
	redis, mine, err := r.both(step.Conn)
	if err != nil {
		return nil, err
	}
	defer r.redis.drop(step.Conn)
	defer r.mine.drop(step.Conn)
	m := &Mismatch{Index: i, Step: step}
	var ok1, ok2 bool
	if m.Want, ok1 = exhaust(redis, step); !ok1 {
		return nil, fmt.Errorf("redis does not close the connection after %s", step)
	}
	if m.Have, ok2 = exhaust(mine, step); !ok2 {
		m.What = "the connection is not closed"
		return m, nil
	}
	if !bytes.Equal(m.Want, m.Have) {
		return m, nil
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

// expire gives a key a value that is soon gone, and waits until it is.
func (r *runner) expire(i int) (*Mismatch, error) {
	step := &r.steps[i]
	redis, mine, err := r.both(step.Conn)
	if err != nil {
		return nil, err
	}
	for _, c := range []*harness.Conn{redis, mine} {
		if _, err := c.Do("SET", string(step.Expire), "expires", "PX", "40"); err != nil {
			return nil, err
		}
	}
	for _, c := range []*harness.Conn{redis, mine} {
		if !harness.Poll(harness.Patience, func() bool {
			reply, err := c.Do("EXISTS", string(step.Expire))
			return err != nil || string(reply) == ":0\r\n"
		}) {
			return &Mismatch{Index: i, Step: step, What: "the key does not expire"}, nil
		}
	}
	return nil, nil
}

func timedOut(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}
