package sim

import (
	"strings"
	"testing"
	"time"

	"synod/protocol/caspaxos"
)

// traceCase is a trace of PROTOCOL.md's appendix, or another that is too rare
// for random runs: with its rule omitted it must go wrong, with it it must not.
type traceCase struct {
	name string
	rule caspaxos.Rules
	// also are rules that would catch the same trace: they are omitted in both
	// runs, to show what this one is worth.
	also   caspaxos.Rules
	nodes  int
	change func(*Profile)
	script func(*Script)
}

var traceCases = []traceCase{
	{name: "doubled Accept is no grant", rule: caspaxos.RuleGrant, script: doubledAccept},
	{name: "Nack from memory", rule: caspaxos.RuleDurability, script: nackFromMemory},
	{name: "vote pushed out", rule: caspaxos.RuleNever, script: votePushedOut,
		change: func(p *Profile) { p.Limits.Entries = 3 }},
	{name: "vote pushed out, taken for an unused promise", rule: caspaxos.RuleUnused, script: votePushedOut,
		change: func(p *Profile) { p.Limits.Entries = 3 }},
	{name: "early answer under an own attempt", rule: caspaxos.RuleEarlyAttempt, script: earlyUnderAttempt},
	{name: "early answer in a batch", rule: caspaxos.RuleEarlyBatch, script: earlyInBatch},
	{name: "early answer from an expired state", rule: caspaxos.RuleEarlyExpired, script: earlyExpired},
	{name: "dropped lineage", rule: caspaxos.RuleDropped, script: droppedLineage},
	{name: "descendant behind a gap", rule: caspaxos.RuleMergeLineage, also: caspaxos.RuleGap, script: descendantBehindGap},
	{name: "descendant behind a gap, unnoticed", rule: caspaxos.RuleGap, also: caspaxos.RuleMergeLineage, script: descendantBehindGap},
	{name: "half a shortcut", rule: caspaxos.RuleSecondRead, script: halfShortcut,
		change: func(p *Profile) { p.Regs = 2 }},
	{name: "cut moved back", rule: caspaxos.RuleCutRaised, script: cutMovedBack},
	{name: "promise at the ceiling's tick", rule: caspaxos.RuleRestartID, script: ceilingTick},
	{name: "promise forgotten by a restart", rule: caspaxos.RuleRestartFloor, script: forgottenPromise},
	{name: "promise above the ceiling", rule: caspaxos.RuleCeiling, script: aboveCeiling},
	{name: "lineage read as votes", rule: caspaxos.RuleVotesNotLineage, script: lineageAsVotes},
	{name: "votes merged with lineage", rule: caspaxos.RuleVotesOwn, script: lineageAsVotes},
	{name: "promises older than the command", rule: caspaxos.RuleReplies, script: oldPromises},
	{name: "nothing known below the cut", rule: caspaxos.RuleCutUnknown, script: belowCut,
		change: func(p *Profile) { p.Limits.Entries = 3 }},
	{name: "carried on without a grant", rule: caspaxos.RuleGranted, script: withoutGrant},
	{name: "carried on from another's state", rule: caspaxos.RuleFetch, script: fetchOfAnother},
	{name: "late Accept after a flush", rule: caspaxos.RuleFlushFloor, script: lateAfterFlush},
	{name: "flushed where nothing was", rule: caspaxos.RuleFlushAbsent, script: flushedNothing},
	{name: "flush below a promise", rule: caspaxos.RuleFlushRefuses, script: flushBelowPromise},
	{name: "flush forgets votes", rule: caspaxos.RuleFlushCut, script: flushForgetsVotes},
	{name: "room for a late copy", rule: caspaxos.RuleRoomOpen, script: roomForLateCopy},
	{name: "early answer behind a refusal", rule: caspaxos.RuleRoomOrder, script: earlyBehindRefusal},
	{name: "no room for a retry", rule: caspaxos.RuleRoomChosen, script: noRoomForRetry},
	{name: "old epoch acked", rule: caspaxos.RuleEpoch, script: oldEpochAcked, nodes: 5},
	{name: "epoch made up", rule: caspaxos.RuleEpochShown, script: epochMadeUp},
	{name: "parked behind a later command", rule: caspaxos.RuleParked, script: parkedBehind},
	{name: "parked, and brought up by others", rule: caspaxos.RuleParkedChosen, script: parkedBroughtUp},
	{name: "two starts under one id", rule: caspaxos.RuleProposerOnce, script: twoStarts},
	{name: "ballot before a quorum has admitted the id", rule: caspaxos.RuleProposerQuorum, script: ballotBeforeQuorum},
	{name: "round across epochs", rule: caspaxos.RuleRoundEpoch, script: roundAcrossEpochs, nodes: 5},
}

