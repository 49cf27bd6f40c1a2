// Package changelog is the write-ahead log of a node: segments of records, shared
// by all lanes, written and synced by one goroutine.
//
// What Log.Wait has seen durable survives any crash. A torn tail, as a crash
// leaves it, is cut off when the log begins again; damage to what was durable is
// ErrCorrupt. The two are told apart by markers in the log, by the position file,
// and by what the caller knows to be durable.
package changelog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The changelog is a sequence of segment files. All numbers are little endian.
//
//	file    = header, padded to 4096 bytes; then what each sync wrote
//	header  = "SYNODLOG" version:u32 zero:u32 store:u64 first:u64 crc:u32
//	written = marker record…
//	marker  = 0xffffffff:u32 crc:u32 synced:u64; the checksum covers store too
//	record  = length:u32 crc:u32 payload
//
// A record's position is its number in the whole log, from 1. Its checksum is
// that of the payload, mixed with the position, so that a record is valid in its
// own place only. A marker says up to which position the log was durable when the
// records after it were written. A bad record at or below such a position, or at
// or below the one in the position file, was acknowledged: that is damage. One
// above was still being written when the process or the machine died. Zeros, which
// follow the last record, end the segment by the same rule. A restart begins a new
// segment, whose first position bounds the one before.
const (
	segmentMagic   = "SYNODLOG"
	segmentVersion = 1
	SegmentHeader  = 4096
	MarkerBytes    = 16
	markerLength   = math.MaxUint32
	RecordHead     = 8
	maxRecord      = 1 << 30
	SegmentSuffix  = ".log"
	unfinished     = SegmentSuffix + ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt says that an acknowledged entry cannot be read back.
var ErrCorrupt = errors.New("changelog is damaged")

// Segment is one file of the log.
type Segment struct {
	Path  string
	first uint64 // position of its first record
	Size  int64  // bytes in use, as far as known
}

func segmentPath(dir string, first uint64, suffix string) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, suffix))
}

func encodeHeader(store, first uint64) []byte {
	b := make([]byte, SegmentHeader)
	h := append(b[:0], segmentMagic...)
	h = binary.LittleEndian.AppendUint32(h, segmentVersion)
	h = binary.LittleEndian.AppendUint32(h, 0)
	h = binary.LittleEndian.AppendUint64(h, store)
	h = binary.LittleEndian.AppendUint64(h, first)
	binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return b
}

func checkHeader(h []byte, store, first uint64) error {
	const n = 32
	if string(h[:8]) != segmentMagic {
		return fmt.Errorf("%w: not a changelog segment", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(h[8:]); v != segmentVersion {
		return fmt.Errorf("changelog segment has format version %d, this program knows %d", v, segmentVersion)
	}
	if crc32.Checksum(h[:n], castagnoli) != binary.LittleEndian.Uint32(h[n:]) {
		return fmt.Errorf("%w: bad header checksum", ErrCorrupt)
	}
	if got := binary.LittleEndian.Uint64(h[16:]); got != store {
		return fmt.Errorf("changelog segment belongs to store %016x, this is %016x", got, store)
	}
	if got := binary.LittleEndian.Uint64(h[24:]); got != first {
		return fmt.Errorf("%w: segment begins at position %d, its name says %d", ErrCorrupt, got, first)
	}
	return nil
}

// mix makes a checksum valid at one position only.
func mix(sum uint32, pos uint64) uint32 {
	x := pos * 0x9e3779b97f4a7c15
	return sum ^ uint32(x>>32) ^ uint32(x)
}

func appendRecord(buf []byte, pos uint64, sum uint32, payload []byte) []byte {
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(payload)))
	buf = binary.LittleEndian.AppendUint32(buf, mix(sum, pos))
	return append(buf, payload...)
}

// markerSum includes the store's id, which no client knows, so that no client can
// write a value that looks like a marker.
func markerSum(store, synced uint64) uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], synced)
	binary.LittleEndian.PutUint64(b[8:], store)
	return crc32.Checksum(b[:], castagnoli)
}

func appendMarker(buf []byte, store, synced uint64) []byte {
	buf = binary.LittleEndian.AppendUint32(buf, markerLength)
	buf = binary.LittleEndian.AppendUint32(buf, markerSum(store, synced))
	return binary.LittleEndian.AppendUint64(buf, synced)
}

// parseMarker reads the marker at the start of b, if there is a valid one.
func parseMarker(b []byte, store uint64) (synced uint64, ok bool) {
	if len(b) < MarkerBytes || binary.LittleEndian.Uint32(b) != markerLength {
		return 0, false
	}
	synced = binary.LittleEndian.Uint64(b[8:])
	return synced, markerSum(store, synced) == binary.LittleEndian.Uint32(b[4:])
}

