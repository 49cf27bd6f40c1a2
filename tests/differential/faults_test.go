package differential

import (
	"testing"

	"synod/tests/harness"
)

// While a node of three is killed, comes back, is frozen and thawed, nobody
// sees a difference: two are a quorum, and what the third missed it never
// shows.
func TestSameWhileANodeFails(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 2})
	p := &Pair{Redis: harness.Redis(t), Mine: c.Addrs()}
	node := c.Nodes[0]
	for i := range uint64(24) {
		switch i % 4 {
		case 0:
			node.Kill()
		case 1:
			node.Start()
		case 2:
			node.Freeze()
		case 3:
			node.Thaw()
		}
		steps := Sequence(*seed + 2_000_000 + i)
		m, err := p.Run(steps)
		if err != nil {
			t.Fatal(err)
		}
		if m != nil {
			t.Fatalf("sequence %d: replies differ\n%s\n%s", i, m, show(steps[:m.Index+1]))
		}
	}
}
