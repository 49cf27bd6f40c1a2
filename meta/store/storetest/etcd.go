// Package storetest starts real etcd servers for tests of what talks to etcd.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// startLimit bounds the time that an etcd may take to answer.
const startLimit = 20 * time.Second

// Etcd is a single etcd server of the program found in PATH, with data in a
// temporary directory. It ends with the test.
type Etcd struct {
	Endpoint string

	t      testing.TB
	dir    string
	backup string
	peer   string
	cmd    *exec.Cmd
	log    *bytes.Buffer
}

// Start starts an etcd on free loopback ports and waits until it answers. The
// test is skipped where the program is not installed.
func Start(t testing.TB) *Etcd {
	t.Helper()
	e := Prepare(t)
	e.Start()
	return e
}

// Prepare is Start, but leaves starting the server to a call of Start.
func Prepare(t testing.TB) *Etcd {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("no etcd in PATH")
	}
	e := &Etcd{t: t, dir: t.TempDir(), Endpoint: "http://" + freePort(t), peer: "http://" + freePort(t)}
	t.Cleanup(e.Kill)
	return e
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Start starts the server, again after Kill, with the data it had.
func (e *Etcd) Start() {
	e.t.Helper()
	e.log = new(bytes.Buffer)
	e.cmd = exec.Command("etcd", "--name", "e", "--data-dir", e.dir, "--log-level", "error",
		"--listen-client-urls", e.Endpoint, "--advertise-client-urls", e.Endpoint,
		"--listen-peer-urls", e.peer, "--initial-advertise-peer-urls", e.peer,
		"--initial-cluster", "e="+e.peer)
	e.cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64")
	e.cmd.Stdout, e.cmd.Stderr = e.log, e.log
	if err := e.cmd.Start(); err != nil {
		e.t.Fatalf("start etcd: %v", err)
	}
	if err := e.ready(); err != nil {
		e.Kill()
		e.t.Fatalf("etcd does not answer: %v\n%s", err, e.log)
	}
}

func (e *Etcd) ready() error {
	c := e.Client()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		attempt, stop := context.WithTimeout(ctx, time.Second)
		_, err := c.Get(attempt, "x")
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("within %v: %w", startLimit, err)
		}
	}
}

// Client returns a client of the server, for what the tests do to it. It is
// closed with the test.
func (e *Etcd) Client() *clientv3.Client {
	e.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Endpoint}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill ends the server as kill -9 does, and waits for it.
func (e *Etcd) Kill() {
	if e.cmd == nil {
		return
	}
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
	e.cmd = nil
}

// Backup keeps the server's data for Restore. The server is away meanwhile.
func (e *Etcd) Backup() {
	e.t.Helper()
	e.Kill()
	e.backup = e.copy(e.dir)
	e.Start()
}

// Restore ends the server and starts it with the data of the last Backup.
func (e *Etcd) Restore() {
	e.t.Helper()
	e.Kill()
	e.dir = e.copy(e.backup)
	e.Start()
}

// copy copies a directory and returns the copy.
func (e *Etcd) copy(dir string) string {
	e.t.Helper()
	to := filepath.Join(e.t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		e.t.Fatal(err)
	}
	return to
}
