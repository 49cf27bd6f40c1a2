package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"

	"synod/meta/placement"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/rpc"
)

// The errors of this package.
var (
	// ErrUnavailable: etcd did not answer before the context ended. Whether
	// a write took effect is unknown.
	ErrUnavailable = errors.New("etcd does not answer")
	// ErrExists: the cluster has been initialised before.
	ErrExists = errors.New("the cluster exists already")
	// ErrNotRegistered: a node that is to hold slots is not up.
	ErrNotRegistered = errors.New("not registered")
	// ErrNodeTaken: the node id belongs to another data directory.
	ErrNodeTaken = errors.New("node id belongs to another data directory")
	// ErrSuperseded: another process registered with the same data directory.
	ErrSuperseded = errors.New("another process took over this registration")
	// ErrRunning: the node runs elsewhere, so this data directory is a copy.
	ErrRunning = errors.New("the node is running elsewhere, on another copy of this data directory")
	// ErrMoved: the data directory is a copy of one that was not closed properly.
	ErrMoved = errors.New("the data directory is a copy of one that its node did not leave in order")
	// ErrProposerListed: a proxy is listed under the proposer id.
	ErrProposerListed = errors.New("another proxy is listed under this proposer id")
	// ErrOtherCluster: this process belongs to another cluster than the one that etcd
	// has under this name.
	ErrOtherCluster = errors.New("belongs to another cluster")
	// ErrNoSecret: etcd has no secret of the cluster: it was not initialised, or
	// nothing of this version has watched it yet.
	ErrNoSecret = errors.New("the cluster has no secret in etcd yet")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

const (
	// attemptTimeout bounds one request to etcd. firstTimeout, for the first request of
	// a call, is shorter, so that the log reports an outage soon.
	attemptTimeout = 3 * time.Second
	firstTimeout   = time.Second
	// reportEvery is the time between log lines while something is awaited.
	reportEvery = 10 * time.Second
)

// Config is what a Store needs.
type Config struct {
	Endpoints []string // http or https URLs
	Cluster   string   // its name, as placement.CheckName wants it
	// Secrets, if any, replace the cluster's secret in etcd, for operators who let
	// others read etcd. See ReadSecrets.
	Secrets []rpc.Secret
	Log     *zap.Logger
}

// Store is one process's access to one cluster's part of etcd. It is safe for
// concurrent use; several daemons of one process may share it.
type Store struct {
	client  *clientv3.Client
	cluster string
	log     *zap.Logger
	outage  outage
	now     func() time.Time

	fileSecrets []rpc.Secret // Config.Secrets

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the goroutines of Watch and of registrations

	mu        sync.Mutex
	clusterID string           // the cluster's identity; fixed once known
	table     *placement.Table // the newest that this process has seen
	closed    bool
}

// Open returns a Store. It does not connect: calls that need etcd wait until it is
// available.
func Open(cfg Config) (*Store, error) {
	if err := placement.CheckName(cfg.Cluster); err != nil {
		return nil, fmt.Errorf("cluster %w", err)
	}
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no etcd endpoint is given")
	}
	for _, e := range cfg.Endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("etcd endpoint %q is not an http or https URL", e)
		}
	}
	log := cfg.Log
	if log == nil {
		log = zap.NewNop()
	}
	s := &Store{cluster: cfg.Cluster, log: log, now: time.Now, fileSecrets: cfg.Secrets}
	s.outage = outage{log: log, endpoints: cfg.Endpoints}
	var err error
	s.client, err = clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		Logger:               zap.NewNop(), // the Store reports outages itself
		MaxUnaryRetries:      1,            // and retries itself
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		PermitWithoutStream:  true,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(s.outage.dial), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: attemptTimeout,
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client for %s: %w", strings.Join(cfg.Endpoints, ","), err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Close ends all watches and registrations (without signing off: see
// Registration.Close) and waits for them.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close etcd client: %w", err)
	}
	return nil
}

// Cluster returns the cluster's name.
func (s *Store) Cluster() string { return s.cluster }

// NewID returns a random id for a data directory (or a cluster): 32
// hexadecimal digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:])
}

// start runs f in a goroutine that Close waits for, unless the store is closed.
func (s *Store) start(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// bind returns a context that ends with ctx or with the store.
func (s *Store) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// meet records the cluster identity that etcd has, and returns an error if this process
// has seen another one before. An empty id means that etcd has no cluster of this name.
func (s *Store) meet(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.clusterID == id:
		return nil
	case s.clusterID == "":
		s.clusterID = id
		return nil
	case id == "":
		return fmt.Errorf("%w: etcd has no cluster %s, this process is of cluster id %s", ErrOtherCluster, s.cluster, s.clusterID)
	default:
		return fmt.Errorf("%w: cluster %s in etcd has id %s, this process is of cluster id %s", ErrOtherCluster, s.cluster, id, s.clusterID)
	}
}

// expect fixes the identity of a cluster that a data directory remembers.
func (s *Store) expect(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clusterID != "" && s.clusterID != id {
		return fmt.Errorf("%w: the data directory is of cluster id %s, cluster %s has id %s", ErrOtherCluster, id, s.cluster, s.clusterID)
	}
	s.clusterID = id
	return nil
}

// newest returns the newest known table. If etcd's is older, it was restored from a
// backup, and nodes refuse the older epochs: then the known table stays in use.
func (s *Store) newest(t *placement.Table) *placement.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table != nil && t.Older(s.table) {
		s.log.Error("etcd has an older placement than was known; going on with what was known: restore a newer backup of etcd")
		return s.table
	}
	s.table = t
	return t
}

func (s *Store) key(parts ...string) string {
	return "/synod/" + s.cluster + "/" + strings.Join(parts, "/")
}

// retry calls op, each time with a bounded context, until it succeeds, fails with one
// of the package's errors, or ctx ends.
func retry[T any](ctx context.Context, s *Store, what string, op func(context.Context) (T, error)) (T, error) {
	ctx, cancel := s.bind(ctx)
	defer cancel()
	var last error
	limit := firstTimeout
	result, err := backoff.Retry(ctx, func() (T, error) {
		attempt, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		limit = attemptTimeout
		result, err := op(attempt)
		if err == nil {
			s.outage.over()
			return result, nil
		}
		if isFinal(err) {
			return result, backoff.Permanent(err)
		}
		last = err
		if ctx.Err() == nil {
			s.outage.noticed(err)
		}
		return result, err
	}, backoff.WithBackOff(pauses()), backoff.WithMaxElapsedTime(0))
	switch {
	case err == nil:
		return result, nil
	case isFinal(err):
		return result, fmt.Errorf("%s: %w", what, err)
	case s.ctx.Err() != nil:
		return result, fmt.Errorf("%s: %w", what, ErrClosed)
	case last == nil:
		last = err
	}
	return result, fmt.Errorf("%s: %w at %s: %w", what, ErrUnavailable, strings.Join(s.outage.endpoints, ","), s.outage.cause(last))
}

// pauses returns the pauses between attempts: short at first, as etcd may just be
// electing a leader, and never long, as few processes wait for it.
func pauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = time.Second
	return b
}

func isFinal(err error) bool {
	for _, e := range []error{ErrExists, ErrNotRegistered, ErrNodeTaken, ErrSuperseded, ErrOtherCluster, ErrNoSecret, ErrClosed, errCorrupt,
		ErrMoved, ErrProposerListed, errHeld, identity.ErrRolledBack, identity.ErrForked} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
