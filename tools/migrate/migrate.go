// Package migrate copies databases: from a running Redis or an RDB file into a
// cluster, and from a cluster into a Redis or a file. Values are transferred in
// DUMP format, so neither side needs to know the other.
//
// A copy proceeds in batches. When all keys of a batch are copied, or known to
// be impossible to copy, the position is written to the state file, so that a
// later run can resume there. Copying a key twice does no harm.
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
	// Cluster says that the server is a proxy of a cluster, where SCAN cursors
	// stay valid and return each key once.
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
	// SkipExisting skips keys that already exist at the target.
	SkipExisting bool
	// Rate limits the keys copied per second; 0 means no limit.
	Rate int
	// State is the path of the state file; empty: the copy cannot be resumed.
	State string
	// Report is called with the progress, from a single goroutine.
	Report func(Progress)
	// Note is called with messages for the user, one line each.
	Note func(string)
}

// Progress is the progress of a copy.
type Progress struct {
	Done  int64 // of Total: keys seen, or bytes of a file
	Total int64 // approximate; 0: unknown
	Bytes bool  // Done and Total are bytes
	Tally Tally
}

// Tally counts keys.
type Tally struct {
	Copied  int64 `json:"copied"`
	Skipped int64 `json:"skipped"` // already exist at the target
	Gone    int64 `json:"gone"`    // deleted or expired before they were read
	Failed  int64 `json:"failed"`
}

// Failure is a key that was not copied.
type Failure struct {
	DB    int    `json:"db"`
	Key   []byte `json:"key"`
	Error string `json:"error"`
}

// Result is the outcome of a copy.
type Result struct {
	Tally Tally
	// Failures are the first keys that were not copied.
	Failures []Failure
	// Before means that an earlier run had already completed the copy.
	Before bool
}

// maxFailures limits the failures that are stored by name.
const maxFailures = 1000

// item is a key being copied. If Value is nil, the key is gone, or Err has the
// reason.
type item = rdbfile.Entry

// batch is the next part of a walk.
type batch struct {
	items []item
	// after is the position after these items. A partial batch has no such
	// position.
	after   position
	partial bool
	done    int64 // Progress.Done then
}

// position is a position in a walk.
type position struct {
	// For a server: the database, and the cursor in it.
	DB     int    `json:"db"`
	Cursor uint64 `json:"cursor,string"`
	// For a file.
	File rdbfile.Position `json:"file"`
}

// source is the side to copy from.
type source interface {
	// next returns the next batch; io.EOF after the last.
	next(ctx context.Context) (batch, error)
	// total is the approximate value of the last batch's done.
	total() (n int64, bytes bool)
	close() error
}

// sink is the side to copy to.
type sink interface {
	// put copies the items that have a value. It returns an error for each item
	// that failed, or one error if the copy should stop.
	put(ctx context.Context, items []item) ([]error, error)
	// confirm makes the items durable, and returns the position in a file.
	confirm() (rdbfile.Position, error)
	// finish writes what follows the last item.
	finish() error
	close() error
}

// errExists means that a key already exists at the target.
var errExists = errors.New("the key exists")

// Run copies until everything is copied, ctx ends, or one side fails. It
// returns the result even after a failure. A key that cannot be copied is not a
// failure of Run.
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

// ahead is how many batches are read in advance.
const ahead = 2

type readBatch struct {
	batch batch
	err   error
}

// read reads batches in advance in a goroutine; stop waits for it to end.
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

// pace waits until that many more keys are within the rate.
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

// wants reports whether a database should be copied.
func (c *Config) wants(db int) bool {
	for _, n := range c.DBs {
		if n == db {
			return true
		}
	}
	return len(c.DBs) == 0
}
