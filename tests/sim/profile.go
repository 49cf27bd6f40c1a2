package sim

import (
	"math/rand/v2"
	"time"

	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/rules"
)

// Profile says what happens in a run. Rates are events per second of simulated
// time, chances are per message.
type Profile struct {
	Acceptors, Proxies, Regs, Clients int
	// Joint: of five acceptors, x0 to x2 are C and x2 to x4 C' (§9).
	Joint bool

	Ops   int           // operations that clients issue, all together
	Think time.Duration // mean pause of a client between operations
	Mix   [kinds]int    // weights of the operations
	// Pipeline is the chance that a client issues some operations on one register
	// at once, which then take effect in order.
	Pipeline float64

	Limits limits.Limits
	Timing limits.Timing
	Cached int // registers that a proxy remembers

	Delay, Tail time.Duration // mean delay of a message, and of the slow ones
	Slow        float64       // chance that it is slow
	Lose        float64
	LoseReply   float64
	Double      float64
	Tell        float64       // chance that the sender of a lost message is told
	Refuse      float64       // chance that a message is not sent and the sender is told so
	Silence     time.Duration // time after which a proxy treats a node with an outstanding answer as silent
	Sync        time.Duration
	SlowSync    float64 // chance that a sync takes ten times as long
	Full        float64 // chance that a node is too busy to send a state along

	Crash      float64 // of a node
	Tear       float64 // chance that a crash loses what was not synced
	Down       time.Duration
	Freeze     float64 // of a node: nothing is lost, all is late
	FrozenFor  time.Duration
	CrashProxy float64
	Cut        float64 // of a connection between a proxy and a node
	CutFor     time.Duration
	Jump       float64       // of a clock
	Skew       time.Duration // clocks are this far off at most, but for …
	WildSkew   time.Duration // … jumps, that go this far
	Shuffle    float64       // of the order in which a proxy prefers nodes
	Epochs     float64       // changes of the placement's epoch
	Fill       float64       // of a node's disk
	FillFor    time.Duration // until it has room again
	Busy       float64       // share of Accepts that a node does not take
	Restore    float64       // of etcd, from an older backup, while a proxy starts
	Rollback   float64       // of a node's disk to a copy, or the making of that copy

	Omit rules.Set
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
	if p.Mix[Call] > 0 {
		p.Regs = 1 + r.IntN(MaxRegs)
		p.Ops += 20 * p.Regs
	}
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
	p.Refuse = pick(0, 0, 0.05)
	p.Silence = ms(5, 20, 200)
	p.Freeze = pick(0, 0, 5, 20)
	p.FrozenFor = ms(5, 20, 60)
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
	p.Limits.VotedState = int(pick(0, 0, 150))
	p.Joint = p.Acceptors == 5 && r.IntN(3) == 0
	p.Pipeline = pick(0, 0, 0.3)
	p.Full = pick(0, 0, 0.3, 1)
	if seed%8 == 7 {
		p.Fill, p.FillFor = 20, 20*time.Millisecond
	}
	if seed%8 == 3 {
		p.Busy, p.Limits.HeavyChange = 0.5, 1
	}
	return p
}