// TestTrace runs the traces that broke the protocol's drafts.
func TestTrace(t *testing.T) {
	for _, c := range traceCases {
		t.Run(c.name, c.test)
	}
}

func (c *traceCase) test(t *testing.T) {
	without, lines := c.run(c.rule | c.also)
	if without == "" {
		t.Errorf("nothing goes wrong without the rule:\n%s", lines)
	} else {
		t.Logf("without: %.300s", without)
	}
	if *show {
		t.Logf("\n%s", lines)
	}
	if with, lines := c.run(c.also); with != "" {
		t.Errorf("with the rule: %s\n%s", with, lines)
	}
}

func (c *traceCase) run(omit caspaxos.Rules) (string, string) {
	p := scripted(max(c.nodes, 3), 4)
	if c.change != nil {
		c.change(&p)
	}
	p.Omit = omit
	s := NewScript(p)
	c.script(s)
	why := s.end()
	return why, strings.Join(s.lines, "\n")
}

// The operations that scripts use, all on k0.
var (
	set    = Op{Kind: Set}
	app    = Op{Kind: Append}
	setNX  = Op{Kind: SetNX}
	del    = Op{Kind: Del}
	getAll = Op{Kind: GetAll}
)

// attempt has P0 send the Accept of an APPEND, prepared at two nodes, that stays
// under way to all.
func (s *Script) attempt(op Op, nodes ...int) *record {
	s.prefer(0, nodes...)
	r := s.begin(0, op)
	s.to(0, nodes...)
	s.lose(0, others(len(s.nodes), nodes)...)
	s.back(0, nodes...)
	return r
}

// Gossip brings a to x2; the blind b is chosen at x1, x2; the doubled a, with
// its Prepare for P0's next round, is Acked at x2, which grants it nothing.
func doubledAccept(s *Script) {
	s.do(3, Op{Kind: Append, Reg: 1}, 0, 1, 2) // all have promised something: they have a ceiling
	s.begin(0, app)
	s.to(0, 0, 1)
	s.pass(5 * time.Millisecond)
	s.back(0, 0, 1) // prepared; what P0 promises itself next is 5 ms above a
	s.gossip(0, 2)
	toX2 := s.late(0, 2)
	s.to(0, 0)
	s.at(1, s.proxyTime(1).Add(-5*time.Millisecond))
	s.do(1, set, 1, 2) // b, between the two
	toX2()
	s.back(0, 0, 2)
	s.lose(0, 0, 1, 2)
	s.do(0, app, 0, 1)
}

// x0 holds r, not on its disk, and Nacks a for it; it crashes and votes a when
// that is delivered again; the retry counts x0 out.
func nackFromMemory(s *Script) {
	s.attempt(app, 1, 2)
	a := s.late(0, 0)
	s.holdDisk(0)
	s.begin(1, set)
	s.to(1, 0)
	a() // Nacked
	s.back(0, 0)
	s.crash(0)
	a() // voted
	s.to(0, 1)
	s.lose(0, 0, 1, 2)
	s.do(2, getAll, 0, 1) // sees a
	s.to(1, 2)
	s.restartProxy(1)
	s.retry(0, 1, 2) // x2 has r
}

