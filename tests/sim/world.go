package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/counters"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
)

// World is one run of a cluster. It is not safe for concurrent use.
type World struct {
	Profile
	Seed  uint64
	Stats counters.Stats

	rng    *rand.Rand
	now    Instant
	events events
	manual *network // of a Script: delivers nothing by itself

	nodes   []*node
	proxies []*proxy
	config  *quorum.Config
	cut     map[[2]int]bool // connections, proxy and node, that carry nothing
	asked   map[*message.Request]asker
	faults  bool

	lastProposer ballot.ProposerID
	lastStart    uint64 // of a proxy
	lives        uint64 // of nodes
	rolledBack   bool
	lastID       int
	ops          int // that clients have issued
	clock        int64
	records      []*record
	ledger       ledger
	failure      string
	undecided    int // histories that took too long to check
	parts        int // replies that were parts of a large state
	caughtUp     int // Accepts that were kept until their base was there
	joined       int // votes for deltas with those before them in one
	tickEvery    time.Duration
	tracing      bool
	lines        []string
	digest       *digest // nil unless one is wanted
}

// record is an operation in the run's history.
type record struct {
	op        *Op
	regs      []int // of a Snapshot
	call, ret int64 // in the order in which things happened; ret zero: unknown
	in        input
	closed    bool
	known     bool // answered with a result
	none      bool // answered as not done
	err       error
	out       Out
	outs      []Out
	parts     []*record       // of a Flush, what it comes to
	then      func(err error) // goes on when it is answered or lost
	began     Instant
	took      time.Duration
}

// New makes the world of a profile and a seed.
func New(p Profile, seed uint64) *World {
	w := &World{Profile: p, Seed: seed, rng: rand.New(rand.NewPCG(seed, 2)), cut: make(map[[2]int]bool),
		asked: make(map[*message.Request]asker), tickEvery: 10 * time.Millisecond}
	w.ledger.init()
	w.now = Instant(time.Second) // clocks that are behind still show positive times
	members := make([]quorum.NodeID, p.Acceptors)
	for i := range members {
		members[i] = quorum.NodeID(i)
	}
	w.config = quorum.NewConfig(1, members, nil)
	if p.Joint {
		w.config = quorum.NewConfig(1, members[:3], members[2:])
	}
	return w
}

// populate makes nodes and proxies.
func (w *World) populate() {
	for i := range w.Acceptors {
		n := &node{w: w, id: quorum.NodeID(i), epoch: 1}
		n.clock = clock{w: w, offset: w.skew()}
		w.nodes = append(w.nodes, n)
		n.start(emptyStore())
	}
	for i := range w.Proxies {
		p := &proxy{w: w, index: i}
		p.clock = clock{w: w, offset: w.skew()}
		w.proxies = append(w.proxies, p)
		p.start()
	}
}

func (w *World) isMember(id quorum.NodeID, epoch uint64) bool {
	return epoch != w.config.Epoch || w.config.Index(id) >= 0
}

func (w *World) random(n int64) int64 {
	if w.manual != nil {
		return n / 2
	}
	return w.rng.Int64N(n)
}

