package program

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// drainLimit bounds the time that a daemon takes to finish.
const drainLimit = 15 * time.Second

// Daemon is a running part of Synod.
type Daemon interface {
	// Err reports at most one error, after which the daemon cannot go on.
	Err() <-chan error
	// Close finishes what was begun, until ctx ends, and releases everything.
	Close(ctx context.Context) error
}

// Serve waits until ctx ends or one of the daemons cannot go on, and closes
// them, one after the other. It returns what went wrong first.
func Serve(ctx context.Context, log *zap.Logger, daemons ...Daemon) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, len(daemons))
	var watchers sync.WaitGroup
	for _, d := range daemons {
		watchers.Go(func() {
			select {
			case err := <-d.Err():
				failed <- err // nil if the daemon was closed by others
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
