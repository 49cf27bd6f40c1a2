package store

import (
	"encoding/json"
	"fmt"

	"synod/meta/placement"
	"synod/protocol/rpc"
)

// saved is the part of a Snapshot that processes keep, to be able to start from it while
// etcd is unavailable.
type saved struct {
	Format    int             `json:"format"`
	ClusterID string          `json:"cluster_id"`
	Table     json.RawMessage `json:"table"`
	Addrs     []savedNode     `json:"nodes"`
	// Secrets are etcd's; those of a file stay there.
	Secrets []rpc.Secret `json:"secrets,omitempty"`
}

type savedNode struct {
	ID   string `json:"id"`
	Addr string `json:"addr"`
}

const savedFormat = 1

// Save encodes all that is needed to serve, for Restore. Equal placements have equal
// encodings. The snapshot must have a table.
func (s *Store) Save(snap *Snapshot) ([]byte, error) {
	table, err := snap.Table.Encode()
	if err != nil {
		return nil, err
	}
	kept := saved{Format: savedFormat, ClusterID: snap.ClusterID, Table: table}
	for i := range snap.Nodes {
		kept.Addrs = append(kept.Addrs, savedNode{snap.Nodes[i].ID, snap.Nodes[i].Addr})
	}
	if len(s.fileSecrets) == 0 {
		kept.Secrets = snap.Secrets
	}
	return json.Marshal(kept)
}

// Restore returns a saved snapshot, without proxies. From now on the store accepts no
// other cluster and no older placement.
func (s *Store) Restore(b []byte) (*Snapshot, error) {
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
	if err := s.expect(kept.ClusterID); err != nil {
		return nil, fmt.Errorf("restore placement: %w", err)
	}
	snap := &Snapshot{ClusterID: kept.ClusterID, Table: s.newest(table), Secrets: kept.Secrets}
	if len(s.fileSecrets) > 0 {
		snap.Secrets = s.fileSecrets
	}
	for _, n := range kept.Addrs {
		snap.Nodes = append(snap.Nodes, Node{ID: n.ID, Addr: n.Addr})
	}
	return snap, nil
}
