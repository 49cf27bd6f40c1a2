package changelog

import (
	"bufio"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"testing"
)

// FuzzChangelog reads any bytes as records of a changelog segment: whatever
// they are, reading ends, in order, with a record, the end, a torn tail or an
// error.
func FuzzChangelog(f *testing.F) {
	const store = 0x1234
	f.Add(appendRecord(nil, 9, crc32.Checksum([]byte("payload"), castagnoli), []byte("payload")))
	f.Add(appendMarker(nil, store, 17))
	f.Add(append(appendRecord(nil, 9, 0, []byte("x")), 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReader(bytes.NewReader(b))
		read := 0
		for pos := uint64(9); ; pos++ {
			got, err := ReadRecord(in, store, pos, nil)
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			if read += got.Size; read > len(b) || len(got.Payload) > got.Size {
				t.Fatalf("%d bytes of records and a payload of %d in %d bytes", read, len(got.Payload), len(b))
			}
		}
	})
}
