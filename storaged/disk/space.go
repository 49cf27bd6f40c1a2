package disk

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

	"synod/protocol/caspaxos/diskroom"
)

// A store that fills its disk needs some space to recover: a delete is a record
// in the changelog, its effect goes through a memtable and a flush, and what it
// frees comes back only when a compaction has rewritten what stays. So some
// space is kept free (minFree), and the less there is, the less is accepted:
//
//	below twice that   Pressed: changelog that was kept for others is removed, and
//	                   checkpoints come more often, in smaller segments
//	below it           RoomLow: changes that add are refused; what deletes leave
//	                   behind is compacted
//	below an eighth    RoomScarce: changes that a quorum needs of a lagging node are
//	                   refused too, and compactions have to wait
//	nothing            RoomNone: nothing can be written
//
// A quarter of it is a file, the ballast, so that no other program takes it. It
// is deleted when a write fails for lack of space, which is then retried, and
// when the store opens on a full disk. It is made again when there is space and no
// write has failed for a while.
//
// No write waits for a look at the disk: a goroutine of its own calls Look.

const (
	// CalmLooks is how many looks in a row must find enough room.
	CalmLooks = 5
	// fullFor is how long after a failed write the disk counts as full.
	fullFor = 5 * time.Second

	ballastFile  = "ballast"
	ballastMost  = 64 << 20
	ballastLeast = 4 << 10
)

// Space is what the store knows of the free space of its disk. All methods are
// safe for concurrent use.
type Space struct {
	dir     string
	disk    *Disk
	minFree int64 // bytes
	log     *zap.Logger

	level  atomic.Uint32 // a diskroom.Room, without RoomNone
	free   atomic.Int64  // when last looked, the ballast included
	unseen atomic.Int64  // bytes of large states written since
	moved  atomic.Int64  // bytes that compactions have written since
	failed atomic.Int64  // Unix nanoseconds at which a write last failed
	due    chan struct{}

	looking sync.Mutex
	calm    int // looks in a row that found enough room

	mu          sync.Mutex
	ballast     int64     // bytes it has at present
	dropped     time.Time // when it was deleted
	unsupported bool      // the file system cannot reserve space
}

// NewSpace watches the disk of a directory, of which minFree bytes are to be
// kept free. A ballast left by the last run is dropped if the disk is full:
// opening a store needs a little space in many places.
func NewSpace(dir string, d *Disk, minFree int64, log *zap.Logger) *Space {
	return &Space{dir: dir, disk: d, minFree: minFree, log: log, due: make(chan struct{}, 1)}
}

// Level returns how much room there was at the last look; never RoomNone.
func (s *Space) Level() diskroom.Room { return diskroom.Room(s.level.Load()) }

// Free returns the bytes that were free at the last look, the ballast
// included.
func (s *Space) Free() int64 { return s.free.Load() }

// CalmFree is how many bytes must be free until all writes are accepted again:
// an eighth more than when they were refused, since a compaction takes space
// before it frees some.
func (s *Space) CalmFree() int64 { return s.minFree + s.minFree/8 }

// LookDue is ready when somebody wants a look at the disk soon.
func (s *Space) LookDue() <-chan struct{} { return s.due }

// WantLook asks for a look at the disk soon.
func (s *Space) WantLook() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// Look measures the free space, decides what is accepted and logs changes of
// that. low reports that writes have begun to be refused. It returns false if
// the file system did not answer.
func (s *Space) Look() (low, ok bool) {
	s.looking.Lock()
	defer s.looking.Unlock()
	unseen, moved := s.unseen.Load(), s.moved.Load()
	s.mu.Lock()
	n, err := s.disk.Free(s.dir)
	n += s.ballast
	s.mu.Unlock()
	if err != nil {
		s.log.Warn("cannot read the free space of the disk", zap.Error(err))
		return false, false
	}
	s.unseen.Add(-unseen)
	s.moved.Add(-moved)
	s.free.Store(n)
	was := s.Level()
	is := s.decide(n, was)
	s.level.Store(uint32(is))
	s.logLevel(was, is, n)
	return is != was && is != diskroom.RoomEnough && was == diskroom.RoomEnough, true
}

// decide returns the level for so many free bytes.
func (s *Space) decide(free int64, was diskroom.Room) diskroom.Room {
	if free < s.CalmFree() {
		s.calm = 0
	} else {
		s.calm++
	}
	switch {
	case free < s.minFree/8:
		return diskroom.RoomScarce
	case free < s.minFree, was != diskroom.RoomEnough && s.calm < CalmLooks:
		return diskroom.RoomLow
	}
	return diskroom.RoomEnough
}

