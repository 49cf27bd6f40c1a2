// Package rdbfile reads and writes Redis's RDB files entry by entry, with at
// most one value in memory. Values keep the file's encoding, which is also that
// of DUMP payloads.
//
// A file is "REDIS", the version in four digits, and a series of opcodes of one
// byte: metadata of the file or of the next entry, or a value type, which
// starts an entry (the key and the value). At the end there is a checksum of
// everything before it.
package rdbfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"synod/proxy/datatype/rdb"
)

// MaxVersion is the latest version that can be read, that of Redis 7.4.
const MaxVersion = rdb.MaxVersion

// MaxValue is the largest value in bytes that is kept, the size limit of a
// server's arguments.
const MaxValue = 512 << 20

const magic = "REDIS"

// The opcodes. All others are types of values.
const (
	opSlot         = 0xf4
	opFunction     = 0xf5
	opFunctionOld  = 0xf6
	opModule       = 0xf7
	opIdle         = 0xf8
	opFrequency    = 0xf9
	opAux          = 0xfa
	opSizes        = 0xfb
	opMilliseconds = 0xfc
	opSeconds      = 0xfd
	opDatabase     = 0xfe
	opEnd          = 0xff
)

var (
	// ErrFormat means that the file is not an RDB file, too new, or damaged.
	ErrFormat = errors.New("not an RDB file that can be read")
	// ErrChecksum means that the file was altered after it was written.
	ErrChecksum = errors.New("the file's checksum is wrong")
	// ErrTooLarge means that a value is longer than MaxValue.
	ErrTooLarge = fmt.Errorf("the value is larger than %d MB", MaxValue>>20)
	// ErrModule means that a value belongs to a module.
	ErrModule = errors.New("values of modules cannot be copied")
)

// Entry is a key and its value.
type Entry struct {
	DB  int
	Key []byte
	// Value is the value's type and the value, as rdb.Seal takes it.
	Value []byte
	// Expiry is the time when the value expires, in Unix milliseconds; 0:
	// never.
	Expiry int64
	// Err is the reason if Value is missing.
	Err error
}

// Position is a position between two entries of a file, where reading or
// writing can resume.
type Position struct {
	Offset int64  `json:"offset"`
	Sum    uint64 `json:"sum,string"` // checksum of all before
	DB     int    `json:"db"`
	// For a file being written: whether a value requires MaxVersion, and the
	// checksum for a file of MaxVersion.
	Newer    bool   `json:"newer,omitempty"`
	NewerSum uint64 `json:"newer_sum,string,omitempty"`
}

// Reader reads a file.
type Reader struct {
	in  *bufio.Reader
	pos Position
	// version is the file's.
	version int
	record  *bytes.Buffer // takes what is read, if not nil
	skipped map[string]int
	aux     map[string]string
}

// NewReader reads a file from the beginning.
func NewReader(in io.Reader) (*Reader, error) {
	r := newReader(in)
	head, err := r.bytes(uint64(len(magic) + 4))
	if err != nil {
		return nil, err
	}
	version, err := strconv.Atoi(string(head[len(magic):]))
	if string(head[:len(magic)]) != magic || err != nil || version < 1 {
		return nil, fmt.Errorf("%w: it begins with %q", ErrFormat, head)
	}
	if version > MaxVersion {
		return nil, fmt.Errorf("%w: version %d is newer than %d, that of Redis 7.4", ErrFormat, version, MaxVersion)
	}
	r.version = version
	return r, nil
}

// Resume continues at the Position of an earlier Reader. The file must be
// positioned there.
func Resume(file io.ReadSeeker, at Position) (*Reader, error) {
	r, err := NewReader(file)
	if err != nil || at.Offset == 0 {
		return r, err
	}
	version := r.version
	if _, err := file.Seek(at.Offset, io.SeekStart); err != nil {
		return nil, err
	}
	r = newReader(file)
	r.version, r.pos = version, at
	return r, nil
}

func newReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 256<<10), skipped: map[string]int{}, aux: map[string]string{}}
}

// Position returns where the next entry is.
func (r *Reader) Position() Position { return r.pos }

