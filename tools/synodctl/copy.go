package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"synod/tools/migrate"
)

// copyFlags has the flags of import and export.
type copyFlags struct {
	DB           []int  `name:"db" help:"Copy these databases only." placeholder:"N"`
	Pattern      string `help:"Copy only keys that match this glob." placeholder:"GLOB"`
	SkipExisting bool   `help:"Leave keys alone that exist where they are copied to." xor:"existing"`
	Replace      bool   `help:"Replace keys that exist where they are copied to. This is the default." xor:"existing"`
	Rate         int    `help:"Copy at most this many keys per second." placeholder:"N"`
	State        string `help:"Keep in this file how far the copy is. The same command then goes on after an interruption." placeholder:"FILE"`
}

// Validate rejects invalid numbers. kong calls it.
func (f copyFlags) Validate() error {
	for _, db := range f.DB {
		if db < 0 || db > 15 {
			return errors.New("--db: 0 to 15 are allowed")
		}
	}
	if f.Rate < 0 {
		return errors.New("--rate: at least 0")
	}
	return nil
}

func (f copyFlags) config() migrate.Config {
	return migrate.Config{DBs: f.DB, Pattern: f.Pattern, SkipExisting: f.SkipExisting, Rate: f.Rate, State: f.State}
}

// login has the flags for a server's credentials.
type login struct {
	User     string `help:"User to log in as there." placeholder:"NAME"`
	Password string `help:"Password there; better in the environment than in the command." placeholder:"TEXT"`
}

func (l login) server(addr string) *migrate.Server {
	return &migrate.Server{Addr: addr, User: l.User, Password: l.Password}
}

// proxy is a server that is a proxy of a cluster.
func (l login) proxy(addr string) *migrate.Server {
	s := l.server(addr)
	s.Cluster = true
	return s
}

// importCommand is `synodctl import`.
type importCommand struct {
	From      string `help:"Address of a running Redis to copy from." placeholder:"HOST:PORT" xor:"from" required:""`
	FromLogin login  `embed:"" prefix:"from-"`
	FromFile  string `help:"RDB file to copy from." placeholder:"FILE" xor:"from" required:"" type:"existingfile"`
	To        string `help:"Address of a proxy of the cluster." default:"127.0.0.1:6379" placeholder:"HOST:PORT"`
	ToLogin   login  `embed:"" prefix:"to-"`
	copyFlags
}

// Help is printed by `synodctl import --help`.
func (importCommand) Help() string {
	return `All databases, keys of all types and their expiries are copied, from a running Redis (2.8 or later) or from an RDB file of Redis up to 7.4.
A running Redis is walked over with SCAN, which is no snapshot of one point in time: what is written meanwhile may be copied before or after the change, or, if it is new, not at all.
Stop the writers, or import a file, for a copy of one moment. Functions, scripts and values of modules are not copied.

Keys that cannot be copied are listed at the end, and the exit status is 1. With --state, the same command goes on after an interruption and ends with the same result.

Examples:

    synodctl import --from 10.0.0.1:6379 --to 10.0.0.5:6379 --state import.state
    SYNOD_FROM_PASSWORD=secret synodctl import --from old:6379 --db 0 --db 3 --pattern 'user:*' --rate 5000
    synodctl import --from-file /var/lib/redis/dump.rdb --skip-existing`
}

func (c *importCommand) run(ctx context.Context, out io.Writer) error {
	config := c.config()
	config.FromFile = c.FromFile
	if c.From != "" {
		config.From = c.FromLogin.server(c.From)
	}
	config.To = c.ToLogin.proxy(c.To)
	return transfer(ctx, out, config)
}

// exportCommand is `synodctl export`.
type exportCommand struct {
	From      string `help:"Address of a proxy of the cluster." default:"127.0.0.1:6379" placeholder:"HOST:PORT"`
	FromLogin login  `embed:"" prefix:"from-"`
	To        string `help:"Address of a running Redis to copy to." placeholder:"HOST:PORT" xor:"to" required:""`
	ToLogin   login  `embed:"" prefix:"to-"`
	ToFile    string `help:"RDB file to write; it must not exist." placeholder:"FILE" xor:"to" required:"" type:"path"`
	copyFlags
}

// Help is printed by `synodctl export --help`.
func (exportCommand) Help() string {
	return `All databases, keys of all types and their expiries are copied, to a running Redis (7.0 or later) or to an RDB file that redis-server 7.0 loads.
The cluster is walked over with SCAN, which is no snapshot of one point in time: what is written meanwhile may be copied before or after the change, or, if it is new, not at all.
Stop the writers for a copy of one moment. Hashes with fields that expire need Redis 7.4: an earlier one refuses these keys, and a file in which there are any.

Keys that cannot be copied are listed at the end, and the exit status is 1. With --state, the same command goes on after an interruption and ends with the same result.

Examples:

    synodctl export --from 10.0.0.5:6379 --to-file dump.rdb
    synodctl export --to 10.0.0.1:6379 --skip-existing --state export.state`
}

func (c *exportCommand) run(ctx context.Context, out io.Writer) error {
	config := c.config()
	config.From = c.FromLogin.proxy(c.From)
	config.ToFile = c.ToFile
	if c.To != "" {
		config.To = c.ToLogin.server(c.To)
	}
	return transfer(ctx, out, config)
}

// transfer copies, shows the progress, and prints the result.
func transfer(ctx context.Context, out io.Writer, config migrate.Config) error {
	show := newDisplay(out)
	config.Report, config.Note = show.report, show.note
	result, err := migrate.Run(ctx, config)
	show.close(err == nil)
	if err != nil && config.State != "" && ctx.Err() != nil {
		err = errors.New("interrupted; the same command goes on from here")
	}
	if result == nil {
		return err
	}
	return errors.Join(err, summary(out, result, err == nil))
}

// shownFailures limits how many keys that were not copied are listed.
const shownFailures = 20

// summary prints the result. It returns an error if keys were not copied.
func summary(out io.Writer, r *migrate.Result, whole bool) error {
	what := "copied"
	if r.Before {
		what = "complete by an earlier run: copied"
	} else if !whole {
		what = "not complete: copied"
	}
	t := r.Tally
	if _, err := fmt.Fprintf(out, "%s %d, existing %d, gone meanwhile %d, failed %d\n", what, t.Copied, t.Skipped, t.Gone, t.Failed); err != nil {
		return err
	}
	for i, f := range r.Failures {
		if i == shownFailures {
			_, _ = fmt.Fprintf(out, "  … and %d more\n", t.Failed-shownFailures)
			break
		}
		_, _ = fmt.Fprintf(out, "  database %d, key %.200q: %s\n", f.DB, f.Key, f.Error)
	}
	if t.Failed > 0 {
		return fmt.Errorf("%d of the keys were not copied", t.Failed)
	}
	return nil
}
