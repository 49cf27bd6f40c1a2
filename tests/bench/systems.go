package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"synod/tests/harness"
)

// system is one of the databases under test.
type system struct {
	name      string
	addr      string             // of its Redis port, if it has one
	processes []*harness.Process // all that it takes to serve
	drive     generator
	can       func(l load) bool // whether it knows such a load
	admins    []string          // of Synod's processes
}

func anyLoad(load) bool { return true }

const (
	nameRedis = "Redis"
	nameEtcd  = "etcd"
	nameSynod = "Synod"
)

// startRedis starts a redis-server that answers a write once it is on disk.
func startRedis(t *testing.T) system {
	t.Helper()
	addr := harness.Addr(t)
	_, port, _ := strings.Cut(addr, ":")
	p := harness.Start(t, "redis-server", program(t, "redis-server"), "--port", port, "--bind", "127.0.0.1",
		"--dir", t.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	harness.AwaitServing(t, p, addr)
	return system{name: nameRedis, addr: addr, processes: []*harness.Process{p}, drive: redisBenchmark(addr), can: anyLoad}
}

// startEtcd starts an etcd of three members, with keys in it.
func startEtcd(t *testing.T, ctx context.Context) system {
	t.Helper()
	const members = 3
	port, dir := harness.Port(t, 2*members), t.TempDir()
	var endpoints, peers, initial []string
	for i := range members {
		endpoints = append(endpoints, fmt.Sprintf("http://127.0.0.1:%d", port+2*i))
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", port+2*i+1))
		initial = append(initial, fmt.Sprintf("e%d=%s", i, peers[i]))
	}
	s := system{name: nameEtcd, can: func(l load) bool { return l.pipeline == 1 && !l.oneKey }}
	for i := range members {
		name := fmt.Sprintf("e%d", i)
		s.processes = append(s.processes, harness.Start(t, name, program(t, "etcd"),
			"--name", name, "--data-dir", filepath.Join(dir, name), "--log-level", "error",
			"--listen-client-urls", endpoints[i], "--advertise-client-urls", endpoints[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(initial, ",")))
	}
	var g *etcdGenerator
	harness.Await(t, "a leader of etcd", func() bool {
		var err error
		g, err = newEtcdGenerator(ctx, endpoints)
		return err == nil
	})
	if err := g.fill(ctx); err != nil {
		t.Fatal(err)
	}
	s.drive = g.run
	return s
}

// startSynod starts three storage nodes, a proxy and the etcd that they need,
// each a process of its own. The etcd counts as part of the system.
func startSynod(t *testing.T) system {
	t.Helper()
	c := harness.StartCluster(t, harness.Size{
		Nodes: 3, Proxies: 1, NodeFlags: []string{"--cache-size", "256MiB", "--min-free", "256MiB"},
	})
	s := system{name: nameSynod, addr: c.Proxies[0].Addr, drive: redisBenchmark(c.Proxies[0].Addr), can: anyLoad}
	for _, m := range append(c.Proxies[:1:1], c.Nodes...) {
		s.processes = append(s.processes, m.Process)
		s.admins = append(s.admins, m.Admin)
	}
	s.processes = append(s.processes, c.Etcd.Process)
	return s
}

// startLocal starts the whole cluster in one process that uses so many cores.
func startLocal(t *testing.T, cores int) system {
	t.Helper()
	addr := harness.Addr(t)
	p := harness.Start(t, fmt.Sprintf("synod on %d cores", cores), program(t, "env"), fmt.Sprintf("GOMAXPROCS=%d", cores),
		harness.Binary(t, "synod"), "--listen", addr, "--data-dir", filepath.Join(t.TempDir(), "data"))
	harness.AwaitServing(t, p, addr)
	return system{
		name: fmt.Sprintf("%d", cores), processes: []*harness.Process{p},
		drive: redisBenchmark(addr), can: anyLoad,
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s in PATH", name)
	}
	return path
}
