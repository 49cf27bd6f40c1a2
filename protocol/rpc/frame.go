package rpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"time"

	"synod/protocol/budget"
)

const (
	frameHeader = 8
	// firstRead is the most memory allocated for a frame before its bytes arrive;
	// beyond that, the buffer grows with them.
	firstRead = 1 << 20
	// headBytes is how much is kept of a payload that did not fit into memory.
	headBytes = 4 << 10
	// memoryPatience is how long a payload may wait for memory. votesPatience is the
	// same for votes, and holds up those behind it, too: it only slows down a peer
	// that sends votes too fast.
	memoryPatience = 3 * time.Second
	votesPatience  = 50 * time.Millisecond
	// memorySilence is how long the next bytes of a payload that holds memory may be
	// late.
	memorySilence = 10 * time.Second
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// putFrameHeader writes the header of a frame into dst.
func putFrameHeader(dst []byte, payload []byte) {
	binary.BigEndian.PutUint32(dst, uint32(len(payload)))
	binary.BigEndian.PutUint32(dst[4:], crc32.Checksum(payload, castagnoli))
}

// frameReader reads the frames of one class. It reads ahead, so that small
// frames that arrive together cost one read.
type frameReader struct {
	class  Class
	in     *bufio.Reader
	header [frameHeader]byte

	// memory is the budget for large payloads, which wait for it until ctx ends; nil:
	// no limit. refused, if not nil, gets the first bytes of a payload that did not
	// fit.
	memory  *budget.Share
	weigh   func(size int) int64 // nil: it takes its size
	ctx     context.Context
	refused func(head []byte)
	// limit, if not nil, bounds the time until the next bytes of a payload that
	// holds memory.
	limit func(time.Duration)
}

func newFrameReader(c Class, r io.Reader) *frameReader {
	return &frameReader{class: c, in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next frame's payload, in memory of its own, or io.EOF if there is
// no further frame. It skips payloads that do not fit into memory.
func (f *frameReader) next() ([]byte, error) {
	for {
		payload, skipped, err := f.frame()
		if err != nil || !skipped {
			return payload, err
		}
		f.refused(payload)
	}
}

// frame reads one frame. If it was skipped, payload is its beginning.
func (f *frameReader) frame() (payload []byte, skipped bool, err error) {
	if _, err := io.ReadFull(f.in, f.header[:]); err != nil {
		return nil, false, err
	}
	size := uint64(binary.BigEndian.Uint32(f.header[:]))
	want := binary.BigEndian.Uint32(f.header[4:])
	if limit := f.class.MaxPayload(); size > uint64(limit) {
		return nil, false, &SizeError{Class: f.class, Size: int(size), Limit: limit}
	}
	var got uint32
	switch payload, err = f.room(int(size)); {
	case err != nil:
		skipped = true
		payload, got, err = f.skip(int(size))
	case payload != nil:
		err = f.fill(payload)
	default:
		payload, err = f.read(int(size))
	}
	if err != nil {
		return nil, false, err
	}
	if !skipped {
		got = crc32.Checksum(payload, castagnoli)
	}
	if got != want {
		return nil, false, &ChecksumError{Class: f.class, Size: int(size), Got: got, Want: want}
	}
	return payload, skipped, nil
}

// room acquires the memory of a large payload before any of it is read. It returns
// nil for a payload that needs no permission, and an error for one to be skipped.
func (f *frameReader) room(size int) ([]byte, error) {
	if f.memory == nil || size < budget.Large {
		return nil, nil
	}
	weight := int64(size)
	if f.weigh != nil {
		weight = f.weigh(size)
	}
	if f.memory.Try(weight) {
		return f.memory.Allocate(size, weight), nil
	}
	patience := memoryPatience
	if f.class == Votes {
		patience = votesPatience
	}
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	if err := f.memory.Acquire(ctx, weight); err != nil {
		if f.class == Bulk && f.refused != nil {
			return nil, err
		}
		f.memory.Force(weight) // of these classes none is very large
	}
	return f.memory.Allocate(size, weight), nil
}

// fill reads a payload that holds memory. Its sender must not let it wait too long.
func (f *frameReader) fill(payload []byte) error {
	for at := 0; at < len(payload); {
		f.expect(memorySilence)
		n, err := io.ReadFull(f.in, payload[at:min(at+firstRead, len(payload))])
		if at += n; err != nil {
			return cutShort(err)
		}
	}
	f.expect(0)
	return nil
}

// skip reads a payload without keeping it. It returns its beginning and the
// checksum of all of it.
func (f *frameReader) skip(size int) (head []byte, sum uint32, err error) {
	head = make([]byte, min(size, headBytes))
	if _, err := io.ReadFull(f.in, head); err != nil {
		return nil, 0, cutShort(err)
	}
	sum = crc32.Checksum(head, castagnoli)
	rest := make([]byte, 32<<10)
	for left := size - len(head); left > 0; {
		n, err := f.in.Read(rest[:min(left, len(rest))])
		sum = crc32.Update(sum, castagnoli, rest[:n])
		if left -= n; err != nil {
			return nil, 0, cutShort(err)
		}
	}
	return head, sum, nil
}

func (f *frameReader) expect(within time.Duration) {
	if f.limit != nil {
		f.limit(within)
	}
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (f *frameReader) read(size int) ([]byte, error) {
	payload := make([]byte, min(size, firstRead))
	for at := 0; ; {
		n, err := io.ReadFull(f.in, payload[at:])
		at += n
		if size > 0 {
			err = cutShort(err)
		}
		if err != nil || at == size {
			return payload, err
		}
		more := make([]byte, min(size, 2*at))
		copy(more, payload)
		payload = more
	}
}
