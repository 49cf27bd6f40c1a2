// Package keyspace implements the commands on all keys of a database (SCAN,
// KEYS, RANDOMKEY, DBSIZE and the flushes), and the deletion of expired keys.
//
// Any single node may lag, so none is trusted alone. A key exists if a quorum
// of the slot's nodes list it at the same ballot; if they differ, a
// linearizable read of the key decides. So a scan returns every key that
// existed throughout the scan, and no key that never existed during it,
// whichever nodes answered. Expired keys count as absent.
package keyspace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synod/proxy/router"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/message"
	"synod/protocol/caspaxos/proposer"
	"synod/protocol/caspaxos/quorum"
	"synod/protocol/listing"
	"synod/protocol/operation"
	"synod/protocol/partition"
	"synod/protocol/register"
)

// Nodes are the connections to the storage nodes; proxy/router implements it.
type Nodes interface {
	Config(slot uint16) *quorum.Config
	Ranges() []router.SlotRange
	Prefer(cfg *quorum.Config, slot uint16) []int
	Outage(slot uint16) *operation.Outage
	Reachable(cfg *quorum.Config) quorum.Set
	List(ctx context.Context, to quorum.NodeID, req listing.Request) (*listing.Reply, error)
	Tally(ctx context.Context, to quorum.NodeID, req listing.TallyRequest) (*listing.TallyReply, error)
	Flush(ctx context.Context, to quorum.NodeID, req message.FlushRequest) (*message.FlushReply, error)
}

// Submitter runs commands on single registers; proxy/proposer implements it.
type Submitter interface {
	Submit([]*proposer.Command)
	Now() instant.Mono
}

// Keyspace is safe for concurrent use.
type Keyspace struct {
	Nodes     Nodes
	Registers Submitter
	Clock     *ballot.Clock
	Limits    limits.Limits
	// Wall returns Unix milliseconds.
	Wall func() int64
}

// Key is a live key of a database.
type Key struct {
	Register register.ID
	Type     register.Type
}

// Name returns the key without its name space prefix.
func (k Key) Name() []byte { return []byte(k.Register.Key[1:]) }

// position is a walk's position in a database: slot, then hash.
type position struct {
	slot uint16
	hash uint64 // 48 bits
}

func (p position) less(q position) bool {
	return p.slot < q.slot || (p.slot == q.slot && p.hash < q.hash)
}

// end is the position after the last one.
var end = position{slot: partition.Slots}

// cursor encodes the position for SCAN clients. Zero means the beginning in a
// request and the end in a reply.
func (p position) cursor() uint64 {
	if p == end {
		return 0
	}
	return uint64(p.slot)<<48 | p.hash
}

// fromCursor decodes a cursor. A number that no scan has returned means the
// end, because Redis accepts any number.
func fromCursor(c uint64) position {
	p := position{slot: uint16(c >> 48), hash: c & (1<<48 - 1)}
	if c>>48 >= partition.Slots {
		return end
	}
	return p
}

// errAnotherEpoch means that a page must be requested again with the newer
// placement.
var errAnotherEpoch = errors.New("the slot's placement has changed")

// page returns about limit live keys from a position, up to the end of a slot,
// and the position after them. It obeys the time limit of a command; a walk
// over many pages may take longer.
func (k *Keyspace) page(ctx context.Context, db byte, from position, last uint16, limit int) ([]Key, position, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.Limits.Command, operation.ErrNoQuorum)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		keys, next, err := k.tryPage(ctx, db, from, last, limit)
		if err == nil || ctx.Err() != nil || !retriable(err) {
			return keys, next, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, from, err
		}
	}
}

func retriable(err error) bool {
	var outage *operation.Outage
	if errors.As(err, &outage) {
		return false // the outage has lasted a while and will not end soon
	}
	return errors.Is(err, errAnotherEpoch) || errors.Is(err, operation.ErrNoQuorum)
}

func (k *Keyspace) tryPage(ctx context.Context, db byte, from position, last uint16, limit int) ([]Key, position, error) {
	rng, ok := k.rangeOf(from.slot)
	if !ok {
		return nil, from, operation.ErrNoQuorum
	}
	if outage := k.Nodes.Outage(from.slot); outage != nil {
		return nil, from, outage
	}
	last = min(last, rng.Last)
	pages, err := k.gather(ctx, rng, listing.Request{Epoch: rng.Config.Epoch, First: from.slot, Last: last,
		Space: db, From: from.hash, Limit: limit})
	if err != nil {
		return nil, from, err
	}
	next := end
	for _, p := range pages {
		if at := pageEnd(p, last); at.less(next) {
			next = at
		}
	}
	keys, err := k.merge(ctx, pages, next)
	return keys, next, err
}

// pageEnd is the position after a page.
func pageEnd(p *listing.Reply, last uint16) position {
	if !p.Done {
		return position{slot: p.NextSlot, hash: p.NextHash}
	}
	if last == partition.Slots-1 {
		return end
	}
	return position{slot: last + 1}
}

func (k *Keyspace) rangeOf(slot uint16) (router.SlotRange, bool) {
	for _, r := range k.Nodes.Ranges() {
		if r.First <= slot && slot <= r.Last {
			return r, true
		}
	}
	return router.SlotRange{}, false
}

