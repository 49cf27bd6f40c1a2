package placement

import (
	"fmt"
	"slices"

	"synod/protocol/caspaxos/quorum"
)

// Plan assigns all slots to groups of nodes with the given number of replicas, for an
// empty cluster (epoch 1). The result depends only on the set of names, not on their
// order.
//
// With as many nodes as replicas there is one group. With more, the nodes form a ring,
// and each node begins a group of itself and its successors. So every node is in the
// same number of groups, and when one is lost, all its neighbours on the ring share its
// work. With independent groups, two nodes would have to take all of it. With all
// combinations of nodes as groups, any loss of a quorum of nodes would hit some slot.
func Plan(nodes []string, replicas int) (*Table, error) {
	names := slices.Sorted(slices.Values(nodes))
	for i, n := range names {
		if err := CheckName(n); err != nil {
			return nil, fmt.Errorf("plan placement: node %w", err)
		}
		if i > 0 && names[i-1] == n {
			return nil, fmt.Errorf("plan placement: node %s is named twice", n)
		}
	}
	if replicas < 1 || replicas > quorum.MaxMembers {
		return nil, fmt.Errorf("plan placement: %d replicas, 1 to %d are allowed", replicas, quorum.MaxMembers)
	}
	if replicas > len(names) {
		return nil, fmt.Errorf("plan placement: %d replicas need as many nodes, there are %d", replicas, len(names))
	}
	if len(names) > Slots {
		return nil, fmt.Errorf("plan placement: %d nodes for %d slots", len(names), Slots)
	}
	count := len(names)
	if count == replicas {
		count = 1
	}
	t := &Table{Format: Format, Groups: make([]Group, count), Ranges: make([]Range, count)}
	for i := range count {
		members := make([]string, replicas)
		since := make(map[string]uint64, replicas)
		for j := range members {
			members[j] = names[(i+j)%len(names)]
			since[members[j]] = 1
		}
		id := fmt.Sprintf("g%d", i+1)
		t.Groups[i] = Group{ID: id, Nodes: members}
		t.Ranges[i] = Range{
			First: uint16(i * Slots / count), Last: uint16((i+1)*Slots/count - 1),
			Epoch: 1, State: Stable, Group: id, Since: since,
		}
	}
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("plan placement: %w", err)
	}
	return t, nil
}
