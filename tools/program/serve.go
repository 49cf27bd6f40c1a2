package program

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// drainLimit limits how long a daemon takes to shut down.
const drainLimit = 15 * time.Second

// Daemon is a running part of Synod.
type Daemon interface {
	// Err returns at most one error, after which the daemon must be closed.
	Err() <-chan error
	// Close finishes work in progress until ctx ends, and releases all
	// resources.
	Close(ctx context.Context) error
}

// Serve waits until ctx ends or a daemon fails, then closes the daemons in
// order. It returns the first error.
func Serve(ctx context.Context, log *zap.Logger, daemons ...Daemon) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, len(daemons))
	var watchers sync.WaitGroup
	for _, d := range daemons {
		watchers.Go(func() {
			select {
			case err := <-d.Err():
				failed <- err // nil if the daemon was closed from elsewhere
			case <-watching.Done():
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
		log.Info("shutting down")
	case err = <-failed:
	}
	stop()
	watchers.Wait()
	if closing := Close(daemons...); err == nil {
		err = closing
	}
	return err
}

// Close closes the daemons in order and returns the first error.
func Close(daemons ...Daemon) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	var first error
	for _, d := range daemons {
		if err := d.Close(ctx); err != nil && first == nil {
			first = fmt.Errorf("shut down: %w", err)
		}
	}
	return first
}
