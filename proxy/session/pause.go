package session

import (
	"sync"
	"sync/atomic"
	"time"

	"synod/proxy/command"
)

// pause is CLIENT PAUSE: for a while all commands, or those that write, wait. It
// applies to the clients of this proxy.
type pause struct {
	active atomic.Bool // checked first: most of the time there is no pause

	mu     sync.Mutex
	until  time.Time
	writes bool          // only commands that write wait
	over   chan struct{} // closed when the pause changes or ends
	timer  *time.Timer
	ended  bool // no further pause begins
}

// begin pauses until a time, or longer if a longer pause is in force. A pause of all
// commands takes precedence over one of writes, as in Redis.
func (p *pause) begin(until time.Time, writes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	if p.active.Load() {
		writes = writes && p.writes
		if until.Before(p.until) {
			until = p.until
		}
	}
	p.clear()
	p.until, p.writes, p.over = until, writes, make(chan struct{})
	over := p.over
	p.timer = time.AfterFunc(time.Until(until), func() { p.expire(over) })
	p.active.Store(true)
}

// expire ends the pause that the channel belongs to.
func (p *pause) expire(over chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over == over {
		p.clear()
	}
}

// lift ends the pause.
func (p *pause) lift() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// end ends the pause for good: no other begins.
func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.clear()
}

// clear ends the pause and wakes all waiters; mu is held.
func (p *pause) clear() {
	if p.over == nil {
		return
	}
	p.timer.Stop()
	close(p.over)
	p.over = nil
	p.active.Store(false)
}

// holds reports whether the command must wait.
func (p *pause) holds(spec *command.Spec) bool {
	return p.active.Load() && p.barrier(spec) != nil
}

// barrier returns the channel that the command must wait for, or nil.
func (p *pause) barrier(spec *command.Spec) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over == nil || (p.writes && !spec.Has(command.Write)) {
		return nil
	}
	return p.over
}

// lostEvery is how often a waiting command checks whether its client hung up.
const lostEvery = 250 * time.Millisecond

// wait waits until the command may run. It returns false if its client was
// disconnected (gone) or hung up (lost).
func (p *pause) wait(spec *command.Spec, gone <-chan struct{}, lost func() bool) bool {
	look := time.NewTicker(lostEvery)
	defer look.Stop()
	for over := p.barrier(spec); over != nil; over = p.barrier(spec) {
		select {
		case <-over:
		case <-look.C:
			if lost() {
				return false
			}
		case <-gone:
			return false
		}
	}
	select {
	case <-gone: // at the same time as the pause ended
		return false
	default:
		return !lost()
	}
}