func (s *Space) logLevel(was, is diskroom.Room, free int64) {
	fields := []zap.Field{zap.Int64("free_bytes", free), zap.Int64("min_free_bytes", s.minFree)}
	switch {
	case was == is:
	case is == diskroom.RoomEnough:
		s.log.Info("the disk has room again: all writes are accepted", fields...)
	case was == diskroom.RoomEnough:
		s.log.Error("the disk is nearly full: only reads and what frees room are accepted", fields...)
	case is == diskroom.RoomScarce:
		s.log.Error("the space that is kept free on the disk is nearly used up", fields...)
	}
}

// Pressed reports whether there is so little space that all that can be freed
// should be.
func (s *Space) Pressed() bool {
	return s.Free() < 2*s.minFree || s.justFull()
}

// justFull reports whether a write has failed lately for lack of space.
func (s *Space) justFull() bool {
	return time.Now().UnixNano()-s.failed.Load() < int64(fullFor)
}

// AddStaged counts bytes of large states that were written since the last look.
func (s *Space) AddStaged(n int64) { s.unseen.Add(n) }

// Admits reports whether more of a large state may be written; needed ones may
// use what is kept free. What was written since the last look counts.
func (s *Space) Admits(needed bool) bool {
	if room := s.Level(); room != diskroom.RoomEnough && (room != diskroom.RoomLow || !needed) {
		return false
	}
	least := s.minFree
	if needed {
		least /= 8
	}
	n := s.free.Load()
	return n == 0 || n-s.unseen.Load() >= least
}

// AdmitCompaction returns an error if a compaction may not write n more bytes:
// what is left is needed to free space.
func (s *Space) AdmitCompaction(n int) error {
	if s.moved.Add(int64(n)); s.free.Load()-s.moved.Load() < s.minFree/8 {
		return errSpare
	}
	return nil
}

var errSpare = fmt.Errorf("too little space is left for a compaction: %w", syscall.ENOSPC)

// BallastPath returns the path of the ballast.
func (s *Space) BallastPath() string { return filepath.Join(s.dir, ballastFile) }

// ballastBytes is how large the ballast should be; zero for none.
func (s *Space) ballastBytes() int64 {
	n := min(s.minFree/4, ballastMost)
	if n < ballastLeast {
		return 0
	}
	return n
}

// FindBallast finds what the last run left, and drops it if the disk is full:
// opening the store needs a little space in many places.
func (s *Space) FindBallast() {
	info, err := os.Stat(s.BallastPath())
	if err != nil {
		return
	}
	s.mu.Lock()
	s.ballast = info.Size()
	s.mu.Unlock()
	want := s.ballastBytes()
	switch free, err := s.disk.Free(s.dir); {
	case err != nil || free < want:
		s.DropBallast()
	case info.Size() != want: // --min-free was another one: TakeBallast makes a new one
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.remove() {
			s.ballast = 0
		}
	}
}

// TakeBallast makes the ballast if it is missing and there is enough space. While
// writes fail it is not made, whatever the file system says is free: what dropping
// it has freed is for the write that failed, which may not have been retried yet.
// (A quota, for example, can be used up on a disk with much space.)
func (s *Space) TakeBallast() {
	if s.Free() < s.CalmFree() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.ballastBytes()
	if s.ballast != 0 || n == 0 || s.unsupported || s.justFull() {
		return
	}
	err := s.reserve(n)
	switch {
	case err == nil:
		s.ballast = n
	case IsFull(err): // somebody else was faster
	default:
		s.unsupported = true
		s.log.Warn("cannot reserve space on the disk for when it is full; others may use it up", zap.Error(err))
	}
}

var errSparse = errors.New("the file system cannot reserve space")

// reserve makes the ballast.
func (s *Space) reserve(n int64) error {
	f, err := os.OpenFile(s.BallastPath(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("reserve space: %w", err)
	}
	err = s.disk.Allocate(f, n)
	if err == nil {
		err = reserved(f, n)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(fmt.Errorf("reserve space: %w", err), os.Remove(s.BallastPath()))
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

// Exhausted is called whenever a write fails for lack of space. It reports whether
// there is some now, so that the write may be retried.
func (s *Space) Exhausted() bool {
	// Before the ballast is dropped, so that TakeBallast, which looks while it holds
	// mu, does not make it again at once.
	s.failed.Store(time.Now().UnixNano())
	s.WantLook()
	return s.DropBallast()
}

// DropBallast deletes the ballast, and reports whether it was there until just
// now.
func (s *Space) DropBallast() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ballast == 0 {
		return time.Since(s.dropped) < time.Second // by another write
	}
	if !s.remove() {
		return false
	}
	s.ballast, s.dropped = 0, time.Now()
	s.log.Error("the disk is full: the space that the node had reserved is in use now")
	return true
}

// remove deletes the ballast's file.
func (s *Space) remove() bool {
	err := os.Remove(s.BallastPath())
	if err == nil {
		err = SyncDir(s.dir)
	}
	if err != nil {
		s.log.Warn("cannot delete the ballast", zap.Error(err))
	}
	return err == nil
}
