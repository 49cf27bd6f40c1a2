package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"synod/meta/store"
	"synod/protocol/admin"
	"synod/protocol/caspaxos/ballot"
	"synod/protocol/caspaxos/identity"
	"synod/protocol/caspaxos/limits"
	"synod/protocol/listing"
	"synod/protocol/partition"
	"synod/protocol/takeover"
	"synod/proxy/cluster"
	"synod/proxy/server"
)

// Config is what a Proxy is started with.
type Config struct {
	Name       string // as nodes' logs and `synodctl status` show it
	Cluster    string // the cluster's name
	ListenAddr string // for Redis clients
	AdminAddr  string // for HTTP: health, metrics, profiles
	Store      *store.Store
	Limits     limits.Limits
	MaxClients int
	Password   string
	Lanes      int // of proposers; zero is one for each processor
	Memory     server.Memory
	StateDir   string
	Log        *zap.Logger
	Version    string
}

// Proxy is a whole proxy: the server for clients, the cluster behind it and the
// admin server.
type Proxy struct {
	cfg     Config
	cluster *cluster.Cluster
	server  *server.Server
	admin   *admin.Server

	stop   context.CancelFunc
	listed chan struct{} // closed when the proxy is no longer listed
	errs   chan error
}

// Start starts a proxy. It takes its ports, waits for etcd and for the cluster to be
// initialised, and returns when it serves clients; it does not wait for storage
// nodes. With a state directory it starts even if etcd does not answer.
func Start(ctx context.Context, cfg Config) (_ *Proxy, err error) {
	ln, err := takeover.Listen(ctx, cfg.Log, cfg.ListenAddr)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	adminLn, err := takeover.Listen(ctx, cfg.Log, cfg.AdminAddr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for admin requests: %w", err), ln.Close())
	}
	p := &Proxy{cfg: cfg, listed: make(chan struct{}), errs: make(chan error, 1)}
	p.cluster, err = cluster.Open(ctx, cluster.Config{Name: cfg.Name, Cluster: cfg.Cluster, Store: cfg.Store,
		Limits: cfg.Limits, Lanes: cfg.Lanes, Memory: cfg.Memory.Replies, CachedBytes: cfg.Memory.Cache(),
		StateDir: cfg.StateDir, Lost: p.lost, Log: cfg.Log})
	if err != nil {
		return nil, errors.Join(err, ln.Close(), adminLn.Close())
	}
	id := p.cluster.ProposerID()
	p.server = server.New(ln, server.Options{Backend: backend{p.cluster}, Log: cfg.Log, Version: cfg.Version,
		Password: cfg.Password, MaxClients: cfg.MaxClients, Memory: cfg.Memory, Replicas: p.cluster.Replicas,
		// 32 bits for the clients of each start of a proxy. Client libraries parse
		// ids as signed 64-bit numbers.
		ClientIDs: int64(id&0x7fffffff) << 32})
	p.admin, err = admin.New(adminLn, admin.Options{Log: cfg.Log, Ready: p.ready, Failed: p.adminFailed,
		Collectors: append(p.cluster.Collectors(), p.server)})
	if err != nil {
		close(p.listed)
		return nil, errors.Join(err, adminLn.Close(), p.Close(ctx))
	}
	var running context.Context
	running, p.stop = context.WithCancel(context.Background())
	go p.list(running)
	return p, nil
}

// list keeps the proxy listed in etcd, for operators, whenever etcd answers. If
// another proxy is listed under its id, etcd has assigned the id twice.
func (p *Proxy) list(ctx context.Context) {
	defer close(p.listed)
	for ctx.Err() == nil {
		id := p.cluster.ProposerID()
		entry, err := p.cfg.Store.RegisterProxy(ctx, store.ProxyInfo{ProposerID: id, Name: p.cfg.Name,
			Addr: p.Addr(), Admin: p.AdminAddr(), Version: p.cfg.Version})
		if err == nil {
			err = p.stayListed(ctx, entry, id)
		}
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, store.ErrOtherCluster):
			p.lost(err)
			return
		case errors.Is(err, store.ErrProposerListed):
			p.cluster.Refused(identity.Claim{Proposer: id}, id)
		}
		p.cfg.Log.Warn("cannot be listed in etcd", zap.Error(err))
		rest(ctx, listPause)
	}
}

