package caspaxos

// Outage is the error of a command on a slot of which it was known, when the
// command came or while it waited, that no quorum of its nodes could be had:
// nothing was done, and nothing was waited for. It is an ErrNoQuorum.
type Outage struct{ Reason string }

func (o *Outage) Error() string { return o.Reason }

// Unwrap makes errors.Is find ErrNoQuorum.
func (*Outage) Unwrap() error { return ErrNoQuorum }

// outage returns why commands on a slot are pointless at present, or nil.
func (p *Proposer) outage(slot uint16) error {
	if o := p.Env.Outage(slot); o != nil {
		return o
	}
	return nil
}

// giveUp answers the waiting commands during an outage, but not those with
// attempts: what became of these is asked for as long as they have time (§5).
func (p *Proposer) giveUp(r *reg, why error) {
	kept := make([]*Command, 0, len(r.queue))
	for _, c := range r.queue {
		if len(c.attempts) > 0 && !p.Omit.has(RuleOutage) {
			kept = append(kept, c)
		} else {
			p.finish(c, nil, why)
		}
	}
	r.queue = kept
}
