package proposer

import (
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/counters"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// Env is what a Proposer asks of its driver. Calls must not block.
type Env interface {
	// Config returns who holds a slot, or nil if that is not known. Equal pointers mean
	// that nothing has changed.
	Config(slot uint16) *quorum.Config
	// Prefer returns the indices of the configuration's members in the order in which
	// to ask them: sticky per slot, fast ones first, those known to be down last. The
	// proposer does not keep it.
	Prefer(cfg *quorum.Config, slot uint16) []int
	// Reachable returns the members that there is a connection to and that have admitted
	// the proposer's id at some time (§1). While these contain no quorum, commands wait
	// and nothing is sent, so one that runs out of time then is known not to be done.
	Reachable(cfg *quorum.Config) quorum.Set
	// Outage returns why commands on a slot cannot be done at present, if no quorum of
	// its nodes has been there for a while, else nil. It may be wrong.
	Outage(slot uint16) *operation.Outage
	// Answering returns the reachable members that have left no request unanswered for
	// longer than a healthy node takes. It may be wrong and differ between proxies: it
	// decides how long to wait, never what is true.
	Answering(cfg *quorum.Config) quorum.Set
	// Missing returns the members that are unreachable or have been silent for so long
	// that they must be taken to be gone.
	Missing(cfg *quorum.Config) quorum.Set
	// Random returns a number in [0, n).
	Random(n int64) int64
}

// Options are what a Proposer is made of.
type Options struct {
	Clock  *ballot.Clock
	Env    Env
	Limits limits.Limits
	Timing limits.Timing
	Stats  *counters.Stats
	// Cached bounds the registers that the lane remembers between rounds, CachedBytes
	// the memory that they take.
	Cached      int
	CachedBytes int
	// Lane and Lanes make the ids of requests of different lanes distinct: they
	// are Lane modulo Lanes. Zero Lanes means a single lane.
	Lane, Lanes uint64
	// Due returns when something in a value may have expired, as Header.Expiry does
	// for the value as a whole (Unix milliseconds; 0: never). Nil: Header.Expiry.
	Due func(register.Header) int64
	// Omit is zero outside of tests.
	Omit rules.Set
}
