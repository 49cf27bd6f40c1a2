// Package operation is what a client wants done on one register, as consensus sees
// it: pure functions from a state to a change and a result. Data types and commands
// implement it; the proposer runs it.
package operation

import "synod/protocol/register"

// Operation is what a client wants done on one register: a pure function from the
// state it needs to a change and a result. It may be executed more than once, on
// different states, and must keep nothing from one execution to the next.
type Operation interface {
	// Needs is the part of the state that Execute reads, as far as it is known
	// beforehand.
	Needs() register.Projection
	// ReadOnly reports that Execute changes nothing, except for removing what has
	// expired: that must be chosen before anybody hears of it (§8).
	ReadOnly() bool
	// Blind reports that neither the change nor the result of Execute depends on
	// the state, so that it may be executed on register.Nothing (§4.3). Such an
	// operation's change is Full.
	Blind() bool
	// Execute runs the operation on a state, at the wall clock time now in Unix
	// milliseconds. The view's value, if it exists, has not expired. A change on an
	// absent register must be Full or None. The view is valid during the call; keys
	// and values of its elements may be kept.
	Execute(v register.View, now int64) Effect
}

// Prefetcher is an Operation that is often followed by others of its kind, each of
// which needs what comes after what the last one needed: pops from a list.
type Prefetcher interface {
	Operation
	// Prefetch is Needs and what waiting further operations will need. A proposer
	// that has to read a part of a state that it will change reads this instead,
	// and remembers it (§4.2).
	Prefetch(waiting int) register.Projection
}

// Effect is the outcome of executing an Operation.
type Effect struct {
	Change register.Change
	// Result is the reply for the client, opaque to consensus.
	Result any
	// Need, if not nil, says that the view lacks something: nothing else of the
	// effect counts, and the operation is to be executed again on a view that
	// covers Need as well.
	Need *register.Projection
}