// a is chosen at x0 and x1, its Acks are lost. Later ballots push the vote out
// of x1's list; the doubled a is Nacked; the retry counts x1 out.
func votePushedOut(s *Script) {
	s.attempt(app, 0, 1)
	a := s.late(0, 1)
	s.to(0, 0)
	a()
	s.lose(0, 0, 1, 2)
	s.do(2, getAll, 0, 1) // sees a
	for range 3 {
		s.begin(1, set)
		s.to(1, 1)
		s.restartProxy(1)
	}
	s.do(1, set, 1, 2)
	a()
	s.back(0, 1) // Nacked
	s.retry(0, 0, 2)
}

// P0's DEL and SETNX make one attempt, which is at x2 only. DEL's time is up;
// SETNX is tried again on x0 and x1, where the value still is, and says so; P1
// carries the attempt on.
func earlyUnderAttempt(s *Script) {
	s.do(1, set, 0, 1, 2)
	s.prefer(0, 1, 2)
	s.begin(0, del)
	s.silence(0, s.Limits.Command-80*time.Millisecond)
	s.begin(0, setNX)
	for !s.waiting(0) {
		s.pass(time.Millisecond)
	}
	s.trip(0, 1, 2)
	s.to(0, 2) // the attempt
	s.silence(0, 80*time.Millisecond)
	s.retry(0, 0, 1)
	s.do(1, app, 0, 2)
}

// P0's first SETNX makes the value that its second one finds; nobody else hears
// of it.
func earlyInBatch(s *Script) {
	s.begin(0, getAll)
	s.begin(0, setNX)
	s.begin(0, setNX)
	s.trip(0, 0, 1) // the read; both wait for the same round
	s.trip(0, 0, 1)
	s.restartProxy(0)
	s.do(1, getAll, 0, 1)
}

// By P0's clock the value has expired; P0's delete is lost; by P1's it lives.
func earlyExpired(s *Script) {
	s.do(1, Op{Kind: SetEx, Expiry: s.trueWall() + 60}, 0, 1, 2)
	s.proxies[0].clock.offset = 100 * time.Millisecond
	s.begin(0, getAll)
	s.trip(0, 0, 1) // the read
	s.trip(0, 0, 1) // the delete's Prepare
	s.proxies[0].clock.offset = 0
	s.restartProxy(0)
	s.do(1, getAll, 0, 1)
}

// a is chosen, its Acks are lost; it is deleted and its tombstone dropped; a new
// write is based on nothing.
func droppedLineage(s *Script) {
	s.attempt(app, 0, 1)
	s.to(0, 0, 1)
	s.lose(0, 0, 1, 2)
	s.do(2, getAll, 0, 1) // sees a
	s.do(1, del, 0, 1, 2)
	s.trip(1, 0, 1, 2)
	s.drop(0)
	s.pass(2 * time.Millisecond)
	s.do(3, app, 0, 1, 2)
	s.retry(0, 0, 1)
}

// a and its child are at x1; the grandchild is chosen at x0 and x1, x0 got it
// without what came before; a blind write is at x0 and x2, and so is the retry.
func descendantBehindGap(s *Script) {
	s.attempt(app, 1, 2)
	s.to(0, 1)
	s.lose(0, 0, 1, 2)
	s.prefer(1, 1, 2)
	s.begin(1, app)
	s.trip(1, 1, 2)
	s.to(1, 1)
	s.restartProxy(1)
	s.prefer(2, 1, 2)
	g := s.begin(2, app)
	s.trip(2, 1, 2)
	s.lose(2, 2)
	s.finish(g, 2, 0, 1)
	s.do(3, set, 0, 2)
	s.retry(0, 0, 2)
}

// A snapshot's second read of k0 is left out since x0 and x1 have held it for
// long, that of k1 is not: k0 changes, then k1, between the first reads.
func halfShortcut(s *Script) {
	s.do(1, Op{Kind: Set}, 0, 1, 2)
	s.pass(20 * time.Millisecond)
	s.do(1, Op{Kind: Set, Reg: 1}, 0, 1, 2)
	s.prefer(0, 0, 1)
	snap := s.begin(0, Op{Kind: Snapshot})
	s.pass(10 * time.Microsecond)
	s.onlyReg(0, 0, 0, 1)
	s.do(1, Op{Kind: Set}, 0, 1, 2)
	s.do(1, Op{Kind: Set, Reg: 1}, 0, 1, 2)
	for range 10 {
		s.trip(0, 0, 1)
		s.pass(10 * time.Microsecond)
	}
	_ = snap
}

