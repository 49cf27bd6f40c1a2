package changelog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"

	"synod/storaged/rules"
)

// Found is what Recover found of the changelog. It has changed nothing.
type Found struct {
	segments []Segment
	Next     uint64 // position of the next record
	end      int64  // of the last segment: what is behind is to be cut off
}

// Recover reads the log and calls f for its records from position from on, or
// from where the log begins if that is later. If an entry is missing or unreadable
// that is at or below durable, or at or below what a marker says was durable, it
// returns ErrCorrupt. Entries above were never acknowledged: the log ends where
// they cannot be read.
func Recover(cfg Config, from, durable uint64, f func(pos uint64, payload []byte) error) (out Found, err error) {
	if out.segments, err = Segments(cfg.Dir); err != nil {
		return out, err
	}
	durable = max(durable, from-1)
	if len(out.segments) == 0 {
		if durable > 0 {
			return out, fmt.Errorf("%w: there is none, though entries up to %d were acknowledged", ErrCorrupt, durable)
		}
		out.Next = 1
		return out, nil
	}
	if first := out.segments[0].first; first > max(from, 1) {
		return out, fmt.Errorf("%w: it begins at %d, entries from %d on are needed", ErrCorrupt, first, from)
	}
	last := len(out.segments) - 1
	synced := durable
	for i := range out.segments[:last] {
		s, limit := &out.segments[i], out.segments[i+1].first
		if limit <= from {
			continue // already applied, kept for others
		}
		got, err := recoverSegment(cfg, s, limit, from, f)
		if err != nil {
			return out, err
		}
		synced = max(synced, got.synced)
		if got.next != limit {
			return out, fmt.Errorf("%w: %s ends at position %d, the next segment begins at %d", ErrCorrupt, s.Path, got.next, limit)
		}
	}
	got, err := recoverSegment(cfg, &out.segments[last], 0, from, f)
	if err != nil {
		return out, err
	}
	out.Next, out.end = got.next, got.end
	return out, checkEnd(cfg, &out.segments[last], got, max(synced, got.synced))
}

func recoverSegment(cfg Config, s *Segment, limit, from uint64, f func(uint64, []byte) error) (scanned, error) {
	got, err := scanSegment(*s, cfg.Store, limit, func(pos uint64, payload []byte) error {
		if pos < from {
			return nil
		}
		return f(pos, payload)
	})
	s.Size = got.end
	return got, err
}

// checkEnd tells the end of the log from damage. Whatever bytes follow the last
// record, zeros included, the log ends there only if nothing says that more was
// durable.
func checkEnd(cfg Config, s *Segment, got scanned, durable uint64) error {
	var rest behind
	if !cfg.Omit.Omits(rules.Rest) || got.torn {
		var err error
		if rest, err = lookBehind(s.Path, cfg.Store, got.end); err != nil {
			return err
		}
	}
	if durable = max(durable, rest.synced); durable >= got.next {
		return fmt.Errorf("%w: %s: entry %d at byte %d is missing or cannot be read, though entries up to %d were acknowledged",
			ErrCorrupt, s.Path, got.next, got.end, durable)
	}
	if rest.written {
		cfg.Log.Warn("the changelog ends in an unfinished write, as after a crash; it is cut off, nothing acknowledged is lost",
			zap.String("segment", s.Path), zap.Int64("offset", got.end), zap.Uint64("next_entry", got.next))
	}
	return nil
}

// behind is what follows the last record of a segment.
type behind struct {
	written bool   // anything but zeros
	synced  uint64 // the highest position that a marker says was durable
}

// lookBehind reads a segment from an offset on.
func lookBehind(path string, store uint64, from int64) (out behind, err error) {
	file, err := os.Open(path)
	if err != nil {
		return out, fmt.Errorf("open changelog segment: %w", err)
	}
	defer file.Close()
	sign := []byte{0xff, 0xff, 0xff, 0xff}
	buf := make([]byte, 1<<20)
	kept := 0 // bytes at the start of buf that were searched, but may begin a marker
	for {
		n, err := file.ReadAt(buf[kept:], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return out, fmt.Errorf("read %s: %w", path, err)
		}
		out.written = out.written || !zero(buf[kept:kept+n])
		b := buf[:kept+n]
		for i := bytes.Index(b, sign); i >= 0; i = bytes.Index(b, sign) {
			if synced, ok := parseMarker(b[i:], store); ok {
				out.synced = max(out.synced, synced)
			}
			b = b[i+1:]
		}
		if err != nil {
			return out, nil
		}
		from += int64(n)
		kept = copy(buf, buf[len(buf)-MarkerBytes+1:])
	}
}

// zero reports whether all of b is.
func zero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}

// sealSegment makes durable what a dead process may have written without a sync,
// and frees the space reserved after it.
func sealSegment(cfg Config, path string, end int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("seal changelog segment: %w", err)
	}
	defer file.Close()
	if err := file.Truncate(end); err != nil {
		return fmt.Errorf("seal changelog segment: %w", err)
	}
	if err := cfg.Disk.Sync(file); err != nil {
		return fmt.Errorf("seal changelog segment: %w", err)
	}
	return nil
}
