package proposer

import "synod/protocol/caspaxos/round"

// This file is the cache of idle registers that have a piggybacked promise or were
// lately contended. Losing an entry costs a round trip, never correctness (§4.2).

// releaseIdle is called when a register has nothing to do. It is remembered if that is
// useful; otherwise its memory is reused.
func (p *Proposer) releaseIdle(r *instance) {
	if r.Phase != round.Idle || len(r.queue) > 0 {
		return
	}
	p.cache.Remove(&r.link)
	r.ForgetReplies()
	some := r.detachedReads != nil && r.detachedReads.count > 0
	if p.Cached == 0 || (r.piggyback.ballot.IsZero() && r.met <= p.now.Mono && !some) {
		p.release(r)
		return
	}
	p.cache.Push(&r.link, r, 256+len(r.id.Key)+r.piggyback.view.Bytes()+48*len(r.piggyback.lineage.Entries))
	for p.cache.Len() > p.Cached || p.cache.Bytes() > p.CachedBytes {
		oldest := p.cache.Oldest()
		p.cache.Remove(&oldest.link)
		p.release(oldest)
	}
}

// release ends an instance.
func (p *Proposer) release(r *instance) {
	if p.instances[r.id.Key] == r {
		delete(p.instances, r.id.Key)
	}
	if r.detached != nil {
		p.endDetached(r)
	}
	r.event() // what comes next is not seen
	clear(r.queue[:cap(r.queue)])
	*r = instance{gen: r.gen + 1, queue: r.queue[:0], batch: r.batch[:0], Round: round.Round{Replies: r.Replies}}
	if len(p.free) < 4096 && cap(r.queue) <= 64 && cap(r.batch) <= 64 {
		p.free = append(p.free, r)
	}
}
