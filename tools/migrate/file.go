package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"synod/proxy/datatype/glob"
	"synod/proxy/datatype/rdb"
	"synod/tools/migrate/rdbfile"
)

// Approximate limits of a batch: number of keys, and total bytes of their
// values.
const (
	batchKeys  = 256
	batchBytes = 8 << 20
)

func (c *Config) source(ctx context.Context, st *state) (source, error) {
	if c.From != nil {
		return openServer(ctx, c, st)
	}
	f, err := os.Open(c.FromFile)
	if err != nil {
		return nil, err
	}
	s := &fileSource{config: c, file: f}
	info, err := f.Stat()
	if err == nil {
		s.size = info.Size()
		s.in, err = rdbfile.Resume(f, st.At.File)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.FromFile, err), f.Close())
	}
	return s, nil
}

// fileSource walks over an RDB file.
type fileSource struct {
	config *Config
	file   *os.File
	size   int64
	in     *rdbfile.Reader
	ended  bool
}

func (s *fileSource) next(ctx context.Context) (batch, error) {
	if s.ended {
		return batch{}, io.EOF
	}
	var b batch
	bytes := 0
	for len(b.items) < batchKeys && bytes < batchBytes && ctx.Err() == nil {
		e, err := s.in.Next()
		if errors.Is(err, io.EOF) {
			s.ended = true
			s.notes()
			break
		}
		if err != nil {
			return batch{}, fmt.Errorf("%s: %w", s.config.FromFile, err)
		}
		if !s.config.wants(e.DB) || s.config.Pattern != "" && !glob.Match([]byte(s.config.Pattern), e.Key) {
			continue
		}
		if e.Expiry != 0 && e.Expiry <= time.Now().UnixMilli() {
			e.Value, e.Err = nil, nil // expired in the meantime
		}
		b.items = append(b.items, e)
		bytes += len(e.Value)
	}
	at := s.in.Position()
	b.after, b.done = position{File: at}, at.Offset
	return b, ctx.Err()
}

// notes reports the parts of the file that are not keys.
func (s *fileSource) notes() {
	for what, n := range s.in.Skipped() {
		s.config.note("%s in the file: %d, not copied", what, n)
	}
}

func (s *fileSource) total() (int64, bool) { return s.size, true }
func (s *fileSource) close() error         { return s.file.Close() }

func (c *Config) sink(ctx context.Context, st *state) (sink, error) {
	if c.To != nil {
		return openTarget(ctx, c)
	}
	if st.Out.Offset != 0 {
		return resumeFile(c.ToFile, st.Out)
	}
	f, err := os.OpenFile(c.ToFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileSink{file: f, out: rdbfile.NewWriter(f, "ctime", strconv.FormatInt(time.Now().Unix(), 10))}, nil
}

// resumeFile continues a file from an earlier run's confirmed position.
func resumeFile(path string, at rdbfile.Position) (sink, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < at.Offset {
		err = fmt.Errorf("%s has %d bytes, the state file knows of %d", path, info.Size(), at.Offset)
	}
	if err == nil {
		err = f.Truncate(at.Offset)
	}
	if err == nil {
		_, err = f.Seek(at.Offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileSink{file: f, out: rdbfile.ResumeWriter(f, at)}, nil
}

var errNewer = errors.New("the value is in an encoding of Redis 7.2, which files are not written in")

// fileSink writes an RDB file.
type fileSink struct {
	file *os.File
	out  *rdbfile.Writer
}

func (s *fileSink) put(_ context.Context, items []item) ([]error, error) {
	errs := make([]error, len(items))
	for i, it := range items {
		if v := rdb.PayloadVersion(it.Value); v > rdb.Version && v < rdb.MaxVersion {
			errs[i] = errNewer
			continue
		}
		if err := s.out.Write(it); err != nil {
			return nil, err
		}
	}
	return errs, nil
}

func (s *fileSink) confirm() (rdbfile.Position, error) {
	if err := s.out.Flush(); err != nil {
		return rdbfile.Position{}, err
	}
	return s.out.Position(), s.file.Sync()
}

func (s *fileSink) finish() error {
	if err := s.out.Close(); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(s.out.Head(), 0); err != nil {
		return err
	}
	return s.file.Sync()
}

func (s *fileSink) close() error { return s.file.Close() }
