package caspaxos

import (
	"slices"

	"synod/protocol/register"
)

// run executes waiting commands, in order, on the state that a round is based
// on. All that they change goes out as one change (§4).
type run struct {
	p       *Proposer
	r       *reg
	draft   register.Draft // the state after the commands so far
	size    int            // bytes of these changes, before they are made one
	changes int            // how many changes they made to it
	early   bool           // commands that change nothing may be answered at once
	stale   bool           // the state was past its expiry
	room    Room           // that a quorum has
	waits   bool           // a command that changes nothing waits for its answer: it may yet turn out to have changed something
	behind  []uint64       // origins that are not answered early, as one of theirs is parked (see unsettled)
	need    *register.Projection
}

// newRun begins on the register's view. A state past its expiry counts as
// absent, and what is sent replaces it whole (§8).
func (p *Proposer) newRun(r *reg) *run {
	run := &run{p: p, r: r, draft: register.NewDraft(r.view), behind: p.unsettled(r, r.base)}
	if r.view.Header.Expired(p.now.Wall) {
		run.stale, run.changes = true, 1
		run.draft.Apply(register.Delete())
	}
	return run
}

// change is what all commands came to.
func (run *run) change() register.Change {
	c := run.draft.Change()
	if run.stale && run.p.Omit.has(RuleExpiredFull) {
		c.Kind = register.Delta
	}
	return c
}

// executeQueue moves commands from the queue into the round's batch as far as
// the view serves them, and returns how many there are in the batch. If not
// even the first can run, need says what it lacks.
func (run *run) executeQueue() int {
	r := run.r
	taken := 0
	for taken < min(len(r.queue), maxBatch) && run.size < maxBatchSize {
		c := r.queue[taken]
		if !run.execute(c, taken == 0) {
			break
		}
		taken++
		c.changes = run.changes
		if run.mayAnswer(c) {
			c.Seen = Seen{Ballot: r.base}
			r.event()
			run.p.finish(c, c.answer, nil)
		} else {
			r.batch = append(r.batch, c)
			run.waits = run.waits || isRefused(c.answer) || above(c.attempts, r.base)
		}
	}
	rest := copy(r.queue, r.queue[taken:])
	clear(r.queue[rest:])
	r.queue = r.queue[:rest]
	return len(r.batch)
}

// execute runs one command, or leaves it if the view does not serve it.
func (run *run) execute(c *Command, first bool) bool {
	if len(c.attempts) > 0 && c.verdict == tookEffect {
		c.changed = false // its answer is that of the attempt
		return true
	}
	needs := c.Op.Needs()
	if !run.draft.View().Covers(needs) {
		if first {
			run.need = &needs
		}
		return false
	}
	e := c.Op.Execute(run.draft.View(), run.p.now.Wall)
	if e.Need != nil {
		if first {
			run.need = e.Need
		}
		return false
	}
	if why := run.refuses(c, run.draft.View(), e.Change); why != nil {
		c.answer, c.changed = refused{why}, false
		return true
	}
	c.answer = e.Result
	c.changed = e.Change.Kind != register.None
	if c.changed {
		if e.Change.Kind == register.Delta && !run.draft.View().Header.Exists() {
			e.Change.Kind = register.Full
		}
		run.draft.Apply(e.Change)
		run.size += e.Change.Bytes()
		run.changes++
	}
	return true
}

// mayAnswer reports whether the command, just executed, may be answered before
// the round is chosen (§4.2.3).
func (run *run) mayAnswer(c *Command) bool {
	omit := run.p.Omit
	behind := run.changes // by commands before it
	if run.stale {
		behind--
	}
	switch {
	case isRefused(c.answer) && omit.has(RuleRoomChosen):
		return true
	case !run.early || c.changed:
		return false
	case !c.asked && !omit.has(RuleReplies):
		return false // the promises may be older than the command (§4.1)
	case behind > 0 && !omit.has(RuleEarlyBatch):
		return false
	case run.waits && !omit.has(RuleRoomOrder):
		return false // one before it may yet change something
	case len(c.attempts) > 0 && c.verdict == tookEffect:
		return false
	case slices.Contains(run.behind, c.Origin):
		return false
	}
	return !above(c.attempts, run.r.base) || omit.has(RuleEarlyAttempt)
}
