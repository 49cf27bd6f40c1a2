package keyspace

import (
	"context"
	"math/rand/v2"
	"time"

	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/register"
	"synod/protocol/resp"
	"synod/proxy/datatype/hash"
	"synod/proxy/router"
)

const (
	// reapEvery is the interval between searches for expired keys and hash
	// fields that nobody reads.
	reapEvery = time.Second
	// reapPage is how many keys a node lists at a time, reapAtOnce how many of
	// them are handled concurrently, and reapFor the maximum time for one slot
	// range before the next.
	reapPage   = 256
	reapAtOnce = 128
	reapFor    = reapEvery / 2
	// While the nodes have other work, the reaper pauses reapRest times as long
	// as it worked. So it works at most a sixth of the time, and slows down
	// when the nodes are busy.
	reapRest    = 5
	reapRestMax = time.Second
	// reapIdle is the number of other requests per second up to which a node
	// counts as idle. Deleting a key causes reapVotes requests to it, and at
	// most reapReads.
	reapIdle  = 100
	reapVotes = 2
	reapReads = 1
	// reapFailed is how long a range is skipped after a key could not be
	// deleted. Meanwhile, the node that lists it lets another proxy try.
	reapFailed = 2 * listing.ReapTurn
)

// Reap deletes expired keys and hash fields that nobody reads, until ctx ends
// (PROTOCOL §8). All proxies try, but a node lists expired keys to only one
// proxy at a time. The list is only a hint: the delete is chosen by reading the
// expired register, and hash.Reap removes the fields of a live one.
func (k *Keyspace) Reap(ctx context.Context) {
	reapers := make(map[uint16]*reaper) // by first slot of the range
	for left := false; ; {
		if !left {
			// Proxies that start together should not search together.
			if !rest(ctx, reapEvery/2+rand.N(reapEvery)) {
				return
			}
		}
		left = false
		for _, rng := range k.Nodes.Ranges() {
			r := reapers[rng.First]
			if r == nil {
				r = &reaper{k: k}
				reapers[rng.First] = r
			}
			if ctx.Err() != nil {
				return
			}
			left = r.turn(ctx, rng) || left
		}
	}
}

// rest waits until the time has passed or ctx ends.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// reaper deletes expired data in one slot range.
type reaper struct {
	k    *Keyspace
	next uint16    // slot to continue from
	not  time.Time // earliest time of the next turn

	// Counters of the last listing node at that time.
	node         quorum.NodeID
	reads, votes uint64
	when         time.Time
	own          int64 // keys handled since
	known        bool
}

// turn works on the range for a while. It returns whether more work is left.
func (r *reaper) turn(ctx context.Context, rng router.SlotRange) (more bool) {
	if r.next < rng.First || r.next > rng.Last { // the placement has changed
		r.next = rng.First
	}
	if time.Now().Before(r.not) {
		return false
	}
	for began := time.Now(); time.Since(began) < reapFor; {
		page, busy := r.list(ctx, rng)
		if page == nil {
			return false
		}
		if err := r.deleteAll(ctx, page, busy); err != nil {
			r.not = time.Now().Add(reapFailed)
			return false
		}
		if r.next = page.NextSlot; page.Done {
			r.next = rng.First
			return false
		}
	}
	return true
}

// list asks a node for expired keys, and whether the node has other work. Nil
// means that it does not answer, or that another proxy deletes them.
func (r *reaper) list(ctx context.Context, rng router.SlotRange) (page *listing.Reply, busy bool) {
	ctx, cancel := context.WithTimeout(ctx, r.k.Limits.Command)
	defer cancel()
	// All proxies should ask the same node.
	node := rng.Config.Nodes()[r.k.Nodes.Prefer(rng.Config, rng.First)[0]]
	page, err := r.k.Nodes.List(ctx, node, listing.Request{Epoch: rng.Config.Epoch,
		First: r.next, Last: rng.Last, Limit: reapPage, Expired: true})
	if err != nil || page.Outcome != message.ReadOK {
		return nil, false
	}
	return page, r.busy(node, page)
}

// deleteAll removes the expired data of the registers on a page.
func (r *reaper) deleteAll(ctx context.Context, page *listing.Reply, busy bool) error {
	regs := make([]register.ID, len(page.Entries))
	for i := range page.Entries {
		regs[i] = page.Entries[i].Register
	}
	for len(regs) > 0 {
		n := min(len(regs), reapAtOnce)
		if err := r.delete(ctx, regs[:n], busy); err != nil {
			return err
		}
		regs = regs[n:]
	}
	return nil
}

// busy reports whether a node has had other work since the last listing; true
// if unknown.
func (r *reaper) busy(node quorum.NodeID, page *listing.Reply) bool {
	now := time.Now()
	votes := int64(page.Votes-r.votes) - reapVotes*r.own
	reads := int64(page.Reads-r.reads) - reapReads*r.own
	idle := r.known && r.node == node && page.Votes >= r.votes &&
		float64(max(votes, 0)+max(reads, 0)) <= reapIdle*max(now.Sub(r.when).Seconds(), 0.1)
	r.node, r.reads, r.votes, r.when, r.own, r.known = node, page.Reads, page.Votes, now, 0, true
	return !idle
}

// delete removes the expired data of some registers. If many fields of a hash
// have expired, it repeats for a while; the rest will be listed again.
func (r *reaper) delete(ctx context.Context, regs []register.ID, busy bool) error {
	end := time.Now().Add(reapFor)
	for again := false; len(regs) > 0; again = true {
		var left []register.ID
		began := time.Now()
		limit, cancel := context.WithTimeout(ctx, r.k.Limits.Command)
		err := r.k.each(limit, regs, hash.Reap{Again: again}, func(i int, result any) {
			if result.(*resp.Value).Int != 0 {
				left = append(left, regs[i])
			}
		})
		cancel()
		if err != nil {
			return err
		}
		r.own += int64(len(regs))
		if busy && !rest(ctx, min(reapRest*time.Since(began), reapRestMax)) {
			return ctx.Err()
		}
		if regs = left; time.Now().After(end) {
			return nil
		}
	}
	return nil
}
