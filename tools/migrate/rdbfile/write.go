package rdbfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"synod/proxy/datatype/rdb"
)

func newRecord() *bytes.Buffer { return bytes.NewBuffer([]byte{0}) }

// Writer writes a file. After an error nothing more is written.
//
// The file starts as one of rdb.Version. It must become one of MaxVersion if an
// entry needs that. So the writer computes the checksums for both, and the
// caller finally writes Head at the beginning.
type Writer struct {
	out *bufio.Writer
	pos Position
	err error
}

// noDatabase is the Position.DB of a file that has not named a database yet.
const noDatabase = -1

// NewWriter starts a file with the metadata aux, alternating names and values.
func NewWriter(out io.Writer, aux ...string) *Writer {
	w := ResumeWriter(out, Position{DB: noDatabase})
	w.write(head(rdb.Version))
	w.pos.NewerSum = rdb.Checksum(0, head(MaxVersion))
	for i := 0; i < len(aux); i += 2 {
		b := rdb.AppendString([]byte{opAux}, []byte(aux[i]))
		w.write(rdb.AppendString(b, []byte(aux[i+1])))
	}
	return w
}

func head(version int) []byte { return fmt.Appendf(nil, "%s%04d", magic, version) }

// Head is the final beginning of the complete file.
func (w *Writer) Head() []byte {
	if w.pos.Newer {
		return head(MaxVersion)
	}
	return head(rdb.Version)
}

// ResumeWriter continues at the Position of an earlier Writer after Flush. out
// must be positioned there.
func ResumeWriter(out io.Writer, at Position) *Writer {
	return &Writer{out: bufio.NewWriterSize(out, 256<<10), pos: at}
}

// Position returns where the next entry will be.
func (w *Writer) Position() Position { return w.pos }

func (w *Writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
	w.pos.Offset += int64(len(b))
	w.pos.Sum = rdb.Checksum(w.pos.Sum, b)
	w.pos.NewerSum = rdb.Checksum(w.pos.NewerSum, b)
}

// Write writes an entry.
func (w *Writer) Write(e Entry) error {
	var b []byte
	w.pos.Newer = w.pos.Newer || rdb.PayloadVersion(e.Value) == rdb.MaxVersion
	if e.DB != w.pos.DB {
		w.pos.DB = e.DB
		b = rdb.AppendLength(append(b, opDatabase), uint64(e.DB))
	}
	if e.Expiry != 0 {
		b = binary.LittleEndian.AppendUint64(append(b, opMilliseconds), uint64(e.Expiry))
	}
	w.write(rdb.AppendString(append(b, e.Value[0]), e.Key))
	w.write(e.Value[1:])
	return w.err
}

// Flush writes all buffered data to the file.
func (w *Writer) Flush() error {
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}

// Close writes the end of the file.
func (w *Writer) Close() error {
	w.write([]byte{opEnd})
	sum := w.pos.Sum
	if w.pos.Newer {
		sum = w.pos.NewerSum
	}
	w.write(binary.LittleEndian.AppendUint64(nil, sum))
	return w.Flush()
}
