package engine

import (
	"synod/protocol/caspaxos/durable"
)

// NodeState returns the last state that was logged; after Open, that of the
// node's last life.
func (e *Engine) NodeState() durable.NodeState { return e.node.State() }

// AppendNode logs a node state. It is durable, and may be published, once
// WaitSynced has returned for its position.
func (e *Engine) AppendNode(s durable.NodeState) (uint64, error) {
	return e.node.Add(&durable.LogEntry{Node: &s}, e.appendOwn)
}

// AppendEpoch logs an epoch that the placement has shown, for some slots.
func (e *Engine) AppendEpoch(t durable.EpochTaken) (uint64, error) {
	return e.node.Add(&durable.LogEntry{Epoch: &t}, e.appendOwn)
}

// appendOwn appends an entry of the node as a whole to the changelog.
func (e *Engine) appendOwn(entry *durable.LogEntry) (uint64, error) {
	return e.changes.Append(appendPayload(nil, nodeTag, entry))
}

// Epochs returns the epochs taken, as runs of slots with an epoch above zero.
func (e *Engine) Epochs() []durable.EpochTaken { return e.node.Epochs() }

// MetEpochs returns epochs that an earlier version recorded and that do not count
// (nodestate.Node.MetEpochs).
func (e *Engine) MetEpochs() []durable.EpochTaken { return e.node.MetEpochs() }
