package caspaxos

import "synod/protocol/register"

// Ahead is an Operation that others of its kind often follow, each of which
// needs what lies behind what the one before it needed: pops from a list.
type Ahead interface {
	Operation
	// NeedsAhead is Needs and what will be of use to further operations, of
	// which that many wait. A proposer that has to ask for something of a state
	// it will change asks for this, and remembers it (§4.2).
	NeedsAhead(waiting int) register.Projection
}

// waitingNeeds is what the commands that wait need to see, as far as they are
// to run in the next round: one behind the first that needs all of a state,
// which may be large, has a round of its own.
func waitingNeeds(r *reg) register.Projection {
	var p register.Projection
	waiting := r.queue[:min(len(r.queue), maxBatch)]
	alike := 0
	for _, c := range waiting {
		if _, ok := c.Op.(Ahead); ok {
			alike++
		}
	}
	for n, c := range waiting {
		needs := c.Op.Needs()
		if a, ok := c.Op.(Ahead); ok {
			needs = a.NeedsAhead(alike - 1)
		}
		if needs.All && n > 0 && !p.All {
			break
		}
		p.Include(needs)
	}
	return p
}