// Base returns a quiet profile with limits as short as simulated runs need.
func Base() Profile {
	return Profile{
		Acceptors: 3, Proxies: 2, Regs: 1, Clients: 3, Ops: 40, Think: 2 * time.Millisecond, Mix: mixes[0],
		Limits: limits.Limits{Command: 150 * time.Millisecond, MaxClockOffset: 50 * time.Millisecond,
			CeilingAhead: 30 * time.Millisecond},
		Timing: limits.Timing{Hedge: 2 * time.Millisecond, Retry: 15 * time.Millisecond,
			Accept: 25 * time.Millisecond, Backoff: time.Millisecond, Shared: 5 * time.Millisecond, Lag: time.Millisecond},
		Cached: 100, Silence: 5 * time.Millisecond,
		Delay: 300 * time.Microsecond, Tail: 20 * time.Millisecond,
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
	{Call: 20, Del: 1},
	{Call: 30, Flush: 1},
	{Call: 1},
}

// focused returns Random with changes that make a rule's omission show sooner.
func focused(change func(*Profile)) func(uint64) Profile {
	return func(seed uint64) Profile {
		p := Random(seed)
		p.Acceptors, p.Joint, p.Regs, p.Epochs = 3, false, 1, 0
		change(&p)
		return p
	}
}

var (
	// crashing: nodes lose unsynced data and are back at once, while messages
	// of their previous life are still in transit.
	crashing = focused(func(p *Profile) {
		p.Mix = mixes[1]
		p.Clients, p.Ops, p.Think = 4, 50, time.Millisecond
		p.Crash, p.Down, p.Tear = 60, time.Millisecond, 1
		p.Sync, p.SlowSync = 2*time.Millisecond, 0.3
		p.Lose, p.LoseReply, p.Slow, p.Tail, p.Double = 0.05, 0.1, 0.4, 15*time.Millisecond, 0.3
		p.CrashProxy, p.Jump, p.Cut = 0, 0, 0
	})
	// expiring: values expire and clocks differ.
	expiring = focused(func(p *Profile) {
		p.Mix = [kinds]int{GetAll: 4, Exists: 1, SetEx: 3, Append: 3, Expire: 2, SetNX: 1}
		p.Clients, p.Ops, p.Think = 3, 50, 3*time.Millisecond
		p.Skew, p.WildSkew = 14*time.Millisecond, 10*time.Millisecond
	})
	// creating and deleting: full changes that depend on the state.
	creating = focused(func(p *Profile) {
		p.Mix = [kinds]int{Get: 2, SetNX: 4, Del: 4, Append: 3, AppendX: 1}
		p.Clients, p.Ops, p.Think = 4, 50, time.Millisecond
		p.Cached = 100
	})
	// partial views, with extra reads and blind writes in between.
	partial = focused(func(p *Profile) {
		p.Mix = [kinds]int{GetVia: 4, AppendVia: 5, Append2: 3, Set: 4, Remove: 1}
		p.Clients, p.Ops, p.Think = 5, 60, time.Millisecond
		p.Slow, p.Tail = 0.2, 5*time.Millisecond
	})
	// failing: commands under contention, whose attempts are sometimes lost.
	failing = focused(func(p *Profile) {
		p.Mix = [kinds]int{AppendX: 5, SetNX: 4, Del: 4, Set: 2, Get: 2, Remove: 3}
		p.Clients, p.Ops, p.Think = 5, 60, time.Millisecond
		p.Lose, p.LoseReply, p.Slow = 0.2, 0.2, 0.2
	})
	// flushing all the time.
	flushing_ = focused(func(p *Profile) {
		p.Mix = [kinds]int{GetAll: 3, Append: 4, Incr: 2, Set: 1, Flush: 2, SetNX: 1}
		p.Clients, p.Ops, p.Think = 4, 40, time.Millisecond
		p.Lose, p.LoseReply, p.Slow = 0.15, 0.2, 0.3
		p.Cached = 100
	})
	// snapshots of registers that change continuously.
	snapshots = focused(func(p *Profile) {
		p.Mix = [kinds]int{Snapshot: 5, Set: 2, Append: 4, Incr: 2}
		p.Regs, p.Clients, p.Ops, p.Think = 2, 4, 36, time.Millisecond
		p.Lose, p.LoseReply, p.CrashProxy = 0.02, 0.02, 0
	})
	// collecting: commands on collections with partial views, large states sent
	// in parts, and lagging nodes.
	collecting = focused(func(p *Profile) {
		p.Mix = [kinds]int{Call: 40, Del: 1}
		p.Regs, p.Clients, p.Ops, p.Think = MaxRegs, 4, 100, time.Millisecond
		p.Limits.VotedState = 150
		p.Slow, p.Tail, p.Lose, p.LoseReply = 0.2, 5*time.Millisecond, 0.05, 0.05
		p.Crash, p.Down = 10, 30*time.Millisecond
		p.Cached = 100
	})
	// pipelining: reads of large collections in progress while other commands
	// of the same client follow, with failing nodes.
	pipelining = focused(func(p *Profile) {
		p.Mix = [kinds]int{Call: 40}
		p.Regs, p.Clients, p.Ops, p.Think = MaxRegs, 4, 120, time.Millisecond
		p.Pipeline, p.Proxies = 0.7, 2
		p.Limits.VotedState = 40
		p.Slow, p.Tail, p.LoseReply = 0.3, 10*time.Millisecond, 0.05
		p.Crash, p.Down = 40, 10*time.Millisecond
		p.Cached = 100
	})
	// fading: fields of hashes expire, and clocks differ.
	fading = focused(func(p *Profile) {
		p.Mix = [kinds]int{Call: 1}
		p.Regs, p.Clients, p.Ops, p.Think = 3, 4, 120, 2*time.Millisecond
		p.Skew, p.WildSkew = 14*time.Millisecond, 10*time.Millisecond
	})
	// filling: disks of one or more nodes fill up. Writes that add data are
	// refused, even if some nodes have voted for them, while old copies are in
	// transit.
	filling = focused(func(p *Profile) {
		p.Mix = [kinds]int{Get: 2, GetAll: 1, Set: 4, Append: 4, Incr: 2, Del: 3, Remove: 2, SetNX: 2}
		p.Clients, p.Ops, p.Think = 4, 40, time.Millisecond
		p.Fill, p.FillFor = 150, 10*time.Millisecond
		p.Lose, p.LoseReply, p.Double, p.Slow, p.Tail = 0.05, 0.1, 0.3, 0.2, 10*time.Millisecond
	})
	// restoring: an etcd that gives out proposer ids twice.
	restoring = focused(func(p *Profile) {
		p.Mix = [kinds]int{Get: 3, Set: 4, Append: 3, Incr: 2}
		p.Clients, p.Ops, p.Think, p.Proxies = 5, 80, time.Millisecond, 3
		p.Skew, p.WildSkew, p.Jump = 0, 10*time.Millisecond, 0
		p.Restore, p.CrashProxy, p.Crash, p.Down = 60, 3, 15, 5*time.Millisecond
	})
	// rollingBack: a node comes up on an old copy of its disk.
	rollingBack = focused(func(p *Profile) {
		p.Mix = [kinds]int{Get: 4, Set: 2, Append: 3, Incr: 2}
		p.Clients, p.Ops, p.Think = 4, 80, time.Millisecond
		p.Rollback, p.Shuffle, p.Slow = 60, 20, 0.2
	})
	// doubtful writes: answers are lost, lists are short, retries many.
	doubtful = focused(func(p *Profile) {
		p.Mix = [kinds]int{Get: 2, Set: 4, Append: 4, Incr: 2}
		p.Clients, p.Ops, p.Think = 5, 60, time.Millisecond
		p.Lose, p.LoseReply, p.Double = 0.15, 0.35, 0.3
		p.Limits.Entries = 4
	})
)

// profiles are those that tests name.
var profiles = map[string]func(uint64) Profile{"crashing": crashing, "expiring": expiring, "creating": creating,
	"partial": partial, "failing": failing, "flushing": flushing_, "snapshots": snapshots, "doubtful": doubtful,
	"collecting": collecting, "pipelining": pipelining, "fading": fading, "filling": filling,
	"restoring": restoring, "rollingBack": rollingBack}