// adminFailed logs the failure of the admin server. Clients are still served.
func (p *Proxy) adminFailed(err error) { p.cfg.Log.Error("the admin server stopped", zap.Error(err)) }

// lost reports that the proxy must not go on.
func (p *Proxy) lost(err error) {
	select {
	case p.errs <- err:
	default:
	}
}

// listPause is the time between attempts to be listed, and between checks whether the
// proposer id has changed.
const listPause = time.Second

// stayListed returns when ctx ends, the proposer id changes or the entry is lost.
func (p *Proxy) stayListed(ctx context.Context, entry *store.Registration, id ballot.ProposerID) error {
	tick := time.NewTicker(listPause)
	defer tick.Stop()
	for ctx.Err() == nil && p.cluster.ProposerID() == id {
		select {
		case <-ctx.Done():
		case <-tick.C:
		case err := <-entry.Lost():
			return err
		}
	}
	leaving, cancel := context.WithTimeout(context.Background(), listPause)
	defer cancel()
	if err := entry.Close(leaving); err != nil {
		p.cfg.Log.Warn("cannot be removed from the list in etcd", zap.Error(err))
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

var errNoQuorum = errors.New("not connected to a quorum of every slot's nodes")

func (p *Proxy) ready() error {
	if !p.cluster.Ready() {
		return errNoQuorum
	}
	return nil
}

// Addr returns the address that clients connect to.
func (p *Proxy) Addr() string { return p.server.Addr().String() }

// AdminAddr returns the address of the admin server.
func (p *Proxy) AdminAddr() string { return p.admin.Addr().String() }

// Err sends at most one error, after which the proxy must not go on.
func (p *Proxy) Err() <-chan error { return p.errs }

// Close drains the proxy: it removes itself from the list in etcd, finishes the
// commands that clients have sent, and stops. When ctx ends first, the remaining
// clients are disconnected.
func (p *Proxy) Close(ctx context.Context) error {
	if p.stop != nil {
		p.stop()
	}
	<-p.listed
	err := p.server.Close(ctx)
	if p.admin != nil {
		err = errors.Join(err, p.admin.Close(ctx))
	}
	p.cluster.Close()
	return err
}

// backend makes a cluster.Cluster a session.Backend.
type backend struct{ *cluster.Cluster }

func (b backend) Scan(ctx context.Context, db byte, cursor uint64, match []byte, count int, typ string) (uint64, [][]byte, error) {
	next, keys, err := b.Cluster.Scan(ctx, db, cursor, match, count, typ)
	return next, keys, known(err)
}

func (b backend) Keys(ctx context.Context, db byte, pattern []byte) ([][]byte, error) {
	keys, err := b.KeysMatching(ctx, db, pattern)
	return keys, known(err)
}

func (b backend) RandomKey(ctx context.Context, db byte) ([]byte, bool, error) {
	key, ok, err := b.Cluster.RandomKey(ctx, db)
	return key, ok, known(err)
}

func (b backend) Size(ctx context.Context, db byte) (int64, error) {
	n, err := b.Cluster.Keys.Size(ctx, db)
	return n, known(err)
}

func (b backend) Census(ctx context.Context) [partition.Databases]listing.Tally {
	return b.Cluster.Keys.Census(ctx)
}

func (b backend) Flush(ctx context.Context, first, last byte) error {
	return known(b.Cluster.Keys.Flush(ctx, first, last))
}

// known wraps an error of the key space in one that session.Backend names.
func known(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (%w)", cluster.ErrorOf(err), err)
}
