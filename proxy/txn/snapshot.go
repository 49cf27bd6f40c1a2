// Package txn runs commands that concern several registers. At present these
// are reads: MGET, EXISTS and their like see all their keys as they were at one
// moment, whatever slots these are in (PROTOCOL §7).
package txn

import (
	"sync/atomic"
	"time"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// Submitter runs commands on single registers; proxy/proposer has it.
type Submitter interface {
	Submit([]*caspaxos.Command)
	Now() caspaxos.Mono
}

// Snapshots runs reads of several registers. It is safe for concurrent use.
type Snapshots struct {
	Registers Submitter
	Limits    caspaxos.Limits
	// Omit is zero outside of tests.
	Omit caspaxos.Rules
}

// snapshot is one command's reads.
type snapshot struct {
	owner   *Snapshots
	cmds    []*caspaxos.Command
	probes  []*caspaxos.Command // the second reads, one for each of cmds
	waiting atomic.Int32
	done    func()
}

// Read executes read-only commands on one state of all their registers and
// calls done when each has its Result or Err; the commands' own Done is not
// used. If one fails, all fail. All commands have the same Started.
func (s *Snapshots) Read(cmds []*caspaxos.Command, done func()) {
	run := &snapshot{owner: s, cmds: cmds, done: done}
	run.first()
}

// first reads all registers.
func (s *snapshot) first() {
	s.waiting.Store(int32(len(s.cmds)))
	for _, c := range s.cmds {
		c.Result, c.Err, c.Seen = nil, nil, caspaxos.Seen{}
		c.Done = s.firstDone
	}
	s.owner.Registers.Submit(s.cmds)
}

func (s *snapshot) firstDone(*caspaxos.Command) {
	if s.waiting.Add(-1) > 0 {
		return
	}
	if s.failed(s.cmds) || len(s.cmds) == 1 || s.unchanged() {
		s.done()
		return
	}
	s.second()
}

// unchanged reports that every register provably did not change since the
// command began: then the first reads were one snapshot by themselves. One
// register that may have changed is enough to need the second read for all.
func (s *snapshot) unchanged() bool {
	for _, c := range s.cmds {
		if !c.Seen.Held {
			return false
		}
	}
	return true
}

// skip reports that one register's second read is left out although others have
// theirs: the half of a shortcut that §7 forbids.
func (s *snapshot) skip(c *caspaxos.Command) bool {
	return s.owner.Omit.Omits(caspaxos.RuleSecondRead) && c.Seen.Held
}

// second reads the ballots of all registers again.
func (s *snapshot) second() {
	s.waiting.Store(int32(len(s.cmds)))
	s.probes = make([]*caspaxos.Command, len(s.cmds))
	for i, c := range s.cmds {
		s.probes[i] = &caspaxos.Command{Register: c.Register, Op: probe{}, Started: c.Started, Done: s.secondDone}
	}
	s.owner.Registers.Submit(s.probes)
}

func (s *snapshot) secondDone(*caspaxos.Command) {
	if s.waiting.Add(-1) > 0 {
		return
	}
	if s.failed(s.probes) {
		s.fail(s.cmds[0].Err)
		return
	}
	for i, c := range s.cmds {
		if c.Seen.Ballot != s.probes[i].Seen.Ballot && !s.skip(c) {
			s.again()
			return
		}
	}
	s.done()
}

// again starts over, unless the time is up.
func (s *snapshot) again() {
	if time.Duration(s.owner.Registers.Now()-s.cmds[0].Started) > s.owner.Limits.Command {
		s.fail(caspaxos.ErrContention)
		return
	}
	s.first()
}

// failed reports whether one of the commands failed, and then fails all.
func (s *snapshot) failed(cmds []*caspaxos.Command) bool {
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
	s.done()
}

// probe reads a register's ballot and nothing else.
type probe struct{}

func (probe) Needs() register.Projection                   { return register.Projection{} }
func (probe) ReadOnly() bool                               { return true }
func (probe) Blind() bool                                  { return false }
func (probe) Execute(register.View, int64) caspaxos.Effect { return caspaxos.Effect{} }
