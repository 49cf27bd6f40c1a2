package migrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"synod/tools/migrate/rdbfile"
)

// state is the content of the state file.
type state struct {
	// Job describes the copy. A state is valid only for the same job.
	Job job `json:"job"`
	// Source identifies the process of a Redis: a cursor is invalid after a
	// restart.
	Source   string           `json:"source,omitempty"`
	At       position         `json:"at"`
	Out      rdbfile.Position `json:"out"`
	Tally    Tally            `json:"tally"`
	Failures []Failure        `json:"failures,omitempty"`
	Done     bool             `json:"done"`

	path string
}

// job is the part of a Config that affects the result.
type job struct {
	From         string `json:"from"`
	To           string `json:"to"`
	DBs          []int  `json:"dbs,omitempty"`
	Pattern      string `json:"pattern,omitempty"`
	SkipExisting bool   `json:"skip_existing,omitempty"`
}

func (c *Config) job() job {
	j := job{From: c.FromFile, To: c.ToFile, DBs: c.DBs, Pattern: c.Pattern, SkipExisting: c.SkipExisting}
	if c.From != nil {
		j.From = c.From.Addr
	}
	if c.To != nil {
		j.To = c.To.Addr
	}
	return j
}

func (j job) String() string {
	text, _ := json.Marshal(j)
	return string(text)
}

// openState reads the state file, if there is one.
func openState(c Config) (*state, error) {
	st := &state{Job: c.job(), path: c.State}
	if c.State == "" {
		return st, nil
	}
	text, err := os.ReadFile(c.State)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	var old state
	if err := json.Unmarshal(text, &old); err != nil {
		return nil, fmt.Errorf("state file %s: %w", c.State, err)
	}
	if old.Job.String() != st.Job.String() {
		return nil, fmt.Errorf("state file %s is of another copy: %s", c.State, old.Job)
	}
	old.path = c.State
	return &old, nil
}

// begun reports whether an earlier run has copied anything.
func (st *state) begun() bool { return st.At != (position{}) }

// fail adds failures.
func (st *state) fail(failures []Failure) {
	room := maxFailures - len(st.Failures)
	st.Failures = append(st.Failures, failures[:min(len(failures), max(room, 0))]...)
}

// save replaces the state file atomically.
func (st *state) save() error {
	if st.path == "" {
		return nil
	}
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(st.path), filepath.Base(st.path)+".*")
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), st.path)
	}
	if err != nil {
		return fmt.Errorf("state file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