// Skipped counts the other contents read so far, by kind.
func (r *Reader) Skipped() map[string]int { return r.skipped }

// Aux returns what the file says of itself.
func (r *Reader) Aux() map[string]string { return r.aux }

// Next returns the next entry, or io.EOF at the end of a complete file.
func (r *Reader) Next() (Entry, error) {
	e := Entry{DB: r.pos.DB}
	for {
		op, err := r.bytes(1)
		if err != nil {
			return e, err
		}
		switch op[0] {
		case opEnd:
			return e, r.end()
		case opDatabase:
			var n uint64
			n, err = r.length()
			r.pos.DB = int(n)
			e.DB = r.pos.DB
		case opSeconds:
			var b []byte
			b, err = r.bytes(4)
			e.Expiry = int64(int32(little(b))) * 1000
		case opMilliseconds:
			var b []byte
			b, err = r.bytes(8)
			e.Expiry = int64(little(b))
		case opIdle:
			_, err = r.length()
		case opFrequency:
			_, err = r.bytes(1)
		case opSizes:
			err = r.lengths(2)
		case opSlot:
			err = r.lengths(3)
		case opAux:
			err = r.readAux()
		case opFunction:
			r.skipped["function libraries"]++
			err = r.skipString()
		case opModule:
			r.skipped["data of modules"]++
			err = r.moduleAux()
		case opFunctionOld:
			return e, fmt.Errorf("%w: it has functions of a pre-release of Redis 7.0", ErrFormat)
		default:
			return r.entry(e, op[0])
		}
		if err != nil {
			return e, err
		}
	}
}

func (r *Reader) readAux() error {
	name, err := r.string()
	if err != nil {
		return err
	}
	value, err := r.string()
	if len(r.aux) < 64 && len(name)+len(value) < 1024 {
		r.aux[string(name)] = string(value)
	}
	return err
}

// entry reads the key and the value.
func (r *Reader) entry(e Entry, kind byte) (Entry, error) {
	var err error
	if e.Key, err = r.string(); err != nil {
		return e, err
	}
	var value bytes.Buffer
	value.WriteByte(kind)
	r.record = &value
	err = r.value(kind)
	r.record = nil
	switch {
	case errors.Is(err, ErrModule): // it has been read completely
		e.Err = err
	case err != nil:
		return e, fmt.Errorf("value of %.100q: %w", e.Key, err)
	case value.Len() > MaxValue:
		e.Err = ErrTooLarge
	default:
		e.Value = value.Bytes()
	}
	return e, nil
}

// end checks the data after the last entry.
func (r *Reader) end() error {
	if r.version < 5 {
		return io.EOF
	}
	sum := r.pos.Sum
	b, err := r.bytes(8)
	if err != nil {
		return err
	}
	if stored := little(b); stored != 0 && stored != sum {
		return ErrChecksum
	}
	return io.EOF
}

// step is how much is read at a time, so that a wrong length does not allocate
// memory for missing data.
const step = 1 << 20

// each reads n bytes in steps.
func (r *Reader) each(n uint64, visit func([]byte)) error {
	buf := make([]byte, min(n, step))
	for n > 0 {
		part := buf[:min(n, step)]
		if _, err := io.ReadFull(r.in, part); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%w: at byte %d: %w", ErrFormat, r.pos.Offset, err)
		}
		r.pos.Offset += int64(len(part))
		r.pos.Sum = rdb.Checksum(r.pos.Sum, part)
		if r.record != nil && r.record.Len() <= MaxValue {
			r.record.Write(part)
		}
		if visit != nil {
			visit(part)
		}
		n -= uint64(len(part))
	}
	return nil
}

func (r *Reader) bytes(n uint64) ([]byte, error) {
	out := make([]byte, 0, min(n, step))
	err := r.each(n, func(part []byte) { out = append(out, part...) })
	return out, err
}

func (r *Reader) skip(n uint64) error { return r.each(n, nil) }

func little(b []byte) uint64 {
	var n [8]byte
	copy(n[:], b)
	return binary.LittleEndian.Uint64(n[:])
}
