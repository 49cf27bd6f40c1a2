// Package nodetest has a storage node for tests of the proxy: the real acceptor
// and RPC server on a loopback port, with an in-memory store that syncs at
// once. It holds all slots.
package nodetest

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/protocol/caspaxos/acceptor"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/durable"
	"synod/protocol/caspaxos/instant"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/caspaxos/memstore"
	"synod/protocol/caspaxos/message"
	"synod/protocol/layout"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/wire"
)

// Cluster is the name of the nodes' cluster.
const Cluster = "test"

// Node is one storage node.
type Node struct {
	ID   string
	Addr string

	mu       sync.Mutex
	start    time.Time
	node     *acceptor.Node
	acceptor *acceptor.Acceptor
	store    *memstore.Store
	incoming map[transferID]*message.Request
	chunks   int // that have arrived
	server   *rpc.Server
	deaf     bool
	done     sync.WaitGroup
}

// transferID identifies a request that arrives in chunks.
type transferID struct {
	session *rpc.Session
	id      uint64
}

// Start starts nodes with these names; they stop when the test ends. The
// snapshot places all slots on them, as one group.
func Start(t testing.TB, ids ...string) ([]*Node, *store.Snapshot) {
	t.Helper()
	table, err := placement.Plan(ids, len(ids))
	if err != nil {
		t.Fatal(err)
	}
	snap := &store.Snapshot{Revision: 1, ClusterID: "c", Table: table, Secrets: secrets()}
	var nodes []*Node
	for _, id := range ids {
		n := &Node{ID: id, start: time.Now(), store: memstore.New(), incoming: make(map[transferID]*message.Request)}
		n.node = acceptor.NewNode(limits.Default(), partition.Slots, durable.NodeState{}, 0)
		n.node.SetSlots([]acceptor.SlotRange{{Last: partition.Slots - 1, Epoch: 1, Member: true}})
		n.acceptor = acceptor.New(n.node, n.store, 0, 1, n.now())
		n.listen(t, "127.0.0.1:0")
		nodes = append(nodes, n)
		snap.Nodes = append(snap.Nodes, store.Node{ID: id, Addr: n.Addr, Up: true})
		t.Cleanup(n.Stop)
	}
	return nodes, snap
}

func secrets() []rpc.Secret { return []rpc.Secret{rpc.Secret("a secret of tests")} }

func (n *Node) listen(t testing.TB, addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	n.Addr = ln.Addr().String()
	n.server = rpc.NewServer(rpc.Options{
		Cluster: Cluster, Secrets: secrets, Kind: rpc.Node, Name: n.ID, Handle: n.handle, Log: zap.NewNop(),
	})
	n.done.Go(func() { _ = n.server.Serve(ln) })
}

// Stop closes the node's port and connections. The node keeps its data.
func (n *Node) Stop() {
	n.server.Close()
	n.done.Wait()
}

// Restart opens the port again.
func (n *Node) Restart(t testing.TB) { n.listen(t, n.Addr) }

// Deafen makes the node accept requests without answering, like a frozen
// process, or ends that.
func (n *Node) Deafen(deaf bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deaf = deaf
}

// Forget removes the node's data of a register, as if it lagged behind.
func (n *Node) Forget(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store.Drop(key)
}

func (n *Node) now() instant.Now {
	t := time.Now()
	return instant.Now{Wall: t.UnixMilli(), Mono: instant.Mono(t.Sub(n.start))}
}

func (n *Node) handle(s *rpc.Session, class rpc.Class, payload []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.deaf {
		return
	}
	var out []byte
	b := wire.NewBatch(payload)
	for b.Next() {
		if b.Kind() == wire.KindChunk {
			out = n.chunk(s, &b, out)
			continue
		}
		out = n.answer(&b, out)
	}
	if len(out) > class.MaxPayload() {
		class = rpc.Bulk
	}
	if len(out) > 0 {
		_ = s.Send(class, out) // a closed session needs no answer
	}
}

func (n *Node) answer(b *wire.Batch, out []byte) []byte {
	switch b.Kind() {
	case wire.KindRequest:
		if req, err := b.Request(); err == nil {
			out = n.step(req, out)
		}
	case wire.KindFlushRequest:
		if req, err := b.FlushRequest(); err == nil {
			if reply, err := n.acceptor.Flush(n.now(), req); err == nil {
				out = wire.AppendFlushReply(out, &reply)
			}
		}
	case wire.KindTallyRequest:
		if req, err := b.TallyRequest(); err == nil {
			reply := n.tally(req)
			out = wire.AppendTallyReply(out, &reply)
		}
	case wire.KindListRequest:
		if req, err := b.ListRequest(); err == nil {
			reply := n.list(req)
			out = wire.AppendListReply(out, &reply)
		}
	}
	return out
}

