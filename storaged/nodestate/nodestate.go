// Package nodestate keeps what a node as a whole holds durably: its state (floor,
// ceiling, the ballots that were purged) and the epochs it has taken. Its rows are
// written at checkpoints; between them, entries of the changelog have what is new.
package nodestate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"synod/protocol/caspaxos/durable"
	"synod/protocol/partition"
	"synod/protocol/wire"
	"synod/storaged/rowcodec"
)

var (
	rowNode   = []byte{rowcodec.PrefixMeta, 'n', 'o', 'd', 'e'}
	rowEpochs = []byte{rowcodec.PrefixMeta, 's', 'h', 'o', 'w', 'n'}
	rowMet    = []byte{rowcodec.PrefixMeta, 'e', 'p', 'o', 'c', 'h'} // of earlier versions
)

// Node is the state of a node. It is safe for concurrent use, Load and Recover
// apart, which come first.
type Node struct {
	mu     sync.Mutex
	state  durable.NodeState
	epochs [partition.Slots]uint64
	met    [partition.Slots]uint64 // epochs that an earlier version took from messages, or may have
	pos    uint64                  // of the last entry about these
	loaded uint64                  // entries up to here were in the rows
}

// State returns the last state that was added.
func (n *Node) State() durable.NodeState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

// Position returns the position of the last entry that was added.
func (n *Node) Position() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pos
}

// Loaded returns the position up to which the rows had all entries.
func (n *Node) Loaded() uint64 { return n.loaded }

// Add takes an entry over once it has been appended to the changelog, which
// appendTo does. Entries are appended in the order in which they are taken over.
func (n *Node) Add(entry *durable.LogEntry, appendTo func(*durable.LogEntry) (uint64, error)) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	pos, err := appendTo(entry)
	if err == nil {
		n.take(entry, pos)
	}
	return pos, err
}

// Recover takes over an entry that was found in the changelog.
func (n *Node) Recover(entry *durable.LogEntry, pos uint64) { n.take(entry, pos) }

func (n *Node) take(entry *durable.LogEntry, pos uint64) {
	switch n.pos = pos; {
	case entry.Node != nil:
		n.state = *entry.Node
	case entry.Epoch != nil:
		n.takeEpoch(*entry.Epoch)
	}
}

func (n *Node) takeEpoch(t durable.EpochTaken) {
	epochs := &n.epochs
	if t.Met {
		epochs = &n.met
	}
	for s := int(t.First); s <= int(t.Last) && s < partition.Slots; s++ {
		epochs[s] = max(epochs[s], t.Epoch)
	}
}

// Epochs returns the epochs taken, as runs of slots with an epoch above zero.
func (n *Node) Epochs() []durable.EpochTaken {
	n.mu.Lock()
	defer n.mu.Unlock()
	return runs(&n.epochs)
}

// MetEpochs returns the epochs that an earlier version recorded and that do not
// count. It took them from messages as well as from the placement, so they may be
// wrong, and it answered under none of them before the placement had shown it.
// Those that the placement shows are taken again. Nothing was ever answered under
// the others: with those versions, placements never changed.
func (n *Node) MetEpochs() []durable.EpochTaken {
	n.mu.Lock()
	defer n.mu.Unlock()
	return runs(&n.met)
}

func runs(epochs *[partition.Slots]uint64) []durable.EpochTaken {
	var out []durable.EpochTaken
	for s, epoch := range epochs {
		if i := len(out) - 1; i >= 0 && out[i].Epoch == epoch && int(out[i].Last) == s-1 {
			out[i].Last = uint16(s)
		} else if epoch > 0 {
			out = append(out, durable.EpochTaken{First: uint16(s), Last: uint16(s), Epoch: epoch})
		}
	}
	return out
}

// Write puts the rows into a batch, as they are now: with all entries up to
// appended.
func (n *Node) Write(b *pebble.Batch, appended uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	value := binary.BigEndian.AppendUint64(nil, appended)
	value = wire.AppendLogEntry(value, &durable.LogEntry{Node: &n.state})
	if err := b.Set(rowNode, value, nil); err != nil {
		return fmt.Errorf("write node state: %w", err)
	}
	var epochs []byte
	for _, r := range runs(&n.epochs) {
		epochs = binary.BigEndian.AppendUint16(epochs, r.First)
		epochs = binary.BigEndian.AppendUint16(epochs, r.Last)
		epochs = binary.BigEndian.AppendUint64(epochs, r.Epoch)
	}
	if err := b.Set(rowEpochs, epochs, nil); err != nil {
		return fmt.Errorf("write epochs: %w", err)
	}
	if err := b.Delete(rowMet, nil); err != nil {
		return fmt.Errorf("write epochs: %w", err)
	}
	return nil
}

// Load reads the rows, if there are any.
func (n *Node) Load(db pebble.Reader) error {
	value, err := rowcodec.Get(db, rowNode)
	if err != nil || value == nil {
		return err
	}
	if len(value) < 8 {
		return fmt.Errorf("%w: node state", rowcodec.ErrRow)
	}
	n.loaded = binary.BigEndian.Uint64(value)
	entry, err := wire.DecodeLogEntry(value[8:])
	if err == nil && entry.Node == nil {
		err = errors.New("no node state")
	}
	if err != nil {
		return fmt.Errorf("%w: node state: %w", rowcodec.ErrRow, err)
	}
	n.state = *entry.Node
	for _, row := range []struct {
		key []byte
		met bool
	}{{rowEpochs, false}, {rowMet, true}} {
		epochs, err := rowcodec.Get(db, row.key)
		if err != nil {
			return err
		}
		for ; len(epochs) >= 12; epochs = epochs[12:] {
			n.takeEpoch(durable.EpochTaken{
				First: binary.BigEndian.Uint16(epochs), Last: binary.BigEndian.Uint16(epochs[2:]),
				Epoch: binary.BigEndian.Uint64(epochs[4:]), Met: row.met,
			})
		}
	}
	return nil
}
