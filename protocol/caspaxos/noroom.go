package caspaxos

// noRoom ends those commands of a round that read more than there is memory for.
// The round has sent no Accept, so those without an earlier attempt in doubt did
// nothing. The others, which may read less, go on.
func (p *Proposer) noRoom(r *reg) {
	reads := len(r.batch) // of a read; a round of two trips has its commands in the queue
	p.abandon(r)
	some := false
	for _, c := range r.queue {
		some = some || c.Op.Needs().Unbounded()
	}
	kept := make([]*Command, 0, len(r.queue))
	for i, c := range r.queue {
		if some && !c.Op.Needs().Unbounded() || !some && i >= max(1, reads) {
			kept = append(kept, c)
			continue
		}
		err := ErrNoRoom
		if len(c.attempts) > 0 {
			err = p.unknown(c)
		}
		p.finish(c, nil, err)
	}
	r.queue = kept
	p.start(r)
}
