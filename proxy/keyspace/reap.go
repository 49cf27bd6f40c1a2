package keyspace

import (
	"context"
	"math/rand/v2"
	"time"

	"synod/protocol/caspaxos"
	"synod/protocol/resp"
	"synod/proxy/datatype/hash"
	"synod/proxy/router"
)

const (
	// reapEvery is the time between looks for what is past its time and nobody
	// reads: keys, and fields of hashes.
	reapEvery = time.Second
	// reapLimit is how many keys are looked at at a time, and reapFor how long
	// one look at one slot range goes on while there are more.
	reapLimit = 1000
	reapFor   = reapEvery / 2
)

// Reap deletes expired keys that nobody reads, and fields of hashes, until ctx
// ends (PROTOCOL §8). Every proxy does so; that two meet on a key costs a round
// trip. What a node tells is a hint: reading a register past its expiry is what
// makes its delete chosen, and hash.Reap takes the fields of one that is not.
func (k *Keyspace) Reap(ctx context.Context) {
	at := make(map[uint16]uint16) // by the range's first slot: where to go on
	for left := false; ; {
		// Proxies started together should not look together.
		pause := reapEvery/2 + rand.N(reapEvery)
		if left { // others have had as much time meanwhile as they leave
			pause = reapFor / 2
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		left = false
		for _, rng := range k.Nodes.Ranges() {
			began, more := time.Now(), true
			for more && time.Since(began) < reapFor {
				at[rng.First], more = k.reapRange(ctx, rng, at[rng.First], began.Add(reapFor))
			}
			left = left || more
		}
	}
}

// reapRange deletes some of what is due in a range, as one of its nodes lists
// it, and returns the slot to go on from, and whether to do so at once. Hashes
// of which fields are left when it is time to end stay listed.
func (k *Keyspace) reapRange(ctx context.Context, rng router.SlotRange, from uint16, until time.Time) (next uint16, more bool) {
	ctx, cancel := context.WithTimeout(ctx, k.Limits.Command)
	defer cancel()
	nodes := rng.Config.Nodes()
	if from < rng.First || from > rng.Last { // the placement has changed
		from = rng.First
	}
	page, err := k.Nodes.List(ctx, nodes[rand.IntN(len(nodes))], caspaxos.ListRequest{Epoch: rng.Config.Epoch,
		First: from, Last: rng.Last, Limit: reapLimit, Expired: true})
	if err != nil || page.Outcome != caspaxos.Told {
		return from, false // the next look asks another node, perhaps
	}
	regs := make([]caspaxos.Register, len(page.Entries))
	for i := range page.Entries {
		regs[i] = page.Entries[i].Register
	}
	for again := false; len(regs) > 0; again = true {
		var left []caspaxos.Register
		err := k.each(ctx, regs, hash.Reap{Again: again}, func(i int, result any) {
			if result.(*resp.Value).Int != 0 {
				left = append(left, regs[i])
			}
		})
		if err != nil {
			return rng.First, false
		}
		if regs = left; !time.Now().Before(until) {
			break
		}
	}
	if page.Done {
		return rng.First, len(regs) > 0
	}
	return page.NextSlot, true
}
