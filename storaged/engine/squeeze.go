package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/storaged/rowcodec"
)

// What a delete or a smaller value leaves behind goes only when Pebble compacts
// the tables that hold it, and as long as little new comes in it has no reason
// to. When room is short, it is made to: a squeeze compacts all rows, a run of
// slots at a time, each small enough for the room that there is. One is done when
// what adds begins to be refused, and when enough has been deleted since the last.
const (
	squeezeLeast = 4 << 20 // bytes that are compacted at once, at least
	squeezeShare = 32      // how much of the store must have been freed while what adds is refused
	squeezeEarly = 8       // … and while that is merely near
	squeezePause = time.Second
	squeezeMost  = time.Minute // the pause after squeezes that brought nothing
)

// wantSqueeze has one done whatever has been freed.
func (e *Engine) wantSqueeze() {
	e.squeezeDue.Store(true)
	notify(e.squeezes)
}

// squeezer is the goroutine that does it.
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
			e.opts.Log.Warn("cannot compact the store to make room; it is tried again", zap.String("error", err.Error()))
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

// squeezable reports whether a squeeze is worth it: enough was freed to take all
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
	if e.space.Level() == caspaxos.RoomEnough {
		return freed >= max(squeezeLeast, size/squeezeEarly)
	}
	lacks := e.space.CalmFree() - e.space.Free()
	return freed >= lacks || freed >= size/squeezeShare
}

// squeeze compacts all rows, beginning where the last one ended, which does when
// there is enough room.
func (e *Engine) squeeze(ctx context.Context) error {
	short := e.space.Level() != caspaxos.RoomEnough
	e.squeezeDue.Store(false)
	e.freed.Store(0)
	if err := e.CatchUp(); err != nil {
		return err
	}
	for left := caspaxos.Slots; left > 0; {
		from := e.squeezeAt % caspaxos.Slots
		n, err := e.run(from, left)
		if err != nil {
			return err
		}
		if err := e.compact(ctx, rowcodec.SlotBegin(from), rowcodec.SlotBegin(from+n)); err != nil {
			return err
		}
		left -= n
		if e.squeezeAt = from + n; short && e.space.Level() == caspaxos.RoomEnough {
			return nil
		}
	}
	return e.compact(ctx, []byte{rowcodec.PrefixExpiry}, []byte{rowcodec.PrefixExpiry + 1})
}

func (e *Engine) compact(ctx context.Context, begin, end []byte) error {
	return e.inPebble(func() error { return e.db.Compact(ctx, begin, end, false) })
}

// run returns how many slots from one on, most at most, may be compacted at once:
// what they hold is half as much as there is room, or less.
func (e *Engine) run(from, most int) (n int, err error) {
	room := uint64(max(squeezeLeast, e.space.Free()/2))
	for n = min(most, caspaxos.Slots-from); n > 1; n = (n + 3) / 4 {
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
