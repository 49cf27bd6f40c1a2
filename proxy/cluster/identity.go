package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"synod/meta/store"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
)

// ErrProposerTaken says that another start of a proxy has the same proposer id, and
// that this one has used it already. The proxy must be restarted, with a new id.
var ErrProposerTaken = errors.New("the proposer id belongs to another start of a proxy")

// etcdPatience is how long a starting proxy with a state directory waits for etcd
// before it continues without it.
const etcdPatience = 2 * time.Second

// newClaim returns a unique claim to a proposer id.
func newClaim(id ballot.ProposerID) identity.Claim {
	return identity.Claim{Proposer: id, Start: rand.Uint64()}
}

// join takes a proposer id and returns it with the placement.
func join(ctx context.Context, st *store.Store, kept *state, log *zap.Logger) (ballot.ProposerID, *store.Snapshot, error) {
	snap, err := kept.restore(st)
	if err != nil {
		log.Error("the placement last seen cannot be used", zap.Error(err))
	}
	if snap == nil {
		return joinEtcd(ctx, st)
	}
	patient, cancel := context.WithTimeout(ctx, etcdPatience)
	defer cancel()
	id, now, err := joinEtcd(patient, st)
	if err == nil || patient.Err() == nil || ctx.Err() != nil {
		return id, now, err
	}
	if id, err = kept.spare(); err != nil {
		return 0, nil, err
	}
	log.Warn("etcd does not answer: serving by the placement last seen, with a proposer id kept for that", zap.Uint32("proposer", uint32(id)))
	return id, snap, nil
}

func joinEtcd(ctx context.Context, st *store.Store) (ballot.ProposerID, *store.Snapshot, error) {
	id, err := st.NextProposerID(ctx, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("take a proposer id: %w", err)
	}
	snap, err := st.WaitTable(ctx)
	return id, snap, err
}

// refusal is a node's answer to a claim.
type refusal struct {
	id, highest ballot.ProposerID
}

// Refused tells that the proposer id, if the proxy still has it, belongs to another
// start, and which is the highest id known to be taken. It does not block.
func (c *Cluster) Refused(claim identity.Claim, highest ballot.ProposerID) {
	select {
	case c.refused <- refusal{claim.Proposer, highest}:
	default: // the next refusal or connection attempt repeats it
	}
}

// keepID takes another proposer id when the proxy's own is refused: an etcd that was
// restored from an older backup gives out the same ids again.
func (c *Cluster) keepID(ctx context.Context) {
	for {
		var r refusal
		select {
		case <-ctx.Done():
			return
		case r = <-c.refused:
		}
		if r.id != c.clock.ID() {
			continue
		}
		id, err := c.store.NextProposerID(ctx, max(r.id, r.highest))
		if err != nil {
			continue // ctx has ended, or else the next refusal comes soon
		}
		if !c.router.Renew(newClaim(id), func() { c.clock.Renew(id) }) {
			c.lost(fmt.Errorf("%w: id %d: restart the proxy", ErrProposerTaken, r.id))
			return
		}
		c.log.Warn("the proposer id belongs to another proxy, as after a restore of etcd from an older backup; took another",
			zap.Uint32("refused", uint32(r.id)), zap.Uint32("proposer", uint32(id)))
	}
}
