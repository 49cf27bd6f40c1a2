package engine

import "synod/protocol/caspaxos"

// NodeState returns the last state that was logged; after Open, that of the
// node's last life.
func (e *Engine) NodeState() caspaxos.NodeState { return e.node.State() }

// AppendNode logs a node state. It is durable, and may be published, once
// WaitSynced has returned for its position.
func (e *Engine) AppendNode(s caspaxos.NodeState) (uint64, error) {
	return e.node.Add(&caspaxos.LogEntry{Node: &s}, e.appendOwn)
}

// AppendEpoch logs an epoch that the placement has shown, for some slots.
func (e *Engine) AppendEpoch(t caspaxos.EpochTaken) (uint64, error) {
	return e.node.Add(&caspaxos.LogEntry{Epoch: &t}, e.appendOwn)
}

// appendOwn appends an entry of the node as a whole to the changelog.
func (e *Engine) appendOwn(entry *caspaxos.LogEntry) (uint64, error) {
	return e.changes.Append(appendPayload(nil, nodeTag, entry))
}

// Epochs returns the epochs taken, as runs of slots with an epoch above zero.
func (e *Engine) Epochs() []caspaxos.EpochTaken { return e.node.Epochs() }

// MetEpochs returns epochs that an earlier version recorded and that do not count
// (nodestate.Node.MetEpochs).
func (e *Engine) MetEpochs() []caspaxos.EpochTaken { return e.node.MetEpochs() }
