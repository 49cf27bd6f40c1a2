package store

import (
	"encoding/json"
	"fmt"

	"synod/meta/placement"
)

// saved is a Snapshot as processes keep it, to go on from it when they start
// while etcd is away.
type saved struct {
	Format    int             `json:"format"`
	Revision  int64           `json:"revision"`
	ClusterID string          `json:"cluster_id"`
	Table     json.RawMessage `json:"table"`
	Nodes     []Node          `json:"nodes"`
}

const savedFormat = 1

// Save returns a form of a snapshot with a table that Restore reads: all that is
// needed to serve.
func (s *Snapshot) Save() ([]byte, error) {
	table, err := s.Table.Encode()
	if err != nil {
		return nil, err
	}
	return json.Marshal(saved{Format: savedFormat, Revision: s.Revision, ClusterID: s.ClusterID, Table: table, Nodes: s.Nodes})
}

// Restore returns a snapshot that was saved. It has no proxies.
func Restore(b []byte) (*Snapshot, error) {
	var kept saved
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("restore placement: %w", err)
	}
	if kept.Format != savedFormat {
		return nil, fmt.Errorf("restore placement: format %d, this program knows %d", kept.Format, savedFormat)
	}
	table, err := placement.Decode(kept.Table)
	if err != nil {
		return nil, fmt.Errorf("restore placement: %w", err)
	}
	return &Snapshot{Revision: kept.Revision, ClusterID: kept.ClusterID, Table: table, Nodes: kept.Nodes}, nil
}

// Trust makes the store follow no other cluster than that of a snapshot that was
// restored, and no older placement.
func (s *Store) Trust(snap *Snapshot) error {
	if err := s.expect(snap.ClusterID); err != nil {
		return err
	}
	s.newest(snap.Table)
	return nil
}
