package storaged

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/rpc"
)

// hello opens a session as a proxy with a claim, that remembers something of the
// node.
func (n *testNode) hello(claim identity.Claim, seen rpc.Mark) (self rpc.Mark, err error) {
	n.t.Helper()
	s, err := rpc.Dial(n.context(), n.d.Addr(), rpc.Options{
		Cluster: cluster, Secrets: n.d.knownSecrets, Kind: rpc.Proxy, Name: "p", Expect: n.cfg.ID, Log: zap.NewNop(),
		Claim: func() identity.Claim { return claim }, Seen: func() rpc.Mark { return seen },
		Handle: func(*rpc.Session, rpc.Class, []byte) {},
	})
	if err != nil {
		return rpc.Mark{}, err
	}
	self = s.Peer().Self
	s.Close()
	<-s.Done()
	return self, nil
}

// TestProposerIDsAreAdmittedOnce: the second start under an id is told the highest
// that the node has met, also after a restart of the node.
func TestProposerIDsAreAdmittedOnce(t *testing.T) {
	n := startNode(t)
	for _, id := range []ballot.ProposerID{7, 3} {
		if _, err := n.hello(identity.Claim{Proposer: id, Start: 1}, rpc.Mark{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var taken *rpc.ProposerError
		if _, err := n.hello(identity.Claim{Proposer: 3, Start: 2}, rpc.Mark{}); !errors.As(err, &taken) || taken.ID != 3 || taken.Highest != 7 {
			t.Errorf("a second start: %v", err)
		}
		if _, err := n.hello(identity.Claim{Proposer: 3, Start: 1}, rpc.Mark{}); err != nil {
			t.Errorf("the first start again: %v", err)
		}
		n.restart(n.kill)
	}
	if _, err := n.hello(identity.Claim{}, rpc.Mark{}); err == nil {
		t.Error("a proxy without a proposer id was admitted")
	}
}

// TestWitnessOfRollback: a proxy that has seen a restarted node before finds it
// as it was; a node that lacks what a proxy has seen does not go on.
func TestWitnessOfRollback(t *testing.T) {
	n := startNode(t)
	claim := identity.Claim{Proposer: 9, Start: 1}
	first, err := n.hello(claim, rpc.Mark{})
	if err != nil || first.Number != 1 || first.Store == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	n.dial().set("k", "v")
	first.Position = n.d.engine.Synced()
	n.restart(n.kill)
	if self, err := n.hello(claim, first); err != nil || self.Number != 2 || self.Position < first.Position {
		t.Fatalf("after a restart: %+v, %v", self, err)
	}
	other := first
	other.Store++
	if _, err := n.hello(claim, other); !errors.Is(err, rpc.ErrNotTheNode) {
		t.Errorf("another data directory: %v", err)
	}
	select {
	case err := <-n.d.Err():
		t.Fatal(err)
	default:
	}
	first.Position += 1000
	if _, err := n.hello(claim, first); !errors.Is(err, rpc.ErrNotTheNode) {
		t.Errorf("a node that is behind: %v", err)
	}
	if err := <-n.d.Err(); !errors.Is(err, identity.ErrRolledBack) {
		t.Errorf("the node goes on: %v", err)
	}
}

// TestCopyWaitsForEtcd: without etcd, a directory whose files are not those that
// it was last used with does not serve; one that is where it was does.
func TestCopyWaitsForEtcd(t *testing.T) {
	n := startNode(t)
	n.dial().set("k", "v")
	if err := n.d.Close(n.context()); err != nil {
		t.Fatal(err)
	}
	n.etcd.Kill()
	n.start()
	if got := n.dial().get("k"); got != "v" {
		t.Errorf("without etcd: %q", got)
	}
	n.kill()
	from := n.cfg.DataDir
	n.cfg.DataDir = t.TempDir() + "/copy"
	if err := os.CopyFS(n.cfg.DataDir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*etcdPatience)
	defer cancel()
	d, err := Start(ctx, n.cfg)
	if err == nil {
		_ = d.Close(context.Background())
		t.Fatal("a copy serves without etcd")
	}
	if !strings.Contains(err.Error(), "etcd does not answer") {
		t.Error(err)
	}
}
