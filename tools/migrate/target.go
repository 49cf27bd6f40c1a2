package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"synod/proxy/datatype/rdb"
	"synod/tools/migrate/rdbfile"
)

// attempts is how often to try something that may fail temporarily. The waits
// in between double, up to a few seconds.
const attempts = 8

// together is how often the keys of a batch are tried together. Then they are
// tried one by one, because one of them may make the server close the
// connection.
const together = 2

// persist retries a read from a server until it succeeds or the server replies
// with a permanent error.
func persist(ctx context.Context, f func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := f()
		if refused(err) && !passing(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(attempts))
	return err
}

// passing reports whether a server's error may be temporary. A write with an
// unknown outcome is repeated, which does no harm.
func passing(err error) bool {
	return slices.ContainsFunc([]string{"UNCERTAIN", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "BUSY ", "MASTERDOWN", "OOM"}, func(code string) bool {
		return redis.HasErrorPrefix(err, code)
	})
}

// serverSink restores values on a server.
type serverSink struct {
	config *Config
	clients
}

func openTarget(ctx context.Context, c *Config) (sink, error) {
	t := &serverSink{config: c, clients: clients{server: c.To, open: map[int]*redis.Client{}}}
	if err := t.of(0).Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.To.Addr, err), t.clients.close())
	}
	return t, nil
}

func (t *serverSink) put(ctx context.Context, items []item) ([]error, error) {
	errs := make([]error, len(items))
	todo := make([]int, len(items))
	for i := range todo {
		todo[i] = i
	}
	waits := backoff.NewExponentialBackOff()
	for try := 1; ; try++ {
		if try <= together {
			t.restore(ctx, items, todo, errs)
		} else {
			for i := range todo {
				t.restore(ctx, items, todo[i:i+1], errs)
			}
		}
		todo = slices.DeleteFunc(todo, func(i int) bool {
			return errs[i] == nil || errors.Is(errs[i], errExists) || refused(errs[i]) && !passing(errs[i])
		})
		if len(todo) == 0 || try == attempts {
			break
		}
		timer := time.NewTimer(waits.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
	}
	for _, i := range todo {
		if !refused(errs[i]) && t.of(items[i].DB).Ping(ctx).Err() != nil { // the server is unreachable
			return nil, fmt.Errorf("%s: %w", t.server.Addr, errs[i])
		}
	}
	return errs, nil
}

// restore tries the items with the indexes in todo, and records the results.
func (t *serverSink) restore(ctx context.Context, items []item, todo []int, errs []error) {
	pipelines := map[int]redis.Pipeliner{}
	results := make([]*redis.Cmd, len(todo))
	for at, i := range todo {
		it := items[i]
		p := pipelines[it.DB]
		if p == nil {
			p = t.of(it.DB).Pipeline()
			pipelines[it.DB] = p
		}
		payload := rdb.Seal(slices.Clone(it.Value), rdb.PayloadVersion(it.Value))
		args := []any{"RESTORE", it.Key, it.Expiry, payload, "ABSTTL"}
		if !t.config.SkipExisting {
			args = append(args, "REPLACE")
		}
		results[at] = p.Do(ctx, args...)
	}
	for _, p := range pipelines {
		_, _ = p.Exec(ctx) // each result has its error
	}
	for at, i := range todo {
		if errs[i] = results[at].Err(); redis.HasErrorPrefix(errs[i], "BUSYKEY") {
			errs[i] = errExists
		}
	}
}

func (t *serverSink) confirm() (rdbfile.Position, error) { return rdbfile.Position{}, nil }
func (t *serverSink) finish() error                      { return nil }
func (t *serverSink) close() error                       { return t.clients.close() }
