package caspaxos

import "synod/protocol/register"

// phase is where a register's round stands.
type phase uint8

const (
	idle phase = iota
	reading
	preparing
	fetching // of a prepared round: more of the state is being read
	accepting
	pausing // until the next try
)

// reg is a register with work to do, or one that is remembered for a while.
type reg struct {
	id    Register
	gen   uint32 // changes when the reg is reused, so that old timers miss
	queue []*Command

	phase     phase
	kind      roundKind
	cfg       *Config
	reqID     uint64 // of the present phase's requests
	fetchID   uint64 // of the extra read of the present phase, zero if none
	parts     parts  // what it has brought so far
	fetchAt   Set    // the members that it went to and that may still answer
	fetchFrom int    // the one of them that parts come from

	fetchTried Set  // the members that it went to, or waits for
	fetchBegan Mono // when it last went to one, or got on

	at        Set // members known to be at base
	ballot    Ballot
	asked     Set
	hedged    Set  // of these, those that were asked as others were late
	replied   Set  // members that answered in the sense of §3
	asksState Set  // members that were asked for the state with the ballots
	lost      Set  // members that did not, and will not to this request
	refused   Set  // of these, those that Nacked
	roomless  Set  // of these, those that have no room to promise
	refusedAt Mono // when the first of them did
	replies   []Reply
	proj      register.Projection
	started   Mono // when the phase began
	wake      Mono // when the phase wants to be looked at again

	batch   []*Command // the commands of the round
	view    register.View
	have    bool   // view is known
	base    Ballot // h, the ballot of view
	lineage Lineage
	try     *try
	change  register.Change
	changes int // of the batch's commands, that make up change
	next    Ballot
	granted Set
	behind  Set // members whose promise showed another state than base
	stale   Set // members that said Stale and wait for somebody to have the state
	passed  Set // members that are behind a large state, and are not brought up yet
	waited  Set // of these, those that the round turned out to need
	fixing  Set // members that are being sent the whole state

	carry    carried
	shared   bool   // another proposer has written it lately
	busy     Set    // members that could not take the Accept now
	tight    bool   // the round adds nothing, as a quorum has no room for more
	rulesOut bool   // the round is to be chosen, change it something or not: parked commands wait for that
	rmw      bool   // the register sees commands that depend on its state
	fails    int    // tries in a row that did not get through
	noBlind  Mono   // until when blind writes are not tried
	met      Mono   // until when it counts that another proposer was met
	armed    Mono   // when the earliest timer of this reg goes off, zero for none
	asksMore bool   // what a read asks for is what its commands turned out to need
	large    bool   // its state comes in parts
	aside    *aside // of a read that has left the register
	left     *left  // of the register that it has left
	elem     cacheLink
	cached   bool
	cacheLen int
}

type roundKind uint8

const (
	twoTrip roundKind = iota
	blind
	carriedOn
)

// carried is a promise for the next round (§4.2), with what is needed to use it.
type carried struct {
	ballot  Ballot
	cfg     *Config
	base    Ballot
	at      Set // members known to be at base
	view    register.View
	lineage Lineage
	since   Mono
}
