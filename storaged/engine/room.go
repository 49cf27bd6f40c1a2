package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"synod/protocol/caspaxos"
	"synod/protocol/register"
)

// A store that fills its disk needs room to get out of that: a delete is a
// record in the changelog, its effect goes through a memtable and a flush, and
// what it frees comes back when a compaction has written anew what stays. So some
// is kept, Options.MinFreeBytes, and the less there is the less is let in:
//
//	below twice that   changelog that was kept for others is given back, and
//	                   checkpoints come more often, in smaller segments
//	below it           RoomLow: changes that add are refused; what deletes leave
//	                   behind is compacted away (squeeze.go)
//	below an eighth    RoomScarce: so is what a quorum needs of a node that is behind,
//	                   and compactions have to wait
//	nothing            RoomNone: nothing can be written
//
// A quarter of it is a file, the ballast, so that nobody else takes it. It is
// deleted when a write fails for want of room, which is then done again, and when
// the store opens on a full disk; it comes back when there is room again.
//
// Nobody who needs the disk looks how full it is: that does a goroutine of its
// own, which waits for nothing but the file system's answer.

const (
	freeCheck = 200 * time.Millisecond
	// freeBytes is how much is written until the disk is looked at in any case.
	freeBytes = 4 << 20
	// calmLooks is how many looks in a row must find enough room.
	calmLooks = 5
	// fullFor is how long after a failed write the disk counts as full.
	fullFor = 5 * time.Second

	ballastFile  = "ballast"
	ballastMost  = 64 << 20
	ballastLeast = 4 << 10
)

// errLow is what Ready says of a node that takes no more data.
var errLow = fmt.Errorf("%w: the disk is nearly full, only reads and what frees room are taken", ErrNoSpace)

// space is what the store knows of its disk.
type space struct {
	level  atomic.Uint32 // a caspaxos.Room, without RoomNone
	free   atomic.Int64  // when last looked, the ballast included
	unseen atomic.Int64  // bytes staged since
	moved  atomic.Int64  // bytes that compactions have written since
	seen   atomic.Int64  // bytes of changelog and large states written when last looked
	failed atomic.Int64  // Unix nanoseconds at which a write last failed
	look   chan struct{}

	looking sync.Mutex
	gave    time.Time // when a checkpoint was last asked for
	calm    int       // looks in a row that found enough room

	mu          sync.Mutex
	ballast     int64     // bytes it has at present
	dropped     time.Time // when it was given back
	unsupported bool      // the file system reserves nothing
}

// room is how much there is at present.
func (e *Engine) room() caspaxos.Room {
	if e.changes.full.Load() {
		return caspaxos.RoomNone
	}
	return caspaxos.Room(e.space.level.Load())
}

// watchRoom is the watcher: the goroutine that looks how full the disk is.
func (e *Engine) watchRoom() {
	defer e.routines.Done()
	tick := time.NewTicker(freeCheck)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		case <-e.space.look:
		}
		e.checkFree()
	}
}

// checkFree looks how much room there is and decides what is let in. It says so
// when that changes.
func (e *Engine) checkFree() {
	s := &e.space
	s.looking.Lock()
	defer s.looking.Unlock()
	unseen, moved := s.unseen.Load(), s.moved.Load()
	written := int64(0)
	if e.changes != nil { // as the store opens
		written = e.written()
	}
	s.mu.Lock()
	n, err := e.opts.Disk.Free(e.opts.Dir)
	n += s.ballast
	s.mu.Unlock()
	if err != nil {
		e.opts.Log.Warn("cannot tell how much room the disk has", zap.Error(err))
		return
	}
	s.unseen.Add(-unseen)
	s.moved.Add(-moved)
	s.seen.Store(written)
	s.free.Store(n)
	was := caspaxos.Room(s.level.Load())
	is := e.judge(n, was)
	s.level.Store(uint32(is))
	e.sayRoom(was, is, n)
	if e.pressed(n) {
		notify(e.squeezes)
	}
	if e.changes == nil {
		return
	}
	e.giveBack(n)
	if n >= e.opts.MinFreeBytes+e.opts.MinFreeBytes/8 {
		e.takeBallast(n)
	}
}

