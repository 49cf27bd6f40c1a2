package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"synod/meta/sealed"
)

// directory is a data directory that this process has to itself:
//
//	LOCK          held with flock, contains the process id
//	cluster.json  what kind of cluster lives here
//	etcd/         the embedded etcd
//	n1/ n2/ …     the storage nodes
type directory struct {
	path string
	lock *os.File
	layout
}

// layout is fixed once a cluster has been created.
type layout struct {
	Format   int `json:"format"`
	Nodes    int `json:"nodes"`
	Replicas int `json:"replicas"`
	// Cluster is the cluster's name in its etcd.
	Cluster string `json:"cluster"`
}

const layoutFormat = 1

// openDirectory locks the directory, creating it if necessary, and checks that
// it is empty or holds a cluster with the wanted layout.
func openDirectory(path string, want layout) (*directory, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &directory{path: abs}
	if d.lock, err = lock(abs); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if d.layout, err = readLayout(abs, want); err != nil {
		_ = d.close()
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	return d, nil
}

func (d *directory) sub(name string) string { return filepath.Join(d.path, name) }

// close releases the lock.
func (d *directory) close() error { return d.lock.Close() }

// lock takes the directory's lock, which the process holds until it ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock: %w", err)
		}
		if pid, err := os.ReadFile(f.Name()); err == nil && len(pid) > 0 {
			return nil, fmt.Errorf("in use by process %s", strings.TrimSpace(string(pid)))
		}
		return nil, errors.New("in use by another process")
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}

func readLayout(dir string, want layout) (layout, error) {
	name := filepath.Join(dir, "cluster.json")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return want, makeLayout(dir, name, want)
	}
	if err != nil {
		return layout{}, err
	}
	var have layout
	if err := json.Unmarshal(data, &have); err != nil {
		return layout{}, fmt.Errorf("cluster.json: %w", err)
	}
	switch {
	case have.Format != layoutFormat:
		return layout{}, fmt.Errorf("cluster.json has format %d, this program knows %d", have.Format, layoutFormat)
	case have.Nodes != want.Nodes:
		return layout{}, fmt.Errorf("it holds a cluster of %d nodes, --nodes %d cannot change that", have.Nodes, want.Nodes)
	case have.Replicas != want.Replicas:
		return layout{}, fmt.Errorf("it holds a cluster with %d replicas, --replicas %d cannot change that", have.Replicas, want.Replicas)
	}
	return have, nil
}

// makeLayout writes the layout to an otherwise empty directory.
func makeLayout(dir, name string, l layout) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "LOCK" && !strings.HasPrefix(e.Name(), "cluster.json.") {
			return fmt.Errorf("it holds %s but no cluster of this program; name another directory", e.Name())
		}
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return sealed.Replace(name, append(data, '\n'))
}

// newLayout returns the layout given by the flags.
func newLayout(f *flags) layout {
	return layout{Format: layoutFormat, Nodes: f.Nodes, Replicas: min(f.Replicas, f.Nodes), Cluster: "local"}
}

// nodeNames returns the names of n nodes.
func nodeNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", i+1)
	}
	return names
}