// x0 and x1 have cut a away. A full change brings them an entry from x2 that is
// older still; they drop it and take their cut back to it.
func cutMovedBack(s *Script) {
	s.do(1, app, 0, 1, 2)
	s.trip(1, 0, 1, 2)
	s.attempt(app, 0, 1)
	s.to(0, 0, 1)
	s.lose(0, 0, 1, 2)
	s.do(2, getAll, 0, 1) // sees a
	s.restartProxy(1)
	s.pass(40 * time.Millisecond)
	for _, n := range s.nodes[:2] { // what is older than 20 ms is older than 2 L to them
		n.clock.offset = 2*s.Limits.Command - 20*time.Millisecond
	}
	s.do(3, set, 0, 1)
	s.lose(3, 2)
	s.prefer(1, 0, 2)
	r := s.begin(1, del)
	s.trip(1, 0, 2)
	s.lose(1, 2)
	s.finish(r, 1, 0, 1)
	s.retry(0, 0, 1)
}

// x0 and x1 promise a ballot at the very tick of their ceiling and restart; a
// lower proposer's ballot of that tick is not above what they promised.
func ceilingTick(s *Script) {
	s.do(3, Op{Kind: Append, Reg: 1}, 0, 1, 2)
	tick := s.nodes[0].node.State().Ceiling
	s.at(1, tick)
	s.at(2, tick)
	s.beginNow(1, set)
	s.prefer(2, 0, 1)
	s.beginNow(2, setNX)
	s.holdDisk(0)
	s.holdDisk(1)
	s.trip(2, 0, 1)
	s.crash(0)
	s.crash(1)
	s.trip(1, 0, 1)
	s.trip(2, 0, 1)
}

// x0 and x1 make a promise below their ceiling, and restart.
func forgottenPromise(s *Script) {
	s.do(3, Op{Kind: Append, Reg: 1}, 0, 1, 2)
	aboveCeiling(s)
}

// P0's next ballot is beyond what the nodes may promise. P1 writes in between.
func withoutGrant(s *Script) {
	s.begin(0, app)
	s.to(0, 0, 1)
	s.proxies[0].clock.offset = s.Limits.CeilingAhead + 50*time.Millisecond
	s.back(0, 0, 1)
	s.trip(0, 0, 1)
	s.lose(0, 2)
	s.do(1, app, 0, 1)
	s.lose(1, 2)
	s.do(0, app, 0, 1)
}

// P0 has a promise for its next round, for which it has to read one more field,
// from x0. There a blind write has come in above the promise, there alone.
func fetchOfAnother(s *Script) {
	s.do(1, Op{Kind: Append2, G: 1}, 0, 1, 2)
	s.do(0, app, 0, 1, 2)
	s.pass(2 * s.Timing.Shared)
	s.do(0, app, 0, 1, 2) // nobody else has written since
	r := s.begin(0, Op{Kind: Append, F: 1})
	s.begin(2, set)
	s.to(2, 0)
	s.restartProxy(2)
	s.trip(0, 0) // the read
	s.finish(r, 0, 1, 2)
}

// a is chosen at x0 and x1 and answered. x1 and x2 are flushed; then a comes to
// x2.
func lateAfterFlush(s *Script) {
	s.do(1, set, 0, 1)
	a := s.late(1, 2)
	s.do(3, Op{Kind: Flush}, 1, 2)
	s.lose(3, 0)
	a()
	s.do(2, getAll, 0, 2)
}

// a is chosen at x0 and x1, its Acks are lost; later ballots push it out of both
// lists.
func belowCut(s *Script) {
	s.attempt(app, 0, 1)
	s.to(0, 0, 1)
	s.lose(0, 0, 1, 2)
	s.do(2, getAll, 0, 1) // sees a
	for range 4 {
		s.do(1, set, 0, 1)
		s.restartProxy(1) // it knows of nobody else: its writes are blind
	}
	s.retry(0, 0, 1)
}

