package caspaxos

// Serves tells whether the node may answer about the slots First to Last under
// an epoch, outside of rounds: Told if so, else WrongEpoch with the node's own
// epoch of the first slot that does not fit, or Busy when the epoch is newer
// than the placement that the node has seen.
func (n *Node) Serves(first, last uint16, epoch uint64) (Outcome, uint64) {
	for s := int(first); s <= int(last); s++ {
		switch v, own := n.admit(uint16(s), epoch); v {
		case epochFits:
		case epochOld:
			return WrongEpoch, own
		default:
			return Busy, own
		}
	}
	return Told, epoch
}