// chunk takes a chunk of a large state. The last one completes the request, which is
// then stepped.
func (n *Node) chunk(s *rpc.Session, b *wire.Batch, out []byte) []byte {
	p, err := b.Chunk()
	if err != nil {
		return out
	}
	n.chunks++
	k := transferID{s, p.ID}
	if p.Number == 0 {
		n.incoming[k] = p.Accept
	}
	req := n.incoming[k]
	if req == nil {
		return out
	}
	if req.Change.Ops = append(req.Change.Ops, p.Ops...); !p.Last {
		return out
	}
	delete(n.incoming, k)
	return n.step(req, out)
}

// Chunks returns how many chunks of large states have arrived.
func (n *Node) Chunks() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.chunks
}

func (n *Node) step(req *message.Request, out []byte) []byte {
	var reply message.Reply
	answered, err := n.acceptor.Step(n.now(), req, &reply)
	if !answered && err == nil {
		n.raise()
		n.acceptor.Resume(n.now(), func(_ *message.Request, r *message.Reply, e error) {
			reply, answered, err = *r, true, e
		})
	}
	switch {
	case !answered || err != nil:
	case reply.Transfer != nil:
		_ = reply.Chunks(message.ChunkBytes, func(chunk *message.Reply) error {
			out = wire.AppendReply(out, chunk)
			return nil
		})
	default:
		out = wire.AppendReply(out, &reply)
	}
	return out
}

// raise moves the ceiling up as far as allowed.
func (n *Node) raise() {
	if s, due := n.node.Due(n.now(), ballot.Ballot{}); due {
		n.node.Publish(s)
	}
}

func (n *Node) list(req *listing.Request) listing.Reply {
	reply := listing.Reply{ID: req.ID, Outcome: message.ReadOK}
	var all []listing.Entry
	for _, key := range n.store.Keys() {
		slot := placement.Slot([]byte(key[1:]))
		r := register.ID{Slot: slot, Key: key}
		rec, _ := n.store.Load(r)
		hash := partition.Hash48(key)
		switch {
		case slot < req.First || slot > req.Last || n.acceptor.Covered(r, rec.Accepted) || !rec.Header.Exists():
		case req.Expired && layout.Due(rec.Header) != 0 && layout.Due(rec.Header) <= n.now().Wall:
			all = append(all, listing.Entry{Register: r})
		case req.Expired || key[0] != req.Space || (slot == req.First && hash < req.From):
		default:
			all = append(all, listing.Entry{Register: r, Hash: hash, Accepted: rec.Accepted,
				Type: uint8(rec.Header.Type), Expiry: rec.Header.Expiry})
		}
	}
	slices.SortFunc(all, func(a, b listing.Entry) int {
		if a.Register.Slot != b.Register.Slot {
			return int(a.Register.Slot) - int(b.Register.Slot)
		}
		return int(int64(a.Hash) - int64(b.Hash))
	})
	if reply.Done = len(all) <= req.Limit; !reply.Done {
		next := all[req.Limit]
		all, reply.NextSlot, reply.NextHash = all[:req.Limit], next.Register.Slot, next.Hash
	}
	reply.Entries = all
	return reply
}

func (n *Node) tally(req *listing.TallyRequest) listing.TallyReply {
	reply := listing.TallyReply{ID: req.ID, Outcome: message.ReadOK}
	type place struct {
		span int
		db   byte
	}
	sums := make(map[place]listing.Tally)
	for _, key := range n.store.Keys() {
		r := register.ID{Slot: placement.Slot([]byte(key[1:])), Key: key}
		rec, _ := n.store.Load(r)
		span := slices.IndexFunc(req.Spans, func(s partition.SlotSpan) bool { return s.First <= r.Slot && r.Slot <= s.Last })
		if span < 0 || !req.Databases.Has(key[0]) || n.acceptor.Covered(r, rec.Accepted) || !rec.Header.Exists() {
			continue
		}
		one := listing.Tally{Keys: 1, Digest: partition.Hash(key)}
		if rec.Header.Expiry != 0 {
			one.Expiring, one.Expiry = 1, rec.Header.Expiry
		}
		sums[place{span, key[0]}] = sums[place{span, key[0]}].Plus(one)
	}
	for p, sum := range sums {
		reply.Tallies = append(reply.Tallies, listing.Tallied{Span: uint16(p.span), Database: p.db, Tally: sum})
	}
	slices.SortFunc(reply.Tallies, func(a, b listing.Tallied) int {
		if a.Before(&b) {
			return -1
		}
		return 1
	})
	return reply
}

// View returns the node's state of a register.
func (n *Node) View(key string) register.View {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.store.View(key)
}
