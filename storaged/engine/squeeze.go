package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos/diskroom"
	"synod/protocol/partition"
	"synod/storaged/rowcodec"
)

// What a delete or a smaller value frees is on the disk until Pebble compacts the
// tables that hold it, which it has no reason to do while few writes come in. So
// when space is short, a squeeze compacts all rows, a run of slots at a time, each
// small enough for the space that is left. One is done when writes begin to be
// refused, and whenever enough has been deleted since the last.
const (
	squeezeLeast = 4 << 20 // compacted at once, at least; bytes
	squeezeShare = 32      // a squeeze is due when this part of the store was freed, while writes are refused
	squeezeEarly = 8       // … and while space is only short
	squeezePause = time.Second
	squeezeMost  = time.Minute // the pause after squeezes that freed nothing
)

// wantSqueeze has one done, however much was freed.
func (e *Engine) wantSqueeze() {
	e.squeezeDue.Store(true)
	notify(e.squeezes)
}

// squeezer is the goroutine that does squeezes.
func (e *Engine) squeezer() {
	defer e.routines.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-e.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	pause := squeezePause
	for {
		select {
		case <-e.stop:
			return
		case <-e.squeezes:
		}
		if !e.squeezable() {
			continue
		}
		before := e.space.Free()
		err := e.squeeze(ctx)
		if err != nil && ctx.Err() == nil && e.failure.Load() == nil {
			e.opts.Log.Warn("cannot compact the store to free space; it is retried", zap.String("error", err.Error()))
			e.squeezeDue.Store(true)
		}
		if pause = min(2*pause, squeezeMost); e.space.Free() > before+squeezeLeast {
			pause = squeezePause
		}
		select {
		case <-e.stop:
			return
		case <-time.After(pause):
		}
	}
}

// squeezable reports whether a squeeze is worth it: enough was freed to accept all
// writes again, or a good part of the store.
func (e *Engine) squeezable() bool {
	if e.squeezeDue.Load() {
		return true
	}
	freed := e.freed.Load()
	if freed == 0 {
		return false
	}
	size := int64(e.db.Metrics().DiskSpaceUsage())
	if e.space.Level() == diskroom.RoomEnough {
		return freed >= max(squeezeLeast, size/squeezeEarly)
	}
	lacks := e.space.CalmFree() - e.space.Free()
	return freed >= lacks || freed >= size/squeezeShare
}

// squeeze compacts all rows, beginning where the last one stopped. It stops when
// there is enough space.
func (e *Engine) squeeze(ctx context.Context) error {
	short := e.space.Level() != diskroom.RoomEnough
	e.squeezeDue.Store(false)
	e.freed.Store(0)
	if err := e.CatchUp(); err != nil {
		return err
	}
	for left := partition.Slots; left > 0; {
		from := e.squeezeAt % partition.Slots
		n, err := e.run(from, left)
		if err != nil {
			return err
		}
		if err := e.compact(ctx, rowcodec.SlotBegin(from), rowcodec.SlotBegin(from+n)); err != nil {
			return err
		}
		left -= n
		if e.squeezeAt = from + n; short && e.space.Level() == diskroom.RoomEnough {
			return nil
		}
	}
	return e.compact(ctx, []byte{rowcodec.PrefixExpiry}, []byte{rowcodec.PrefixExpiry + 1})
}

func (e *Engine) compact(ctx context.Context, begin, end []byte) error {
	return e.inPebble(func() error { return e.db.Compact(ctx, begin, end, false) })
}

// run returns how many slots from one on, at most most, may be compacted at once:
// together they hold at most half as many bytes as are free.
func (e *Engine) run(from, most int) (n int, err error) {
	room := uint64(max(squeezeLeast, e.space.Free()/2))
	for n = min(most, partition.Slots-from); n > 1; n = (n + 3) / 4 {
		var bytes uint64
		err := e.inPebble(func() (err error) {
			bytes, err = e.db.EstimateDiskUsage(rowcodec.SlotBegin(from), rowcodec.SlotBegin(from+n))
			return err
		})
		if err != nil || bytes <= room {
			return n, err
		}
	}
	return n, nil
}
