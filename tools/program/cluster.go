package program

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"synod/meta/store"
	"synod/protocol/caspaxos/limits"
)

// Cluster has the flags of programs that join or inspect a cluster.
type Cluster struct {
	Etcd    []string `help:"URLs of the etcd servers." default:"http://127.0.0.1:2379" placeholder:"URL"`
	Cluster string   `help:"Name of the cluster; several can share one etcd." default:"main" placeholder:"NAME"`

	ClusterSecretFile string `help:"Read the secret by which the cluster's processes know each other from this file, not from etcd. The same for all; a second line is taken too, while the first replaces it." placeholder:"FILE" type:"path"`
}

// Open returns the store of the cluster.
func (c Cluster) Open(log *zap.Logger) (*store.Store, error) {
	cfg := store.Config{Endpoints: c.Etcd, Cluster: c.Cluster, Log: log}
	if c.ClusterSecretFile != "" {
		var err error
		if cfg.Secrets, err = store.ReadSecrets(c.ClusterSecretFile); err != nil {
			return nil, err
		}
	}
	return store.Open(cfg)
}

// Consensus has the times that must be equal in all processes of a cluster.
type Consensus struct {
	CommandTimeout time.Duration `help:"The longest that a command may take. The same for all proxies and nodes." default:"5s" placeholder:"TIME"`
	MaxClockOffset time.Duration `help:"How far the machines' clocks may be apart. The same for all proxies and nodes." default:"500ms" placeholder:"TIME"`
}

// Limits returns the flags as the protocol's limits.
func (c Consensus) Limits() limits.Limits {
	return limits.Limits{Command: c.CommandTimeout, MaxClockOffset: c.MaxClockOffset}
}

// Validate rejects invalid times. kong calls it.
func (c Consensus) Validate() error {
	if c.CommandTimeout < 10*time.Millisecond || c.CommandTimeout > time.Hour {
		return errors.New("--command-timeout: 10ms to 1h are allowed")
	}
	if c.MaxClockOffset < time.Millisecond || c.MaxClockOffset > time.Minute {
		return errors.New("--max-clock-offset: 1ms to 1m are allowed")
	}
	return nil
}
