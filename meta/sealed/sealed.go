// Package sealed keeps small data in files. A read returns either what was written or
// an error, even if the disk has damaged the file. Every file has a checksum over its
// content and its label, which says what kind of data it holds, and whose. So a block
// that was misplaced from another file is detected, too.
//
// Write replaces the whole file and needs disk space for a second one meanwhile. A
// Mirror needs disk space only when it is created.
package sealed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// ErrDamaged says that a file does not hold what was written to it.
var ErrDamaged = errors.New("the file is damaged")

// seal is the head of a file, or of half a mirror:
//
//	checksum of label and all that follows (4) · length of the payload (4) · number (8)
const seal = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(label string, b []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(label), castagnoli), castagnoli, b)
}

// pack returns a sealed payload.
func pack(label string, number uint64, payload []byte) []byte {
	b := make([]byte, seal, seal+len(payload))
	binary.BigEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.BigEndian.PutUint64(b[8:], number)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, sum(label, b[4:]))
	return b
}

// unpack returns the payload at the start of b.
func unpack(label string, b []byte) (number uint64, payload []byte, ok bool) {
	if len(b) < seal {
		return 0, nil, false
	}
	n := int(binary.BigEndian.Uint32(b[4:]))
	if n > len(b)-seal || sum(label, b[4:seal+n]) != binary.BigEndian.Uint32(b) {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(b[8:]), b[seal : seal+n], true
}

// Write replaces a file. When it returns nil the content is durable; after an
// error the file holds the old content or the new.
func Write(path, label string, payload []byte) error {
	return Replace(path, pack(label, 0, payload))
}

// Read returns what was written to a file. The error is os.ErrNotExist if there
// is none and ErrDamaged if it holds anything else.
func Read(path, label string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, payload, ok := unpack(label, b)
	if !ok || seal+len(payload) != len(b) {
		return nil, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	return payload, nil
}

// Replace writes bytes to a file without a seal, and replaces an existing file. After a
// crash the file is either complete or unchanged.
func Replace(path string, b []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Mirror is a file of fixed size that holds its content twice. Write overwrites one half
// after the other in place, and makes each durable before the next step. So a crash
// damages at most one half, and the other can be read. A Mirror is not safe for
// concurrent use.
type Mirror struct {
	path, label string
	half        int
	number      uint64 // of the last write
}

// OpenMirror reads a mirror whose content has at most most bytes. The content is nil if
// the file does not exist: the first Write creates it.
func OpenMirror(path, label string, most int) (*Mirror, []byte, error) {
	m := &Mirror{path: path, label: label, half: seal + most}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var content []byte
	for i := range 2 {
		b := make([]byte, m.half)
		n, err := f.ReadAt(b, int64(i*m.half))
		if err != nil && err != io.EOF {
			continue // the other half may be readable
		}
		if number, payload, ok := unpack(label, b[:n]); ok && number > m.number {
			m.number, content = number, payload
		}
	}
	if m.number == 0 {
		return nil, nil, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	return m, content, nil
}

// Write replaces the content by payload, durably. After an error the content is either
// the old or the new.
func (m *Mirror) Write(payload []byte) error {
	if seal+len(payload) > m.half {
		return fmt.Errorf("%s: %d bytes where %d have room", m.path, len(payload), m.half-seal)
	}
	b := make([]byte, m.half)
	copy(b, pack(m.label, m.number+1, payload))
	if m.number == 0 {
		if err := Replace(m.path, append(b, b...)); err != nil {
			return err
		}
		m.number = 1
		return nil
	}
	f, err := os.OpenFile(m.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for i := range 2 {
		if err == nil {
			_, err = f.WriteAt(b, int64(i*m.half))
		}
		if err == nil {
			err = f.Sync()
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		m.number++
	}
	return err
}
