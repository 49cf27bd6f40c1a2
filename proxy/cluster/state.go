package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"synod/meta/sealed"
	"synod/meta/store"
	"synod/protocol/caspaxos/ballot"
)

// state is what a proxy keeps to be able to start while etcd is away: the
// placement last seen, and a proposer id that was taken from etcd ahead of time
// and never used. A copy of it is harmless: whoever uses the id second is refused
// by the nodes. A nil state keeps nothing.
type state struct {
	path, label string
	lock        *os.File

	mu   sync.Mutex
	kept keptState
}

// keptState is the content of the state file.
type keptState struct {
	// Placement is what store.Save returned.
	Placement []byte `json:"placement,omitempty"`
	// Spare is a proposer id that no start has used; zero if there is none.
	Spare ballot.ProposerID `json:"spare,omitempty"`
}

// openState opens the state directory, or makes it. No other process may use it
// meanwhile.
func openState(dir, cluster string) (*state, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory %s is in use by another process: %w", dir, err), lock.Close())
	}
	s := &state{path: filepath.Join(dir, "STATE"), label: "proxy of cluster " + cluster, lock: lock}
	b, err := sealed.Read(s.path, s.label)
	if err == nil {
		err = json.Unmarshal(b, &s.kept)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("state directory: %w: remove the file to go on without it", err), lock.Close())
	}
	return s, nil
}

func (s *state) close() error {
	if s == nil {
		return nil
	}
	return s.lock.Close()
}

func (s *state) write(k keptState) error {
	b, err := json.Marshal(k)
	if err == nil {
		err = sealed.Write(s.path, s.label, b)
	}
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	s.kept = k
	return nil
}

// restore returns the placement that was kept, nil unless the proxy can start
// from it.
func (s *state) restore(st *store.Store) (*store.Snapshot, error) {
	if s == nil || s.kept.Spare == 0 || s.kept.Placement == nil {
		return nil, nil
	}
	return st.Restore(s.kept.Placement)
}

// spare returns the proposer id that was kept, once: that it is used is durable
// before it is returned.
func (s *state) spare() (ballot.ProposerID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.kept.Spare
	if id == 0 {
		return 0, errors.New("state directory: no spare proposer id is kept")
	}
	return id, s.write(keptState{Placement: s.kept.Placement})
}

// keep keeps a placement, and a spare proposer id if there is none.
func (s *state) keep(ctx context.Context, st *store.Store, snap *store.Snapshot) error {
	placement, err := st.Save(snap)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.kept
	next.Placement = placement
	if next.Spare == 0 {
		if next.Spare, err = st.NextProposerID(ctx, 0); err != nil {
			return err
		}
	}
	if next.Spare == s.kept.Spare && bytes.Equal(placement, s.kept.Placement) {
		return nil
	}
	return s.write(next)
}
