package process

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"synod/tests/harness"
)

// TestRolledBackDirectory checks that a node does not vote if its data
// directory is an old copy. Otherwise, if a second node was away, an old value
// could be read after an acknowledged write.
func TestRolledBackDirectory(t *testing.T) {
	for name, whileRunning := range map[string]bool{"copied between two starts": false, "copied in the last start": true} {
		t.Run(name, func(t *testing.T) {
			c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
			n1, n2, n3 := c.Nodes[0], c.Nodes[1], c.Nodes[2]
			client := harness.Dial(t, c.Proxies[0].Addr)
			client.Must(t, "SET", "k", "old")
			var old *harness.Member
			if whileRunning {
				old = c.Copy(n2)
			} else {
				n2.Terminate()
				n2.Wait()
				old = c.Copy(n2)
				n2.Start()
			}
			n2.AwaitReady(t)
			n3.Kill()
			if got := client.Must(t, "SET", "k", "new"); got != "+OK\r\n" { // at n1 and n2
				t.Fatalf("SET: %q", got)
			}
			n2.Kill()
			if err := os.RemoveAll(n2.Dir); err != nil {
				t.Fatal(err)
			}
			harness.CopyDir(t, old.Dir, n2.Dir)
			n1.Kill()
			n3.Start()
			n2.Extra = []string{"--moved"} // the operator's word does not help: the proxy has seen more
			n2.Start()
			if status := n2.Wait(); status != 1 || !behind(n2) {
				t.Errorf("n2 ends with status %d", status)
			}
			n1.Start()
			harness.Await(t, "the acknowledged write", func() bool { return client.Must(t, "GET", "k") == "$3\r\nnew\r\n" })
			if behind(n1) || behind(n3) {
				t.Error("a node that was only restarted is taken for rolled back")
			}
		})
	}
}

// behind reports whether a node has logged that its directory is an older copy.
func behind(n *harness.Member) bool {
	return strings.Contains(n.Stderr(), "rolled back") || strings.Contains(n.Stderr(), "left behind")
}

// TestCopyElsewhere checks that a copy of a node's directory is refused while
// the node runs, without effect on the node and clients.
func TestCopyElsewhere(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := run(t, 4, c.Addrs()...)
	w.progress(enough)
	copied := c.Copy(c.Nodes[1])
	copied.Start()
	if status := copied.Wait(); status != 1 {
		t.Errorf("the copy ends with status %d", status)
	}
	if said := copied.Stderr(); !strings.Contains(said, "running elsewhere") && !behind(copied) {
		t.Errorf("the copy says %q", said)
	}
	w.progress(enough)
	for _, n := range c.Nodes {
		if !n.Running() || !n.Ready() {
			t.Errorf("%s is not well", n.ID)
		}
	}
	w.check(c.Proxies[0].Addr)
	if w.lost[unknown]+w.lost[notDone] > 0 {
		t.Errorf("%d commands were not done, of %d the outcome is unknown", w.lost[notDone], w.lost[unknown])
	}
}

// TestProposerIDGivenTwice restores etcd from an older backup, so that it gives
// out ids of two running proxies. A new proxy is refused with these ids and
// takes another one; all increments count.
func TestProposerIDGivenTwice(t *testing.T) {
	c := harness.StartCluster(t, usual)
	c.Etcd.Backup()
	// A proxy starts with its spare id, which may be older than the backup. So each
	// starts twice: the second time with an id that the backup has not given out.
	for range 2 {
		for _, p := range c.Proxies {
			awaitSpare(t, p)
			p.Restart()
		}
		c.AwaitServing()
	}
	c.Etcd.Restore()
	var third *harness.Member
	for tries, taken := 0, false; !taken; tries++ { // some ids are unused spares
		if tries == 20 {
			t.Fatal("no id is given out twice")
		}
		third = c.AddProxy("p3")
		taken = strings.Contains(third.Stderr(), "took another")
		if !taken {
			third.Terminate()
			third.Wait()
		}
	}
	const times = 200
	var clients sync.WaitGroup
	for _, addr := range append(c.Addrs(), third.Addr) {
		client := harness.Dial(t, addr)
		clients.Go(func() {
			for range times {
				if _, err := client.Do("INCR", "n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	if got, want := harness.Dial(t, third.Addr).Must(t, "GET", "n"), fmt.Sprintf("$3\r\n%d\r\n", 3*times); got != want {
		t.Errorf("counted %q, want %q", got, want)
	}
	harness.Await(t, "three proxies", func() bool { return len(statusOf(t, c).Proxies) == 3 })
}

// awaitSpare waits until a proxy has the id for its next start.
func awaitSpare(t *testing.T, p *harness.Member) {
	t.Helper()
	harness.Await(t, "a spare proposer id", func() bool {
		b, err := os.ReadFile(p.Dir + "/STATE")
		return err == nil && strings.Contains(string(b), `"spare"`)
	})
}

// TestStartWithoutEtcd restarts nodes and proxies while etcd is down. They
// serve with the last known placement, and rejoin when etcd is back.
func TestStartWithoutEtcd(t *testing.T) {
	c := harness.StartCluster(t, usual)
	for _, n := range c.Nodes {
		n.AwaitReady(t) // it has seen the placement
	}
	harness.Dial(t, c.Proxies[0].Addr).Must(t, "SET", "k", "v")
	for _, p := range c.Proxies {
		awaitSpare(t, p)
	}
	c.Etcd.Kill()
	for _, m := range append(c.Nodes, c.Proxies...) {
		m.Restart()
	}
	for _, n := range c.Nodes {
		n.AwaitReady(t)
	}
	c.AwaitServing()
	client := harness.Dial(t, c.Proxies[1].Addr)
	if got := client.Must(t, "GET", "k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET: %q", got)
	}
	if got := client.Must(t, "SET", "k", "without"); got != "+OK\r\n" {
		t.Errorf("SET: %q", got)
	}
	c.Proxies[0].AwaitOutput("etcd does not answer")
	c.Etcd.Start()
	harness.Await(t, "all to be listed again", func() bool {
		s := statusOf(t, c)
		up := 0
		for _, n := range s.Nodes {
			if n.Up {
				up++
			}
		}
		return up == 3 && len(s.Proxies) >= 2
	})
	for _, n := range c.Nodes {
		n.Restart()
		n.AwaitReady(t)
	}
	if got := client.Must(t, "GET", "k"); got != "$7\r\nwithout\r\n" {
		t.Errorf("GET: %q", got)
	}
}
