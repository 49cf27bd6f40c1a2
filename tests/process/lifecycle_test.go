package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"synod/tests/harness"
)

// Proxies and nodes are started before etcd and before the cluster is created.
// They wait, log what for, and continue when it is available.
func TestAnyOrder(t *testing.T) {
	etcd := harness.NewEtcd(t)
	c := harness.NewCluster(t, etcd, usual)
	c.Proxies[0].Start()
	c.Proxies[0].AwaitOutput("waiting for etcd")
	c.Nodes[0].Start()
	c.Nodes[0].AwaitOutput("waiting for etcd")
	etcd.Start()
	c.Proxies[0].AwaitOutput("waiting for the cluster")
	c.Nodes[1].Start()
	c.Proxies[1].Start()
	// A client that connects too early is answered when the cluster is
	// available.
	early := harness.Dial(t, c.Proxies[0].Addr)
	if err := early.Send(harness.Command("SET", "early", "bird")); err != nil {
		t.Fatal(err)
	}
	c.Nodes[2].Start()
	c.Init()
	if reply, err := early.Reply(); err != nil || string(reply) != "+OK\r\n" {
		t.Errorf("the early client gets %q, %v", reply, err)
	}
	c.AwaitServing()
}

// A proxy that receives SIGTERM answers the commands in progress: exactly the
// answered commands took effect.
func TestProxyDrains(t *testing.T) {
	c := harness.StartCluster(t, usual)
	leaving, staying := c.Proxies[0], c.Proxies[1]
	const clients, commands = 4, 20_000
	replies := make([]int, clients)
	var all sync.WaitGroup
	begun := make(chan struct{}, clients)
	for i := range clients {
		conn := harness.Dial(t, leaving.Addr)
		incr := bytes.Repeat(harness.Command("INCR", fmt.Sprint("drain:", i)), commands)
		all.Go(func() { _ = conn.Send(incr) }) // fails when the proxy has left
		all.Go(func() {
			for {
				reply, err := conn.Reply()
				if err != nil {
					return
				}
				replies[i]++
				if string(reply) != fmt.Sprintf(":%d\r\n", replies[i]) {
					t.Errorf("reply %d is %q", replies[i], reply)
				}
				if replies[i] == 10 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range clients {
		<-begun
	}
	idle := harness.Dial(t, leaving.Addr)
	idle.Must(t, "PING")
	leaving.Terminate()
	all.Wait()
	if _, closed := idle.Rest(); !closed {
		t.Error("an idle connection is not closed")
	}
	if status := leaving.Wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	after := harness.Dial(t, staying.Addr)
	for i, n := range replies {
		want := fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(n)), n)
		if got := after.Must(t, "GET", fmt.Sprint("drain:", i)); got != want {
			t.Errorf("client %d had %d replies; the counter is %q", i, n, got)
		}
		t.Logf("client %d: %d of %d commands done", i, n, commands)
	}
}

// A node that receives SIGTERM shuts down cleanly, and can restart at once.
func TestNodeDrains(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := run(t, 6, c.Addrs()...)
	for _, n := range c.Nodes {
		w.progress(enough)
		n.Terminate()
		if status := n.Wait(); status != 0 {
			t.Errorf("%s: exit status %d", n.ID, status)
		}
		w.progress(enough)
		n.Start()
		n.AwaitReady(t)
	}
	w.check(c.Proxies[0].Addr)
	if n := w.lost[unknown]; n > 0 {
		t.Logf("%d outcomes were unknown", n)
	}
}

// A program that cannot start prints one clear line and exits with status 1. It
// waits for resources that an ending process may still hold, and logs that.
func TestCannotStart(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
	n, p := c.Nodes[0], c.Proxies[0]
	node := func(flags ...string) []string {
		return append([]string{"synod-storaged", "--etcd", c.Etcd.URL, "--id", "n9", "--listen", harness.Addr(t), "--admin", harness.Addr(t),
			"--data-dir", filepath.Join(t.TempDir(), "n9")}, flags...)
	}
	stopped := c.Nodes[2] // its directory is free
	stopped.Terminate()
	stopped.Wait()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		says    string
		program []string
	}{
		"node, port taken":                {"address already in use", node("--listen", n.Addr)},
		"node, admin port taken":          {"address already in use", node("--admin", n.Admin)},
		"proxy, port taken":               {"address already in use", []string{"synod-proxy", "--etcd", c.Etcd.URL, "--listen", p.Addr, "--admin", harness.Addr(t)}},
		"proxy, admin port taken":         {"address already in use", []string{"synod-proxy", "--etcd", c.Etcd.URL, "--listen", harness.Addr(t), "--admin", p.Admin}},
		"directory in use":                {"in use by another process", node("--data-dir", n.Dir, "--id", n.ID)},
		"directory of another node":       {"holds data of node", node("--data-dir", stopped.Dir)},
		"directory of another cluster":    {"holds data of cluster", node("--data-dir", stopped.Dir, "--id", stopped.ID, "--cluster", "other")},
		"node that is somebody else":      {"belongs to another data directory", node("--id", n.ID)},
		"directory that is a file":        {"not a directory", node("--data-dir", file)},
		"no such address":                 {"listen", node("--listen", "127.0.0.1")},
		"unknown flag":                    {"unknown flag", node("--nosuch")},
		"synod, port taken":               {"address already in use", []string{"synod", "--listen", p.Addr, "--data-dir", t.TempDir()}},
		"synod, directory that is a file": {"not a directory", []string{"synod", "--listen", harness.Addr(t), "--data-dir", file}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := harness.Run(t, harness.Binary(t, test.program[0]), test.program[1:]...)
			lines := strings.Split(strings.TrimRight(stderr, "\n"), "\n")
			if strings.Contains(lines[0], "waiting for ") && strings.Contains(lines[0], test.says) {
				lines = lines[1:]
			}
			last := lines[len(lines)-1]
			if status != 1 || stdout != "" || len(lines) != 1 || !strings.HasPrefix(last, test.program[0]+": ") || !strings.Contains(last, test.says) {
				t.Errorf("exit status %d, want one line with %q; stdout %q, stderr:\n%s", status, test.says, stdout, stderr)
			}
		})
	}
}

