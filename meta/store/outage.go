package store

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// outage reports an etcd that does not answer, once for all who wait for it.
type outage struct {
	log       *zap.Logger
	endpoints []string

	mu      sync.Mutex
	since   time.Time // zero: etcd answers
	said    time.Time
	dialing error // of the last attempt to connect
}

// dial connects to an etcd. The client hides why it cannot; this keeps it.
func (o *outage) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	o.mu.Lock()
	o.dialing = err
	o.mu.Unlock()
	return c, err
}

// cause returns the most informative reason why an attempt failed with err: rather
// "connection refused" than a timeout.
func (o *outage) cause(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.better(err)
}

func (o *outage) better(err error) error {
	if o.dialing != nil && errors.Is(err, context.DeadlineExceeded) {
		return o.dialing
	}
	return err
}

func (o *outage) noticed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() {
		o.since = now
	}
	if !o.said.IsZero() && now.Sub(o.said) < reportEvery {
		return
	}
	o.said = now
	o.log.Warn("waiting for etcd", zap.Strings("etcd", o.endpoints),
		zap.Duration("for", now.Sub(o.since).Round(time.Millisecond)), zap.Error(o.better(err)))
}

func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.log.Info("etcd answers again", zap.Duration("after", time.Since(o.since).Round(time.Millisecond)))
	}
	o.since, o.said = time.Time{}, time.Time{}
}
