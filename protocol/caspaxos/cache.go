package caspaxos

import "synod/protocol/register"

// cache remembers idle registers that carry a promise or were lately in
// contention. It is a list in the order of use; losing an entry costs a round
// trip, never correctness (§4.2).
type cache struct {
	root  cacheLink // root.next is the one used last
	count int
	bytes int
}

type cacheLink struct {
	prev, next *cacheLink
	reg        *reg
}

func (c *cache) init() { c.root.prev, c.root.next = &c.root, &c.root }

// settle is called when a register has nothing to do: it is remembered if that
// is of use, else its memory is reused.
func (p *Proposer) settle(r *reg) {
	if r.phase != idle || len(r.queue) > 0 {
		return
	}
	p.uncache(r)
	clear(r.replies) // they may hold large states
	r.lineage, r.proj = Lineage{}, register.Projection{}
	some := r.left != nil && r.left.count > 0
	if p.Cached == 0 || (r.carry.ballot.IsZero() && r.met <= p.now.Mono && !some) {
		p.release(r)
		return
	}
	l := &r.elem
	l.reg = r
	l.prev, l.next = &p.cache.root, p.cache.root.next
	l.prev.next, l.next.prev = l, l
	r.cached, r.cacheLen = true, 256+len(r.id.Key)+r.carry.view.Bytes()+48*len(r.carry.lineage.Entries)
	p.cache.count++
	p.cache.bytes += r.cacheLen
	for p.cache.count > p.Cached || p.cache.bytes > p.CachedBytes {
		oldest := p.cache.root.prev.reg
		p.uncache(oldest)
		p.release(oldest)
	}
}

// uncache takes a register out of the list, if it is there.
func (p *Proposer) uncache(r *reg) {
	if !r.cached {
		return
	}
	l := &r.elem
	l.prev.next, l.next.prev = l.next, l.prev
	l.prev, l.next = nil, nil
	r.cached = false
	p.cache.count--
	p.cache.bytes -= r.cacheLen
}

func (p *Proposer) release(r *reg) {
	if p.regs[r.id.Key] == r {
		delete(p.regs, r.id.Key)
	}
	if r.aside != nil {
		p.endAside(r)
	}
	r.event() // what comes next is not seen
	clear(r.queue[:cap(r.queue)])
	*r = reg{gen: r.gen + 1, queue: r.queue[:0], batch: r.batch[:0], replies: r.replies}
	if len(p.free) < 4096 && cap(r.queue) <= 64 && cap(r.batch) <= 64 {
		p.free = append(p.free, r)
	}
}