// judge tells how much room so many bytes are. What adds is taken again only when
// there has been an eighth more than it was refused at for a while: a compaction
// takes room before it gives some back.
func (e *Engine) judge(free int64, was caspaxos.Room) caspaxos.Room {
	least := e.opts.MinFreeBytes
	if free < least+least/8 {
		e.space.calm = 0
	} else {
		e.space.calm++
	}
	switch {
	case free < least/8:
		return caspaxos.RoomScarce
	case free < least, was != caspaxos.RoomEnough && e.space.calm < calmLooks:
		return caspaxos.RoomLow
	}
	return caspaxos.RoomEnough
}

func (e *Engine) sayRoom(was, is caspaxos.Room, free int64) {
	fields := []zap.Field{zap.Int64("free_bytes", free), zap.Int64("min_free_bytes", e.opts.MinFreeBytes)}
	switch {
	case was == is:
	case is == caspaxos.RoomEnough:
		e.opts.Log.Info("the disk has room again: all writes are accepted", fields...)
	case was == caspaxos.RoomEnough:
		e.opts.Log.Error("the disk is nearly full: only reads and what frees room are taken", fields...)
		e.wantSqueeze()
	case is == caspaxos.RoomScarce:
		e.opts.Log.Error("what the disk keeps free is nearly used up", fields...)
	}
}

// pressed reports whether there is so little room that what can be given back
// should be.
func (e *Engine) pressed(free int64) bool {
	since := time.Now().UnixNano() - e.space.failed.Load()
	return free < 2*e.opts.MinFreeBytes || since < int64(fullFor)
}

// giveBack gives back changelog that nothing needs, and has what is needed become
// superfluous soon.
func (e *Engine) giveBack(free int64) {
	pressed := e.pressed(free)
	e.changes.pressed.Store(pressed)
	if !pressed || !e.changes.surplus() {
		return
	}
	// This needs no room, other than a checkpoint.
	if _, err := e.changes.release(e.marked.Load()); err != nil {
		e.opts.Log.Warn("cannot give back changelog; it is tried again later", zap.Error(err))
	}
	if now := time.Now(); e.changes.surplus() && now.Sub(e.space.gave) >= time.Second {
		e.space.gave = now
		notify(e.checkpoints)
	}
}

// written counts what comes to the disk: the changelog and large states.
func (e *Engine) written() int64 { return e.changes.bytes.Load() + e.stagedBytes.Load() }

// admitsStaging tells whether more of a large state may be written: what was
// since the last look at the disk counts.
func (e *Engine) admitsStaging(needed bool) error {
	if err := e.Usable(); err != nil {
		return err
	}
	room := e.room()
	if room == caspaxos.RoomEnough || room == caspaxos.RoomLow && needed {
		least := e.opts.MinFreeBytes
		if needed {
			least /= 8
		}
		if n := e.space.free.Load(); n == 0 || n-e.space.unseen.Load() >= least {
			return nil
		}
	}
	return ErrNoSpace
}

// spares lets a compaction write so many bytes, unless they are what is left for
// others to get out of this with: it has no room then.
func (e *Engine) spares(n int) error {
	s := &e.space
	if s.moved.Add(int64(n)); s.free.Load()-s.moved.Load() < e.opts.MinFreeBytes/8 {
		return errSpare
	}
	return nil
}

var errSpare = fmt.Errorf("what is left is no room for a compaction: %w", syscall.ENOSPC)

func (e *Engine) ballastPath() string { return filepath.Join(e.opts.Dir, ballastFile) }

// ballastBytes is how large the ballast should be; zero for none.
func (e *Engine) ballastBytes() int64 {
	n := min(e.opts.MinFreeBytes/4, ballastMost)
	if n < ballastLeast {
		return 0
	}
	return n
}

