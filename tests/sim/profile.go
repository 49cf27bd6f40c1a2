package sim

import (
	"math/rand/v2"
	"time"

	"synod/protocol/caspaxos"
)

// Profile says what happens in a run. Rates are events per second of simulated
// time, chances are per message.
type Profile struct {
	Acceptors, Proxies, Regs, Clients int

	Ops   int           // operations that clients issue, all together
	Think time.Duration // mean pause of a client between operations
	Mix   [kinds]int    // weights of the operations

	Limits caspaxos.Limits
	Timing caspaxos.Timing
	Cached int // registers that a proxy remembers

	Delay, Tail time.Duration // mean delay of a message, and of the slow ones
	Slow        float64       // chance that it is slow
	Lose        float64
	LoseReply   float64
	Double      float64
	Tell        float64 // chance that the sender of a lost message is told
	Sync        time.Duration
	SlowSync    float64 // chance that a sync takes ten times as long

	Crash      float64 // of a node
	Tear       float64 // chance that a crash loses what was not synced
	Down       time.Duration
	CrashProxy float64
	Cut        float64 // of a connection between a proxy and a node
	CutFor     time.Duration
	Jump       float64       // of a clock
	Skew       time.Duration // clocks are this far off at most, but for …
	WildSkew   time.Duration // … jumps, that go this far
	Shuffle    float64       // of the order in which a proxy prefers nodes
	Epochs     float64       // changes of the placement's epoch

	Omit caspaxos.Rules
	// HalfSnapshot and the like are in Omit; Direct makes all violations of
	// Paxos's own invariants count, seen by a client or not.
	Direct bool
}

// Random returns the profile that a seed stands for.
func Random(seed uint64) Profile {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...float64) float64 { return of[r.IntN(len(of))] }
	ms := func(of ...int) time.Duration { return time.Duration(of[r.IntN(len(of))]) * time.Millisecond }
	p := Base()
	p.Acceptors = int(pick(3, 3, 3, 5))
	p.Proxies = 2 + r.IntN(3)
	p.Regs = 1 + r.IntN(3)
	p.Clients = 2 + r.IntN(4)
	p.Ops = 30 + r.IntN(50)
	p.Think = ms(1, 3, 10)
	p.Mix = mixes[r.IntN(len(mixes))]
	if p.Mix[Snapshot] > 0 { // one history of all registers: short, or it cannot be checked
		p.Clients, p.Ops = 2+r.IntN(3), 20+r.IntN(20)
	}
	p.Limits.Command = ms(100, 200)
	p.Limits.Entries = int(pick(0, 4, 8, 64))
	p.Cached = int(pick(0, 2, 100, 100))
	p.Slow = pick(0, 0.05, 0.2)
	p.Lose = pick(0, 0.02, 0.1, 0.25)
	p.LoseReply = pick(0, 0.02, 0.1, 0.25)
	p.Double = pick(0, 0.05, 0.3)
	p.Tell = pick(0, 0.5, 1)
	p.SlowSync = pick(0, 0.1)
	p.Crash = pick(0, 0, 5, 15)
	p.Tear = pick(0.2, 1)
	p.Down = ms(2, 10, 50)
	p.CrashProxy = pick(0, 0, 3, 10)
	p.Cut = pick(0, 0, 5, 20)
	p.CutFor = ms(5, 20, 60)
	p.Jump = pick(0, 0, 5)
	p.WildSkew = ms(10, 10, 100)
	p.Shuffle = pick(0, 0, 20)
	p.Epochs = pick(0, 0, 0, 5)
	return p
}

// Base returns a quiet profile with limits as short as simulated runs need.
func Base() Profile {
	return Profile{
		Acceptors: 3, Proxies: 2, Regs: 1, Clients: 3, Ops: 40, Think: 2 * time.Millisecond, Mix: mixes[0],
		Limits: caspaxos.Limits{Command: 150 * time.Millisecond, MaxClockOffset: 50 * time.Millisecond,
			CeilingAhead: 20 * time.Millisecond},
		Timing: caspaxos.Timing{Hedge: 2 * time.Millisecond, Retry: 15 * time.Millisecond,
			Accept: 25 * time.Millisecond, Backoff: time.Millisecond},
		Cached: 100,
		Delay:  300 * time.Microsecond, Tail: 20 * time.Millisecond,
		Sync: 500 * time.Microsecond, Down: 10 * time.Millisecond, CutFor: 20 * time.Millisecond,
		Skew: 10 * time.Millisecond, Tear: 1,
	}
}

// mixes are the weights of operations that runs choose from.
var mixes = [][kinds]int{
	{Get: 3, GetAll: 3, Exists: 1, GetVia: 1, Set: 3, SetEx: 1, Append: 4, Append2: 2, AppendVia: 1, Incr: 2, SetNX: 2, AppendX: 2, Remove: 1, Del: 2, Expire: 1, Persist: 1},
	{Get: 2, Set: 3, Incr: 3, Append: 3},
	{Get: 3, GetAll: 2, Append: 5, Append2: 3, AppendVia: 2, Remove: 2, Set: 1},
	{GetAll: 3, Set: 2, SetEx: 3, Append: 3, Expire: 2, Persist: 1, SetNX: 2, Exists: 1},
	{Get: 2, Set: 4, Append: 2, AppendX: 2, SetNX: 3, Del: 3},
	{GetAll: 3, Set: 2, Append: 3, Incr: 2, Flush: 1, Del: 1, SetNX: 1},
	{GetAll: 1, Snapshot: 4, Set: 3, Append: 3, Incr: 2, SetEx: 1},
}
