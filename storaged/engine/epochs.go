package engine

import "synod/protocol/caspaxos"

// AppendEpoch logs an epoch that the placement has shown, for some slots.
func (e *Engine) AppendEpoch(t caspaxos.EpochTaken) (uint64, error) {
	e.node.mu.Lock()
	defer e.node.mu.Unlock()
	pos, err := e.changes.Append(appendPayload(nil, nodeTag, &caspaxos.LogEntry{Epoch: &t}))
	if err == nil {
		e.node.take(t)
		e.node.pos = pos
	}
	return pos, err
}

func (n *nodeRows) take(t caspaxos.EpochTaken) {
	epochs := &n.epochs
	if t.Met {
		epochs = &n.met
	}
	for s := int(t.First); s <= int(t.Last) && s < caspaxos.Slots; s++ {
		epochs[s] = max(epochs[s], t.Epoch)
	}
}

// Epochs returns the epochs taken, as runs of slots with an epoch above zero.
func (e *Engine) Epochs() []caspaxos.EpochTaken {
	e.node.mu.Lock()
	defer e.node.mu.Unlock()
	return runs(&e.node.epochs)
}

// MetEpochs returns the epochs that an earlier version put down and that do not
// count. It took them from the placement as well as from messages, of which
// nobody knows whether they were true, and answered under none of them before
// the placement had shown it. So one that the placement shows is taken again,
// and under one that it does not nothing was ever answered: the placements of
// these versions never changed.
func (e *Engine) MetEpochs() []caspaxos.EpochTaken {
	e.node.mu.Lock()
	defer e.node.mu.Unlock()
	return runs(&e.node.met)
}

func runs(epochs *[caspaxos.Slots]uint64) []caspaxos.EpochTaken {
	var out []caspaxos.EpochTaken
	for s, epoch := range epochs {
		if i := len(out) - 1; i >= 0 && out[i].Epoch == epoch && int(out[i].Last) == s-1 {
			out[i].Last = uint16(s)
		} else if epoch > 0 {
			out = append(out, caspaxos.EpochTaken{First: uint16(s), Last: uint16(s), Epoch: epoch})
		}
	}
	return out
}
