package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"synod/meta/placement"
	"synod/meta/site"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/rpc"
)

// errCorrupt: a record in etcd is not what this package writes.
var errCorrupt = errors.New("malformed record in etcd")

// NodeInfo is what a storage node registers.
type NodeInfo struct {
	ID      string
	Addr    string // where proxies and other nodes reach it
	Admin   string // its admin HTTP address
	StoreID string // the data directory's random id, see NewID
	Version string
	// ClusterID is the identity that the data directory remembers; empty for
	// one that has not been in a cluster yet.
	ClusterID string
	// Past is what the data directory remembers of its node. Site is where it is.
	Past identity.Past
	Site site.Site
	// Moved: the operator has confirmed that the directory was moved, and that no
	// process uses it or a copy of it elsewhere.
	Moved bool
	// Synced returns the position up to which the changelog is durable. It is
	// asked as long as the node is registered.
	Synced func() uint64
}

// ProxyInfo is what a proxy registers.
type ProxyInfo struct {
	ProposerID ballot.ProposerID `json:"proposer"`
	Name       string            `json:"name"`
	Addr       string            `json:"addr"` // where Redis clients reach it
	Admin      string            `json:"admin"`
	Version    string            `json:"version"`
}

// Node is a storage node as etcd knows it.
type Node struct {
	ID      string `json:"id"`
	Addr    string `json:"addr"`
	Admin   string `json:"admin"`
	StoreID string `json:"store"`
	Version string `json:"version"`
	Up      bool   `json:"up"`
	// Since when it is up or down. Zero: it is down, but nobody has recorded since when.
	Since time.Time `json:"since,omitzero"`
}

// Proxy is a proxy that is up.
type Proxy struct {
	ProxyInfo
	Since time.Time `json:"since"`
}

// Snapshot is the cluster at one revision of etcd. It is shared and never
// modified.
type Snapshot struct {
	Revision int64
	// ClusterID is the cluster's identity, empty before Init.
	ClusterID string
	// Table is nil before Init.
	Table *placement.Table
	// Secrets are the cluster's secrets, the preferred one first: those of
	// Config.Secrets, else etcd's. They are empty before Init, or if somebody deletes
	// them: then the last known secrets stay in use.
	Secrets []rpc.Secret
	Nodes   []Node  // by id
	Proxies []Proxy // by proposer id
}

// Node returns the node of that name, or nil.
func (s *Snapshot) Node(id string) *Node {
	for i := range s.Nodes {
		if s.Nodes[i].ID == id {
			return &s.Nodes[i]
		}
	}
	return nil
}

// clusterIdentity is the record below "identity".
type clusterIdentity struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// nodeRecord is the record below "nodes/".
type nodeRecord struct {
	ID      string    `json:"id"`
	Addr    string    `json:"addr"`
	Admin   string    `json:"admin"`
	StoreID string    `json:"store"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`         // when it registered last
	Down    time.Time `json:"down,omitzero"` // when it was first seen to be gone after that
}

// aliveRecord is the record below "alive/nodes/". Instance tells two
// registrations apart, Life two starts of the node, Site where it runs.
type aliveRecord struct {
	Instance string     `json:"instance"`
	Life     lifeRecord `json:"life,omitzero"`
	Site     site.Site  `json:"site,omitzero"`
}

// lifeRecord is an identity.Life.
type lifeRecord struct {
	Number uint64 `json:"start"`
	ID     uint64 `json:"id"`
}

// markRecord is the record below "marks/": how far the node's durable history had come
// at the last check. A node that registers must not be behind it.
type markRecord struct {
	Life     lifeRecord `json:"life"`
	Position uint64     `json:"position"`
	Site     site.Site  `json:"site"`
	// Left: the node shut down properly, and the position is its last.
	Left bool `json:"left,omitempty"`
}

func (m *markRecord) mark() identity.Mark {
	return identity.Mark{Life: identity.Life(m.Life), Position: m.Position}
}

// proxyRecord is the record below "alive/proxies/".
type proxyRecord struct {
	Instance string `json:"instance"`
	Proxy
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("store: " + err.Error()) // plain structs of strings and times
	}
	return string(b)
}

func decode[T any](key string, data []byte) (v T, err error) {
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%w: %s: %w", errCorrupt, key, err)
	}
	return v, nil
}
