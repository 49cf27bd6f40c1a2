// Command synod-storaged is one storage node of a Synod cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"

	"synod/storaged"
	"synod/tools/program"
)

type flags struct {
	program.Common

	ID        string       `help:"The node's name in the cluster. It belongs to its data directory for good." required:"" placeholder:"NAME"`
	DataDir   string       `help:"Directory of the node's data; created if it is not there." required:"" placeholder:"DIR"`
	Listen    string       `help:"Address for proxies and other nodes. They are told this address: name one that they can reach." default:"127.0.0.1:7101" placeholder:"HOST:PORT"`
	Admin     string       `help:"Address for /healthz, /readyz, /metrics and profiles over HTTP." default:"127.0.0.1:8101" placeholder:"HOST:PORT"`
	CacheSize program.Size `help:"Memory for hot keys, a part of --memory-limit." default:"256MiB" placeholder:"SIZE"`
	MinFree   program.Size `help:"Keep this much of the disk free for what makes room: a segment of the changelog (32 MiB), a flush (64 MiB) and a compaction (as much again and more). With less, writes that add are refused; reads and deletes go on. A quarter of it, up to 64 MiB, is reserved in a file." default:"256MiB" placeholder:"SIZE"`
	Moved     bool         `help:"Accept a data directory that was moved here though its node did not end in order where it was. Make sure that nothing runs there, nor on a copy."`
	Lanes     int          `help:"How many lanes work on keys in parallel; 0 is one per CPU." default:"0" placeholder:"N"`

	program.MemoryLimit
	program.Cluster
	program.Consensus
	program.Logging
}

const help = `A storage node of a Synod cluster: it votes on writes and keeps them on disk.

A node waits for etcd and for the cluster to be created (synodctl init), in whatever order they come. SIGTERM makes it finish what it has begun and close its store.

Examples:

    synod-storaged --id n1 --data-dir /var/lib/synod/n1
    synod-storaged --id n2 --data-dir /var/lib/synod/n2 \
        --listen 10.0.0.2:7101 --admin 10.0.0.2:8101 --etcd http://10.0.0.5:2379
    synod-storaged --config /etc/synod/storaged.yaml`

func newProgram() program.Program {
	f := new(flags)
	return program.Program{Name: "synod-storaged", Help: help, Flags: f, Run: f.run}
}

func main() { newProgram().Main() }

func (f *flags) run(ctx context.Context, _ io.Writer, _ *kong.Context) error {
	memory, err := storaged.DivideMemory(f.MemoryLimit.Bytes(storaged.DefaultMemory(int64(f.CacheSize))), int64(f.CacheSize))
	if err != nil {
		return fmt.Errorf("--memory-limit: %w", err)
	}
	program.LimitMemory(memory.Limit, memory.Outside)
	log, err := f.Logging.Open(os.Stderr)
	if err != nil {
		return err
	}
	log = log.With(zap.String("node", f.ID))
	st, err := f.Cluster.Open(log)
	if err != nil {
		return err
	}
	d, err := storaged.Start(ctx, storaged.Config{
		ID: f.ID, Cluster: f.Cluster.Cluster, ListenAddr: f.Listen, AdminAddr: f.Admin, DataDir: f.DataDir, Store: st,
		CacheBytes: int64(f.CacheSize), MinFreeBytes: int64(f.MinFree), Memory: memory, Limits: f.Limits(), Lanes: f.Lanes, Moved: f.Moved,
		Log: log, Version: program.Release(),
	})
	if err == nil {
		log.Info("serving", zap.String("listen", d.Addr()), zap.String("admin", d.AdminAddr()))
		err = program.Serve(ctx, log, d)
	} else if ctx.Err() != nil {
		err = nil // asked to end while it waited
	}
	return errors.Join(err, st.Close())
}
