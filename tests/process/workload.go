package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"synod/tests/harness"
)

// outcome is a client's knowledge about a command.
type outcome uint8

const (
	done    outcome = iota // it was answered
	notDone                // it had no effect
	unknown                // nobody can say
)

// errReply is an answer that no command of the workload may get.
var errReply = errors.New("unexpected reply")

// classify tells the outcome of a command from its error.
func classify(err error) (outcome, error) {
	var op *net.OpError
	var reply redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return done, nil
	case redis.HasErrorPrefix(err, "CLUSTERDOWN"), redis.HasErrorPrefix(err, "TRYAGAIN"), redis.HasErrorPrefix(err, "OOM"):
		return notDone, nil
	case redis.HasErrorPrefix(err, "UNCERTAIN"):
		return unknown, nil
	case errors.As(err, &op) && op.Op == "dial":
		return notDone, nil
	case errors.As(err, &reply):
		return unknown, fmt.Errorf("%w: %w", errReply, err)
	}
	return unknown, nil // the connection broke, or time ran out
}

func init() { redis.SetLogger(silence{}) }

// silence keeps go-redis from reporting what the workload brings about.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// open returns a client of one connection that never repeats a command by
// itself.
func open(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, PoolSize: 1, DialTimeout: 5 * time.Second, DialerRetries: 1,
		ReadTimeout: 8 * time.Second, WriteTimeout: 8 * time.Second, DisableIdentity: true,
	})
}

// workload is a set of clients that read and write until they are stopped.
//
// There are three kinds of keys. Registers are set to unique values and read;
// their histories must be linearizable. Counters are incremented. A journal
// belongs to one client, which appends to it; it shows the order and number of
// effects.
type workload struct {
	t       testing.TB
	started time.Time
	cancel  context.CancelFunc
	stop    context.Context
	clients sync.WaitGroup
	answers atomic.Int64
	round   atomic.Int64 // registers change their names with it, so that histories stay short
	gaps    gaps

	mu        sync.Mutex
	registers map[string][]event // by key
	counters  map[string]*counter
	journals  []*journal
	failure   error
	lost      [3]int // commands by outcome
	reasons   map[string]int
}

// event is one command on a register.
type event struct {
	client     int
	call, end  int64  // nanoseconds since the start
	set        string // the value set, "" for a read
	got        string // the value read, "" for none
	unanswered bool   // the outcome is unknown
}

// counter is what is known of a counter.
type counter struct {
	acked, unknown int
	handed         map[int64]int // how often each value was answered
}

func newCounter() *counter { return &counter{handed: map[int64]int{}} }

// note records how one increment by 1 ended.
func (c *counter) note(o outcome, n int64) {
	switch o {
	case done:
		c.acked++
		c.handed[n]++
	case unknown:
		c.unknown++
	}
}

// journal is what one client appended to its own key.
type journal struct {
	key     string
	entries []entry
}

type entry struct {
	text    string
	outcome outcome
}

const (
	registersPerRound = 24
	countersInUse     = 4
	maxReasons        = 1000
)

// newWorkload returns a workload without clients and keys.
func newWorkload(t testing.TB) *workload {
	w := &workload{t: t, started: time.Now(), registers: map[string][]event{}, counters: map[string]*counter{}, reasons: map[string]int{}}
	w.stop, w.cancel = context.WithCancel(context.Background())
	w.gaps.begin()
	t.Cleanup(w.end)
	return w
}

// run starts clients, spread over the addresses.
func run(t testing.TB, clients int, addrs ...string) *workload {
	t.Helper()
	w := newWorkload(t)
	for i := range countersInUse {
		w.counters[fmt.Sprintf("counter:%d", i)] = newCounter()
	}
	for i := range clients {
		j := &journal{key: fmt.Sprintf("journal:%d", i)}
		w.journals = append(w.journals, j)
		w.clients.Go(func() { w.client(i, addrs[i%len(addrs)], j) })
	}
	return w
}