// Segments returns the log's segments in order.
func Segments(dir string) ([]Segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list changelog: %w", err)
	}
	var out []Segment
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(dir, name)
		num, ok := strings.CutSuffix(name, SegmentSuffix)
		if !ok {
			continue
		}
		first, err := strconv.ParseUint(num, 10, 64)
		if err != nil || first == 0 {
			return nil, fmt.Errorf("%w: unexpected file %s", ErrCorrupt, path)
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("list changelog: %w", err)
		}
		out = append(out, Segment{Path: path, first: first, Size: info.Size()})
	}
	slices.SortFunc(out, func(a, b Segment) int { return int(int64(a.first - b.first)) })
	return out, nil
}

// removeUnfinished removes segments that a crash left half made.
func removeUnfinished(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "*"+unfinished))
	if err != nil {
		return fmt.Errorf("remove unfinished segment: %w", err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove unfinished segment: %w", err)
		}
	}
	return nil
}

// scanned is what scanSegment found.
type scanned struct {
	end    int64  // offset after the last valid record
	next   uint64 // position of the record that would follow it
	torn   bool   // after end, there is something unreadable
	synced uint64 // the highest position that a marker says was durable
}

// scanSegment calls f for each record of a segment below position limit (zero:
// no limit). payload is valid during the call.
func scanSegment(s Segment, store, limit uint64, f func(pos uint64, payload []byte) error) (scanned, error) {
	out := scanned{end: SegmentHeader, next: s.first}
	file, err := os.Open(s.Path)
	if err != nil {
		return out, fmt.Errorf("open changelog segment: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	head := make([]byte, SegmentHeader)
	if _, err := io.ReadFull(in, head); err != nil {
		return out, fmt.Errorf("%w: %s: short header", ErrCorrupt, s.Path)
	}
	if err := checkHeader(head, store, s.first); err != nil {
		return out, fmt.Errorf("%s: %w", s.Path, err)
	}
	var buf []byte
	for limit == 0 || out.next < limit {
		got, err := ReadRecord(in, store, out.next, buf)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if errors.Is(err, errTorn) {
			out.torn = true
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("read %s: %w", s.Path, err)
		}
		out.end += int64(got.Size)
		if got.Payload == nil {
			out.synced = max(out.synced, got.synced)
			continue
		}
		buf = got.Payload
		if f != nil {
			if err := f(out.next, got.Payload); err != nil {
				return out, err
			}
		}
		out.next++
	}
	return out, nil
}

var errTorn = errors.New("unreadable record")

// record is a record or, without a payload, a marker.
type record struct {
	Payload []byte
	Size    int    // in the file
	synced  uint64 // what a marker says
}

// ReadRecord reads the record at a position, into buf if that is large enough,
// or the marker before it. It returns io.EOF if there are only
// zeros where it would begin.
func ReadRecord(in *bufio.Reader, store, pos uint64, buf []byte) (out record, err error) {
	head, err := in.Peek(RecordHead)
	if err != nil {
		if errors.Is(err, io.EOF) && len(bytes.Trim(head, "\x00")) == 0 {
			return out, io.EOF
		}
		return out, tornIfShort(err)
	}
	length, sum := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
	if length == 0 && sum == 0 {
		return out, io.EOF
	}
	if length == markerLength {
		m, err := in.Peek(MarkerBytes)
		if err != nil {
			return out, tornIfShort(err)
		}
		synced, ok := parseMarker(m, store)
		if !ok {
			return out, errTorn
		}
		_, err = in.Discard(MarkerBytes)
		return record{Size: MarkerBytes, synced: synced}, err
	}
	if length == 0 || length > maxRecord {
		return out, errTorn
	}
	if _, err := in.Discard(RecordHead); err != nil {
		return out, err
	}
	if buf, err = readPayload(in, int(length), buf); err != nil {
		return out, tornIfShort(err)
	}
	if mix(crc32.Checksum(buf, castagnoli), pos) != sum {
		return out, errTorn
	}
	return record{Payload: buf, Size: RecordHead + int(length)}, nil
}

// readPayload reads n bytes. It allocates memory as they arrive, since a damaged
// length may be far larger than the file.
func readPayload(in *bufio.Reader, n int, buf []byte) ([]byte, error) {
	const step = 4 << 20
	buf = buf[:0]
	for len(buf) < n {
		k := min(step, n-len(buf))
		buf = slices.Grow(buf, k)
		if _, err := io.ReadFull(in, buf[len(buf):len(buf)+k]); err != nil {
			return buf, err
		}
		buf = buf[:len(buf)+k]
	}
	return buf, nil
}

func tornIfShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}
