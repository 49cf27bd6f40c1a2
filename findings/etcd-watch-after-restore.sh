#!/usr/bin/env bash
# After etcd has been restored from a snapshot, watches of clients that live on are
# silent: no event and no error, until as many revisions have passed as were lost.
#
# Library:   go.etcd.io/etcd server, client and etcdutl, all v3.7.3
# Input:     a client watches a key, with WithRequireLeader. A snapshot is taken;
#            ten more puts are made, and seen. The server is stopped, restored from
#            the snapshot (etcdutl snapshot restore), and started at the same address.
# Behaviour: the client resumes its watch by itself, at the revision after the last
#            one that it saw, which the restored server has not reached. The server
#            takes that for a watch of the future. Puts are answered, Get shows them,
#            the watch shows nothing; and when the revision has passed it goes on as
#            if nothing had been left out.
#            Restored with a revision bump, and marked as compacted (etcdutl's
#            --bump-revision and --mark-compacted, off by default), the watch ends
#            with ErrCompacted instead, and the client can list anew.
# Surprise:  a watch says so when it cannot show all that its revision promises
#            (ErrCompacted), but not in this case.
# Go by:     restore with these two options; or compare, every few seconds, the
#            revision in the header of a Get with the last one of the watch.
# Seen:
#   restored as it is:      10 puts, not shown, error: <nil>; then 2 puts, shown
#   restored with a bump:   the watch ends: etcdserver: mvcc: required revision has been compacted
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod

cat >main.go <<'EOF'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

const lost = 10 // puts after the snapshot

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// place is where a server of one member is.
type place struct {
	dir          string
	client, peer url.URL
}

func free() url.URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

func (p place) start() *embed.Etcd {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "one", p.dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{p.client}, []url.URL{p.client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{p.peer}, []url.URL{p.peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	must(err)
	<-e.Server.ReadyNotify()
	return e
}

func (p place) restore(from string, bump uint64) {
	must(snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: from, OutputDataDir: p.dir, Name: "one",
		PeerURLs: []string{p.peer.String()}, InitialCluster: "one=" + p.peer.String(), InitialClusterToken: "etcd-cluster",
		RevisionBump: bump, MarkCompacted: bump > 0,
	}))
}

func put(c *clientv3.Client, value string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := c.Put(ctx, "key", value)
	must(err)
}

// next returns what a watch shows within a second, if anything.
func next(w clientv3.WatchChan) (events int, err error) {
	select {
	case r := <-w:
		return len(r.Events), r.Err()
	case <-time.After(time.Second):
		return 0, nil
	}
}

// trial returns how many puts after a restore were not shown, how many behind
// them were, and how the watch ended if it did.
func trial(name string, bump uint64) (silent, shown int, end error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := place{filepath.Join(name, "first"), free(), free()}
	server := p.start()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{p.client.String()}, Logger: zap.NewNop()})
	must(err)
	defer c.Close()
	put(c, "first")
	watch := c.Watch(clientv3.WithRequireLeader(ctx), "key")

	saved := filepath.Join(name, "snapshot")
	from, err := c.Snapshot(ctx)
	must(err)
	to, err := os.Create(saved)
	must(err)
	_, err = io.Copy(to, from)
	must(err)
	must(to.Close())
	for range lost {
		put(c, "lost")
	}
	for seen := 0; seen < lost; {
		n, err := next(watch)
		must(err)
		seen += n
	}
	server.Close()

	p.dir = filepath.Join(name, "restored")
	p.restore(saved, bump)
	server = p.start()
	defer server.Close()
	time.Sleep(3 * time.Second) // the client connects, and resumes its watch
	if n, err := next(watch); n > 0 || err != nil {
		return 0, n, err
	}
	for shown < 2 && silent < 3*lost {
		put(c, "new")
		n, err := next(watch)
		switch {
		case err != nil:
			return silent, shown, err
		case n == 0:
			silent++
		default:
			shown += n
		}
	}
	return silent, shown, nil
}

func main() {
	silent, shown, end := trial("plain", 0)
	fmt.Printf("restored as it is:      %d puts, not shown, error: %v; then %d puts, shown\n", silent, end, shown)
	if silent != lost || shown != 2 || end != nil {
		log.Fatal("the behaviour is another one")
	}
	_, _, end = trial("bumped", 1000)
	fmt.Printf("restored with a bump:   the watch ends: %v\n", end)
	if !errors.Is(end, rpctypes.ErrCompacted) {
		log.Fatal("the behaviour is another one")
	}
}
EOF
go mod init finding 2>/dev/null
go get go.etcd.io/etcd/server/v3@v3.7.3 go.etcd.io/etcd/client/v3@v3.7.3 go.etcd.io/etcd/etcdutl/v3@v3.7.3 2>/dev/null
go run .
