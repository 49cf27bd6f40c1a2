package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"synod/tests/harness"
)

// Two of three nodes run out of disk space: one because it must keep some free,
// the other because its file system is full. They stop acknowledging and report
// it, so no write is acknowledged at all. When there is space again they
// continue, and no acknowledged write is lost.
func TestDiskFull(t *testing.T) {
	c := harness.NewCluster(t, harness.StartEtcd(t), harness.Size{Nodes: 3, Proxies: 2,
		NodeFlags: []string{"--command-timeout", "2s"}, ProxyFlags: []string{"--command-timeout", "2s"}})
	careful, careless := c.Nodes[0], c.Nodes[1]
	careful.Dir, careless.Dir = smallDisk(t), smallDisk(t)
	careful.Extra = append(slices.Clone(careful.Extra), "--min-free", "8MiB")
	careless.Extra = append(slices.Clone(careless.Extra), "--min-free", "0")
	for _, m := range c.Nodes {
		m.Start()
	}
	c.Init()
	for _, m := range c.Proxies {
		m.Start()
	}
	c.AwaitServing()
	w := run(t, 6, c.Addrs()...)
	w.progress(enough)

	ballast := fill(t, careful.Dir)
	careful.AwaitOutput("the disk is nearly full")
	w.progress(enough) // two are left
	ballasts := []string{ballast, fill(t, careless.Dir)}
	filler := open(c.Proxies[0].Addr)
	defer func() { _ = filler.Close() }()
	value := strings.Repeat("x", 200_000)
	harness.Await(t, "the second disk to be full", func() bool {
		_, err := classify(filler.Set(context.Background(), "filler", value, 0).Err())
		return err == nil && strings.Contains(careless.Stderr(), "the disk is full")
	})
	for range 3 {
		if o, err := classify(filler.Set(context.Background(), "filler", "small", 0).Err()); err != nil || o == done {
			t.Errorf("a write ends with %d, %v while two of three disks are full", o, err)
		}
	}
	for _, b := range ballasts {
		if err := os.Remove(b); err != nil {
			t.Fatal(err)
		}
	}
	careful.AwaitOutput("the disk has room again")
	careless.AwaitOutput("the disk has room again")
	w.progress(enough)
	for _, n := range c.Nodes {
		if !n.Running() {
			t.Errorf("%s has ended", n.ID)
		}
	}
	w.check(c.Proxies[1].Addr)
}

// diskBytes is the size of a small disk: room for a changelog segment and a
// little more.
const diskBytes = 256 << 20

// smallDisk returns a directory on a small file system of its own.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENODEV) {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Release it now, because nodes are killed only after this cleanup.
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return filepath.Join(dir, "data")
}

// fill uses up all space of a small disk, and returns the file that does it.
func fill(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(filepath.Dir(dir), "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 64<<10)
	for range diskBytes / len(block) {
		if _, err = f.Write(block); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return name
}

// A killed node's changelog ends in the middle of a write, as after a power
// failure. The node reports it and recovers; nothing is lost.
func TestChangelogTail(t *testing.T) {
	for name, rest := range map[string]func(t *testing.T, path string) []byte{
		"half a write": func(t *testing.T, path string) []byte {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return data[4096 : 4096+40] // the segment's beginning, which is wrong here
		},
		"garbage": func(*testing.T, string) []byte { return []byte("\x40\x00\x00\x00garbage that looks like a record") },
	} {
		t.Run(name, func(t *testing.T) {
			c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
			w := run(t, 6, c.Addrs()...)
			w.progress(enough)
			w.end()
			w.agree(c)
			n := c.Nodes[0]
			n.Kill()
			path, end := lastWritten(t, n.Dir)
			overwrite(t, path, end+16, rest(t, path)) // the last record may end in zeros
			n.Start()
			n.AwaitReady(t)
			n.AwaitOutput("ends in an unfinished write")
			c.Nodes[1].Freeze() // now the damaged one is needed
			w.check(c.Proxies[0].Addr)
		})
	}
}

// A node must not skip acknowledged data that it cannot read, whatever is in
// its place: it refuses to start every time, and reports why and how to
// recover. The others serve.
func TestChangelogDamaged(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string, end int64){
		"overwritten": func(t *testing.T, path string, end int64) { overwrite(t, path, end/2, []byte("damage")) },
		"zeroed":      func(t *testing.T, path string, end int64) { overwrite(t, path, end/2/4096*4096, make([]byte, 4096)) },
		"zeroed to its end": func(t *testing.T, path string, end int64) {
			overwrite(t, path, end-100, make([]byte, 100))
		},
		"cut off": func(t *testing.T, path string, end int64) {
			if err := os.Truncate(path, end-5); err != nil {
				t.Fatal(err)
			}
		},
		"missing": func(t *testing.T, path string, _ int64) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1})
			w := run(t, 6, c.Addrs()...)
			w.progress(5 * enough)
			w.end()
			w.agree(c) // the end of the changelog was acknowledged
			n := c.Nodes[0]
			n.Kill()
			path, end := lastWritten(t, n.Dir)
			damage(t, path, end)
			for range 2 {
				n.Start()
				refuses(t, n)
			}
			conn := harness.Dial(t, c.Proxies[0].Addr)
			conn.Must(t, "SET", "later", "value")
			w.check(c.Proxies[0].Addr)
		})
	}
}

