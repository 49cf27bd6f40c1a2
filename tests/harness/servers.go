package harness

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Redis starts a real redis-server 7.0 that keeps its data in memory only, and
// returns its address. Without one the test is skipped, or fails where CI says
// that there has to be one.
func Redis(t testing.TB, options ...string) (addr string) {
	t.Helper()
	path := tool(t, "redis-server")
	if version, err := exec.Command(path, "--version").Output(); err != nil || !strings.Contains(string(version), "v=7.0.") {
		t.Skipf("redis-server is not 7.0: %s", version)
	}
	port := Port(t, 1)
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	p := Start(t, "redis-server", path, append([]string{
		"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir(),
	}, options...)...)
	AwaitServing(t, p, addr)
	return addr
}

// Etcd is a real etcd server of one member.
type Etcd struct {
	*Process
	URL string

	t      testing.TB
	args   []string // the first two: where the data is
	backup string
}

// StartEtcd starts an etcd, on a new directory.
func StartEtcd(t testing.TB) *Etcd {
	t.Helper()
	e := NewEtcd(t)
	e.Start()
	return e
}

// NewEtcd returns an etcd that has not been started.
func NewEtcd(t testing.TB) *Etcd {
	t.Helper()
	tool(t, "etcd")
	port := Port(t, 2)
	url, peer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port+1)
	return &Etcd{URL: url, t: t, args: []string{"--data-dir", t.TempDir(), "--log-level", "error",
		"--listen-client-urls", url, "--advertise-client-urls", url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer}}
}

// Start begins the etcd's next life. The last must have ended.
func (e *Etcd) Start() {
	e.t.Helper()
	e.Process = Start(e.t, "etcd", tool(e.t, "etcd"), e.args...)
	Await(e.t, "etcd", func() bool { return healthy(e.URL + "/health") })
}

// Backup keeps the etcd's data for Restore. The etcd is away meanwhile.
func (e *Etcd) Backup() {
	e.t.Helper()
	e.Kill()
	e.backup = filepath.Join(e.t.TempDir(), "backup")
	CopyDir(e.t, e.args[1], e.backup)
	e.Start()
}

// Restore ends the etcd and starts it with the data of the last Backup.
func (e *Etcd) Restore() {
	e.t.Helper()
	e.Kill()
	e.args[1] = filepath.Join(e.t.TempDir(), "restored")
	CopyDir(e.t, e.backup, e.args[1])
	e.Start()
}

// healthy reports whether the URL answers with 200.
func healthy(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// tool returns the path of a program that is not Synod's.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s in PATH", name)
	}
	return path
}

// AwaitServing waits until the Redis server at the address sets and gets, or
// its process ends.
func AwaitServing(t testing.TB, p *Process, addr string) {
	t.Helper()
	if !Poll(Patience, func() bool { return Serving(addr) || !p.Running() }) || !p.Running() {
		t.Fatalf("%s does not serve at %s", p.Name, addr)
	}
}

// Serving reports whether the Redis server at the address answers a read.
func Serving(addr string) bool {
	c, err := TryDial(addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	reply, err := c.Do("EXISTS", "harness:serving")
	return err == nil && string(reply) == ":0\r\n"
}