// x0 and x1 promise what is above their ceiling, and restart.
func aboveCeiling(s *Script) {
	s.beginNow(1, set)
	s.prefer(2, 0, 1)
	s.beginNow(2, setNX)
	s.holdDisk(0)
	s.holdDisk(1)
	s.trip(2, 0, 1)
	s.crash(0)
	s.crash(1)
	s.trip(1, 0, 1)
	s.trip(2, 0, 1)
}

// a is at x1 only. x0 learns of it with a full change of P1's; a blind write
// hides all; to the retry x0 and x1 look like two votes.
func lineageAsVotes(s *Script) {
	s.attempt(app, 1, 2)
	s.to(0, 1)
	s.lose(0, 0, 1, 2)
	s.do(2, setNX, 0, 2)
	s.prefer(1, 0, 2)
	s.begin(1, getAll)
	s.begin(1, app)
	r := s.begin(1, set)
	s.trip(1, 0, 2) // the read; the other two go out as one full change
	s.trip(1, 1, 2)
	s.trip(1, 2)
	s.lose(1, 1)
	s.finish(r, 1, 0, 2)
	s.do(3, set, 0, 1)
	s.retry(0, 0, 1)
}

// P0's promises were made before P2 deleted the value; then P0 is asked whether
// it is there.
func oldPromises(s *Script) {
	s.do(1, set, 0, 1, 2)
	s.prefer(0, 0, 1)
	s.begin(0, setNX)
	s.to(0, 0, 1)
	s.back(0, 0)
	s.do(2, del, 1, 2)
	s.begin(0, Op{Kind: Exists})
	s.back(0, 1)
}

// A value is at x0 and x1; x1 and x2 are flushed; x2, which never had it, and x0
// are asked.
func flushedNothing(s *Script) {
	s.do(1, set, 0, 1)
	s.lose(1, 2)
	s.do(3, Op{Kind: Flush}, 1, 2)
	s.lose(3, 0)
	s.do(2, app, 0, 2)
}

// x0 and x1 have promised P2's round, which is based on the old value, when they
// are flushed at a ballot below it.
func flushBelowPromise(s *Script) {
	s.do(1, set, 0, 1, 2)
	s.pass(20 * time.Millisecond)
	s.prefer(2, 0, 1)
	r := s.begin(2, app)
	s.trip(2, 0, 1)
	s.at(3, s.proxyTime(3).Add(-10*time.Millisecond))
	s.do(3, Op{Kind: Flush}, 0, 1)
	s.lose(3, 2)
	s.finish(r, 2, 2, 0, 1)
}

// a is chosen, its Acks are lost; a flush wipes it, and with it who voted.
func flushForgetsVotes(s *Script) {
	s.attempt(app, 0, 1)
	s.to(0, 0, 1)
	s.lose(0, 0, 1, 2)
	s.do(2, getAll, 0, 1) // sees a
	s.pass(5 * time.Millisecond)
	s.do(1, Op{Kind: Flush}, 0, 1, 2)
	s.retry(0, 0, 1)
}

// x0 and x1 answer a message of epoch 3 without having taken it, so that whoever
// drives the change believes that they have and goes on to epoch 4. Then they ack
// one of epoch 2.
func oldEpochAcked(s *Script) {
	s.place(2, []caspaxos.NodeID{0, 1, 2}, nil, []int{0, 1, 2, 3}, s.all())
	s.place(3, []caspaxos.NodeID{0, 1, 2}, []caspaxos.NodeID{2, 3, 4}, []int{0}, []int{2, 3, 4})
	s.prefer(0, 0, 1, 3, 4)
	r := s.begin(0, getAll)
	if s.trip(0, 0, 1, 3, 4); !r.closed {
		s.place(3, []caspaxos.NodeID{0, 1, 2}, []caspaxos.NodeID{2, 3, 4}, nil, []int{0, 1})
		s.finish(r, 0, 0, 1, 3, 4)
	}
	s.place(4, []caspaxos.NodeID{2, 3, 4}, nil, []int{0}, []int{2, 3, 4})
	s.do(1, set, 0, 1)
	s.do(0, getAll, 3, 4)
}

