package proposer

import (
	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/caspaxos/history"
	"synod/protocol/caspaxos/rules"
	"synod/protocol/register"
)

// run executes waiting commands, in order, on the state that a round is based on. All
// their changes go out as one (§4).
type run struct {
	p       *Proposer
	r       *instance
	draft   register.Draft // the state after the commands so far
	size    int            // bytes of these changes, before they are made one
	changes int            // how many changes they made
	early   bool           // commands that change nothing may be answered at once
	stale   bool           // the state had expired
	room    diskroom.Room  // that a quorum has
	waits   bool           // a command that changes nothing waits for its answer: it may turn out to have changed something
	need    *register.Projection
}

// newRun begins on the register's view. An expired state counts as absent, and the
// change that is sent replaces it whole (§8).
func (p *Proposer) newRun(r *instance) *run {
	run := &run{p: p, r: r, draft: register.NewDraft(r.View)}
	if r.View.Header.Expired(p.now.Wall) {
		run.stale, run.changes = true, 1
		run.draft.Apply(register.Delete())
	}
	return run
}

// change is the sum of all commands.
func (run *run) change() register.Change {
	c := run.draft.Change()
	if run.stale && run.p.Omit.Has(rules.ExpiredFull) {
		c.Kind = register.Delta
	}
	return c
}

// executeQueue moves commands from the queue into the round's batch as far as the
// view serves them, and returns how many are in the batch. If even the first cannot
// run, need says what the view lacks.
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
			c.Seen = Seen{Ballot: r.Base}
			r.event()
			run.p.finish(c, c.answer, nil)
		} else {
			r.batch = append(r.batch, c)
			run.waits = run.waits || isRefused(c.answer) || history.Above(c.attempts, r.Base)
		}
	}
	rest := copy(r.queue, r.queue[taken:])
	clear(r.queue[rest:])
	r.queue = r.queue[:rest]
	return len(r.batch)
}

// execute runs one command, or leaves it if the view does not serve it.
func (run *run) execute(c *Command, first bool) bool {
	if len(c.attempts) > 0 && c.verdict == history.TookEffect {
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
	case isRefused(c.answer) && omit.Has(rules.RoomChosen):
		return true
	case !run.early || c.changed:
		return false
	case !c.asked && !omit.Has(rules.Replies):
		return false // the promises may be older than the command (§4.1)
	case behind > 0 && !omit.Has(rules.EarlyBatch):
		return false
	case run.waits && !omit.Has(rules.RoomOrder):
		return false // one before it may yet change something
	case len(c.attempts) > 0 && c.verdict == history.TookEffect:
		return false
	}
	return !history.Above(c.attempts, run.r.Base) || omit.Has(rules.EarlyAttempt)
}