// refuses checks that a node exits because its changelog is damaged.
func refuses(t *testing.T, n *harness.Member) {
	t.Helper()
	if status := n.Wait(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	lines := strings.Split(strings.TrimSpace(n.Stderr()), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "synod-storaged: ") || !strings.Contains(last, "changelog is damaged") || !strings.Contains(last, "a new id and an empty data directory") {
		t.Errorf("the node says:\n%s", n.Stderr())
	}
}

// With one damaged disk and one node down, an acknowledged write is
// unavailable, but not lost, and its key never shows an older value.
func TestAcknowledgedOnDamagedDisk(t *testing.T) {
	c := harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 1, ProxyFlags: []string{"--command-timeout", "2s"}})
	down, damaged, behind := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	conn := harness.Dial(t, c.Proxies[0].Addr)
	conn.Must(t, "SET", "k", "old")
	w := run(t, 2, c.Addrs()...)
	w.progress(enough)
	w.end()
	behind.Kill()
	conn.Must(t, "SET", "k", "new-and-acknowledged")
	w = run(t, 2, c.Addrs()...)
	w.progress(enough)
	w.end()
	down.Kill()
	damaged.Kill()
	path, _ := lastWritten(t, damaged.Dir)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte("new-and-acknowledged"))
	if at < 0 {
		t.Fatal("the write is not in the changelog")
	}
	overwrite(t, path, int64(at)/512*512, make([]byte, 512))
	damaged.Start()
	refuses(t, damaged)
	behind.Start()
	reply, err := conn.Do("GET", "k")
	if err != nil || !strings.HasPrefix(string(reply), "-") {
		t.Errorf("GET answers %q, %v with one node of three", reply, err)
	}
	down.Start()
	c.AwaitServing()
	if got := conn.Must(t, "GET", "k"); !strings.Contains(got, "new-and-acknowledged") {
		t.Errorf("GET answers %q when the other node is back", got)
	}
}

// A node is lost with its disk, and then all others crash: acknowledged writes
// survive (L5). The lost node must not come back under its name with another
// disk, because its votes would be missing (§9).
func TestDiskLost(t *testing.T) {
	c := harness.StartCluster(t, usual)
	w := run(t, 8, c.Addrs()...)
	w.progress(enough)
	lost := c.Nodes[2]
	lost.Kill()
	if err := os.RemoveAll(lost.Dir); err != nil {
		t.Fatal(err)
	}
	w.progress(enough)
	left := append(slices.Clone(c.Nodes[:2]), c.Proxies...)
	for _, m := range left {
		m.Freeze()
	}
	for _, m := range left {
		m.Kill()
	}
	for _, m := range left {
		m.Start()
	}
	c.AwaitServing()
	w.progress(enough)
	lost.Start()
	if status := lost.Wait(); status != 1 || !strings.Contains(lost.Stderr(), "belongs to another data directory") {
		t.Errorf("exit status %d:\n%s", status, lost.Stderr())
	}
	w.progress(enough)
	w.check(c.Proxies[0].Addr)
}

// agree checks that any two nodes together have all data of the workload.
func (w *workload) agree(c *harness.Cluster) {
	w.t.Helper()
	for _, n := range c.Nodes {
		n.Freeze()
		w.final(c.Proxies[0].Addr)
		n.Thaw()
	}
}

// lastWritten returns a node's last changelog segment and where its contents
// end: only zeros follow.
func lastWritten(t *testing.T, dir string) (path string, end int64) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no changelog in %s: %v", dir, err)
	}
	slices.Sort(segments)
	path = segments[len(segments)-1]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, int64(len(bytes.TrimRight(data, "\x00")))
}

func overwrite(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
