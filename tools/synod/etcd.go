package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcdStartLimit limits how long the embedded etcd may take to start.
const etcdStartLimit = time.Minute

// etcd is the embedded etcd.
type etcd struct {
	*embed.Etcd
	level zap.AtomicLevel // of its logs
}

// url returns its address. The port is a free one, different at each start.
func (e *etcd) url() string { return "http://" + e.Clients[0].Addr().String() }

// close stops it. Otherwise it would log that its listeners were closed.
func (e *etcd) close() error {
	e.level.SetLevel(zapcore.FatalLevel)
	e.Close()
	return nil
}

// startEtcd starts the embedded etcd and waits until it is ready.
func startEtcd(ctx context.Context, dir string, log *zap.Logger) (*etcd, error) {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "local", dir
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = anyPort, anyPort
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// The cluster stores little here, and needs no history.
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "10m"
	e := &etcd{level: zap.NewAtomicLevelAt(zapcore.ErrorLevel)}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log.Named("etcd").WithOptions(zap.IncreaseLevel(e.level)))

	var err error
	if e.Etcd, err = embed.StartEtcd(cfg); err != nil {
		return nil, fmt.Errorf("start embedded etcd: %w", err)
	}
	timer := time.NewTimer(etcdStartLimit)
	defer timer.Stop()
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err = <-e.Err():
	case <-timer.C:
		err = errors.New("it is not ready after a minute")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("start embedded etcd: %w", err), e.close())
}
