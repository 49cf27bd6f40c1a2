package keyspace

import (
	"context"
	"math/rand/v2"
	"time"

	"synod/protocol/caspaxos"
	"synod/proxy/router"
)

const (
	// reapEvery is the time between looks for expired keys that nobody reads.
	reapEvery = time.Second
	// reapLimit is how many of them are deleted at a time, and reapFor how long
	// one look at one slot range goes on while there are more.
	reapLimit = 1000
	reapFor   = reapEvery / 2
)

// Reap deletes expired keys that nobody reads, until ctx ends (PROTOCOL §8).
// Every proxy does so; that two meet on a key costs a round trip. What a node
// tells is a hint: reading a register past its expiry is what makes its delete
// chosen.
func (k *Keyspace) Reap(ctx context.Context) {
	at := make(map[uint16]uint16) // by the range's first slot: where to go on
	for {
		// Proxies started together should not look together.
		pause := reapEvery/2 + rand.N(reapEvery)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		for _, rng := range k.Nodes.Ranges() {
			began, more := time.Now(), true
			for more && time.Since(began) < reapFor {
				at[rng.First], more = k.reapRange(ctx, rng, at[rng.First])
			}
		}
	}
}

// reapRange deletes some expired keys of a range, as one of its nodes lists
// them, and returns the slot to go on from, and whether to do so at once.
func (k *Keyspace) reapRange(ctx context.Context, rng router.SlotRange, from uint16) (next uint16, more bool) {
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
	if _, err := k.types(ctx, regs); err != nil || page.Done {
		return rng.First, false
	}
	return page.NextSlot, true
}