// client runs commands, one after the other.
func (w *workload) client(id int, addr string, j *journal) {
	c := open(addr)
	defer func() { _ = c.Close() }()
	random := rand.New(rand.NewPCG(uint64(id), 1))
	for n := 0; w.stop.Err() == nil; n++ {
		var o outcome
		var err error
		switch random.IntN(10) {
		case 0, 1, 2:
			o, err = w.write(c, id, n, w.register(random))
		case 3, 4, 5:
			o, err = w.read(c, id, w.register(random))
		case 6, 7:
			o, err = w.increment(c, fmt.Sprintf("counter:%d", random.IntN(countersInUse)))
		default:
			o, err = w.append(c, j, fmt.Sprintf("%d;", n))
		}
		w.count(o, err)
		if o != done {
			w.pause() // a proxy that is down refuses thousands of times in a second
		}
	}
}

func (w *workload) register(random *rand.Rand) string {
	return fmt.Sprintf("register:%d:%d", w.round.Load(), random.IntN(registersPerRound))
}

// pause waits a little, or until the workload stops.
func (w *workload) pause() {
	select {
	case <-w.stop.Done():
	case <-time.After(5 * time.Millisecond):
	}
}

// classify is classify that remembers why commands were not answered.
func (w *workload) classify(err error) (outcome, error) {
	o, unexpected := classify(err)
	if o != done {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.reasons) < maxReasons {
			w.reasons[err.Error()]++
		}
	}
	return o, unexpected
}

// newReasons returns why commands were not answered since it was called last.
func (w *workload) newReasons() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.reasons
	w.reasons = map[string]int{}
	return old
}

func (w *workload) count(o outcome, err error) {
	if o == done {
		w.answers.Add(1)
		w.gaps.answer()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost[o]++
	if err != nil && w.failure == nil {
		w.failure = err
	}
}

func (w *workload) now() int64 { return int64(time.Since(w.started)) }

func (w *workload) write(c *redis.Client, id, n int, key string) (outcome, error) {
	e := event{client: id, call: w.now(), set: fmt.Sprintf("%d.%d", id, n)}
	o, err := w.classify(c.Set(context.Background(), key, e.set, 0).Err())
	w.record(key, e, o)
	return o, err
}

func (w *workload) read(c *redis.Client, id int, key string) (outcome, error) {
	e := event{client: id, call: w.now()}
	got, err := c.Get(context.Background(), key).Result()
	e.got = got
	o, err := w.classify(err)
	if o == done { // a read without an answer tells nothing
		w.record(key, e, o)
	}
	return o, err
}

func (w *workload) record(key string, e event, o outcome) {
	if o == notDone {
		return
	}
	e.end, e.unanswered = w.now(), o == unknown
	w.mu.Lock()
	defer w.mu.Unlock()
	w.registers[key] = append(w.registers[key], e)
}

func (w *workload) increment(c *redis.Client, key string) (outcome, error) {
	n, err := c.Incr(context.Background(), key).Result()
	o, err := w.classify(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counters[key].note(o, n)
	return o, err
}

func (w *workload) append(c *redis.Client, j *journal, text string) (outcome, error) {
	o, err := w.classify(c.Append(context.Background(), j.key, text).Err())
	j.entries = append(j.entries, entry{text, o})
	return o, err
}

// enough is how many answers show that a cluster works.
const enough = 300

// progress waits until n more commands have been answered, and begins new
// registers.
func (w *workload) progress(n int64) {
	w.t.Helper()
	goal := w.answers.Load() + n
	harness.Await(w.t, strconv.FormatInt(n, 10)+" answers", func() bool { return w.answers.Load() >= goal })
	w.round.Add(1)
}

// end stops the clients and waits for them.
func (w *workload) end() {
	w.cancel()
	w.clients.Wait()
}

// gaps measures how long nobody was answered.
type gaps struct {
	mu      sync.Mutex
	last    time.Time
	during  string // what is happening
	longest map[string]time.Duration
	order   []string
}

func (g *gaps) begin() {
	g.last, g.longest = time.Now(), map[string]time.Duration{}
	g.during = "start"
}

func (g *gaps) answer() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.close()
}

func (g *gaps) close() {
	now := time.Now()
	if _, known := g.longest[g.during]; !known {
		g.order = append(g.order, g.during)
	}
	g.longest[g.during] = max(g.longest[g.during], now.Sub(g.last))
	g.last = now
}

// phase says that something else happens from now on.
func (g *gaps) phase(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.close()
	g.during = what
}

// print logs the longest gap of every phase.
func (g *gaps) print(t testing.TB) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, what := range g.order {
		t.Logf("longest time without an answer: %6.1f ms, %s", float64(g.longest[what].Microseconds())/1000, what)
	}
}
