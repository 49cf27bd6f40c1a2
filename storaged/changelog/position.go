package changelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"synod/storaged/disk"
)

// The position file is the changelog's witness: a file of its own that says up
// to which entry the log has been durable. It decides what the bytes after the
// last readable entry are: an unfinished write if that entry is at or above its
// position, else damage. All numbers are little endian.
//
//	file = slot, at 0; slot, at 4096
//	slot = "SYNODPOS" version:u32 crc:u32 store:u64 position:u64
//
// The slots are written in turn, one after each sync of the log, before anybody
// hears of the sync. The write itself is not synced: it survives the end of the
// process, however that comes. The file is synced every positionSync while the
// position moves, and when the log is closed. So after a loss of power it may be
// behind the log by that much, but never ahead of it.
//
// A slot lies within a sector, so it is written whole or not at all. One that
// cannot be read is damage: its position may have been the higher one.
const (
	PositionFile    = "POSITION"
	positionMagic   = "SYNODPOS"
	positionVersion = 1
	positionSlot    = 4096 // where the second slot is: in another block
	positionBytes   = 32   // of a slot
	positionSync    = 100 * time.Millisecond
)

// ErrPosition says that the position file cannot be trusted.
var ErrPosition = errors.New("position file is damaged")

func encodePosition(store, pos uint64) []byte {
	b := make([]byte, 0, positionBytes)
	b = append(b, positionMagic...)
	b = binary.LittleEndian.AppendUint32(b, positionVersion)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, store)
	b = binary.LittleEndian.AppendUint64(b, pos)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b, castagnoli))
	return b
}

// parsePosition reads a slot. It changes b.
func parsePosition(b []byte, store uint64) (uint64, error) {
	sum := binary.LittleEndian.Uint32(b[12:])
	binary.LittleEndian.PutUint32(b[12:], 0)
	if string(b[:8]) != positionMagic || crc32.Checksum(b, castagnoli) != sum {
		return 0, fmt.Errorf("%w: bad checksum", ErrPosition)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != positionVersion {
		return 0, fmt.Errorf("position file has format version %d, this program knows %d", v, positionVersion)
	}
	if got := binary.LittleEndian.Uint64(b[16:]); got != store {
		return 0, fmt.Errorf("%w: it belongs to store %016x, this is %016x", ErrPosition, got, store)
	}
	return binary.LittleEndian.Uint64(b[24:]), nil
}

// ReadPosition returns what the slots of a directory's position file say.
func ReadPosition(dir string, store uint64) (slots [2]uint64, err error) {
	f, err := os.Open(filepath.Join(dir, PositionFile))
	if err != nil {
		return slots, fmt.Errorf("open position file: %w", err)
	}
	defer f.Close()
	for i := range slots {
		var b [positionBytes]byte
		_, err := f.ReadAt(b[:], int64(i)*positionSlot)
		if errors.Is(err, io.EOF) {
			return slots, fmt.Errorf("%w: it is too short", ErrPosition)
		}
		if err != nil {
			return slots, fmt.Errorf("read position file: %w", err)
		}
		if slots[i], err = parsePosition(b[:], store); err != nil {
			return slots, err
		}
	}
	return slots, nil
}

// positionFile is the open position file.
type positionFile struct {
	file  *os.File
	disk  *disk.Disk
	store uint64
	next  int // the slot to be written next
}

// openPosition opens the position file for writing, or makes one, which appears
// under its name once it is durable.
func openPosition(dir string, store, pos uint64, disk *disk.Disk) (*positionFile, error) {
	path := filepath.Join(dir, PositionFile)
	slots, err := ReadPosition(dir, store)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p := &positionFile{disk: disk, store: store}
	if err == nil {
		if slots[1] < slots[0] {
			p.next = 1
		}
		if p.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return nil, fmt.Errorf("open position file: %w", err)
		}
		return p, nil
	}
	if p.file, err = os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644); err == nil {
		err = p.create(path, pos)
	}
	if err != nil {
		return nil, fmt.Errorf("make position file: %w", errors.Join(err, p.file.Close()))
	}
	return p, nil
}

func (p *positionFile) create(path string, pos uint64) error {
	if err := p.disk.Allocate(p.file, 2*positionSlot); err != nil {
		return err
	}
	for range 2 {
		if err := p.note(pos); err != nil {
			return err
		}
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

// note records that the log is durable up to pos.
func (p *positionFile) note(pos uint64) error {
	if err := p.disk.Write(p.file, encodePosition(p.store, pos), int64(p.next)*positionSlot); err != nil {
		return fmt.Errorf("write position file: %w", err)
	}
	p.next = 1 - p.next
	return nil
}

func (p *positionFile) sync() error {
	if err := p.disk.Sync(p.file); err != nil {
		return fmt.Errorf("sync position file: %w", err)
	}
	return nil
}

// close closes the file, and makes it durable first unless the disk has failed.
func (p *positionFile) close(sound bool) (err error) {
	if sound {
		err = p.sync()
	}
	return errors.Join(err, p.file.Close())
}
