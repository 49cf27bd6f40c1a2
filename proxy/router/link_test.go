package router

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"synod/protocol/rpc"
	"synod/proxy/nodetest"
)

// A node that has been sent a large state is not taken for one that leaves reads
// unanswered.
func TestALargeStateDoesNotCountAsAsked(t *testing.T) {
	nodes, snap := nodetest.Start(t, "n1")
	nodes[0].Deafen(true)
	r := New(Config{Cluster: nodetest.Cluster, Name: "p", Log: zap.NewNop()}, nil)
	t.Cleanup(r.Close)
	r.Update(snap)
	to := r.Config(0).Nodes()[0]
	for r.Link(to) == nil {
		<-time.After(time.Millisecond)
	}
	asked := func() bool { return r.node(to).waiting.Load() != 0 }
	if err := r.Link(to).Send([]byte("chunk")); err != nil || asked() {
		t.Errorf("sent a chunk: %v; asked: %v", err, asked())
	}
	if ok := r.Send(to, rpc.Votes, []byte("read")); !ok || !asked() {
		t.Errorf("sent a read: %v; asked: %v", ok, asked())
	}
}