// gather asks the range's nodes, preferred ones first, until a quorum has sent
// its page.
func (k *Keyspace) gather(ctx context.Context, rng router.SlotRange, req listing.Request) ([]*listing.Reply, error) {
	type answer struct {
		index int
		page  *listing.Reply
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg := rng.Config
	order := k.Nodes.Prefer(cfg, req.First)
	answers := make(chan answer, len(order))
	var asked, got quorum.Set
	ask := func() {
		for _, i := range order {
			if !asked.Has(i) {
				asked = asked.With(i)
				go func() {
					page, err := k.Nodes.List(ctx, cfg.Nodes()[i], req)
					answers <- answer{i, page, err}
				}()
				return
			}
		}
	}
	for !cfg.IsQuorum(asked) {
		ask()
	}
	const patience = 100 * time.Millisecond
	hedge := time.NewTimer(patience)
	defer hedge.Stop()
	var pages []*listing.Reply
	for open := asked.Len(); open > 0; {
		select {
		case <-hedge.C:
			before := asked.Len()
			ask()
			open += asked.Len() - before
			hedge.Reset(patience) // more nodes may be silent
		case a := <-answers:
			open--
			switch {
			case a.err == nil && a.page.Outcome == message.ReadOK:
				got = got.With(a.index)
				pages = append(pages, a.page)
			case a.err == nil && a.page.Outcome == message.WrongEpoch && k.Nodes.Config(req.First) != cfg:
				return nil, errAnotherEpoch
			default:
				before := asked.Len()
				ask()
				open += asked.Len() - before
			}
		}
		if cfg.IsQuorum(got) {
			return pages, nil
		}
	}
	return nil, operation.ErrNoQuorum
}

// merge returns the live keys before next: those that all pages list at the
// same ballot, and those that a read confirms.
func (k *Keyspace) merge(ctx context.Context, pages []*listing.Reply, next position) ([]Key, error) {
	type sighting struct {
		*listing.Entry
		same int
	}
	seen := make(map[string]*sighting)
	var order []*sighting
	for _, p := range pages {
		for i := range p.Entries {
			e := &p.Entries[i]
			if at := (position{e.Register.Slot, e.Hash}); !at.less(next) {
				break // end of this page; another node's page may end earlier
			}
			s := seen[e.Register.Key]
			if s == nil {
				s = &sighting{Entry: e}
				seen[e.Register.Key] = s
				order = append(order, s)
			}
			if s.Accepted == e.Accepted {
				s.same++
			}
		}
	}
	now := k.Wall()
	keys := make([]Key, 0, len(order))
	var doubtful []register.ID
	for _, s := range order {
		expired := s.Expiry != 0 && s.Expiry <= now
		if s.same == len(pages) && !expired {
			keys = append(keys, Key{Register: s.Register, Type: register.Type(s.Type)})
		} else {
			doubtful = append(doubtful, s.Register)
		}
	}
	types, err := k.types(ctx, doubtful)
	if err != nil {
		return nil, err
	}
	for i, t := range types {
		if t != register.Absent {
			keys = append(keys, Key{Register: doubtful[i], Type: t})
		}
	}
	return keys, nil
}

// types reads the types of registers; Absent if there is no value.
func (k *Keyspace) types(ctx context.Context, regs []register.ID) ([]register.Type, error) {
	out := make([]register.Type, len(regs))
	err := k.each(ctx, regs, typeOf{}, func(i int, result any) { out[i] = result.(register.Type) })
	return out, err
}

// each runs an operation on every register, with limited concurrency; each
// operation may use the time left in ctx.
func (k *Keyspace) each(ctx context.Context, regs []register.ID, op operation.Operation, f func(i int, result any)) error {
	const atOnce = 1024
	for base := 0; base < len(regs); base += atOnce {
		part := regs[base:min(base+atOnce, len(regs))]
		done := make(chan int, len(part))
		cmds := make([]*proposer.Command, len(part))
		started := k.Registers.Now()
		if end, ok := ctx.Deadline(); ok {
			started -= instant.Mono(max(k.Limits.Command-time.Until(end), 0))
		}
		for i, r := range part {
			cmds[i] = &proposer.Command{Register: r, Op: op, Started: started,
				Done: func(*proposer.Command) { done <- i }}
		}
		k.Registers.Submit(cmds)
		for range part {
			<-done // every command ends within its time limit
		}
		for i, c := range cmds {
			if c.Err != nil {
				return fmt.Errorf("look at a key: %w", c.Err)
			}
			f(base+i, c.Result)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// typeOf reads a register's type.
type typeOf struct{}

func (typeOf) Needs() register.Projection { return register.Projection{} }
func (typeOf) ReadOnly() bool             { return true }
func (typeOf) Blind() bool                { return false }
func (typeOf) Execute(v register.View, _ int64) operation.Effect {
	return operation.Effect{Result: v.Header.Type}
}

// remove deletes a register of any type.
type remove struct{}

func (remove) Needs() register.Projection { return register.Projection{} }
func (remove) ReadOnly() bool             { return false }
func (remove) Blind() bool                { return false }
func (remove) Execute(v register.View, _ int64) operation.Effect {
	if !v.Header.Exists() {
		return operation.Effect{}
	}
	return operation.Effect{Change: register.Delete()}
}
