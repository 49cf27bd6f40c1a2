package acceptor

import (
	"slices"
	"time"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
)

const (
	maxContendedRegisters = 1 << 14
	contendedFor          = 5 * time.Minute // at least, since it was last seen
)

// contendedRegisters remembers for some time which registers several proposers
// write, or are about to.
type contendedRegisters struct{ generations[struct{}] }

// look reports whether a register is contended, now that b is about to be
// promised or voted for.
func (c *contendedRegisters) look(key string, rec *durable.Record, b ballot.Ballot) bool {
	if _, is := c.young[key]; is {
		return true
	}
	for _, e := range slices.Backward(rec.Lineage.Entries) { // of some seconds
		if e.Ballot.Proposer == b.Proposer {
			continue
		}
		c.put(key, struct{}{}, maxContendedRegisters)
		return true
	}
	_, is := c.old[key]
	return is
}
