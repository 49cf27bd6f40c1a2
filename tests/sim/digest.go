package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/register"
	"synod/protocol/wire"
)

// digest hashes everything that a run does, in order: each message as encoded
// on the wire, each log entry, each answer, and the final state. Two programs
// with equal digests for all runs behave the same.
type digest struct{ sum hash.Hash }

func newDigest() *digest { return &digest{sum: sha256.New()} }

// add enters one event. A digest that is nil takes nothing.
func (d *digest) add(kind byte, at Instant, who, with int, content []byte) {
	if d == nil {
		return
	}
	head := binary.BigEndian.AppendUint64([]byte{kind}, uint64(at))
	head = append(head, byte(who), byte(with))
	head = binary.BigEndian.AppendUint32(head, uint32(len(content)))
	d.sum.Write(head)
	d.sum.Write(content)
}

func (d *digest) logged(at Instant, n *node, e *durable.LogEntry) {
	if d != nil {
		d.add('l', at, int(n.id), 0, wire.AppendLogEntry(nil, e))
	}
}

func (d *digest) answered(at Instant, p *proxy, r *record, err error) {
	if d != nil {
		d.add('a', at, p.index, 0, fmt.Appendf(nil, "%d %v %v %v", r.op.ID, r.out, r.outs, err))
	}
}

// end enters what the nodes hold and returns the digest of the run.
func (d *digest) end(w *World) string {
	for _, n := range w.nodes {
		for _, key := range n.store.Keys() {
			rec, err := n.store.Load(register.ID{Key: key})
			if err != nil {
				panic(err) // memory does not fail
			}
			view := n.store.View(key)
			d.add('r', w.now, int(n.id), 0, wire.AppendView(wire.AppendRecord([]byte(key), rec), &view))
		}
	}
	return hex.EncodeToString(d.sum.Sum(nil)[:8])
}