// Somebody sends x0 and x1 a message of an epoch that is no placement's.
func epochMadeUp(s *Script) {
	s.do(0, set, 0, 1)
	s.stray(caspaxos.Request{Kind: caspaxos.KindRead, Register: registerOf(0), Epoch: 1 << 63}, 0, 1)
	s.do(0, app, 0, 1)
}

// P0 was promised its next round under epoch 2 and begins it under epoch 4,
// whose members have accepted something else since.
func roundAcrossEpochs(s *Script) {
	s.place(2, []caspaxos.NodeID{0, 1, 2}, nil, []int{0, 1, 2, 3}, s.all())
	s.begin(0, app)
	s.to(0, 0, 1)
	between := s.proxyTime(0).Add(2 * time.Millisecond)
	s.pass(5 * time.Millisecond)
	s.back(0, 0, 1) // as in doubledAccept, to leave room below the next ballot
	s.trip(0, 0, 1)
	s.lose(0, 0, 1, 2)
	s.place(3, []caspaxos.NodeID{0, 1, 2}, []caspaxos.NodeID{2, 3, 4}, []int{1}, s.all())
	s.copyTo(0, 2, 3, 4)
	s.place(4, []caspaxos.NodeID{2, 3, 4}, nil, []int{1}, s.all())
	s.at(1, between)
	s.do(1, app, 3, 4)
	s.place(4, []caspaxos.NodeID{2, 3, 4}, nil, []int{0, 2, 3}, nil)
	s.do(0, app, 2, 3)
}

// roomForLateCopy: all members refuse a write for want of room. When there is some
// again, one of them votes for a copy of it that was late.
func roomForLateCopy(s *Script) {
	for _, n := range s.nodes {
		n.makeRoom(caspaxos.RoomLow)
	}
	r := s.begin(0, set)
	again := s.late(0, 2)
	s.to(0, 0, 1)
	again()
	s.prefer(0, 0, 1)
	s.back(0, 0, 1, 2)
	s.finish(r, 0, 0, 1)
	s.lose(0, s.all()...)
	for _, n := range s.nodes {
		n.makeRoom(caspaxos.RoomEnough)
	}
	again()
	s.do(1, app, 1, 2)
}

// noRoomForRetry: one member has voted for a write, the others have no room for
// it, also when it is tried again.
func noRoomForRetry(s *Script) {
	s.nodes[0].makeRoom(caspaxos.RoomLow)
	s.nodes[1].makeRoom(caspaxos.RoomLow)
	r := s.begin(0, set)
	s.to(0, 0, 1, 2)
	s.lose(0, 2)
	s.prefer(0, 0, 1)
	s.back(0, 0, 1)
	s.finish(r, 0, 0, 1)
	s.lose(0, s.all()...)
	s.nodes[0].makeRoom(caspaxos.RoomEnough)
	s.nodes[1].makeRoom(caspaxos.RoomEnough)
	s.do(1, app, 1, 2)
}

// earlyBehindRefusal: there is no room for the first of two commands of a client
// when it is tried again, but it has an attempt in doubt and is not answered yet. In
// the end it takes effect: after what the second has seen.
func earlyBehindRefusal(s *Script) {
	s.pass(2 * time.Millisecond)
	s.beginOf(1, 0, app)
	s.beginOf(1, 0, Op{Kind: Get})
	s.prefer(0, 0, 1)
	s.trip(0, 0, 1)
	s.lose(0, s.all()...)
	s.nodes[0].makeRoom(caspaxos.RoomLow)
	s.nodes[1].makeRoom(caspaxos.RoomLow)
	for range 100 {
		if s.pass(time.Millisecond); s.waiting(0) {
			break
		}
	}
	s.trip(0, 0, 1)
	s.lose(0, s.all()...)
	s.nodes[0].makeRoom(caspaxos.RoomEnough)
	s.nodes[1].makeRoom(caspaxos.RoomEnough)
	s.retry(0, 0, 1)
}
