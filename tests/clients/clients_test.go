package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"synod/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// TestClients runs the programs one after the other on one cluster, each on
// databases of its own. What they take for right is what Redis answers.
func TestClients(t *testing.T) {
	node := sync.OnceValues(func() (string, error) { return install(t.TempDir()) })
	for name, start := range map[string]func(*testing.T) []string{
		"synod": func(t *testing.T) []string {
			return harness.StartCluster(t, harness.Size{Nodes: 3, Proxies: 2}).Addrs()
		},
		"redis": func(t *testing.T) []string { return []string{harness.Redis(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			addrs := start(t)
			t.Run("go-redis RESP3", func(t *testing.T) { goRedis(t, addrs, 3, 0) })
			t.Run("go-redis RESP2", func(t *testing.T) { goRedis(t, addrs, 2, 1) })
			t.Run("redis-py", func(t *testing.T) { redisPy(t, addrs, 2) })
			t.Run("node-redis", func(t *testing.T) {
				dir, err := node()
				if err != nil {
					t.Log(err)
					missing(t, "node-redis to be had")
				}
				program(t, addrs, 4, tool(t, "node"), filepath.Join(dir, "application.mjs"))
			})
		})
	}
}

func redisPy(t *testing.T, addrs []string, database int) {
	// Debian's, not one that stands before it in the path.
	python := tool(t, "/usr/bin/python3")
	if err := exec.Command(python, "-c", "import redis").Run(); err != nil {
		missing(t, "redis-py (package python3-redis)")
	}
	program(t, addrs, database, python, "python/application.py")
}

// missing skips a test for want of something that CI has to have.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("there is no %s", what)
	}
	t.Skipf("there is no %s", what)
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name)
	}
	return path
}

// install puts the JavaScript program and the library that it is written for, of
// the version that its lock file names, into a directory, which it returns.
func install(dir string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS("node")); err != nil {
		return "", err
	}
	cmd := exec.Command(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return dir, nil
}

// program runs a program to its end. It is given the addresses of the proxies
// and the first of two databases, and says how many answers it has checked.
func program(t *testing.T, addrs []string, database int, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], append(command[1:], strings.Join(addrs, ","), strconv.Itoa(database))...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "answers are right") {
		t.Errorf("%s: %v", cmd, err)
	}
}