func (w *World) order(n int) []int {
	if w.manual == nil {
		return w.rng.Perm(n)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// spread draws a duration of a given mean.
func (w *World) spread(mean time.Duration) time.Duration {
	return time.Duration(w.rng.ExpFloat64() * float64(mean))
}

// skew draws how far a clock is off within what is usual.
func (w *World) skew() time.Duration {
	if w.Skew == 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(2*int64(w.Skew))) - w.Skew
}

// toNode sends a request, or a flush's request if req is nil.
func (w *World) toNode(p *proxy, n *node, id uint64, raw []byte, req *message.Request) {
	w.digest.add('q', w.now, p.index, int(n.id), raw)
	life := p.life
	deliver := func() { n.awake(func() { n.receive(p, life, raw) }) }
	if w.manual != nil {
		if p.admittedBy(n) {
			w.manual.request(p, n, raw, req, deliver)
		}
		return
	}
	if known := p.down.Has(p.cfg.Index(n.id)); id&flushIDs == 0 && (known || w.faults && w.Refuse > 0 && w.rng.Float64() < w.Refuse) {
		p.later(1, func() { p.deliver(n, &message.Reply{ID: id, Outcome: message.Unsent}) })
		return
	}
	lost := w.faults && w.rng.Float64() < w.Lose
	if !n.up || w.cut[[2]int{p.index, int(n.id)}] || !p.admittedBy(n) {
		lost = true
	}
	if n.gone && id&flushIDs == 0 {
		p.later(time.Microsecond, func() { p.deliver(n, &message.Reply{ID: id, Outcome: message.Unreachable}) })
		return
	}
	if lost && id&flushIDs == 0 && w.rng.Float64() < w.Tell {
		p.later(w.spread(w.Delay), func() {
			p.deliver(n, &message.Reply{ID: id, Outcome: message.Unreachable})
		})
		lost = w.rng.Float64() < 0.5 // or it was delivered after all
	}
	if !lost {
		w.after(w.delay(), deliver)
	}
	if w.faults && w.rng.Float64() < w.Double {
		w.after(w.delay()+w.spread(w.Tail), deliver)
	}
}

// toProxy sends a reply to the life of a proxy that asked.
func (w *World) toProxy(n *node, p *proxy, life int, raw []byte) {
	w.digest.add('p', w.now, p.index, int(n.id), raw)
	deliver := func() {
		if p.life == life {
			p.receive(n, raw)
		}
	}
	if w.manual != nil {
		w.manual.reply(n, p, life, raw, deliver)
		return
	}
	if (w.faults && w.rng.Float64() < w.LoseReply) || w.cut[[2]int{p.index, int(n.id)}] {
		return
	}
	w.after(w.delay(), deliver)
	if w.faults && w.rng.Float64() < w.Double/4 {
		w.after(w.delay()+w.spread(w.Tail), deliver)
	}
}

func (w *World) delay() time.Duration {
	d := w.spread(w.Delay)
	if w.faults && w.Slow > 0 && w.rng.Float64() < w.Slow {
		d += w.spread(w.Tail)
	}
	return d
}

// schedule is later for what a Script does by hand.
func (w *World) schedule(n *node, d time.Duration, do func()) {
	if w.manual == nil {
		n.later(d, do)
		return
	}
	life := n.life
	w.manual.pending(n, func() {
		if n.life == life {
			do()
		}
	})
}

func (w *World) nextID() int {
	w.lastID++
	return w.lastID
}

// begin enters an operation into the history, as one of unknown outcome.
func (w *World) begin(op *Op) *record {
	w.clock++
	r := &record{op: op, call: w.clock, began: w.now}
	r.in = input{op: op, lowest: w.trueWall() - w.farthest(), highest: 1 << 62}
	w.records = append(w.records, r)
	return r
}

// farthest is how far any clock may be off, in milliseconds.
func (w *World) farthest() int64 { return (w.Skew + w.WildSkew).Milliseconds() + 1 }

// close ends an operation with its answer.
func (w *World) close(r *record, out Out) {
	w.clock++
	r.closed, r.known, r.ret, r.out = true, true, w.clock, out
	r.in.highest = w.trueWall() + w.farthest()
}

// answered is called when a proxy has answered an operation.
func (w *World) answered(p *proxy, r *record, err error) {
	if r.closed {
		w.fail("%v was answered twice", r.op)
		return
	}
	switch err {
	case nil:
		w.close(r, r.out)
		w.trace("%s answers %v: %s", p, r.op, r.answer())
	case operation.ErrUncertain:
		r.closed, r.err = true, err
		w.trace("%s answers %v: uncertain", p, r.op)
	default:
		r.closed, r.none, r.err = true, true, err
		w.trace("%s answers %v: not done (%v)", p, r.op, err)
	}
	w.digest.answered(w.now, p, r, err)
	r.took = time.Duration(w.now - r.began)
	if over := r.took - w.Limits.Command; over > w.Limits.Command/10 && r.op.Kind != Snapshot && r.op.Kind != Flush {
		w.stuck("%v took %v longer than a command may", r.op, over)
	}
	if r.then != nil {
		r.then(err)
	}
}

// lost is called when an operation's proxy went down.
func (w *World) lost(r *record) {
	r.closed = true
	w.trace("%v is lost", r.op)
	if r.then != nil {
		r.then(operation.ErrUncertain)
	}
}

// stuck is fail for errors that clients cannot mistake for a wrong answer. Runs
// without a rule must give wrong answers, unless the rule exists so that a
// quorum keeps answering at all (§11 L4).
func (w *World) stuck(format string, args ...any) {
	if w.Omit&^rules.EpochShown == 0 {
		w.fail(format, args...)
	}
}

func (w *World) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		first, _, _ := strings.Cut(w.failure, "\n")
		w.trace("FAILED: %s", first)
	}
}
