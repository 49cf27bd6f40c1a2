package rpc_test

import (
	"context"
	"fmt"
	"net"

	"go.uber.org/zap"

	"synod/protocol/rpc"
)

// A proxy asks a node, over a pipe in memory: both show that they know the
// cluster's secret, then payloads go both ways.
func Example() {
	secrets := func() []rpc.Secret { return []rpc.Secret{rpc.Secret("of the cluster")} }

	node := rpc.NewServer(rpc.Options{
		Cluster: "main", Secrets: secrets, Kind: rpc.Node, Name: "n1", Log: zap.NewNop(),
		Handle: func(s *rpc.Session, class rpc.Class, payload []byte) {
			fmt.Printf("n1 got %q from %s\n", payload, s.Peer().Name)
			if err := s.Send(class, []byte("pong")); err != nil {
				fmt.Println(err)
			}
		},
	})
	proxyEnd, nodeEnd := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		node.ServeConn(nodeEnd)
	}()

	replies := make(chan []byte)
	session, err := rpc.Client(context.Background(), proxyEnd, rpc.Options{
		Cluster: "main", Secrets: secrets, Kind: rpc.Proxy, Name: "p1", Log: zap.NewNop(),
		Handle: func(_ *rpc.Session, _ rpc.Class, payload []byte) { replies <- payload },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := session.Send(rpc.Votes, []byte("ping")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("p1 got %q\n", <-replies)

	session.Close()
	<-session.Done()
	<-ended
	// Output:
	// n1 got "ping" from p1
	// p1 got "pong"
}
