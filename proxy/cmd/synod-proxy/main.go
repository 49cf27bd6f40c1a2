// Command synod-proxy serves Redis clients from a Synod cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"

	"synod/proxy"
	"synod/proxy/server"
	"synod/tools/program"
)

type flags struct {
	program.Common

	Listen     string `help:"Address for Redis clients." default:"127.0.0.1:6379" placeholder:"HOST:PORT"`
	Admin      string `help:"Address for /healthz, /readyz, /metrics and profiles over HTTP." default:"127.0.0.1:8201" placeholder:"HOST:PORT"`
	Name       string `help:"Name to be listed by; the host's name and the port if not given." placeholder:"NAME"`
	MaxClients int    `help:"How many clients may be connected at a time." default:"10000" placeholder:"N"`
	Password   string `help:"Password that clients must give (AUTH, HELLO); better set by environment or file." placeholder:"SECRET"`
	StateDir   string `help:"Directory where the proxy keeps what it takes to start while etcd is away: the placement last seen and a proposer id. Its own alone. None: it waits for etcd." placeholder:"DIR" type:"path"`
	Lanes      int    `help:"How many lanes work on keys in parallel; 0 is one per CPU." default:"0" placeholder:"N"`

	program.MemoryLimit
	program.Cluster
	program.Consensus
	program.Logging
}

// Validate refuses numbers that make no sense. kong calls it.
func (f *flags) Validate() error {
	if f.MaxClients < 1 {
		return errors.New("--max-clients: at least 1")
	}
	return nil
}

const help = `A proxy of a Synod cluster: Redis clients connect to it, to any of them.

A proxy holds no data, and next to none with --state-dir; run as many as you like. It waits for etcd and for the cluster to be created (synodctl init), in whatever order they come. SIGTERM makes it finish what it has begun.

Examples:

    synod-proxy
    synod-proxy --listen 0.0.0.0:6379 --admin 10.0.0.7:8201 --etcd http://10.0.0.5:2379
    SYNOD_PASSWORD=secret synod-proxy --config /etc/synod/proxy.yaml`

func newProgram() program.Program {
	f := new(flags)
	return program.Program{Name: "synod-proxy", Help: help, Flags: f, Run: f.run}
}

func main() { newProgram().Main() }

func (f *flags) run(ctx context.Context, _ io.Writer, _ *kong.Context) error {
	memory, err := server.DivideMemory(f.MemoryLimit.Bytes(server.DefaultMemory))
	if err != nil {
		return fmt.Errorf("--memory-limit: %w", err)
	}
	program.LimitMemory(memory.Limit, 0)
	log, err := f.Logging.Open(os.Stderr)
	if err != nil {
		return err
	}
	st, err := f.Cluster.Open(log)
	if err != nil {
		return err
	}
	p, err := proxy.Start(ctx, proxy.Config{
		Name: f.name(), Cluster: f.Cluster.Cluster, ListenAddr: f.Listen, AdminAddr: f.Admin, Store: st,
		Limits: f.Limits(), MaxClients: f.MaxClients, Password: f.Password, Lanes: f.Lanes, Memory: memory, StateDir: f.StateDir,
		Log: log, Version: program.Release(),
	})
	if err == nil {
		log.Info("serving", zap.String("listen", p.Addr()), zap.String("admin", p.AdminAddr()))
		err = program.Serve(ctx, log, p)
	} else if ctx.Err() != nil {
		err = nil // asked to end while it waited
	}
	return errors.Join(err, st.Close())
}

func (f *flags) name() string {
	if f.Name != "" {
		return f.Name
	}
	host, err := os.Hostname()
	if err != nil {
		host = "proxy"
	}
	_, port, err := net.SplitHostPort(f.Listen)
	if err != nil {
		return host // the listener will say what is wrong with the address
	}
	return host + ":" + port
}