// findBallast finds what the last life left, and drops it if the disk is full:
// there is much that needs a little room before the store is open.
func (e *Engine) findBallast() {
	s := &e.space
	info, err := os.Stat(e.ballastPath())
	if err != nil {
		return
	}
	s.mu.Lock()
	s.ballast = info.Size()
	s.mu.Unlock()
	want := e.ballastBytes()
	if free, err := e.opts.Disk.Free(e.opts.Dir); err != nil || free < want || info.Size() != want {
		e.dropBallast()
	}
}

// takeBallast reserves the ballast, if it is not there. free does not count it
// twice.
func (e *Engine) takeBallast(free int64) {
	s := &e.space
	s.mu.Lock()
	defer s.mu.Unlock()
	n := e.ballastBytes()
	if s.ballast != 0 || n == 0 || s.unsupported {
		return
	}
	err := e.reserve(n)
	switch {
	case err == nil:
		s.ballast = n
	case isFull(err): // somebody else was faster
	default:
		s.unsupported = true
		e.opts.Log.Warn("cannot reserve room on the disk for when it is full; others may use it up", zap.Error(err))
	}
}

var errSparse = errors.New("the file system reserves nothing")

// reserve makes the ballast.
func (e *Engine) reserve(n int64) error {
	f, err := os.OpenFile(e.ballastPath(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("reserve room: %w", err)
	}
	err = e.opts.Disk.Allocate(f, n)
	if err == nil {
		err = reserved(f, n)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(fmt.Errorf("reserve room: %w", err), os.Remove(e.ballastPath()))
	}
	return nil
}

// reserved makes sure that a file has blocks of the disk.
func reserved(f *os.File, n int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); info.Size() != n || ok && stat.Blocks*512 < n {
		return errSparse
	}
	return nil
}

// diskFull is called when a write has failed for want of room. It reports whether
// there is some now, so that the write may be tried again.
func (e *Engine) diskFull() bool {
	e.space.failed.Store(time.Now().UnixNano())
	notify(e.space.look)
	return e.dropBallast()
}

// dropBallast gives the ballast's room back, and reports whether it was there until
// just now.
func (e *Engine) dropBallast() bool {
	s := &e.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ballast == 0 {
		return time.Since(s.dropped) < time.Second // for somebody else
	}
	err := os.Remove(e.ballastPath())
	if err == nil {
		err = syncDir(e.opts.Dir)
	}
	if err != nil {
		e.opts.Log.Warn("cannot delete the ballast", zap.Error(err))
		return false
	}
	s.ballast, s.dropped = 0, time.Now()
	e.opts.Log.Error("the disk is full: what the node had reserved is in use now")
	return true
}

// Room implements caspaxos.Store.
func (l *Lane) Room() caspaxos.Room { return l.engine.room() }

// Grows implements caspaxos.Store.
func (l *Lane) Grows(rec *caspaxos.Record, c *register.Change) (grows bool, err error) {
	if rec == nil {
		return register.Nothing().Grows(*c), nil
	}
	e := l.entry(rec)
	if e == nil {
		return true, nil
	}
	if !e.rows {
		return c.Grows(e.bytes, func(key []byte) int {
			if i, found := e.find(key); found {
				return len(key) + len(e.elems[i].Value)
			}
			return 0
		}), nil
	}
	s := l.source(e)
	grows = c.Grows(e.held(), func(key []byte) int {
		value, had, gerr := s.get(key)
		if err = errors.Join(err, gerr); !had {
			return 0
		}
		return len(key) + len(value)
	})
	return grows, errors.Join(err, s.close())
}

// held is about how many bytes the content takes, or less: of collections that
// are rows nobody counts them.
func (e *entry) held() int {
	switch {
	case !e.rows:
		return e.bytes
	case e.rec.Header.Type == register.String:
		return int(e.rec.Header.Size)
	}
	return 0
}
