// Package txn runs commands on several registers. At present these are reads: MGET,
// EXISTS and others see all their keys as they were at one moment, whatever slots
// these are in (PROTOCOL §7).
package txn

import (
	"sync/atomic"
	"time"

	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/operation"
	"synod/protocol/register"
)

// Submitter runs commands on single registers; proxy/proposer has it.
type Submitter interface {
	Submit([]*proposer.Command)
	Now() instant.Mono
}

// Snapshots runs reads of several registers. It is safe for concurrent use.
type Snapshots struct {
	Registers Submitter
	Limits    limits.Limits
	// Omit is zero outside of tests.
	Omit rules.Set
}

// Then gets commands that are all done and returns more commands for the same
// snapshot, with the same Started; none if that is all. A nil Then never adds any. It
// is called again with all commands when the new ones are done, and starts over when
// the snapshot has to be taken again.
type Then func(cmds []*proposer.Command) []*proposer.Command

// snapshot is one command's reads.
type snapshot struct {
	owner   *Snapshots
	cmds    []*proposer.Command
	begin   int                 // how many of them there were at first
	then    Then                // not nil
	grows   bool                // then may add to them
	probes  []*proposer.Command // the second reads, one for each of cmds
	reads   Flow                // of cmds
	looks   Flow                // of probes
	waiting atomic.Int32
	done    func([]*proposer.Command)
}

// Read executes read-only commands, and those that then adds to them, on one
// state of all their registers and calls done with all of them when each has
// its Result or Err; the commands' own Done is not used. If one fails, all
// fail. All commands have the same Started.
//
// The second reads begin when all first reads have ended, including those that then
// added. If all ballots are unchanged, the first reads are the state at the moment in
// between (PROTOCOL §7).
func (s *Snapshots) Read(cmds []*proposer.Command, then Then, done func([]*proposer.Command)) {
	run := &snapshot{owner: s, cmds: cmds, begin: len(cmds), then: then, grows: then != nil, done: done}
	if then == nil {
		run.then = func([]*proposer.Command) []*proposer.Command { return nil }
	}
	run.reads = Flow{To: s.Registers, Within: s.Limits.Command / 2}
	run.looks = Flow{To: s.Registers, Within: s.Limits.Command / 2}
	run.first(cmds)
}

// first reads registers for the first time.
func (s *snapshot) first(cmds []*proposer.Command) {
	s.waiting.Store(int32(len(cmds)))
	for _, c := range cmds {
		c.Result, c.Err, c.Seen = nil, nil, proposer.Seen{}
		c.Done = s.firstDone
	}
	s.reads.Submit(cmds)
}

func (s *snapshot) firstDone(c *proposer.Command) {
	s.reads.Ended(c)
	if s.waiting.Add(-1) > 0 {
		return
	}
	if s.failed(s.cmds) {
		s.done(s.cmds)
		return
	}
	if more := s.then(s.cmds); len(more) > 0 {
		s.cmds = append(s.cmds[:len(s.cmds):len(s.cmds)], more...)
		s.first(more)
		return
	}
	if len(s.cmds) == 1 || s.unchanged() {
		s.done(s.cmds)
		return
	}
	s.second()
}

// unchanged reports whether every register provably has not changed since the command
// began: then the first reads are a snapshot already. If a single register may have
// changed, all need the second read.
func (s *snapshot) unchanged() bool {
	for _, c := range s.cmds {
		if !c.Seen.Held {
			return false
		}
	}
	return true
}

// skip reports whether one register's second read is left out although others have
// theirs. §7 forbids that; only tests do it.
func (s *snapshot) skip(c *proposer.Command) bool {
	return s.owner.Omit.Has(rules.SecondRead) && c.Seen.Held
}

// second reads the ballots of all registers again.
func (s *snapshot) second() {
	s.waiting.Store(int32(len(s.cmds)))
	s.probes = make([]*proposer.Command, len(s.cmds))
	for i, c := range s.cmds {
		s.probes[i] = &proposer.Command{Register: c.Register, Op: probe{}, Started: c.Started, Done: s.secondDone}
	}
	s.looks.Submit(s.probes)
}

func (s *snapshot) secondDone(c *proposer.Command) {
	s.looks.Ended(c)
	if s.waiting.Add(-1) > 0 {
		return
	}
	if s.failed(s.probes) {
		s.fail(s.cmds[0].Err)
		return
	}
	var changed []*proposer.Command
	for i, c := range s.cmds {
		if c.Seen.Ballot != s.probes[i].Seen.Ballot && !s.skip(c) {
			changed = append(changed, c)
		}
	}
	if len(changed) == 0 {
		s.done(s.cmds)
		return
	}
	s.again(changed)
}

// again repeats the reads of the registers that have changed, unless the time is up, and
// then reads the ballots of all. The others need not be read again: a ballot stands for
// one state, so if a third read finds the same ballot, the first result still holds.
// If the content of some registers decides which others are read, it starts over.
func (s *snapshot) again(changed []*proposer.Command) {
	if time.Duration(s.owner.Registers.Now()-s.cmds[0].Started) > s.owner.Limits.Command {
		s.fail(operation.ErrContention)
		return
	}
	if s.grows {
		s.cmds = s.cmds[:s.begin]
		changed = s.cmds
	}
	s.first(changed)
}

// failed reports whether one of the commands failed. If so, it fails all.
func (s *snapshot) failed(cmds []*proposer.Command) bool {
	for _, c := range cmds {
		if c.Err != nil {
			for _, d := range s.cmds {
				d.Err, d.Result = c.Err, nil
			}
			return true
		}
	}
	return false
}

func (s *snapshot) fail(err error) {
	for _, c := range s.cmds {
		c.Err, c.Result = err, nil
	}
	s.done(s.cmds)
}

// probe reads a register's ballot and nothing else.
type probe struct{}

func (probe) Needs() register.Projection                    { return register.Projection{} }
func (probe) ReadOnly() bool                                { return true }
func (probe) Blind() bool                                   { return false }
func (probe) Execute(register.View, int64) operation.Effect { return operation.Effect{} }
