package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"

	"synod/meta/placement"
	"synod/meta/store"
)

// answerLimit limits the wait for an etcd that does not answer.
const answerLimit = 5 * time.Second

// run runs the chosen command; it opens the store if the command needs it.
func (f *flags) run(ctx context.Context, out io.Writer, k *kong.Context) error {
	switch k.Command() {
	case "import":
		return f.Import.run(ctx, out)
	case "export":
		return f.Export.run(ctx, out)
	}
	st, err := f.Open(zap.NewNop())
	if err != nil {
		return err
	}
	switch k.Command() {
	case "init":
		err = f.Init.run(ctx, out, st)
	case "rotate-secret":
		err = f.Rotate.run(ctx, out, st)
	default:
		err = f.Status.run(ctx, out, st)
	}
	return errors.Join(err, st.Close())
}

// initCommand is `synodctl init`.
type initCommand struct {
	Nodes    []string      `help:"Names of the storage nodes (their --id)." required:"" placeholder:"NAME"`
	Replicas int           `help:"How many nodes hold each slot: 3 survive the loss of one, 5 of two." default:"3" placeholder:"N"`
	Wait     time.Duration `help:"How long to wait for the nodes to be registered." default:"30s" placeholder:"TIME"`
}

// Help is printed by `synodctl init --help`.
func (initCommand) Help() string {
	return `The 16384 slots are spread evenly over groups of nodes. A cluster is created once; trying again is an error.

Examples:

    synodctl init --nodes n1,n2,n3
    synodctl init --nodes n1,n2,n3,n4,n5 --replicas 3 --wait 2m`
}

func (c *initCommand) run(ctx context.Context, out io.Writer, st *store.Store) error {
	table, err := placement.Plan(c.Nodes, c.Replicas)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	snap, err := st.Get(limited)
	cancel()
	if err != nil {
		return err
	}
	if snap.Table == nil {
		if err := c.await(ctx, out, st, snap); err != nil {
			return err
		}
	}
	limited, cancel = context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if err := st.Init(limited, table); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "cluster %s: %d slots over %s of %d nodes, %d replicas\n",
		st.Cluster(), placement.Slots, count(len(table.Groups), "group"), len(c.Nodes), c.Replicas)
	return err
}

// await waits until the nodes are registered, and prints which are missing.
func (c *initCommand) await(ctx context.Context, out io.Writer, st *store.Store, snap *store.Snapshot) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	snaps := st.Watch(ctx)
	said := ""
	for {
		missing := strings.Join(store.Missing(snap, c.Nodes), ", ")
		if missing == "" {
			return nil
		}
		if missing != said {
			if _, err := fmt.Fprintf(out, "waiting for %s to be registered\n", missing); err != nil {
				return err
			}
			said = missing
		}
		next, ok := <-snaps
		if !ok {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("nodes %s: %w after %v; start them, with --cluster %s and the same etcd", missing, store.ErrNotRegistered, c.Wait, st.Cluster())
			}
			return errors.New("interrupted")
		}
		snap = next
	}
}

// rotateCommand is `synodctl rotate-secret`.
type rotateCommand struct{}

// Help is printed by `synodctl rotate-secret --help`.
func (rotateCommand) Help() string {
	return `Nodes and proxies prove to each other that they know this secret. They learn of the new one by themselves; connections that are open stay.
The one before is taken until the next call: to shut out who knows it, call twice. Has no effect where --cluster-secret-file is used.

Example:

    synodctl rotate-secret`
}

func (rotateCommand) run(ctx context.Context, out io.Writer, st *store.Store) error {
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if err := st.RotateSecret(limited); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "cluster %s has a new secret; the one before is taken until the next call\n", st.Cluster())
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
