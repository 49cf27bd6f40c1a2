package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/message"
	"synod/protocol/register"
	"synod/protocol/rpc"
	"synod/protocol/wire"
	"synod/tests/harness"
)

// secretOf reads a cluster's secret, as its processes do.
func secretOf(t *testing.T, c *harness.Cluster) []rpc.Secret {
	t.Helper()
	st, err := store.Open(store.Config{Endpoints: []string{c.Etcd.URL}, Cluster: c.Name, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	snap, err := st.WaitTable(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return snap.Secrets
}

// pretend opens a session to a node as a proxy with an invented proposer id.
func pretend(ctx context.Context, n *harness.Member, secrets []rpc.Secret, id ballot.ProposerID, handle func(*rpc.Session, rpc.Class, []byte)) (*rpc.Session, error) {
	return rpc.Dial(ctx, n.Addr, rpc.Options{
		Cluster: "main", Secrets: func() []rpc.Secret { return secrets }, Kind: rpc.Proxy, Name: fmt.Sprint("pretends ", id), Log: zap.NewNop(),
		Claim:  func() identity.Claim { return identity.Claim{Proposer: id, Start: 1} },
		Handle: handle,
	})
}

// fuzz opens a session to a node as a proxy and sends valid frames of any epoch
// but the cluster's. It returns when all are answered.
func fuzz(n *harness.Member, secrets []rpc.Secret, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	const frames = 20
	answered := make(chan struct{}, frames)
	s, err := pretend(ctx, n, secrets, 99, func(_ *rpc.Session, _ rpc.Class, payload []byte) {
		for b := wire.NewBatch(payload); b.Next(); {
			answered <- struct{}{}
		}
	})
	if err != nil {
		return err
	}
	var frame []byte
	for i := range frames {
		name := fmt.Sprint("key:", rng.IntN(3000))
		q := message.Request{
			ID: uint64(i), Kind: message.Kind(1 + rng.IntN(2)), Epoch: 2 + rng.Uint64N(1<<rng.IntN(63)),
			Register: register.ID{Slot: placement.Slot([]byte(name)), Key: "\x00" + name},
			Ballot:   ballot.Ballot{Time: ballot.MakeTime(time.Now().UnixMilli(), uint16(i)), Proposer: 99},
		}
		if q.Kind == message.KindRead {
			q.Ballot = ballot.Ballot{}
		}
		frame = wire.AppendRequest(frame, &q)
	}
	if err := s.Send(rpc.Votes, frame); err != nil {
		return err
	}
	for range frames {
		select {
		case <-answered:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.Close()
	<-s.Done()
	return nil
}

// 300 sessions send a node frames with epochs that no placement has, first as
// strangers, then as peers that know the secret; then another node goes down.
// All keys can be read and written, at once and after the node's restart.
func TestFramesOfOtherEpochs(t *testing.T) {
	const keys = 3000
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	conn := harness.Dial(t, c.Proxies[0].Addr)
	all := func(what string, want func(i int) string, words func(i int) []string) {
		t.Helper()
		var requests []byte
		for i := range keys {
			requests = append(requests, harness.Command(words(i)...)...)
		}
		if err := conn.Send(requests); err != nil {
			t.Fatal(err)
		}
		for i := range keys {
			if reply, err := conn.Reply(); err != nil || string(reply) != want(i) {
				t.Fatalf("%s: key %d: %q %v", what, i, reply, err)
			}
		}
	}
	set := func(what, value string) {
		t.Helper()
		all(what, func(int) string { return "+OK\r\n" }, func(i int) []string { return []string{"SET", fmt.Sprint("key:", i), value} })
	}
	get := func(what, value string) {
		t.Helper()
		all(what, func(int) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value) },
			func(i int) []string { return []string{"GET", fmt.Sprint("key:", i)} })
	}
	set("before", "1")
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		if err := fuzz(c.Nodes[0], []rpc.Secret{rpc.Secret("what a stranger may guess")}, rng); !errors.Is(err, rpc.ErrSecret) {
			t.Fatalf("a stranger's session: %v", err)
		}
	}
	secrets := secretOf(t, c)
	for range 300 {
		if err := fuzz(c.Nodes[0], secrets, rng); err != nil {
			t.Fatal(err)
		}
	}
	c.Nodes[1].Kill()
	get("one node down", "1")
	set("one node down", "2")
	c.Nodes[0].Restart()
	c.Nodes[0].AwaitReady(t)
	c.AwaitServing()
	get("after a restart", "2")
	set("after a restart", "3")
	if log := c.Nodes[0].Stderr(); strings.Count(log, "refused a connection") > 3 || strings.Contains(log, string(secrets[0])) {
		t.Errorf("the node's log:\n%s", log)
	}
}
