package rpc

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	frameHeader = 8
	// firstRead is the memory taken for a frame on the word of its header
	// alone; beyond that, it grows as bytes arrive.
	firstRead = 1 << 20
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
}

func newFrameReader(c Class, r io.Reader) *frameReader {
	return &frameReader{class: c, in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next frame's payload, in memory of its own, or io.EOF if
// there is no further frame.
func (f *frameReader) next() ([]byte, error) {
	if _, err := io.ReadFull(f.in, f.header[:]); err != nil {
		return nil, err
	}
	size := uint64(binary.BigEndian.Uint32(f.header[:]))
	want := binary.BigEndian.Uint32(f.header[4:])
	if limit := f.class.MaxPayload(); size > uint64(limit) {
		return nil, &SizeError{Class: f.class, Size: int(size), Limit: limit}
	}
	payload, err := f.read(int(size))
	if err != nil {
		return nil, err
	}
	if got := crc32.Checksum(payload, castagnoli); got != want {
		return nil, &ChecksumError{Class: f.class, Size: int(size), Got: got, Want: want}
	}
	return payload, nil
}

func (f *frameReader) read(size int) ([]byte, error) {
	payload := make([]byte, min(size, firstRead))
	for at := 0; ; {
		n, err := io.ReadFull(f.in, payload[at:])
		at += n
		if err == io.EOF && size > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || at == size {
			return payload, err
		}
		more := make([]byte, min(size, 2*at))
		copy(more, payload)
		payload = more
	}
}
