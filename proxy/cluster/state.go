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

// state is what a proxy keeps to be able to start while etcd is unavailable: the last
// known placement, and a spare proposer id that was taken from etcd in advance. A copy
// of it is harmless: the nodes refuse the second user of the id. A nil state keeps
// nothing.
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

// openState opens or creates the state directory. It locks it against other processes.
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

// restore returns the kept placement, or nil if the proxy cannot start from it.
func (s *state) restore(st *store.Store) (*store.Snapshot, error) {
	if s == nil || s.kept.Spare == 0 || s.kept.Placement == nil {
		return nil, nil
	}
	return st.Restore(s.kept.Placement)
}

// spare returns the kept proposer id, only once: before it returns, it makes durable
// that the id is used.
func (s *state) spare() (ballot.ProposerID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.kept.Spare
	if id == 0 {
		return 0, errors.New("state directory: no spare proposer id is kept")
	}
	return id, s.write(keptState{Placement: s.kept.Placement})
}

// keep stores a placement, and a spare proposer id if none is stored.
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
