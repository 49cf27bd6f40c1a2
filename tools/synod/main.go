// Command synod runs a whole Synod cluster in one process, for a laptop and for
// tests: an embedded etcd, storage nodes and proxies on loopback.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"synod/tools/program"
)

type flags struct {
	program.Common

	Nodes      int          `help:"How many storage nodes. Fixed when the data directory is made." default:"3" placeholder:"N"`
	Replicas   int          `help:"How many nodes hold each key, at most all. Fixed as well." default:"3" placeholder:"N"`
	Proxies    int          `help:"How many proxies; each listens on its own port." default:"1" placeholder:"N"`
	Listen     string       `help:"Address of the first proxy, for Redis clients. More proxies take the ports that follow." default:"127.0.0.1:6379" placeholder:"HOST:PORT"`
	DataDir    string       `help:"Directory of all data; created if it is not there." default:"./data" placeholder:"DIR"`
	CacheSize  program.Size `help:"Each node's memory for hot keys, a part of --memory-limit." default:"64MiB" placeholder:"SIZE"`
	MaxClients int          `help:"How many clients may be connected to a proxy at a time." default:"10000" placeholder:"N"`
	Password   string       `help:"Password that clients must give (AUTH, HELLO); better set by environment or file." placeholder:"SECRET"`

	program.MemoryLimit
	program.Consensus
	program.Logging
}

// Validate rejects invalid numbers. kong calls it.
func (f *flags) Validate() error {
	for name, n := range map[string]int{"nodes": f.Nodes, "replicas": f.Replicas, "proxies": f.Proxies, "max-clients": f.MaxClients} {
		if n < 1 {
			return fmt.Errorf("--%s: at least 1", name)
		}
	}
	return nil
}

const help = `A whole Synod cluster in one process: an embedded etcd, storage nodes and proxies on loopback.

Data survives Ctrl-C and kill -9; the next start with the same data directory comes back with it.

Examples:

    synod
    synod --nodes 5 --proxies 2 --listen 127.0.0.1:7000 --data-dir /tmp/synod
    redis-cli -p 6379 set greeting hello`

func newProgram() program.Program {
	f := new(flags)
	return program.Program{Name: "synod", Help: help, Flags: f, LogLevel: "warn", Run: f.run}
}

func main() { newProgram().Main() }

func (f *flags) run(ctx context.Context, out io.Writer, _ *kong.Context) error {
	memory, err := divideMemory(f)
	if err != nil {
		return fmt.Errorf("--memory-limit: %w", err)
	}
	program.LimitMemory(memory.limit, memory.outside)
	log, err := f.Logging.Open(os.Stderr)
	if err != nil {
		return err
	}
	c := &cluster{flags: f, log: log, memory: memory}
	if err := c.start(ctx); err != nil {
		if ctx.Err() != nil {
			return c.close() // stopped during the start
		}
		_ = c.close() // the first error is more useful
		return err
	}
	if err := c.banner(out); err != nil {
		_ = c.close()
		return err
	}
	return c.serve(ctx)
}
