package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
	"synod/proxy"
	"synod/proxy/server"
	"synod/storaged"
	"synod/tools/program"
)

// createLimit limits how long creating a new cluster in etcd may take.
const createLimit = 30 * time.Second

// minFree is the free disk space in bytes below which nodes refuse writes.
const minFree = 64 << 20

// cluster is the running cluster.
type cluster struct {
	flags  *flags
	log    *zap.Logger
	memory memory
	parts  []program.Daemon // running parts, in starting order

	dir     *directory
	etcdURL string
	store   *store.Store
	nodes   []*storaged.Daemon
	proxies []*proxy.Proxy
}

// part makes any closer a part of the cluster.
type part struct {
	err   <-chan error // nil if it cannot fail by itself
	close func() error
}

func (p part) Err() <-chan error           { return p.err }
func (p part) Close(context.Context) error { return p.close() }

// start starts everything, bottom first. After an error, close releases what
// was started.
func (c *cluster) start(ctx context.Context) (err error) {
	f := c.flags
	addrs, err := proxyAddrs(f.Listen, f.Proxies)
	if err != nil {
		return err
	}
	want := newLayout(f)
	table, err := placement.Plan(nodeNames(want.Nodes), want.Replicas)
	if err != nil {
		return err
	}
	if c.dir, err = openDirectory(f.DataDir, want); err != nil {
		return err
	}
	c.parts = append(c.parts, part{close: c.dir.close})
	if err := tryListen(addrs); err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, c.dir.sub("etcd"), c.log)
	if err != nil {
		return err
	}
	c.parts = append(c.parts, part{err: etcd.Err(), close: etcd.close})
	c.etcdURL = etcd.url()
	c.store, err = store.Open(store.Config{Endpoints: []string{c.etcdURL}, Cluster: c.dir.Cluster, Log: c.log})
	if err != nil {
		return err
	}
	c.parts = append(c.parts, part{close: c.store.Close})
	if err := c.startNodes(ctx); err != nil {
		return err
	}
	if err := c.create(ctx, table); err != nil {
		return err
	}
	return c.startProxies(ctx, addrs)
}

// startNodes starts all nodes in parallel, because each first reads its log.
func (c *cluster) startNodes(ctx context.Context) error {
	names := nodeNames(c.dir.Nodes)
	nodes := make([]*storaged.Daemon, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		memory, err := storaged.DivideMemory(c.memory.node, int64(c.flags.CacheSize))
		if err != nil {
			return err
		}
		wg.Go(func() {
			nodes[i], errs[i] = storaged.Start(ctx, storaged.Config{
				ID: name, Cluster: c.dir.Cluster, ListenAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", DataDir: c.dir.sub(name),
				Store: c.store, CacheBytes: int64(c.flags.CacheSize), MinFreeBytes: minFree, Limits: c.flags.Limits(), Memory: memory,
				Log: c.log.With(zap.String("node", name)), Version: program.Release(),
			})
		})
	}
	wg.Wait()
	for i, n := range nodes {
		if errs[i] == nil {
			c.nodes = append(c.nodes, n)
			c.parts = append(c.parts, n)
		}
	}
	return errors.Join(errs...)
}

// create assigns the slots at the first start.
func (c *cluster) create(ctx context.Context, table *placement.Table) error {
	ctx, cancel := context.WithTimeout(ctx, createLimit)
	defer cancel()
	snap, err := c.store.Get(ctx)
	if err != nil {
		return err
	}
	if snap.Table != nil {
		if have := snap.Table.Nodes(); !slices.Equal(have, table.Nodes()) {
			return fmt.Errorf("data directory %s: its etcd describes a cluster of %s", c.dir.path, strings.Join(have, ", "))
		}
		return nil
	}
	return c.store.Init(ctx, table)
}

func (c *cluster) startProxies(ctx context.Context, addrs []string) error {
	for i, addr := range addrs {
		name := fmt.Sprintf("p%d", i+1)
		memory, err := server.DivideMemory(c.memory.proxy)
		if err != nil {
			return err
		}
		p, err := proxy.Start(ctx, proxy.Config{
			Name: name, Cluster: c.dir.Cluster, ListenAddr: addr, AdminAddr: "127.0.0.1:0", Store: c.store,
			Limits: c.flags.Limits(), MaxClients: c.flags.MaxClients, Password: c.flags.Password, Memory: memory,
			Log: c.log.With(zap.String("proxy", name)), Version: program.Release(),
		})
		if err != nil {
			return err
		}
		c.proxies = append(c.proxies, p)
		c.parts = append(c.parts, p)
	}
	return nil
}

// serve runs until ctx ends or a part of the cluster fails, then closes the
// parts in reverse order: proxies, nodes, etcd.
func (c *cluster) serve(ctx context.Context) error {
	slices.Reverse(c.parts)
	return program.Serve(ctx, c.log, c.parts...)
}

// close releases everything that start created.
func (c *cluster) close() error {
	slices.Reverse(c.parts)
	return program.Close(c.parts...)
}

// proxyAddrs returns the addresses of n proxies, the first at listen.
func proxyAddrs(listen string, n int) ([]string, error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: expected HOST:PORT", listen)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || int(port)+n-1 > 65535 {
		return nil, fmt.Errorf("--listen %s: no port for each of %d proxies", listen, n)
	}
	addrs := make([]string, n)
	for i := range addrs {
		p := 0 // a free port for each
		if port != 0 {
			p = int(port) + i
		}
		addrs[i] = net.JoinHostPort(host, strconv.Itoa(p))
	}
	return addrs, nil
}

// tryListen checks that the ports are free before anything starts.
func tryListen(addrs []string) error {
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// banner returns the text that says where to connect.
func (c *cluster) banner(out io.Writer) error {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(&b, "  %-9s %s\n", what, fmt.Sprintf(format, args...))
	}
	_, _ = fmt.Fprintf(&b, "Synod %s is ready: %d nodes, %d replicas, data in %s\n\n", program.Release(), c.dir.Nodes, c.dir.Replicas, c.dir.path)
	for _, p := range c.proxies {
		host, port, err := net.SplitHostPort(p.Addr())
		if err != nil {
			return fmt.Errorf("address of a proxy: %w", err)
		}
		option := ""
		if host != "127.0.0.1" {
			option = "-h " + host + " "
		}
		line("connect", "redis-cli %s-p %s", option, port)
	}
	line("status", "synodctl --etcd %s --cluster %s status", c.etcdURL, c.dir.Cluster)
	for i, p := range c.proxies {
		line("admin", "http://%s/metrics (proxy p%d)", p.AdminAddr(), i+1)
	}
	for i, n := range c.nodes {
		line("admin", "http://%s/metrics (node n%d)", n.AdminAddr(), i+1)
	}
	b.WriteString("\nCtrl-C ends it; the data stays.\n")
	_, err := io.WriteString(out, b.String())
	return err
}