// status is the part of `synodctl status -o json` that the tests check.
type status struct {
	Nodes []struct {
		ID string `json:"id"`
		Up bool   `json:"up"`
	} `json:"nodes"`
	Proxies []struct {
		Name string `json:"name"`
	} `json:"proxies"`
	Groups []struct {
		Up      int  `json:"nodes_up"`
		Serving bool `json:"serving"`
	} `json:"groups"`
}

func statusOf(t *testing.T, c *harness.Cluster) status {
	t.Helper()
	code, stdout, stderr := c.Control("status", "-o", "json")
	if code != 0 {
		t.Fatalf("synodctl status: %s", stderr)
	}
	var s status
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	return s
}

// synodctl shows which members are up, and notices which are not.
func TestStatus(t *testing.T) {
	c := harness.StartCluster(t, usual)
	up := func() (nodes, proxies int) {
		s := statusOf(t, c)
		for _, n := range s.Nodes {
			if n.Up {
				nodes++
			}
		}
		return nodes, len(s.Proxies)
	}
	expect := func(what string, wantNodes, wantProxies int) {
		t.Helper()
		harness.Await(t, what, func() bool {
			nodes, proxies := up()
			return nodes == wantNodes && proxies == wantProxies
		})
	}
	expect("three nodes and two proxies", 3, 2)
	c.Nodes[1].Kill()
	c.Proxies[1].Terminate() // unregisters itself, while a killed proxy is noticed only after a while
	expect("two nodes and one proxy", 2, 1)
	if s := statusOf(t, c); len(s.Groups) != 1 || s.Groups[0].Up != 2 || !s.Groups[0].Serving {
		t.Errorf("groups %+v", s.Groups)
	}
	_, table, _ := c.Control("status")
	for _, want := range []string{"n1", "n2", "n3", "up", "down", "0-16383"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	c.Nodes[1].Start()
	expect("three nodes and one proxy", 3, 1)
}
