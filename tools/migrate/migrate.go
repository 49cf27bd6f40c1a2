// Package migrate copies databases: from a running Redis or an RDB file into a
// cluster, and from a cluster into a Redis or a file. Values travel in the
// format of DUMP, so the two sides need to know nothing of each other.
//
// A copy is a walk of batches. When all keys of a batch are there, or are known
// not to go, its place in the walk is written to the state file, from which a
// later run goes on. What was copied twice is the same as what was copied once.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"synod/tools/migrate/rdbfile"
)

// Server is a running Redis, or a proxy of a cluster.
type Server struct {
	Addr     string
	User     string
	Password string
	// Cluster says that it is a proxy of a cluster, where a cursor of SCAN
	// holds for good and passes each key once.
	Cluster bool
}

// Config says what to copy. One of From and FromFile is set, and one of To and
// ToFile.
type Config struct {
	From     *Server
	FromFile string
	To       *Server
	ToFile   string

	// DBs are the databases to copy; none: all.
	DBs []int
	// Pattern is a glob that keys must match; empty: all.
	Pattern string
	// SkipExisting leaves keys alone that exist where they are copied to.
	SkipExisting bool
	// Rate bounds how many keys are copied per second; 0: as fast as it goes.
	Rate int
	// State is the path of the state file; empty: the copy cannot be resumed.
	State string
	// Report is told how far the copy is, from one goroutine.
	Report func(Progress)
	// Note is told in a line what is worth knowing.
	Note func(string)
}

// Progress is how far a copy is.
type Progress struct {
	Done  int64 // of Total: keys seen, or bytes of a file
	Total int64 // roughly; 0: not known
	Bytes bool  // Done and Total are bytes
	Tally Tally
}

// Tally counts keys.
type Tally struct {
	Copied  int64 `json:"copied"`
	Skipped int64 `json:"skipped"` // as they exist where they were to go
	Gone    int64 `json:"gone"`    // deleted or expired before their turn
	Failed  int64 `json:"failed"`
}

// Failure is a key that was not copied.
type Failure struct {
	DB    int    `json:"db"`
	Key   []byte `json:"key"`
	Error string `json:"error"`
}

// Result is what came of a copy.
type Result struct {
	Tally Tally
	// Failures are the first keys of those that were not copied.
	Failures []Failure
	// Before tells that the copy had been completed by an earlier run.
	Before bool
}

// maxFailures bounds the failures that are kept by name.
const maxFailures = 1000

// item is one key on its way. If Value is nil, it is gone, or Err says what is
// wrong.
type item = rdbfile.Entry

// batch is the next part of a walk.
type batch struct {
	items []item
	// after is where the walk goes on when the items are done. It cannot go on
	// behind a partial batch.
	after   position
	partial bool
	done    int64 // Progress.Done then
}

// position is a place in a walk.
type position struct {
	// Of a walk over a server: the database, and the cursor in it.
	DB     int    `json:"db"`
	Cursor uint64 `json:"cursor,string"`
	// Of a file.
	File rdbfile.Position `json:"file"`
}

// source is where a copy comes from.
type source interface {
	// next returns the next batch; io.EOF after the last.
	next(ctx context.Context) (batch, error)
	// total is what the last batch's done will be about.
	total() (n int64, bytes bool)
	close() error
}

// sink is where a copy goes.
type sink interface {
	// put copies items that have a value. It returns an error for each that
	// did not go, or one for all if no others should be tried.
	put(ctx context.Context, items []item) ([]error, error)
	// confirm makes what was put durable, and says where a file is.
	confirm() (rdbfile.Position, error)
	// finish is for what comes after the last item.
	finish() error
	close() error
}

// errExists: a key is where it was to go.
var errExists = errors.New("the key exists")

// Run copies until everything is copied, ctx ends, or something is wrong with
// one side. It returns what it did even if it fails; a key that cannot be
// copied is no such failure.
func Run(ctx context.Context, c Config) (_ *Result, err error) {
	st, err := openState(c)
	if err != nil {
		return nil, err
	}
	if st.Done {
		return &Result{Tally: st.Tally, Failures: st.Failures, Before: true}, nil
	}
	to, err := c.sink(ctx, st)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	from, err := c.source(ctx, st)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	cp := &copier{Config: c, from: from, to: to, state: st, started: time.Now()}
	err = cp.run(ctx)
	return &Result{Tally: st.Tally, Failures: st.Failures}, err
}

// copier is one run of a copy.
type copier struct {
	Config
	from    source
	to      sink
	state   *state
	started time.Time
	paced   int64 // keys since then
}

func (c *copier) run(ctx context.Context) error {
	batches, stop := c.read(ctx)
	defer stop()
	for r := range batches {
		if errors.Is(r.err, io.EOF) {
			return c.complete()
		}
		if r.err != nil {
			return r.err
		}
		if err := c.one(ctx, r.batch); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// ahead is how many batches are read before they are needed.
const ahead = 2

type readBatch struct {
	batch batch
	err   error
}

// read reads batches ahead in a goroutine, which stop waits for.
func (c *copier) read(ctx context.Context) (<-chan readBatch, func()) {
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan readBatch, ahead)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(batches)
		for {
			var r readBatch
			r.batch, r.err = c.from.next(ctx)
			select {
			case batches <- r:
			case <-ctx.Done():
				return
			}
			if r.err != nil {
				return
			}
		}
	}()
	return batches, func() {
		cancel()
		<-ended
	}
}

// one copies a batch and confirms it.
func (c *copier) one(ctx context.Context, b batch) error {
	tally := c.state.Tally
	var failures []Failure
	fail := func(it item, err error) {
		tally.Failed++
		failures = append(failures, Failure{DB: it.DB, Key: it.Key, Error: err.Error()})
	}
	var items []item
	for _, it := range b.items {
		switch {
		case it.Err != nil:
			fail(it, it.Err)
		case it.Value == nil:
			tally.Gone++
		default:
			items = append(items, it)
		}
	}
	if err := c.pace(ctx, len(items)); err != nil {
		return err
	}
	errs, err := c.to.put(ctx, items)
	if err != nil {
		return err
	}
	for i, err := range errs {
		switch {
		case err == nil:
			tally.Copied++
		case errors.Is(err, errExists):
			tally.Skipped++
		default:
			fail(items[i], err)
		}
	}
	c.state.Tally = tally
	c.state.fail(failures)
	if !b.partial {
		out, err := c.to.confirm()
		if err != nil {
			return err
		}
		c.state.At, c.state.Out = b.after, out
		if err := c.state.save(); err != nil {
			return err
		}
	}
	if c.Report != nil {
		total, bytes := c.from.total()
		c.Report(Progress{Done: b.done, Total: total, Bytes: bytes, Tally: tally})
	}
	return nil
}

// pace waits until so many keys more are within the rate.
func (c *copier) pace(ctx context.Context, keys int) error {
	if c.Rate <= 0 {
		return nil
	}
	c.paced += int64(keys)
	due := c.started.Add(time.Duration(float64(c.paced) / float64(c.Rate) * float64(time.Second)))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *copier) complete() error {
	if err := c.to.finish(); err != nil {
		return err
	}
	c.state.Done = true
	return c.state.save()
}

func (c *Config) note(format string, args ...any) {
	if c.Note != nil {
		c.Note(fmt.Sprintf(format, args...))
	}
}

// wants reports whether a database is to be copied.
func (c *Config) wants(db int) bool {
	for _, n := range c.DBs {
		if n == db {
			return true
		}
	}
	return len(c.DBs) == 0
}
