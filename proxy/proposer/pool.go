// Package proposer runs the commands of one proxy: it drives the proposers of
// protocol/caspaxos, one per lane.
//
// A register belongs to one lane, by the hash of its key. A lane is a goroutine
// with a queue: it takes all commands and replies that have come in, steps the
// proposer through them and sends the resulting requests, one payload per node.
// Under load the batches grow by themselves; an idle lane adds no delay.
//
// A command given to Submit is done within its time limit (or a little later when
// the machine is overloaded), and commands of one caller on one register take effect
// in the order of submission.
package proposer

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/counters"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	caspaxos "synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/rpc"
	"synod/proxy/router"
)

// Transport is what the pool needs of the connections to the nodes, and what a
// proposer asks about placement; proxy/router has it.
type Transport interface {
	Config(slot uint16) *quorum.Config
	Prefer(cfg *quorum.Config, slot uint16) []int
	Reachable(cfg *quorum.Config) quorum.Set
	Outage(slot uint16) *operation.Outage
	Answering(cfg *quorum.Config) quorum.Set
	Missing(cfg *quorum.Config) quorum.Set
	// Send does not block. False: nothing was or will be sent. A payload of the
	// bulk class is not copied and must not be modified any more.
	Send(to quorum.NodeID, class rpc.Class, payload []byte) bool
	// Link returns the connection to a node, nil if there is none.
	Link(to quorum.NodeID) *router.Link
}

// Config is what a Pool is made of.
type Config struct {
	Clock  *ballot.Clock
	Limits limits.Limits
	Timing limits.Timing
	// Lanes is the number of lanes; zero means one for each processor that Go
	// may use.
	Lanes int
	// Cached and CachedBytes bound the registers that all lanes together cache between
	// rounds. Zero means the defaults.
	Cached      int
	CachedBytes int
}

const (
	defaultCached      = 1 << 16
	defaultCachedBytes = 64 << 20
	maxLanes           = 256 // Submit counts them in a byte
)

// Pool is a proxy's proposers. It is safe for concurrent use.
type Pool struct {
	start time.Time
	lanes []*Lane
	stats *counters.Stats
	wg    sync.WaitGroup

	deliveries deliveries
}

// New returns a pool that is not running yet: create the transport with the pool's
// Lanes, then call Start.
func New(cfg Config) *Pool {
	n := cfg.Lanes
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	n = min(n, maxLanes)
	if cfg.Cached == 0 {
		cfg.Cached = defaultCached
	}
	if cfg.CachedBytes == 0 {
		cfg.CachedBytes = defaultCachedBytes
	}
	p := &Pool{start: time.Now(), stats: new(counters.Stats)}
	p.deliveries.init(deliveryBytes)
	for i := range n {
		p.lanes = append(p.lanes, newLane(p, cfg, i, n))
	}
	return p
}

// Lanes returns the lanes, in order; each is a router.Lane.
func (p *Pool) Lanes() []*Lane { return p.lanes }

// Start begins to run commands over the transport.
func (p *Pool) Start(t Transport) {
	for _, l := range p.lanes {
		l.begin(t)
		p.wg.Go(l.run)
	}
}

// Close ends the lanes. Pending commands would never be done: the caller must make
// sure that there are none.
func (p *Pool) Close() {
	for _, l := range p.lanes {
		close(l.stop)
	}
	p.wg.Wait()
	p.deliveries.close()
}

// Stats returns the counters of all lanes.
func (p *Pool) Stats() *counters.Stats { return p.stats }

// Now reads the monotonic clock that commands' Started times are on.
func (p *Pool) Now() instant.Mono { return instant.Mono(time.Since(p.start)) }

// now reads both clocks.
func (p *Pool) now() instant.Now {
	t := time.Now()
	return instant.Now{Wall: t.UnixMilli(), Mono: instant.Mono(t.Sub(p.start))}
}

// Submit takes commands. It does not block and keeps the commands, but not the
// slice.
func (p *Pool) Submit(cmds []*caspaxos.Command) {
	n := uint32(len(p.lanes))
	if len(cmds) == 1 || n == 1 {
		p.lanes[partition.Lane(cmds[0].Register.Key, n)].submit(cmds)
		return
	}
	var scratch [64]uint8
	part := scratch[:0]
	for _, c := range cmds {
		part = append(part, uint8(partition.Lane(c.Register.Key, n)))
	}
	for i, l := range p.lanes {
		l.submitPart(cmds, part, uint8(i))
	}
}

// env is what a lane's proposer asks.
type env struct {
	Transport
	random *rand.Rand
}

func (e *env) Random(n int64) int64 { return e.random.Int64N(max(n, 1)) }
